/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records by name: a namespace's directions, a uid's chains.
 */
#include "ipam/node_policy.h"

#include <string.h>

#include "ipam/index_pod.h"
#include "ipam/node_impl.h"
#include "ipam/node_records.h"
#include "ipam/record_pod.h"
#include "lib/text.h"

static void make_closed(const void *list, size_t i, struct db_entry *out)
{
	const struct node_closed *c = (const struct node_closed *)list + i;
	const struct record_closed rec = {
		.ingress = c->ingress, .egress = c->egress, .to_host = c->to_host};
	(void)text_copy(out->key.name, sizeof(out->key.name), c->namespace);
	out->value.len = record_closed_format(&rec, out->value.bytes);
}

static void make_staged(const void *list, size_t i, struct db_entry *out)
{
	const struct node_staged *s = (const struct node_staged *)list + i;
	struct record_staged rec;
	memcpy(rec.ingress, s->ingress, sizeof(rec.ingress));
	memcpy(rec.egress, s->egress, sizeof(rec.egress));
	memcpy(rec.to_host, s->to_host, sizeof(rec.to_host));
	(void)text_copy(out->key.name, sizeof(out->key.name), s->uid);
	out->value.len = record_staged_format(&rec, out->value.bytes);
}

/* Chains first: a pod that is opened by one is opened rightly, whatever is closed besides. */
int node_put_policy(struct node *n, const struct node_policy *p, struct err *e)
{
	int staged = node_records_put(n, RECORD_STAGED, make_staged, p->staged, p->n_staged, e);
	if (staged < 0)
		return staged;
	int closed = node_records_put(n, RECORD_CLOSED, make_closed, p->closed, p->n_closed, e);
	return closed < 0 ? closed : staged || closed;
}

static int policy_damaged(struct node *n, struct err *e)
{
	return db_damage(n->db, e, "a record of network policy is malformed");
}

/* 1: there is one. In the caller's transaction. */
static int get_record(struct node *n, enum record_kind kind, const char *name, struct db_value *out,
	struct err *e)
{
	struct record_key k = {.kind = kind};
	return text_copy(k.name, sizeof(k.name), name) ? db_get(n->db, &k, out, e) : 0;
}

static int get_closed(struct node *n, const char *namespace, struct node_gate *out, struct err *e)
{
	struct db_value value;
	struct record_closed rec;
	int r = get_record(n, RECORD_CLOSED, namespace, &value, e);
	if (r == 0)
		r = get_record(n, RECORD_CLOSED, "", &value, e);
	if (r != 1)
		return r;
	if (!record_closed_parse(value.bytes, value.len, &rec))
		return policy_damaged(n, e);
	out->ingress = rec.ingress;
	out->egress = rec.egress;
	out->to_host = rec.to_host;
	return 0;
}

static int get_staged(struct node *n, const char *uid, struct node_gate *out, struct err *e)
{
	struct db_value value;
	struct record_staged rec;
	int r = *uid ? get_record(n, RECORD_STAGED, uid, &value, e) : 0;
	if (r != 1)
		return r;
	if (!record_staged_parse(value.bytes, value.len, &rec))
		return policy_damaged(n, e);
	out->is_staged = true;
	(void)text_copy(out->staged.uid, sizeof(out->staged.uid), uid);
	memcpy(out->staged.ingress, rec.ingress, sizeof(rec.ingress));
	memcpy(out->staged.egress, rec.egress, sizeof(rec.egress));
	memcpy(out->staged.to_host, rec.to_host, sizeof(rec.to_host));
	return 0;
}

int node_get_gate(struct node *n, const char *namespace, const char *uid, struct node_gate *out,
	struct err *e)
{
	*out = (struct node_gate){0};
	int r = db_begin(n->db, false, e);
	if (r == 0)
		r = get_closed(n, namespace, out, e);
	/* Chains are there to open a pod: one that is not closed needs none. */
	if (r == 0 && (out->ingress || out->egress))
		r = get_staged(n, uid, out, e);
	db_abort(n->db);
	return r;
}

int node_list_identities(struct node *n, struct node_identity **out, size_t *count, struct err *e)
{
	int r = db_begin(n->db, false, e);
	if (r == 0)
		r = index_pod_list(n->db, out, count, e);
	db_abort(n->db);
	return r;
}
