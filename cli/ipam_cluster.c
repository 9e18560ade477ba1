/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl ipam show --cluster: the pools and nodes of the cluster in numbers. Who owns a block is
 * what the store says; how many of its addresses are used is what the owner's agent last said of
 * it, at most a heartbeat ago. What an agent says of blocks that are not its own is passed over.
 * A block of which nothing was said yet counts as unreported, and its addresses in no column; one
 * that is quarantined as a whole counts with all its addresses as quarantined.
 */
#include "cli/commands.h"

#include <stdio.h>

#include "cli/inventory.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/table.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/search.h"

struct sum {
	uint64_t blocks, unreported; /* the latter are among the former */
	uint64_t used, cooling, reserved, quarantined, free;
};

static void sum_add(uint64_t *sum, uint64_t n)
{
	*sum = n > UINT64_MAX - *sum ? UINT64_MAX : *sum + n;
}

static void sum_add_block(struct sum *s, const struct block *b, const struct status_block *said)
{
	s->blocks++;
	if (b->state == BLOCK_QUARANTINED) {
		sum_add(&s->quarantined, pool_block_size(&b->cidr));
		return;
	}
	if (!said) {
		s->unreported++;
		return;
	}
	sum_add(&s->used, said->used);
	sum_add(&s->cooling, said->cooling);
	sum_add(&s->reserved, said->reserved);
	sum_add(&s->quarantined, said->quarantined);
	sum_add(&s->free, said->free);
}

/* Pools are sorted and do not overlap: that of a block is the last one that does not begin behind it. */
static int compare_pool(const void *pool, const void *block)
{
	const struct cidr *c = &(*(const struct resource *const *)pool)->pool.pool.cidr, *b = block;
	return cidr_contains(c, &b->addr) && c->len <= b->len ? 0 : cidr_compare(c, b);
}

static size_t pool_of(const struct inventory *v, const struct block *b)
{
	const struct resource **p = search_find(
		v->pools, v->n_pools, sizeof(const struct resource *), &b->cidr, compare_pool);
	return p ? (size_t)(p - v->pools) : v->n_pools;
}

struct sums {
	struct sum *pools; /* one more than there are: blocks of no pool */
	struct sum *nodes;
	struct sum nobody; /* blocks whose document cannot be read */
};

static void make_sums(const struct inventory *v, struct sums *out)
{
	out->pools = mem_new(v->n_pools + 1, sizeof(*out->pools));
	out->nodes = mem_new(v->n_nodes + 1, sizeof(*out->nodes));
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct block *b = &v->blocks[i];
		const struct inventory_node *n = *b->node ? inventory_node(v, b->node) : NULL;
		const struct status_block *said = inventory_counts(n, &b->cidr);
		sum_add_block(&out->pools[pool_of(v, b)], b, said);
		sum_add_block(n ? &out->nodes[n - v->nodes] : &out->nobody, b, said);
	}
}

/* Of a pool everything is free that is nothing else, claimed or not. */
static uint64_t free_of_pool(const struct pool *p, const struct sum *s)
{
	uint64_t size = pool_block_size(&p->cidr), other = 0;
	sum_add(&other, s->used);
	sum_add(&other, s->cooling);
	sum_add(&other, s->reserved);
	sum_add(&other, s->quarantined);
	return other > size ? 0 : size - other;
}

/* ---- For programs ---- */

static void put_sum(json_t *o, const struct sum *s, uint64_t free)
{
	struct sum all = *s;
	all.free = free;
	json_put(o, "blocks", json_of_number(s->blocks));
	json_put(o, "unreportedBlocks", json_of_number(s->unreported));
	OUTPUT_PUT_COUNTS(o, &all);
}

static json_t *pool_json(const struct resource *p, const struct sum *s)
{
	json_t *o = json_object();
	json_put(o, "name", json_of_text(p->name));
	json_put(o, "cidr", json_of_cidr(&p->pool.pool.cidr));
	json_put(o, "blockSize", json_integer(p->pool.pool.block_len));
	json_put(o, "disabled", json_boolean(p->pool.disabled));
	json_put(o, "size", json_of_number(pool_block_size(&p->pool.pool.cidr)));
	json_put(o, "maxBlocks", json_of_number(pool_block_count(&p->pool.pool)));
	put_sum(o, s, free_of_pool(&p->pool.pool, s));
	return o;
}

static json_t *node_json(const struct inventory_node *n, const struct sum *s)
{
	json_t *o = json_object();
	json_put(o, "name", json_of_text(n->name));
	json_put(o, "agent", json_of_text(inventory_agent_text(n->agent)));
	put_sum(o, s, s->free);
	return o;
}

static json_t *whole_json(const struct inventory *v, const struct sums *s)
{
	json_t *o = json_object(), *pools = json_array(), *nodes = json_array();
	for (size_t i = 0; i < v->n_pools; i++)
		json_append(pools, pool_json(v->pools[i], &s->pools[i]));
	for (size_t i = 0; i < v->n_nodes; i++)
		json_append(nodes, node_json(&v->nodes[i], &s->nodes[i]));
	json_put(o, "pools", pools);
	json_put(o, "nodes", nodes);
	json_put(o, "blocksWithoutPool", json_of_number(s->pools[v->n_pools].blocks));
	json_put(o, "unreadableBlocks", json_of_number(s->nobody.blocks));
	return o;
}

/* ---- For people ---- */

static void print_pools(const struct inventory *v, const struct sums *sums)
{
	CLEANUP_TABLE struct table t;
	table_init(&t,
		"POOL|CIDR|BLOCKS|>SIZE|>USED|>COOLING|>RESERVED|>QUARANTINED|>FREE|>USED%|NOTE");
	for (size_t i = 0; i < v->n_pools; i++) {
		const struct pool *p = &v->pools[i]->pool.pool;
		const struct sum *s = &sums->pools[i];
		uint64_t size = pool_block_size(&p->cidr);
		table_row(&t, v->pools[i]->name, CIDR_STRING(&p->cidr), BLOCKS_STRING(s->blocks, p),
			ADDRESSES_STRING(&p->cidr, size, size), COUNT_CELLS(s),
			ADDRESSES_STRING(&p->cidr, free_of_pool(p, s), size),
			PERCENT_STRING(s->used, size),
			v->pools[i]->pool.disabled ? "disabled" : "");
	}
	table_print(&t, stdout);
}

static void print_nodes(const struct inventory *v, const struct sums *sums)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, "NODE|>BLOCKS|>USED|>COOLING|>RESERVED|>QUARANTINED|>FREE|SAID|NOTE");
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct inventory_node *n = &v->nodes[i];
		const struct sum *s = &sums->nodes[i];
		bool never = n->agent == AGENT_NEVER || n->agent == AGENT_UNKNOWN;
		char note[48] = "";
		if (s->unreported)
			(void)snprintf(note, sizeof(note), "%llu not reported yet",
				(unsigned long long)s->unreported);
		table_row(&t, n->name, NUMBER_STRING(s->blocks), COUNT_CELLS(s),
			NUMBER_STRING(s->free),
			never ? "never" : TIME_STRING(n->status.heartbeat_s), note);
	}
	table_print(&t, stdout);
}

static void print_strays(uint64_t n, const char *what)
{
	if (n)
		(void)printf("%s %s\n", COUNT_STRING(n, "block", "blocks"), what);
}

int ipam_show_cluster(const struct options *o)
{
	CLEANUP_INVENTORY struct inventory v = {0};
	struct err e = {0};
	if (inventory_from_options(o, &v, &e) < 0)
		return output_error(&e);
	struct sums s = {0};
	make_sums(&v, &s);
	if (o->json) {
		output_json(whole_json(&v, &s));
	} else {
		print_pools(&v, &s);
		(void)printf("\n");
		print_nodes(&v, &s);
		print_strays(s.pools[v.n_pools].blocks, "in no pool");
		print_strays(s.nobody.blocks, "whose document cannot be read");
	}
	free(s.pools);
	free(s.nodes);
	return 0;
}
