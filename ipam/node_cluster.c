/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that the cluster's store gave to this node, from the day it is known to the day it is
 * forgotten, and what is given from them: the counts that decide about the next claim, and the
 * addresses of the node's own tunnel ends.
 *
 * The store decides whose a block is; here is recorded what follows for the addresses. Each change
 * is one transaction, and each can be asked for again. The block registry (files) is asked before
 * and told after, never within: an entry without a block names our own state and disturbs nobody,
 * and the next call for that block uses or removes it.
 *
 * A draining or disowned block is in no index that leads to an address, so that no assignment needs
 * to know of such blocks.
 */
#include "ipam/node_cluster.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "ipam/index_blocks.h"
#include "ipam/node_impl.h"
#include "ipam/node_loans.h"
#include "ipam/node_mirror.h"
#include "lib/mem.h"

/* Exactly this block: 1, 0 when nothing is there, -EINVAL when another block overlaps it. */
static int find_own_block(
	struct db *db, const struct cidr *block, struct index_block *out, struct err *e)
{
	int r = index_overlap(db, block, out, e);
	if (r != 1 || cidr_equal(&out->cidr, block))
		return r;
	char text[CIDR_TEXT];
	char other[CIDR_TEXT];
	cidr_format(block, text);
	cidr_format(&out->cidr, other);
	return err_set(e, EINVAL,
		"block %s overlaps %s, which this node holds from an earlier configuration", text,
		other);
}

/* The pool of the mirror that is cut into such blocks, or has the address. */
static int find_mirror_pool(const struct mirror *m, const struct cidr *block, bool loan,
	struct pool *out, struct err *e)
{
	for (size_t i = 0; i < m->n_pools; i++) {
		const struct pool *p = &m->pools[i].pool;
		if ((loan || p->block_len == block->len) && cidr_contains(&p->cidr, &block->addr)) {
			*out = *p;
			return 0;
		}
	}
	char text[CIDR_TEXT];
	cidr_format(block, text);
	return err_set(e, EINVAL, "block %s is of no pool that the cluster has", text);
}

/* What is new. */
struct addition {
	const struct cidr *block;
	bool loan;
	bool lost; /* by an earlier state */
};

/* A loan is in no pool's indexes, so that its address is the last that is given. */
static int record_loan(
	struct db *db, const struct addition *a, struct index_block *b, struct err *e)
{
	*b = (struct index_block){
		.cidr = *a->block,
		.pool = *a->block,
		.rec = {.pool_len = a->block->len,
			.quarantined = a->lost,
			.cluster = true,
			.loan = true,
			.since_s = boot_wall_s()},
	};
	return index_put_block(db, b, e);
}

static int record_new(struct db *db, const struct addition *a, const struct pool *pool,
	struct index_block *b, struct err *e)
{
	if (a->loan)
		return record_loan(db, a, b, e);
	struct index_blocks_claim c = {
		.pool = pool->cidr,
		.block = *a->block,
		.quarantined = a->lost,
		.cluster = true,
		.wall_s = boot_wall_s(),
	};
	*b = (struct index_block){.cidr = *a->block, .rec.quarantined = a->lost};
	return index_blocks_claim(db, &c, e);
}

static int record_block(
	struct db *db, const struct addition *a, const struct mirror *m, struct err *e)
{
	struct pool pool;
	struct index_block b;
	int r = find_mirror_pool(m, a->block, a->loan, &pool, e);
	if (r == 0)
		r = index_blocks_sync_pool(db, &pool, e);
	int known = r < 0 ? r : find_own_block(db, a->block, &b, e);
	if (known < 0)
		return known;
	if (known) {
		bool gave = index_gives(&b);
		b.rec.cluster = true;
		b.rec.draining = b.rec.disowned = false;
		b.rec.loan = a->loan;
		r = index_blocks_put_giving(db, &b, gave, e);
	} else {
		r = record_new(db, a, &pool, &b, e);
	}
	if (r == 0)
		r = node_mirror_hold(db, &b, m, e);
	return r < 0 ? r : !known;
}

/* One transaction. */
static int add_block(struct node *n, const struct addition *a, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = db_begin(n->db, true, e);
	if (r < 0)
		return r;
	r = db_reserve(n->db, e);
	if (r >= 0)
		r = node_mirror_read(n->db, m, e);
	if (r >= 0)
		r = record_block(n->db, a, m, e);
	return db_finish(n->db, r, e);
}

/* 1: it is there and gives; -EINVAL as find_own_block(). */
static int is_ready(struct node *n, const struct cidr *block, struct err *e)
{
	struct index_block b;
	int r = db_begin(n->db, false, e);
	if (r < 0)
		return r;
	r = find_own_block(n->db, block, &b, e);
	db_abort(n->db);
	return r == 1 ? b.rec.cluster && index_gives(&b) : r;
}

static int add_any(struct node *n, const struct cidr *block, bool loan, struct err *e)
{
	assert(n->mode != NODE_READ);
	struct registry_self self;
	int r = is_ready(n, block, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = node_self(n, &self, e);
	int holder = r < 0 ? r : registry_claim(&self, block, NULL, e);
	if (holder < 0)
		return holder;
	const struct addition a = {block, loan, holder == REGISTRY_LOST};
	int added = add_block(n, &a, e);
	if (added >= 0 && holder == REGISTRY_LOST)
		r = registry_take(&self, block, e);
	return r < 0 ? r : added;
}

int node_add_block(struct node *n, const struct cidr *block, struct err *e)
{
	return add_any(n, block, false, e);
}

int node_add_loan(struct node *n, const struct cidr *addr, struct err *e)
{
	assert(addr->len == addr_bits(&addr->addr));
	return add_any(n, addr, true, e);
}

static int drain_block(struct db *db, const struct cidr *block, bool cold, struct err *e)
{
	struct index_block b;
	uint64_t before;
	char text[CIDR_TEXT];
	cidr_format(block, text);
	int r = find_own_block(db, block, &b, e);
	if (r == 0)
		return err_set(e, ENOENT, "%s is no block of this node", text);
	if (r < 0 || b.rec.draining)
		return r < 0 ? r : 0;
	if (!b.rec.cluster && !b.rec.disowned)
		return err_set(e, EINVAL,
			"block %s was claimed by a network configuration: roostctl ipam release "
			"--idle-blocks returns it",
			text);
	r = index_blocks_cooled_before(db, &b, cold ? UINT64_MAX : boot_now_ns(), &before, e);
	if (r == 0)
		r = index_blocks_is_idle(db, &b, before, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EBUSY, "block %s is not empty", text);
	bool gave = index_gives(&b);
	b.rec.draining = true;
	return index_blocks_put_giving(db, &b, gave, e);
}

int node_drain_block(struct node *n, const struct cidr *block, bool cold, struct err *e)
{
	assert(n->mode != NODE_READ);
	int r = db_begin(n->db, true, e);
	return r < 0 ? r : db_finish(n->db, drain_block(n->db, block, cold, e), e);
}

/* Nothing is given from a draining block, but an operator may have entered a pod by hand. */
static int drop_block(struct db *db, const struct cidr *block, struct err *e)
{
	struct index_block b;
	int r = find_own_block(db, block, &b, e);
	if (r == 1)
		r = index_blocks_is_idle(db, &b, UINT64_MAX, e);
	else
		return r;
	if (r == 1)
		return index_blocks_drop(db, &b, e);
	char text[CIDR_TEXT];
	cidr_format(block, text);
	return r < 0 ? r : err_set(e, EBUSY, "block %s is not empty", text);
}

int node_drop_block(struct node *n, const struct cidr *block, struct err *e)
{
	assert(n->mode != NODE_READ);
	struct registry_self self;
	int r = node_self(n, &self, e);
	if (r == 0)
		r = db_begin(n->db, true, e);
	if (r < 0)
		return r;
	r = db_finish(n->db, drop_block(n->db, block, e), e);
	return r < 0 ? r : registry_drop(&self, block, 1, e);
}

static int disown_block(struct db *db, const struct cidr *block, struct err *e)
{
	struct index_block b;
	int r = find_own_block(db, block, &b, e);
	if (r != 1 || b.rec.disowned)
		return r < 0 ? r : 0;
	bool gave = index_gives(&b);
	b.rec.disowned = true;
	return index_blocks_put_giving(db, &b, gave, e);
}

int node_disown_block(struct node *n, const struct cidr *block, struct err *e)
{
	assert(n->mode != NODE_READ);
	int r = db_begin(n->db, true, e);
	return r < 0 ? r : db_finish(n->db, disown_block(n->db, block, e), e);
}

/* Never-used addresses of a pool's blocks. */
static int count_fresh(struct db *db, const struct cidr *pool, uint64_t *now_free, struct err *e)
{
	struct record_key k = {.kind = RECORD_FRESH, .pool = *pool, .block = *pool};
	for (;;) {
		struct db_entry entry;
		struct index_block b;
		uint64_t count = 0;
		int r = db_seek(db, &k, &entry, e);
		if (r != 1 || !cidr_equal(&entry.key.pool, pool))
			return r < 0 ? r : 0;
		r = index_block_of(db, &entry.key.block.addr, &b, e);
		if (r == 1)
			r = index_count_fresh(db, &b, &count, e);
		if (r < 0)
			return r;
		*now_free = pool_sum(*now_free, count);
		k.block = entry.key.block;
		k.block.len = 129; /* behind it: no block has this length */
	}
}

/* Released ones: those at rest for long enough, and the others. */
static int count_released(
	struct db *db, const struct pool *p, uint64_t *now_free, uint64_t *cooling, struct err *e)
{
	struct record_key k = {.kind = RECORD_QUEUE, .pool = p->cidr, .addr = p->cidr.addr};
	uint64_t now_ns = boot_now_ns();
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	for (; r == 1 && cidr_equal(&entry.key.pool, &p->cidr); r = db_next(db, &entry, e)) {
		uint64_t end = entry.key.released_ns + p->cooldown_s * UINT64_C(1000000000);
		uint64_t *count = now_ns >= end ? now_free : cooling;
		*count = pool_sum(*count, 1);
	}
	return r < 0 ? r : 0;
}

static int count_all(
	struct db *db, uint8_t family, uint64_t *now_free, uint64_t *cooling, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = node_mirror_read(db, m, e);
	for (size_t i = 0; r >= 0 && i < m->n_pools; i++) {
		const struct pool *p = &m->pools[i].pool;
		if (!m->pools[i].assigns || p->cidr.addr.family != family)
			continue;
		r = count_fresh(db, &p->cidr, now_free, e);
		if (r == 0)
			r = count_released(db, p, now_free, cooling, e);
		if (r == 0)
			r = node_loans_count(db, p, now_free, cooling, e);
	}
	return r < 0 ? r : 0;
}

int node_count_free(
	struct node *n, uint8_t family, uint64_t *now_free, uint64_t *cooling, struct err *e)
{
	uint64_t counted = 0, waiting = 0;
	int r = db_begin(n->db, false, e);
	if (r < 0)
		return r;
	r = count_all(n->db, family, &counted, &waiting, e);
	db_abort(n->db);
	if (r < 0)
		return r;
	*now_free = counted;
	*cooling = waiting;
	return 0;
}

int node_can_assign_mirror(struct node *n, const struct mirror *m, struct err *e)
{
	struct pool pools[POOL_MAX];
	struct node_want w = {
		.owner = owner_of("", "", ""),
		.pools = pools,
		.cluster = true,
		.cooling = true,
		.reserved = m->reserved,
		.n_reserved = m->n_reserved,
	};
	int r = mirror_pools(m, pools, &w.n_pools, e);
	return r < 0 ? r : node_try_assign(n, &w, e);
}

/* One owner for each family: assigning for one would release what it has of the other. */
static struct owner tunnel_owner(const char *what, uint8_t family)
{
	struct owner o = owner_of(OWNER_TUNNEL, what, family == AF_INET ? "ipv4" : "ipv6");
	o.foreign = true;
	return o;
}

/* The address that it has already, when it is of a block that is ours. */
static int find_tunnel(struct node *n, const struct hash *owner, struct addr *out, struct err *e)
{
	struct node_leases had;
	struct index_block b;
	int r = node_find(n, owner, &had, e);
	if (r < 1)
		return r;
	r = db_begin(n->db, false, e);
	if (r < 0)
		return r;
	r = index_block_of(n->db, &had.v[0].addr, &b, e);
	db_abort(n->db);
	if (r == 1 && index_gives(&b))
		*out = had.v[0].addr;
	return r == 1 ? index_gives(&b) : r;
}

int node_assign_tunnel(
	struct node *n, const char *what, uint8_t family, struct addr *out, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	struct node_want w = {
		.owner = tunnel_owner(what, family), .cluster = true, .cooling = true};
	struct pool pools[POOL_MAX];
	struct node_leases leases;
	int r = find_tunnel(n, &w.owner.hash, out, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = node_get_mirror(n, m, e);
	for (size_t i = 0; r == 1 && i < m->n_pools; i++)
		if (m->pools[i].assigns && m->pools[i].pool.cidr.addr.family == family)
			pools[w.n_pools++] = m->pools[i].pool;
	if (r >= 0 && !w.n_pools)
		return err_set(e, EADDRNOTAVAIL,
			"no %s pool of the cluster gives addresses to this node",
			family_name(family_of(family)));
	w.pools = pools;
	w.reserved = m->reserved;
	w.n_reserved = m->n_reserved;
	if (r >= 0)
		r = node_assign(n, &w, &leases, e);
	if (r < 0)
		return r;
	*out = leases.v[0].addr;
	return 0;
}

int node_release_tunnel(struct node *n, const char *what, uint8_t family, struct err *e)
{
	struct owner o = tunnel_owner(what, family);
	int r = node_release(n, &o.hash, 1, e);
	return r < 0 ? r : 0;
}
