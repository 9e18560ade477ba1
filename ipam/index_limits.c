/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod without limits has no record: looking for it is one search, and an ADD without limits makes none.
 */
#include "ipam/index_limits.h"

#include <errno.h>
#include <stdlib.h>

#include "ipam/record_pod.h"
#include "lib/mem.h"

static struct record_key limits_key(const struct hash *owner)
{
	return (struct record_key){.kind = RECORD_LIMITS, .owner = *owner};
}

int index_limits_put(
	struct db *db, const struct hash *owner, const struct bandwidths *limits, struct err *e)
{
	struct record_key k = limits_key(owner);
	struct db_value v;
	if (!limits || (!limits->ingress.rate && !limits->egress.rate)) {
		int r = db_del(db, &k, e);
		return r < 0 ? r : 0;
	}
	v.len = record_limits_format(limits, v.bytes);
	return db_put(db, &k, &v, e);
}

static int limits_read(
	struct db *db, const struct db_value *v, struct bandwidths *out, struct err *e)
{
	return record_limits_parse(v->bytes, v->len, out)
		       ? 0
		       : db_damage(db, e, "the record of limits of bandwidth is malformed");
}

int index_limits_get(struct db *db, const struct hash *owner, struct bandwidths *out, struct err *e)
{
	struct record_key k = limits_key(owner);
	struct bandwidths found = {0};
	struct db_value v;
	int r = db_get(db, &k, &v, e);
	if (r == 1 && limits_read(db, &v, &found, e) < 0)
		return -EUCLEAN;
	if (r >= 0)
		*out = found;
	return r;
}

int index_limits_list(struct db *db, struct node_limits **out, size_t *count, struct err *e)
{
	struct record_key from = {.kind = RECORD_LIMITS};
	struct node_limits *v = NULL;
	size_t n = 0, room = 0;
	struct db_entry entry;
	int r;
	for (r = db_seek(db, &from, &entry, e); r == 1; r = db_next(db, &entry, e)) {
		struct node_limits x = {.owner = entry.key.owner};
		r = limits_read(db, &entry.value, &x.limits, e);
		if (r < 0)
			break;
		v = mem_grow(v, &room, n, sizeof(*v));
		v[n++] = x;
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*out = v;
	*count = n;
	return 0;
}
