/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value has room for RECORD_PORTS_MAX of them, so an owner with more has several records, one behind the
 * other by position. An owner without ports has none: looking for it is one search.
 */
#include "ipam/index_ports.h"

#include <errno.h>

#include "ipam/record_pod.h"
#include "lib/mem.h"

static struct record_key ports_key(const struct hash *owner, size_t position)
{
	return (struct record_key){
		.kind = RECORD_PORTS, .owner = *owner, .position = (uint16_t)position};
}

int index_ports_del(struct db *db, const struct hash *owner, struct err *e)
{
	int r = 1;
	for (size_t i = 0; r == 1; i++) {
		struct record_key k = ports_key(owner, i);
		r = db_del(db, &k, e);
	}
	return r;
}

int index_ports_put(
	struct db *db, const struct hash *owner, const struct port *ports, size_t n, struct err *e)
{
	int r = index_ports_del(db, owner, e);
	for (size_t at = 0; r >= 0 && at < n; at += RECORD_PORTS_MAX) {
		struct record_key k = ports_key(owner, at / RECORD_PORTS_MAX);
		struct record_ports part = {0};
		struct db_value v;
		while (part.n < RECORD_PORTS_MAX && at + part.n < n) {
			part.v[part.n] = ports[at + part.n];
			part.n++;
		}
		v.len = record_ports_format(&part, v.bytes);
		r = db_put(db, &k, &v, e);
	}
	return r;
}

static int ports_read_record(
	struct db *db, const struct db_value *v, struct record_ports *out, struct err *e)
{
	return record_ports_parse(v->bytes, v->len, out)
		       ? 0
		       : db_damage(db, e, "the record of host ports is malformed");
}

int index_ports_get(struct db *db, const struct hash *owner, struct port **out, struct err *e)
{
	struct port *list = NULL;
	size_t n = 0, room = 0;
	int r = 1;
	for (size_t i = 0; r == 1; i++) {
		struct record_key k = ports_key(owner, i);
		struct record_ports part = {0};
		struct db_value v;
		r = db_get(db, &k, &v, e);
		if (r == 1 && ports_read_record(db, &v, &part, e) < 0)
			r = -EUCLEAN;
		for (size_t p = 0; r == 1 && p < part.n; p++) {
			list = mem_grow(list, &room, n, sizeof(*list));
			list[n++] = part.v[p];
		}
	}
	if (r < 0) {
		free(list);
		return r;
	}
	*out = list;
	return (int)n;
}

int index_ports_list(struct db *db, struct ports_list *out, struct err *e)
{
	struct record_key from = {.kind = RECORD_PORTS};
	struct db_entry entry;
	int r;
	for (r = db_seek(db, &from, &entry, e); r == 1; r = db_next(db, &entry, e)) {
		struct record_ports part = {0};
		if (ports_read_record(db, &entry.value, &part, e) < 0)
			return -EUCLEAN;
		for (size_t i = 0; i < part.n; i++)
			ports_list_add(out, &entry.key.owner, &part.v[i]);
	}
	return r;
}
