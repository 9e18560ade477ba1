/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents for programs. Keys are camel case as in CNI and Kubernetes; a key is always present,
 * with an empty string where nothing is known, so that a script needs no special case. Numbers
 * beyond 2^63-1 (IPv6) are INT64_MAX, which no counting program of ours reaches otherwise.
 * Addresses that nobody holds have no owner: their owner fields are empty.
 */
#include "cli/ipam_json.h"
#include "lib/json.h"

#include "cli/output.h"
#include "ipam/node_view.h"
#include "lib/boot.h"

static json_t *text_or_empty(const char *s)
{
	return json_of_text(s ? s : "");
}

static const char *state_of(const struct node_block *b)
{
	if (b->disowned)
		return "disowned";
	return b->draining ? "draining" : "owned";
}

static json_t *block_counts(const struct node_block *b)
{
	json_t *o = json_object();
	json_put(o, "cidr", json_of_cidr(&b->cidr));
	json_put(o, "state", json_of_text(state_of(b)));
	json_put(o, "size", json_of_number(b->size));
	OUTPUT_PUT_COUNTS(o, b);
	return o;
}

/* Blocks whose pool is not known are in one without prefix. */
static bool is_in(const struct node_view *v, const struct node_block *b, const struct node_pool *p)
{
	return p->pool.cidr.addr.family ? cidr_equal(&b->pool, &p->pool.cidr)
					: node_view_is_orphan(v, b);
}

static json_t *pool_counts(const struct node_view *v, const struct node_pool *p)
{
	json_t *o = json_object(), *blocks = json_array();
	bool known = p->pool.cidr.addr.family;
	json_put(o, "cidr", known ? json_of_cidr(&p->pool.cidr) : json_of_text(""));
	json_put(o, "blockSize", json_of_number(p->pool.block_len));
	json_put(o, "cooldownSeconds", json_of_number(p->pool.cooldown_s));
	json_put(o, "size", json_of_number(p->size));
	OUTPUT_PUT_COUNTS(o, p);
	for (size_t i = 0; i < v->n_blocks; i++)
		if (is_in(v, &v->blocks[i], p))
			json_append(blocks, block_counts(&v->blocks[i]));
	json_put(o, "blocks", blocks);
	return o;
}

json_t *ipam_json_pools(const struct node_view *v)
{
	json_t *o = json_object(), *pools = json_array();
	for (size_t i = 0; i < v->n_pools; i++)
		json_append(pools, pool_counts(v, &v->pools[i]));
	struct node_pool orphans;
	if (node_view_orphans(v, &orphans))
		json_append(pools, pool_counts(v, &orphans));
	json_put(o, "pools", pools);
	return o;
}

json_t *ipam_json_entry(const struct node_entry *n)
{
	json_t *o = json_object();
	json_put(o, "address", json_of_addr(&n->addr));
	json_put(o, "state", json_of_text(node_state_text(n->state)));
	json_put(o, "since", json_of_text(TIME_STRING(n->since_s)));
	json_put(o, "network", text_or_empty(n->owner.network));
	json_put(o, "containerID", text_or_empty(n->owner.container));
	json_put(o, "interface", text_or_empty(n->owner.ifname));
	json_put(o, "podNamespace", text_or_empty(n->owner.pod_namespace));
	json_put(o, "podName", text_or_empty(n->owner.pod_name));
	return o;
}

json_t *ipam_json_entries(const struct node_view *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->n_entries; i++)
		json_append(array, ipam_json_entry(v->entries[i]));
	return array;
}

json_t *ipam_json_map(const struct node_view *v)
{
	json_t *o = json_object(), *blocks = json_array();
	for (size_t b = 0; b < v->n_blocks; b++) {
		json_t *block = block_counts(&v->blocks[b]), *taken = json_array();
		for (size_t i = 0; i < v->n_entries; i++) {
			const struct node_entry *n = v->entries[i];
			if (!cidr_contains(&v->blocks[b].cidr, &n->addr))
				continue;
			json_t *cell = json_object();
			json_put(cell, "address", json_of_addr(&n->addr));
			json_put(cell, "state", json_of_text(node_state_text(n->state)));
			json_append(taken, cell);
		}
		json_put(block, "addresses", taken);
		json_append(blocks, block);
	}
	json_put(o, "blocks", blocks);
	return o;
}

json_t *ipam_json_audit(const struct audit *a, bool ok)
{
	json_t *o = json_object(), *problems = json_array();
	for (size_t i = 0; i < a->n; i++) {
		const struct audit_problem *p = &a->v[i];
		json_t *one = json_object();
		json_put(one, "kind", json_of_text(audit_kind_text(p->kind)));
		json_put(one, "object", json_of_text(p->object));
		json_put(one, "expected", json_of_text(p->expected));
		json_put(one, "seen", json_of_text(p->seen));
		json_put(one, "advice", json_of_text(p->advice));
		json_put(one, "repaired", json_boolean(p->repaired));
		json_append(problems, one);
	}
	json_put(o, "ok", json_boolean(ok));
	json_put(o, "problems", problems);
	return o;
}
