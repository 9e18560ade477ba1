/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compared and written as bytes, so that no kind of list needs a comparison of its own.
 */
#include "ipam/node_records.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "ipam/node_impl.h"
#include "lib/text.h"

struct list {
	enum record_kind kind;
	node_records_fn *make;
	const void *v;
	size_t n;
};

static struct db_entry element(const struct list *l, size_t i)
{
	struct db_entry out = {.key = {.kind = l->kind}};
	l->make(l->v, i, &out);
	return out;
}

static bool is_same(const struct db_entry *a, const struct db_entry *b)
{
	uint8_t keys[2][RECORD_KEY_MAX];
	size_t len = record_key_format(&a->key, keys[0]);
	return record_key_format(&b->key, keys[1]) == len && memcmp(keys[0], keys[1], len) == 0 &&
	       a->value.len == b->value.len &&
	       memcmp(a->value.bytes, b->value.bytes, a->value.len) == 0;
}

/* 1 when the records are the list. */
static int is_list(struct db *db, const struct list *l, struct err *e)
{
	struct record_key from = {.kind = l->kind};
	struct db_entry entry;
	size_t i = 0;
	int r;
	for (r = db_seek(db, &from, &entry, e); r == 1; r = db_next(db, &entry, e)) {
		struct db_entry want;
		if (i == l->n)
			return 0;
		want = element(l, i++);
		if (!is_same(&entry, &want))
			return 0;
	}
	return r < 0 ? r : i == l->n;
}

/* One by one, as nothing may be written while one goes through them. */
static int delete_all(struct db *db, enum record_kind kind, struct err *e)
{
	struct record_key from = {.kind = kind};
	struct db_entry entry;
	int r;
	while ((r = db_seek(db, &from, &entry, e)) == 1) {
		r = db_del(db, &entry.key, e);
		if (r < 0)
			return r;
	}
	return r;
}

static int write_list(struct db *db, const struct list *l, struct err *e)
{
	int r = delete_all(db, l->kind, e);
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		struct db_entry entry = element(l, i);
		r = db_put(db, &entry.key, &entry.value, e);
	}
	return r < 0 ? r : 1;
}

int node_records_put(struct node *n, enum record_kind kind, node_records_fn *make, const void *list,
	size_t count, struct err *e)
{
	const struct list l = {.kind = kind, .make = make, .v = list, .n = count};
	assert(n->mode != NODE_READ);
	int r = db_begin(n->db, false, e);
	if (r == 0)
		r = is_list(n->db, &l, e);
	db_abort(n->db);
	if (r != 0)
		return r < 0 ? r : 0;
	r = db_begin(n->db, true, e);
	if (r == 0)
		r = db_reserve(n->db, e);
	if (r == 0)
		r = is_list(n->db, &l, e);
	if (r == 0)
		r = write_list(n->db, &l, e);
	else if (r == 1)
		r = 0;
	return db_finish(n->db, r, e);
}

int node_records_get(struct node *n, enum record_kind kind, const char *name, struct db_value *out,
	struct err *e)
{
	struct record_key k = {.kind = kind};
	if (!text_copy(k.name, sizeof(k.name), name))
		return 0;
	int r = db_begin(n->db, false, e);
	if (r == 0)
		r = db_get(n->db, &k, out, e);
	db_abort(n->db);
	return r;
}
