/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record for each namespace that says something. Putting what is there already takes no write lock: the
 * agent does it again and again, so that a state that was lost gets its records back.
 */
#include "ipam/node_namespaces.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ipam/node_impl.h"
#include "ipam/record_pod.h"
#include "lib/mem.h"
#include "lib/text.h"

static struct record_key namespace_key(const char *name)
{
	struct record_key k = {.kind = RECORD_NAMESPACE};
	(void)text_copy(k.name, sizeof(k.name), name);
	return k;
}

static int namespace_damaged(struct db *db, struct err *e)
{
	return db_damage(db, e, "the record of a namespace is malformed");
}

bool node_namespace_is_silent(const struct node_namespace *n)
{
	for (size_t i = 0; i < CNI_NAMESPACE_ANNOTATIONS; i++)
		if (*n->annotations[i].text)
			return false;
	return true;
}

static bool is_same(const struct node_namespace *a, const struct node_namespace *b)
{
	for (size_t i = 0; i < CNI_NAMESPACE_ANNOTATIONS; i++)
		if (strcmp(a->annotations[i].key, b->annotations[i].key) != 0 ||
			strcmp(a->annotations[i].text, b->annotations[i].text) != 0)
			return false;
	return strcmp(a->name, b->name) == 0;
}

static int read_entry(
	struct db *db, const struct db_entry *entry, struct node_namespace *out, struct err *e)
{
	struct record_namespace rec;
	if (!record_namespace_parse(entry->value.bytes, entry->value.len, &rec))
		return namespace_damaged(db, e);
	*out = (struct node_namespace){0};
	(void)text_copy(out->name, sizeof(out->name), entry->key.name);
	memcpy(out->annotations, rec.annotations, sizeof(out->annotations));
	return 0;
}

/* Every record of now: a heap array. */
static int list_namespaces(struct db *db, struct node_namespace **out, size_t *count, struct err *e)
{
	struct record_key from = {.kind = RECORD_NAMESPACE};
	struct node_namespace *v = NULL;
	size_t n = 0, room = 0;
	struct db_entry entry;
	int r;
	for (r = db_seek(db, &from, &entry, e); r == 1; r = db_next(db, &entry, e)) {
		v = mem_grow(v, &room, n, sizeof(*v));
		r = read_entry(db, &entry, &v[n++], e);
		if (r < 0)
			break;
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*out = v;
	*count = n;
	return 0;
}

static bool is_equal(
	const struct node_namespace *a, size_t n_a, const struct node_namespace *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!is_same(&a[i], &b[i]))
			return false;
	return true;
}

static int write_namespaces(struct db *db, const struct node_namespace *had, size_t n_had,
	const struct node_namespace *list, size_t count, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < n_had; i++) {
		struct record_key k = namespace_key(had[i].name);
		r = db_del(db, &k, e);
	}
	for (size_t i = 0; r >= 0 && i < count; i++) {
		struct record_key k = namespace_key(list[i].name);
		struct record_namespace rec;
		struct db_value v;
		memcpy(rec.annotations, list[i].annotations, sizeof(rec.annotations));
		v.len = record_namespace_format(&rec, v.bytes);
		r = db_put(db, &k, &v, e);
	}
	return r < 0 ? r : 1;
}

/* In the transaction that is open: 1 changed, 0 it was so; -EAGAIN: only look, and it was not so. */
static int put_within(
	struct db *db, const struct node_namespace *list, size_t count, bool look, struct err *e)
{
	CLEANUP_FREE struct node_namespace *had = NULL;
	size_t n_had = 0;
	int r = list_namespaces(db, &had, &n_had, e);
	if (r < 0 || is_equal(had, n_had, list, count))
		return r;
	return look ? -EAGAIN : write_namespaces(db, had, n_had, list, count, e);
}

int node_put_namespaces(
	struct node *n, const struct node_namespace *list, size_t count, struct err *e)
{
	assert(n->mode != NODE_READ);
	int r = db_begin(n->db, false, e);
	if (r == 0)
		r = put_within(n->db, list, count, true, e);
	db_abort(n->db);
	if (r != -EAGAIN)
		return r;
	r = db_begin(n->db, true, e);
	if (r == 0)
		r = db_reserve(n->db, e);
	if (r == 0)
		r = put_within(n->db, list, count, false, e);
	return db_finish(n->db, r, e);
}

int node_get_namespace(struct node *n, const char *name, struct node_namespace *out, struct err *e)
{
	struct db_entry entry = {.key = namespace_key(name)};
	if (!*name || strcmp(entry.key.name, name) != 0)
		return 0; /* none that Kubernetes could have */
	int r = db_begin(n->db, false, e);
	if (r == 0)
		r = db_get(n->db, &entry.key, &entry.value, e);
	if (r == 1 && read_entry(n->db, &entry, out, e) < 0)
		r = -EUCLEAN;
	db_abort(n->db);
	return r;
}
