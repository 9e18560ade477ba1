/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the whole state: node_list(), and the counts that an exhausted pool is explained with.
 * One read transaction is one moment; addresses, blocks and pools are read in the order of their
 * keys, so that each address meets its block without a search, and 65,000 of them take
 * milliseconds.
 *
 * Cooling and free are not stored: a released address cools until its release plus the pool's
 * cool-down. The addresses of a quarantined block that have no record are entries all the same, as
 * long as the block is small enough for a list to make sense of them; they always count.
 */
#include "ipam/node.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/index_limits.h"
#include "ipam/index_ports.h"
#include "ipam/node_impl.h"
#include "ipam/node_mirror.h"
#include "lib/mem.h"

#define LISTED_MAX 65536 /* addresses of a quarantined block that are listed one by one */
#define SECOND UINT64_C(1000000000)

struct counts {
	uint64_t used, cooling, reserved, quarantined, free, lent;
};

struct view_block {
	struct index_block b;
	uint32_t cooldown_s;
	uint64_t records;
	struct counts counts;
};

struct view {
	struct node *n;
	uint64_t now_ns;
	struct node_view out;
	struct view_block *blocks;
	size_t blocks_room, pools_room, entries_room, n_blocks;
	struct mirror *mirror; /* nothing in it: no agent has spoken */
};

static enum node_addr_state state_of(
	const struct record_addr *rec, uint32_t cooldown_s, uint64_t now_ns, uint32_t *left_s)
{
	*left_s = 0;
	uint64_t end = rec->released_ns + cooldown_s * SECOND;
	switch (rec->state) {
	case RECORD_USED:
		return NODE_USED;
	case RECORD_RESERVED:
		return NODE_RESERVED;
	case RECORD_QUARANTINED:
		return NODE_QUARANTINED;
	case RECORD_LENT:
		return NODE_LENT;
	case RECORD_RELEASED:
		break;
	}
	if (now_ns >= end)
		return NODE_FREE;
	*left_s = (uint32_t)((end - now_ns + SECOND - 1) / SECOND);
	return NODE_COOLING;
}

static void count_state(struct counts *c, enum node_addr_state s)
{
	uint64_t *const of[] = {
		[NODE_USED] = &c->used,
		[NODE_COOLING] = &c->cooling,
		[NODE_RESERVED] = &c->reserved,
		[NODE_QUARANTINED] = &c->quarantined,
		[NODE_LENT] = &c->used,
		[NODE_FREE] = &c->free,
	};
	(*of[s])++;
	c->lent += s == NODE_LENT;
}

static uint64_t count_rest(uint64_t size, const struct counts *c)
{
	uint64_t taken = c->used + c->cooling + c->reserved + c->quarantined;
	return size > taken ? size - taken : 0;
}

static struct node_entry *new_entry(const struct addr *a, const struct record_addr *rec)
{
	const char *const from[] = {rec->owner.network, rec->owner.container, rec->owner.ifname,
		rec->owner.pod_namespace, rec->owner.pod_name};
	size_t bytes = 0;
	for (size_t i = 0; i < 5; i++)
		bytes += strlen(from[i]) + 1;
	struct node_entry *entry = mem_new(1, sizeof(*entry) + bytes);
	entry->addr = *a;
	entry->since_s = rec->since_s;
	entry->owner = rec->owner;
	char *p = (char *)(entry + 1);
	const char **const to[] = {&entry->owner.network, &entry->owner.container,
		&entry->owner.ifname, &entry->owner.pod_namespace, &entry->owner.pod_name};
	for (size_t i = 0; i < 5; i++) {
		size_t len = strlen(from[i]) + 1;
		memcpy(p, from[i], len);
		*to[i] = p;
		p += len;
	}
	return entry;
}

static void add_entry(struct view *v, struct node_entry *entry)
{
	const size_t each = sizeof(v->out.entries[0]); /* NOLINT(bugprone-sizeof-expression) */
	v->out.entries = mem_grow(v->out.entries, &v->entries_room, v->out.n_entries, each);
	v->out.entries[v->out.n_entries++] = entry;
}

/* The addresses from one record to the next in a quarantined block. */
static void add_quarantined(
	struct view *v, const struct view_block *block, uint64_t from, uint64_t to)
{
	if (!block->b.rec.quarantined || pool_block_size(&block->b.cidr) > LISTED_MAX)
		return;
	struct record_addr rec = {
		.state = RECORD_QUARANTINED,
		.since_s = block->b.rec.since_s,
		.owner = OWNER_NONE,
	};
	for (uint64_t i = from; i < to; i++) {
		struct addr a = addr_plus(&block->b.cidr.addr, i);
		struct node_entry *entry = new_entry(&a, &rec);
		entry->state = NODE_QUARANTINED;
		add_entry(v, entry);
	}
}

static int view_read_pools(struct view *v, struct err *e)
{
	struct cidr at = INDEX_FIRST, pool;
	struct record_pool rec;
	int r;
	while ((r = index_next_pool(v->n->db, &at, &pool, &rec, e)) == 1) {
		v->out.pools = mem_grow(
			v->out.pools, &v->pools_room, v->out.n_pools, sizeof(*v->out.pools));
		struct node_pool *p = &v->out.pools[v->out.n_pools++];
		p->pool = (struct pool){
			.cidr = pool, .block_len = rec.block_len, .cooldown_s = rec.cooldown_s};
		p->blocks = rec.blocks;
		p->max_blocks = pool_block_count(&p->pool);
		p->size = pool_block_size(&pool);
	}
	return r;
}

static int view_read_mirror(struct view *v, struct err *e)
{
	v->mirror = mem_new(1, sizeof(*v->mirror));
	int r = node_mirror_read(v->n->db, v->mirror, e);
	return r < 0 ? r : 0;
}

/* The cluster reserves in its own blocks only. */
static bool is_in_reservation(
	const struct view *v, const struct view_block *block, const struct addr *a)
{
	const struct mirror *m = v->mirror;
	return block && block->b.rec.cluster && cidr_any_contains(m->reserved, m->n_reserved, a);
}

static struct node_pool *view_find_pool(struct view *v, const struct cidr *cidr)
{
	for (size_t i = 0; i < v->out.n_pools; i++)
		if (cidr_equal(&v->out.pools[i].pool.cidr, cidr))
			return &v->out.pools[i];
	return NULL;
}

/* A loan is of the pool that its address is in. */
static struct node_pool *view_find_pool_of(struct view *v, const struct index_block *b)
{
	for (size_t i = 0; b->rec.loan && i < v->out.n_pools; i++)
		if (cidr_contains(&v->out.pools[i].pool.cidr, &b->cidr.addr))
			return &v->out.pools[i];
	return view_find_pool(v, &b->pool);
}

static int view_read_blocks(struct view *v, struct err *e)
{
	struct cidr at = INDEX_FIRST;
	struct view_block b;
	int r;
	while ((r = index_next_block(v->n->db, &at, &b.b, e)) == 1) {
		const struct node_pool *p = view_find_pool_of(v, &b.b);
		v->blocks = mem_grow(v->blocks, &v->blocks_room, v->n_blocks, sizeof(*v->blocks));
		v->blocks[v->n_blocks++] = (struct view_block){
			.b = b.b, .cooldown_s = p ? p->pool.cooldown_s : POOL_COOLDOWN_S};
	}
	return r;
}

static void add_to_pool(struct view *v, const struct addr *a, enum node_addr_state s)
{
	for (size_t i = 0; i < v->out.n_pools; i++) {
		struct node_pool *p = &v->out.pools[i];
		struct counts c = {0};
		if (!cidr_contains(&p->pool.cidr, a))
			continue;
		count_state(&c, s);
		p->used += c.used;
		p->cooling += c.cooling;
		p->reserved += c.reserved;
		p->quarantined += c.quarantined;
	}
}

/* One record; block is the one it lies in, or NULL. */
static int add_record(
	struct view *v, struct view_block *block, const struct db_entry *entry, struct err *e)
{
	struct record_addr rec;
	if (!record_addr_parse(entry->value.bytes, entry->value.len, &rec))
		return db_damage(v->n->db, e, "the record of an address is malformed");
	uint32_t left_s;
	uint32_t cooldown_s = block ? block->cooldown_s : 0;
	enum node_addr_state s = state_of(&rec, cooldown_s, v->now_ns, &left_s);
	add_to_pool(v, &entry->key.addr, s);
	if (block) {
		count_state(&block->counts, s);
		block->records++;
	}
	if (s == NODE_FREE)
		return 0;
	struct node_entry *out = new_entry(&entry->key.addr, &rec);
	out->state = s;
	out->cooling_s = left_s;
	out->in_reservation = s == NODE_RESERVED && is_in_reservation(v, block, &out->addr);
	add_entry(v, out);
	return 0;
}

/* Walks addresses and blocks together; done is the offset in the block up to which all is listed.
 */
static int view_read_addrs(struct view *v, struct err *e)
{
	struct record_key k = {.kind = RECORD_ADDR, .addr = {.family = AF_INET}};
	struct db_entry entry;
	size_t i = 0;
	uint64_t done = 0;
	int r = db_seek(v->n->db, &k, &entry, e);
	for (; r == 1; r = db_next(v->n->db, &entry, e)) {
		const struct addr *a = &entry.key.addr;
		while (i < v->n_blocks && !cidr_contains(&v->blocks[i].b.cidr, a) &&
			addr_compare(&v->blocks[i].b.cidr.addr, a) < 0) {
			add_quarantined(
				v, &v->blocks[i], done, pool_block_size(&v->blocks[i].b.cidr));
			done = 0;
			i++;
		}
		struct view_block *b = NULL;
		if (i < v->n_blocks && cidr_contains(&v->blocks[i].b.cidr, a)) {
			b = &v->blocks[i];
			uint64_t offset = addr_minus(a, &b->b.cidr.addr);
			add_quarantined(v, b, done, offset);
			done = offset + 1;
		}
		r = add_record(v, b, &entry, e);
		if (r < 0)
			return r;
	}
	for (; r == 0 && i < v->n_blocks; i++, done = 0)
		add_quarantined(v, &v->blocks[i], done, pool_block_size(&v->blocks[i].b.cidr));
	return r;
}

/* Blocks in their public form; what has no record is free, or quarantined with its block. */
static void finish_view(struct view *v)
{
	v->out.blocks = mem_new(v->n_blocks, sizeof(*v->out.blocks));
	v->out.n_blocks = v->n_blocks;
	for (size_t i = 0; i < v->n_blocks; i++) {
		struct view_block *b = &v->blocks[i];
		uint64_t size = pool_block_size(&b->b.cidr);
		uint64_t silent = size - b->records;
		if (b->b.rec.quarantined) {
			b->counts.quarantined += silent;
			struct node_pool *p = view_find_pool_of(v, &b->b);
			if (p)
				p->quarantined += silent;
		}
		const struct node_pool *of = view_find_pool_of(v, &b->b);
		v->out.blocks[i] = (struct node_block){
			.cidr = b->b.cidr,
			.pool = of ? of->pool.cidr : b->b.pool,
			.lent = b->counts.lent,
			.loan = b->b.rec.loan,
			.size = size,
			.used = b->counts.used,
			.cooling = b->counts.cooling,
			.reserved = b->counts.reserved,
			.quarantined = b->counts.quarantined,
			.free = count_rest(size, &b->counts),
			.cluster = b->b.rec.cluster,
			.draining = b->b.rec.draining,
			.disowned = b->b.rec.disowned,
		};
	}
	for (size_t i = 0; i < v->out.n_pools; i++) {
		struct node_pool *p = &v->out.pools[i];
		struct counts c = {.used = p->used,
			.cooling = p->cooling,
			.reserved = p->reserved,
			.quarantined = p->quarantined};
		p->free = count_rest(p->size, &c);
	}
}

int node_list_within(struct node *n, struct node_view *out, struct err *e)
{
	struct view v = {.n = n, .now_ns = boot_now_ns()};
	int r = view_read_mirror(&v, e);
	if (r == 0)
		r = view_read_pools(&v, e);
	if (r == 0)
		r = view_read_blocks(&v, e);
	if (r == 0)
		r = view_read_addrs(&v, e);
	if (r == 0)
		r = index_ports_list(n->db, &v.out.ports, e);
	if (r == 0)
		r = index_limits_list(n->db, &v.out.limits, &v.out.n_limits, e);
	if (r == 0)
		finish_view(&v);
	free(v.blocks);
	free(v.mirror);
	if (r < 0) {
		node_view_done(&v.out);
		return r;
	}
	*out = v.out;
	return 0;
}

int node_list(struct node *n, struct node_view *out, struct err *e)
{
	int r = db_begin(n->db, false, e);
	if (r < 0)
		return r;
	r = node_list_within(n, out, e);
	db_abort(n->db);
	return r;
}

int node_count_pool(struct node *n, const struct cidr *pool, struct node_pool *out, struct err *e)
{
	struct node_view view;
	int r = node_list_within(n, &view, e);
	if (r < 0)
		return r;
	bool found = false;
	for (size_t i = 0; i < view.n_pools; i++)
		if (cidr_equal(&view.pools[i].pool.cidr, pool)) {
			*out = view.pools[i];
			found = true;
		}
	node_view_done(&view);
	return found ? 0 : db_damage(n->db, e, "a pool vanished");
}
