/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All agents of a new cluster do this at the same time, by creations alone: of two that make the same
 * document one is refused, and sees the other's. Each step looks at what is there:
 *
 *	the mark is there                  nothing is to be done, for ever
 *	a pool that is none of the file's  people have begun by themselves: the mark
 *	a pool of the file is missing      it is made
 *	all are there                      the mark
 *
 * So an agent that ends between two steps leaves the rest to the next one. The mark is a document that
 * people see and know; who deletes it and all pools gets the first ones again.
 */
#include "agent/first_pools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster/document.h"
#include "cluster/keys.h"
#include "cluster/resource.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define WRITE_MS 5000
#define RETRY_MS 5000
#define MARK "default"
#define VERSION "projectcalico.org/v3"
#define POOLS_MAX 16

static const char *name_of(const json_t *doc)
{
	const char *s =
		json_string_value(json_object_get(json_object_get(doc, "metadata"), "name"));
	return s ? s : "";
}

static bool is_among(const json_t *pools, const char *name)
{
	for (size_t i = 0; i < json_array_size(pools); i++)
		if (strcmp(name_of(json_array_get(pools, i)), name) == 0)
			return true;
	return false;
}

/* A document that nobody can read is somebody's pool, too. */
static bool has_others(const struct replica *r, const json_t *pools)
{
	char name[RESOURCE_NAME];
	enum resource_kind kind;
	for (size_t i = 0; i < r->n_items; i++)
		if (r->items[i]->resource.kind == RESOURCE_IPPOOL &&
			!is_among(pools, r->items[i]->resource.name))
			return true;
	for (size_t i = 0; i < r->n_problems; i++)
		if (keys_parse_resource(r->problems[i].key, &kind, name) && kind == RESOURCE_IPPOOL)
			return true;
	return false;
}

json_t *first_pools_next(const struct replica *r, const json_t *pools, char key[STORE_KEY_MAX])
{
	if (replica_item(r, RESOURCE_IPAMCONFIGURATION, MARK) || json_array_size(pools) == 0)
		return NULL;
	bool begun = has_others(r, pools);
	for (size_t i = 0; !begun && i < json_array_size(pools); i++) {
		json_t *doc = json_array_get(pools, i);
		if (replica_item(r, RESOURCE_IPPOOL, name_of(doc)))
			continue;
		keys_resource(RESOURCE_IPPOOL, name_of(doc), key);
		json_t *made = json_deep_copy(doc);
		document_stamp(made, NULL);
		return made;
	}
	keys_resource(RESOURCE_IPAMCONFIGURATION, MARK, key);
	return json_pack("{s:s, s:s, s:{s:s}, s:{}}", "apiVersion", VERSION, "kind",
		resource_kind_text(RESOURCE_IPAMCONFIGURATION), "metadata", "name", MARK, "spec");
}

/* As a store has it, whatever version people write. */
static int take_pool(json_t *pools, size_t i, struct err *e)
{
	const json_t *doc = json_array_get(pools, i);
	struct resource pool;
	char where[RESOURCE_WHERE];
	int r = resource_parse(doc, &pool, where, e);
	if (r == 0 && pool.kind != RESOURCE_IPPOOL)
		r = err_set(e, EINVAL, "it is of the kind %s, not IPPool",
			resource_kind_text(pool.kind));
	if (r == 0)
		resource_done(&pool);
	if (r == 0)
		(void)json_array_set_new(pools, i, document_stored(doc));
	if (r < 0)
		err_add(e, "[%zu]", i);
	return r;
}

int first_pools_read(const char *file, json_t **out, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	int r = json_read_file(file, &doc, e);
	if (r < 0)
		return r;
	if (!json_is_array(doc) || json_array_size(doc) > POOLS_MAX)
		r = err_set(e, EBADMSG, "this is no array of %d IPPools at most", POOLS_MAX);
	for (size_t i = 0; r == 0 && i < json_array_size(doc); i++)
		r = take_pool(doc, i, e);
	if (r < 0) {
		err_add(e, "%.200s", file);
		return r;
	}
	*out = json_incref(doc);
	return 0;
}

static void start_making(struct first_pools *f, struct store *s, const char *key, const json_t *doc)
{
	CLEANUP_FREE char *value = json_text(doc);
	const struct store_write w = {.key = key, .value = value};
	(void)text_copy(f->what, sizeof(f->what), key);
	f->commit = store_start_write(s, &w, WRITE_MS);
}

/* The file is read only as long as there is no mark, so that nobody has to keep it. */
static void make_next(struct first_pools *f, const char *file, const struct replica *r,
	struct store *s, struct problems *problems)
{
	char key[STORE_KEY_MAX];
	struct err e;
	CLEANUP_JSON json_t *pools = NULL;
	if (first_pools_read(file, &pools, &e) < 0) {
		problems_add_as(
			problems, "first pools", "the first pools cannot be made: %s", e.text);
		return;
	}
	CLEANUP_JSON json_t *doc = first_pools_next(r, pools, key);
	if (doc)
		start_making(f, s, key, doc);
}

int64_t first_pools_sync(struct first_pools *f, const char *file, const struct replica *r,
	struct store *s, struct problems *problems)
{
	int64_t now = boot_now_ms();
	if (!*file || replica_item(r, RESOURCE_IPAMCONFIGURATION, MARK))
		return 0;
	if (*f->trouble)
		problems_add_as(
			problems, "first pools", "%s cannot be made: %s", f->what, f->trouble);
	if (!f->commit && now >= f->retry_ms)
		make_next(f, file, r, s, problems);
	return now < f->retry_ms ? f->retry_ms - now : 0;
}

/* What was made, here or by another agent, is seen by the watch, and then the next one is made. */
bool first_pools_take(struct first_pools *f, const struct store_event *ev)
{
	if (!f->commit || ev->id != f->commit)
		return false;
	f->commit = 0;
	f->retry_ms = 0;
	*f->trouble = '\0';
	if (ev->kind == STORE_FAILED) {
		(void)text_clean(f->trouble, sizeof(f->trouble), ev->what);
		f->retry_ms = boot_now_ms() + RETRY_MS;
	}
	return true;
}
