/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array without order; each happening gives its entry the next number. There are some hundreds, so a look at all
 * of them is cheaper than an index.
 */
#include "lib/ring.h"

#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"

struct ring_entry {
	struct hash key;
	const char *kind;
	json_t *what;
	uint64_t number, count;
	int64_t first_s, last_s;
};

struct ring {
	size_t n, room;
	uint64_t number;
	struct ring_entry *v;
};

struct ring *ring_new(size_t room)
{
	struct ring *r = mem_new(1, sizeof(*r));
	r->room = room;
	r->v = mem_new(room, sizeof(*r->v));
	return r;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		json_decref(r->v[i].what);
	free(r->v);
	free(r);
}

bool ring_again(struct ring *r, const struct hash *key, uint64_t n, int64_t wall_s)
{
	for (size_t i = 0; i < r->n; i++) {
		struct ring_entry *x = &r->v[i];
		if (!hash_equal(&x->key, key))
			continue;
		x->number = ++r->number;
		x->count += n;
		x->last_s = wall_s;
		return true;
	}
	return false;
}

static struct ring_entry *ring_place(struct ring *r)
{
	if (r->n < r->room)
		return &r->v[r->n++];
	struct ring_entry *oldest = r->v;
	for (size_t i = 1; i < r->n; i++)
		if (r->v[i].number < oldest->number)
			oldest = &r->v[i];
	json_decref(oldest->what);
	return oldest;
}

void ring_add(struct ring *r, const struct hash *key, const char *kind, json_t *what, uint64_t n,
	int64_t wall_s)
{
	*ring_place(r) = (struct ring_entry){.key = *key,
		.kind = kind,
		.what = what,
		.number = ++r->number,
		.count = n,
		.first_s = wall_s,
		.last_s = wall_s};
}

static int ring_compare(const void *a, const void *b)
{
	const struct ring_entry *x = *(const struct ring_entry *const *)a;
	const struct ring_entry *y = *(const struct ring_entry *const *)b;
	return (x->number > y->number) - (x->number < y->number);
}

static json_t *ring_document(const struct ring_entry *x)
{
	json_t *o = json_copy(x->what); /* shallow: members are shared */
	json_put(o, "kind", json_string(x->kind));
	json_put(o, "count", json_of_number(x->count));
	json_put(o, "first", json_string(TIME_STRING(x->first_s)));
	json_put(o, "last", json_string(TIME_STRING(x->last_s)));
	return o;
}

json_t *ring_list(const struct ring *r, const char *kind, uint64_t after)
{
	CLEANUP_FREE const struct ring_entry **v = mem_new(r->n + 1, sizeof(struct ring_entry *));
	json_t *list = json_array();
	size_t n = 0;
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].number > after && strcmp(r->v[i].kind, kind) == 0)
			v[n++] = &r->v[i];
	if (n > 1)
		qsort((void *)v, n, sizeof(const struct ring_entry *), ring_compare);
	for (size_t i = 0; i < n; i++)
		json_append(list, ring_document(v[i]));
	return list;
}

uint64_t ring_number(const struct ring *r)
{
	return r->number;
}
