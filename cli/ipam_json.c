/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents for programs. Keys are camel case as in CNI and Kubernetes; a key is always present,
 * with an empty string where nothing is known, so that a script needs no special case. Numbers
 * beyond 2^63-1 (IPv6) are INT64_MAX, which no counting program of ours reaches otherwise.
 * Addresses that nobody holds have no owner: their owner fields are empty.
 */
#include "cli/ipam_json.h"

#include <string.h>

#include "cli/output.h"
#include "ipam/node_view.h"
#include "lib/boot.h"

void ipam_json_put(json_t *object, const char *key, json_t *value)
{
	if (!value || json_object_set_new(object, key, value) < 0)
		err_abort("out of memory");
}

void ipam_json_append(json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value) < 0)
		err_abort("out of memory");
}

json_t *ipam_json_addr(const struct addr *a)
{
	char text[ADDR_TEXT] = "";
	if (a->family)
		addr_format(a, text);
	return output_json_text(text);
}

json_t *ipam_json_cidr(const struct cidr *c)
{
	char text[CIDR_TEXT];
	cidr_format(c, text);
	return output_json_text(text);
}

static json_t *text_of_time(int64_t wall_s)
{
	char text[32];
	boot_format_time(wall_s, text);
	return output_json_text(text);
}

static json_t *text_or_empty(const char *s)
{
	return output_json_text(s ? s : "");
}

static void put_count(json_t *o, const char *key, uint64_t v)
{
	ipam_json_put(o, key, output_json_number(v));
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
	ipam_json_put(o, "cidr", ipam_json_cidr(&b->cidr));
	ipam_json_put(o, "state", output_json_text(state_of(b)));
	put_count(o, "size", b->size);
	put_count(o, "used", b->used);
	put_count(o, "cooling", b->cooling);
	put_count(o, "reserved", b->reserved);
	put_count(o, "quarantined", b->quarantined);
	put_count(o, "free", b->free);
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
	ipam_json_put(o, "cidr", known ? ipam_json_cidr(&p->pool.cidr) : output_json_text(""));
	put_count(o, "blockSize", p->pool.block_len);
	put_count(o, "cooldownSeconds", p->pool.cooldown_s);
	put_count(o, "size", p->size);
	put_count(o, "used", p->used);
	put_count(o, "cooling", p->cooling);
	put_count(o, "reserved", p->reserved);
	put_count(o, "quarantined", p->quarantined);
	put_count(o, "free", p->free);
	for (size_t i = 0; i < v->n_blocks; i++)
		if (is_in(v, &v->blocks[i], p))
			ipam_json_append(blocks, block_counts(&v->blocks[i]));
	ipam_json_put(o, "blocks", blocks);
	return o;
}

json_t *ipam_json_pools(const struct node_view *v)
{
	json_t *o = json_object(), *pools = json_array();
	for (size_t i = 0; i < v->n_pools; i++)
		ipam_json_append(pools, pool_counts(v, &v->pools[i]));
	struct node_pool orphans;
	if (node_view_orphans(v, &orphans))
		ipam_json_append(pools, pool_counts(v, &orphans));
	ipam_json_put(o, "pools", pools);
	return o;
}

json_t *ipam_json_entry(const struct node_entry *n)
{
	json_t *o = json_object();
	ipam_json_put(o, "address", ipam_json_addr(&n->addr));
	ipam_json_put(o, "state", output_json_text(node_state_text(n->state)));
	ipam_json_put(o, "since", text_of_time(n->since_s));
	ipam_json_put(o, "network", text_or_empty(n->owner.network));
	ipam_json_put(o, "containerID", text_or_empty(n->owner.container));
	ipam_json_put(o, "interface", text_or_empty(n->owner.ifname));
	ipam_json_put(o, "podNamespace", text_or_empty(n->owner.pod_namespace));
	ipam_json_put(o, "podName", text_or_empty(n->owner.pod_name));
	return o;
}

json_t *ipam_json_entries(const struct node_view *v)
{
	json_t *array = json_array();
	for (size_t i = 0; i < v->n_entries; i++)
		ipam_json_append(array, ipam_json_entry(v->entries[i]));
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
			ipam_json_put(cell, "address", ipam_json_addr(&n->addr));
			ipam_json_put(cell, "state", output_json_text(node_state_text(n->state)));
			ipam_json_append(taken, cell);
		}
		ipam_json_put(block, "addresses", taken);
		ipam_json_append(blocks, block);
	}
	ipam_json_put(o, "blocks", blocks);
	return o;
}

json_t *ipam_json_audit(const struct audit *a, bool ok)
{
	json_t *o = json_object(), *problems = json_array();
	for (size_t i = 0; i < a->n; i++) {
		const struct audit_problem *p = &a->v[i];
		json_t *one = json_object();
		ipam_json_put(one, "kind", output_json_text(audit_kind_text(p->kind)));
		ipam_json_put(one, "object", output_json_text(p->object));
		ipam_json_put(one, "expected", output_json_text(p->expected));
		ipam_json_put(one, "seen", output_json_text(p->seen));
		ipam_json_put(one, "advice", output_json_text(p->advice));
		ipam_json_put(one, "repaired", json_boolean(p->repaired));
		ipam_json_append(problems, one);
	}
	ipam_json_put(o, "ok", json_boolean(ok));
	ipam_json_put(o, "problems", problems);
	return o;
}
