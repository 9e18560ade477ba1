/* SPDX-License-Identifier: Apache-2.0 */
#include "ipam/index_pod.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/record_pod.h"
#include "lib/mem.h"

int index_pod_del(struct db *db, const struct hash *owner, struct err *e)
{
	struct record_key k = {.kind = RECORD_IDENTITY, .owner = *owner};
	return db_del(db, &k, e);
}

int index_pod_put(struct db *db, const struct node_identity *pod, struct err *e)
{
	struct record_key k = {.kind = RECORD_IDENTITY, .owner = pod->owner};
	struct record_identity rec;
	struct db_value v;
	if (!*pod->uid && !*pod->labels)
		return index_pod_del(db, &pod->owner, e);
	memcpy(rec.uid, pod->uid, sizeof(rec.uid));
	memcpy(rec.labels, pod->labels, sizeof(rec.labels));
	v.len = record_identity_format(&rec, v.bytes);
	return db_put(db, &k, &v, e);
}

int index_pod_list(struct db *db, struct node_identity **out, size_t *count, struct err *e)
{
	struct record_key from = {.kind = RECORD_IDENTITY};
	struct node_identity *v = NULL;
	size_t n = 0, room = 0;
	struct db_entry entry;
	int r;
	for (r = db_seek(db, &from, &entry, e); r == 1; r = db_next(db, &entry, e)) {
		struct record_identity rec;
		if (!record_identity_parse(entry.value.bytes, entry.value.len, &rec)) {
			r = db_damage(db, e, "the record of a pod is malformed");
			break;
		}
		v = mem_grow(v, &room, n, sizeof(*v));
		v[n] = (struct node_identity){.owner = entry.key.owner};
		memcpy(v[n].uid, rec.uid, sizeof(rec.uid));
		memcpy(v[n].labels, rec.labels, sizeof(rec.labels));
		n++;
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*out = v;
	*count = n;
	return 0;
}
