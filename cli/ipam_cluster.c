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
#include <string.h>

#include "cli/inventory.h"
#include "lib/json.h"
#include "cli/output.h"
#include "cli/config.h"
#include "cli/table.h"
#include "lib/boot.h"
#include "lib/mem.h"

struct sum {
	uint64_t blocks, unreported; /* the latter are among the former */
	uint64_t used, cooling, reserved, quarantined, free;
};

static void add(uint64_t *sum, uint64_t n)
{
	*sum = n > UINT64_MAX - *sum ? UINT64_MAX : *sum + n;
}

static void add_block(struct sum *s, const struct block *b, const struct status_block *said)
{
	s->blocks++;
	if (b->state == BLOCK_QUARANTINED) {
		add(&s->quarantined, pool_block_size(&b->cidr));
		return;
	}
	if (!said) {
		s->unreported++;
		return;
	}
	add(&s->used, said->used);
	add(&s->cooling, said->cooling);
	add(&s->reserved, said->reserved);
	add(&s->quarantined, said->quarantined);
	add(&s->free, said->free);
}

/* Pools are sorted and do not overlap. */
static size_t pool_of(const struct inventory *v, const struct block *b)
{
	size_t low = 0;
	size_t high = v->n_pools;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct cidr *c = &v->pools[middle].pool.pool.cidr;
		if (cidr_contains(c, &b->cidr.addr) && c->len <= b->cidr.len)
			return middle;
		if (block_compare(c, &b->cidr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return v->n_pools;
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
		const struct inventory_node *n = *b->node ? inventory_find(v, b->node) : NULL;
		const struct status_block *said = inventory_counts(n, &b->cidr);
		add_block(&out->pools[pool_of(v, b)], b, said);
		add_block(n ? &out->nodes[n - v->nodes] : &out->nobody, b, said);
	}
}

/* Of a pool everything is free that is nothing else, claimed or not. */
static uint64_t free_of_pool(const struct pool *p, const struct sum *s)
{
	uint64_t size = pool_block_size(&p->cidr), other = 0;
	add(&other, s->used);
	add(&other, s->cooling);
	add(&other, s->reserved);
	add(&other, s->quarantined);
	return other > size ? 0 : size - other;
}

/* ---- For programs ---- */

static void put_sum(json_t *o, const struct sum *s)
{
	json_put(o, "blocks", json_of_number(s->blocks));
	json_put(o, "unreportedBlocks", json_of_number(s->unreported));
	json_put(o, "used", json_of_number(s->used));
	json_put(o, "cooling", json_of_number(s->cooling));
	json_put(o, "reserved", json_of_number(s->reserved));
	json_put(o, "quarantined", json_of_number(s->quarantined));
}

static json_t *pool_json(const struct inventory_pool *p, const struct sum *s)
{
	char cidr[CIDR_TEXT];
	cidr_format(&p->pool.pool.cidr, cidr);
	json_t *o = json_object();
	json_put(o, "name", json_of_text(p->name));
	json_put(o, "cidr", json_of_text(cidr));
	json_put(o, "blockSize", json_integer(p->pool.pool.block_len));
	json_put(o, "disabled", json_boolean(p->pool.disabled));
	json_put(o, "size", json_of_number(pool_block_size(&p->pool.pool.cidr)));
	json_put(o, "maxBlocks", json_of_number(pool_block_count(&p->pool.pool)));
	put_sum(o, s);
	json_put(o, "free", json_of_number(free_of_pool(&p->pool.pool, s)));
	return o;
}

static json_t *node_json(const struct inventory_node *n, const struct sum *s)
{
	json_t *o = json_object();
	json_put(o, "name", json_of_text(n->name));
	json_put(o, "agent", json_of_text(inventory_agent_text(n->agent)));
	put_sum(o, s);
	json_put(o, "free", json_of_number(s->free));
	return o;
}

static json_t *whole_json(const struct inventory *v, const struct sums *s)
{
	json_t *o = json_object(), *pools = json_array(), *nodes = json_array();
	for (size_t i = 0; i < v->n_pools; i++)
		json_append(pools, pool_json(&v->pools[i], &s->pools[i]));
	for (size_t i = 0; i < v->n_nodes; i++)
		json_append(nodes, node_json(&v->nodes[i], &s->nodes[i]));
	json_put(o, "pools", pools);
	json_put(o, "nodes", nodes);
	json_put(o, "blocksWithoutPool", json_of_number(s->pools[v->n_pools].blocks));
	json_put(o, "unreadableBlocks", json_of_number(s->nobody.blocks));
	return o;
}

/* ---- For people ---- */

static void add_number(struct table *t, uint64_t n)
{
	char text[OUTPUT_NUMBER];
	output_number(n, text);
	table_add(t, "%s", text);
}

static void add_sum(struct table *t, const struct sum *s)
{
	add_number(t, s->used);
	add_number(t, s->cooling);
	add_number(t, s->reserved);
	add_number(t, s->quarantined);
}

/* An IPv6 pool may have more addresses than a number holds; its length says how many. */
static void add_of_pool(struct table *t, const struct pool *p, uint64_t n)
{
	if (pool_block_size(&p->cidr) == UINT64_MAX)
		table_add(t, "%s2^%d", n == UINT64_MAX ? "" : "~",
			addr_bits(&p->cidr.addr) - p->cidr.len);
	else
		add_number(t, n);
}

static void add_pool(struct table *t, const struct inventory_pool *p, const struct sum *s)
{
	const struct pool *pool = &p->pool.pool;
	char cidr[CIDR_TEXT], blocks[OUTPUT_NUMBER], most[OUTPUT_NUMBER], percent[OUTPUT_NUMBER];
	cidr_format(&pool->cidr, cidr);
	output_number(s->blocks, blocks);
	output_number(pool_block_count(pool), most);
	if (pool_block_count(pool) == UINT64_MAX)
		(void)snprintf(most, sizeof(most), "2^%d", pool->block_len - pool->cidr.len);
	output_percent(s->used, pool_block_size(&pool->cidr), percent);
	table_add(t, "%s", p->name);
	table_add(t, "%s", cidr);
	table_add(t, "%s of %s /%d", blocks, most, pool->block_len);
	add_of_pool(t, pool, pool_block_size(&pool->cidr));
	add_sum(t, s);
	add_of_pool(t, pool, free_of_pool(pool, s));
	table_add(t, "%s", percent);
	table_add(t, "%s", p->pool.disabled ? "disabled" : "");
}

static void print_pools(const struct inventory *v, const struct sums *s)
{
	static const struct table_column columns[] = {{"POOL", false}, {"CIDR", false},
		{"BLOCKS", false}, {"SIZE", true}, {"USED", true}, {"COOLING", true},
		{"RESERVED", true}, {"QUARANTINED", true}, {"FREE", true}, {"USED%", true},
		{"NOTE", false}};
	CLEANUP_TABLE struct table t;
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < v->n_pools; i++)
		add_pool(&t, &v->pools[i], &s->pools[i]);
	table_print(&t, stdout);
}

static void add_node(struct table *t, const struct inventory_node *n, const struct sum *s)
{
	char said[32] = "never";
	if (n->agent != AGENT_NEVER && n->agent != AGENT_UNKNOWN)
		boot_format_time(n->status.heartbeat_s, said);
	table_add(t, "%s", n->name);
	add_number(t, s->blocks);
	add_sum(t, s);
	add_number(t, s->free);
	table_add(t, "%s", said);
	if (s->unreported)
		table_add(t, "%llu not reported yet", (unsigned long long)s->unreported);
	else
		table_add(t, "%s", "");
}

static void print_nodes(const struct inventory *v, const struct sums *s)
{
	static const struct table_column columns[] = {{"NODE", false}, {"BLOCKS", true},
		{"USED", true}, {"COOLING", true}, {"RESERVED", true}, {"QUARANTINED", true},
		{"FREE", true}, {"SAID", false}, {"NOTE", false}};
	CLEANUP_TABLE struct table t;
	table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < v->n_nodes; i++)
		add_node(&t, &v->nodes[i], &s->nodes[i]);
	table_print(&t, stdout);
}

static void print_strays(uint64_t n, const char *what)
{
	char count[64];
	output_count(n, "block", "blocks", count);
	if (n)
		(void)printf("%s %s\n", count, what);
}

int ipam_show_cluster(const struct options *o)
{
	CLEANUP_STORE struct store *store = NULL;
	CLEANUP_INVENTORY struct inventory v = {0};
	struct err e = {0};
	int r = config_open_store(o, &store, &e);
	if (r == 0)
		r = inventory_read(store, &v, &e);
	if (r < 0)
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
