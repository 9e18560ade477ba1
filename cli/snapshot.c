/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot is made by lists, one after the other, so it may be of several moments. Nothing is
 * decided by it alone: what is written compares the revisions seen here, and the set of pools has a
 * guard that changes with every pool. The guard is read before the resources are: a pool that comes
 * into being in between changes the guard, and the transaction finds out.
 *
 * Anybody may have written these documents. One that cannot be read stays in the snapshot, with the
 * reason, because it can be shown and deleted; a block whose document cannot be read is in use.
 */
#include "cli/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cluster/keys.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static int compare_items(const void *a, const void *b)
{
	return strcmp(
		((const struct snapshot_item *)a)->key, ((const struct snapshot_item *)b)->key);
}

static int compare_blocks(const void *a, const void *b)
{
	return block_compare(&((const struct block *)a)->cidr, &((const struct block *)b)->cidr);
}

static int read_value(struct snapshot_item *item, const char *text, struct err *e)
{
	char where[RESOURCE_WHERE];
	struct resource r = {0};
	int error = json_parse(text, strlen(text), &item->doc, e);
	if (error == 0)
		error = resource_parse(item->doc, &r, where, e);
	if (error < 0)
		return error;
	if (r.kind != item->kind || strcmp(r.name, item->name) != 0) {
		(void)err_set(e, EINVAL, "the document under this key is of %s %.100s",
			resource_kind_text(r.kind), r.name);
		resource_done(&r);
		return -EINVAL;
	}
	item->value = mem_new(1, sizeof(r));
	*item->value = r;
	return 0;
}

static void add_item(struct snapshot *s, const struct store_doc *doc)
{
	struct snapshot_item item = {.revision = doc->revision};
	struct err e = {0};
	if (!keys_parse_resource(doc->key, &item.kind, item.name))
		return;
	item.key = mem_strdup(doc->key);
	int r = doc->value ? read_value(&item, doc->value, &e)
			   : err_set(&e, EFBIG, "the document is too large");
	if (r < 0)
		item.why = mem_strdup(e.text);
	s->items[s->n_items++] = item;
}

int snapshot_resources(struct store *s, const char *prefix, struct snapshot *out, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	*out = (struct snapshot){0};
	int r = store_list(s, prefix, &docs, &n, e);
	if (r < 0)
		return r;
	out->items = mem_new(n, sizeof(*out->items));
	for (size_t i = 0; i < n; i++)
		add_item(out, &docs[i]);
	store_docs_free(docs, n);
	qsort(out->items, out->n_items, sizeof(*out->items), compare_items);
	return 0;
}

int snapshot_blocks(struct store *s, struct snapshot *out, struct err *e)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	int r = store_list(s, KEYS_BLOCKS, &docs, &n, e);
	if (r < 0)
		return r;
	free(out->blocks);
	out->blocks = mem_new(n, sizeof(*out->blocks));
	out->n_blocks = 0;
	for (size_t i = 0; i < n; i++) {
		struct block b = {.revision = docs[i].revision};
		struct err ignored;
		if (!keys_parse_block(docs[i].key, &b.cidr))
			continue;
		if (!docs[i].value ||
			block_parse(docs[i].key, docs[i].value, docs[i].revision, &b, &ignored) < 0)
			(void)text_copy(b.node, sizeof(b.node), "?");
		out->blocks[out->n_blocks++] = b;
	}
	store_docs_free(docs, n);
	qsort(out->blocks, out->n_blocks, sizeof(*out->blocks), compare_blocks);
	return 0;
}

int snapshot_all(struct store *s, struct snapshot *out, struct err *e)
{
	CLEANUP_DOC struct store_doc guard = {0};
	*out = (struct snapshot){0};
	int r = store_get(s, KEYS_GUARD_POOLS, &guard, e);
	if (r >= 0)
		r = snapshot_resources(s, KEYS_RESOURCES, out, e);
	out->guard = guard.revision;
	return r < 0 ? r : snapshot_blocks(s, out, e);
}

void snapshot_done(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_items; i++) {
		struct snapshot_item *item = &s->items[i];
		if (item->value)
			resource_done(item->value);
		free(item->value);
		json_decref(item->doc);
		free(item->key);
		free(item->why);
	}
	free(s->items);
	free(s->blocks);
	*s = (struct snapshot){0};
}

const struct snapshot_item *snapshot_find(
	const struct snapshot *s, enum resource_kind kind, const char *name)
{
	char key[STORE_KEY_MAX];
	keys_resource(kind, name, key);
	const struct snapshot_item wanted = {.key = key};
	return s->n_items ? bsearch(&wanted, s->items, s->n_items, sizeof(wanted), compare_items)
			  : NULL;
}

void snapshot_label(enum resource_kind kind, const char *name, char out[SNAPSHOT_LABEL])
{
	const char *plural = resource_kind_plural(kind);
	(void)snprintf(out, SNAPSHOT_LABEL, "%.*s/%.*s", (int)strlen(plural) - 1, plural,
		RESOURCE_NAME - 1, name);
}
