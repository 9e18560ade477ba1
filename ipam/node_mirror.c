/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mirror in the node state: one record with what is single, and one for each pool and each
 * reserved prefix, numbered in the agent's order. They are written together in one transaction, so
 * a reader has all of one moment.
 *
 * Putting a mirror that is there already takes no write lock: the agent does it at every look. A
 * new one is refused as a whole when a pool contradicts blocks that stand; the old mirror then
 * stays, and pods go on starting from it.
 *
 * Blocks of a mirrored pool that no store has confirmed (adopted after a state was lost) give
 * nothing: they may have become another node's while nobody here knew of them. node_add_block()
 * ends that.
 */
#include "ipam/node_cluster.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "ipam/index_blocks.h"
#include "ipam/node_mirror.h"
#include "ipam/node_impl.h"
#include "lib/mem.h"

#define HELD_MAX 65536 /* addresses of one reserved prefix that are marked in one block */

static int mirror_damaged(struct db *db, struct err *e)
{
	return db_damage(db, e, "the copy of the cluster's settings is malformed");
}

int node_mirror_read(struct db *db, struct mirror *out, struct err *e)
{
	struct record_key k = {.kind = RECORD_MIRROR};
	struct db_value v;
	int r = db_get(db, &k, &v, e);
	if (r != 1)
		return r;
	bool good = record_mirror_parse(v.bytes, v.len, out);
	k.kind = RECORD_MIRROR_POOL;
	for (size_t i = 0; r == 1 && good && i < out->n_pools; i++) {
		k.position = (uint16_t)i;
		r = db_get(db, &k, &v, e);
		good = r == 1 && record_mirror_pool_parse(v.bytes, v.len, &out->pools[i]);
	}
	k.kind = RECORD_MIRROR_RESERVED;
	for (size_t i = 0; r == 1 && good && i < out->n_reserved; i++) {
		k.position = (uint16_t)i;
		r = db_get(db, &k, &v, e);
		good = r == 1 && record_prefix_parse(v.bytes, v.len, &out->reserved[i]);
	}
	k.kind = RECORD_MIRROR_LENT;
	for (size_t i = 0; r == 1 && good && i < out->n_lent; i++) {
		k.position = (uint16_t)i;
		r = db_get(db, &k, &v, e);
		good = r == 1 && record_prefix_parse(v.bytes, v.len, &out->lent[i]);
	}
	return r < 0 || good ? r : mirror_damaged(db, e);
}

int node_get_mirror(struct node *n, struct mirror *out, struct err *e)
{
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	int r = db_begin(n->db, false, e);
	if (r < 0)
		return r;
	r = node_mirror_read(n->db, m, e);
	db_abort(n->db);
	if (r == 1)
		*out = *m;
	return r;
}

/* Records of a longer list that was there. */
static int mirror_cut(struct db *db, enum record_kind kind, size_t from, size_t to, struct err *e)
{
	int r = 0;
	for (size_t i = from; r >= 0 && i < to; i++) {
		struct record_key k = {.kind = kind, .position = (uint16_t)i};
		r = db_del(db, &k, e);
	}
	return r < 0 ? r : 0;
}

static int write_prefixes(
	struct db *db, enum record_kind kind, const struct cidr *list, size_t n, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct record_key k = {.kind = kind, .position = (uint16_t)i};
		struct db_value v;
		v.len = record_prefix_format(&list[i], v.bytes);
		r = db_put(db, &k, &v, e);
	}
	return r;
}

int node_mirror_write(
	struct db *db, const struct mirror *m, const struct mirror *old, struct err *e)
{
	struct record_key k = {.kind = RECORD_MIRROR};
	struct db_value v;
	v.len = record_mirror_format(m, v.bytes);
	int r = db_put(db, &k, &v, e);
	k.kind = RECORD_MIRROR_POOL;
	for (size_t i = 0; r == 0 && i < m->n_pools; i++) {
		k.position = (uint16_t)i;
		v.len = record_mirror_pool_format(&m->pools[i], v.bytes);
		r = db_put(db, &k, &v, e);
	}
	if (r == 0)
		r = write_prefixes(db, RECORD_MIRROR_RESERVED, m->reserved, m->n_reserved, e);
	if (r == 0)
		r = write_prefixes(db, RECORD_MIRROR_LENT, m->lent, m->n_lent, e);
	if (r == 0)
		r = mirror_cut(db, RECORD_MIRROR_LENT, m->n_lent, old->n_lent, e);
	if (r == 0)
		r = mirror_cut(db, RECORD_MIRROR_POOL, m->n_pools, old->n_pools, e);
	if (r == 0)
		r = mirror_cut(db, RECORD_MIRROR_RESERVED, m->n_reserved, old->n_reserved, e);
	return r;
}

/* Recorded pools that left the mirror say nothing any more, unless a block is theirs. */
static int forget_pools(
	struct db *db, const struct mirror *m, const struct mirror *old, struct err *e)
{
	for (size_t i = 0; i < old->n_pools; i++) {
		const struct cidr *c = &old->pools[i].pool.cidr;
		struct record_pool rec;
		bool stays = false;
		for (size_t k = 0; k < m->n_pools; k++)
			stays |= cidr_equal(c, &m->pools[k].pool.cidr);
		int r = stays ? 0 : index_get_pool(db, c, &rec, e);
		if (r == 1 && rec.blocks == 0) {
			struct record_key k = {.kind = RECORD_POOL, .pool = *c};
			r = db_del(db, &k, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static const struct mirror_pool *pool_around(const struct mirror *m, const struct cidr *block)
{
	for (size_t i = 0; i < m->n_pools; i++)
		if (cidr_overlaps(&m->pools[i].pool.cidr, block))
			return &m->pools[i];
	return NULL;
}

/* A block in a pool of the mirror that is not of the cluster: the adopted waits for the store's
 * word; what a configuration claimed is in the way. */
static int settle_block(struct db *db, struct index_block *b, const struct mirror *m, struct err *e)
{
	const struct mirror_pool *p = pool_around(m, &b->cidr);
	if (!p || b->rec.cluster || b->rec.disowned)
		return 0;
	if (b->rec.quarantined) {
		b->rec.disowned = true;
		return index_blocks_put_giving(db, b, true, e);
	}
	char pool[CIDR_TEXT];
	char block[CIDR_TEXT];
	cidr_format(&p->pool.cidr, pool);
	cidr_format(&b->cidr, block);
	(void)err_set(e, EINVAL,
		"pool %s of the cluster contains block %s, which a network configuration with "
		"ipam.pools claimed on this node",
		pool, block);
	err_details(e, "stop its pods, leave ipam.pools out, then: roostctl ipam release "
		       "--idle-blocks");
	return -EINVAL;
}

static int hold_one(struct db *db, const struct index_block *b, const struct addr *a,
	enum record_state state, struct err *e)
{
	struct index_addr old;
	int r = index_get_addr(db, a, &old, e);
	bool is_free = r == 0 ? !b->rec.quarantined : r == 1 && old.rec.state == RECORD_RELEASED;
	if (r < 0 || !is_free)
		return r < 0 ? r : 0;
	return index_hold(db, a, state, boot_wall_s(), e);
}

int node_mirror_hold(
	struct db *db, const struct index_block *b, const struct mirror *m, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < m->n_reserved; i++) {
		const struct cidr *c = &m->reserved[i];
		if (!cidr_overlaps(c, &b->cidr))
			continue;
		const struct cidr *part = c->len > b->cidr.len ? c : &b->cidr;
		uint64_t count = pool_block_size(part);
		for (uint64_t k = 0; r == 0 && k < count && k < HELD_MAX; k++) {
			struct addr a = addr_plus(&part->addr, k);
			r = hold_one(db, b, &a, RECORD_RESERVED, e);
		}
	}
	for (size_t i = 0; r == 0 && i < m->n_lent; i++)
		if (cidr_contains(&b->cidr, &m->lent[i].addr) && !b->rec.loan)
			r = hold_one(db, b, &m->lent[i].addr, RECORD_LENT, e);
	return r;
}

/* Addresses whose reservation ended. */
static int unhold_unreserved(struct db *db, const struct index_block *b, const struct mirror *m,
	const struct mirror *old, struct err *e)
{
	struct index_addr a;
	uint64_t at = 0;
	int r;
	while ((r = index_next_addr(db, b, &at, &a, e)) == 1) {
		if (a.rec.state == RECORD_RESERVED &&
			cidr_any_contains(old->reserved, old->n_reserved, &a.addr) &&
			!cidr_any_contains(m->reserved, m->n_reserved, &a.addr))
			r = index_unhold(db, &a.addr, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* Addresses that are lent no more: they cool down, as after a pod. */
static int end_loans(struct db *db, const struct mirror *m, const struct mirror *old, struct err *e)
{
	struct index_time t = {.now_ns = boot_now_ns(), .wall_s = boot_wall_s()};
	int r = 0;
	for (size_t i = 0; r >= 0 && i < old->n_lent; i++) {
		struct index_addr a;
		if (cidr_is_among(m->lent, m->n_lent, &old->lent[i]))
			continue;
		r = index_get_addr(db, &old->lent[i].addr, &a, e);
		if (r == 1 && a.rec.state == RECORD_LENT)
			r = index_release(db, &a.addr, &t, e);
	}
	return r < 0 ? r : 0;
}

static int settle_blocks(
	struct db *db, const struct mirror *m, const struct mirror *old, struct err *e)
{
	struct cidr at = INDEX_FIRST;
	bool same = mirror_reserved_equal(m, old) && mirror_lent_equal(m, old);
	struct index_block b;
	int r;
	while ((r = index_next_block(db, &at, &b, e)) == 1) {
		r = settle_block(db, &b, m, e);
		if (r == 0 && b.rec.cluster && !same)
			r = unhold_unreserved(db, &b, m, old, e);
		if (r == 0 && b.rec.cluster && !same)
			r = node_mirror_hold(db, &b, m, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* Within a writing transaction: 1, or 0 when it is so already. */
static int mirror_put(struct db *db, const struct mirror *m, struct mirror *old, struct err *e)
{
	int r = node_mirror_read(db, old, e);
	if (r < 0 || (r == 1 && mirror_equal(m, old)))
		return r < 0 ? r : 0;
	r = forget_pools(db, m, old, e);
	for (size_t i = 0; r == 0 && i < m->n_pools; i++)
		r = index_blocks_sync_pool(db, &m->pools[i].pool, e);
	if (r == 0)
		r = end_loans(db, m, old, e);
	if (r == 0)
		r = settle_blocks(db, m, old, e);
	if (r == 0)
		r = node_mirror_write(db, m, old, e);
	return r < 0 ? r : 1;
}

int node_put_mirror(struct node *n, const struct mirror *m, struct err *e)
{
	assert(n->mode != NODE_READ && m->n_pools <= POOL_MAX && m->n_reserved <= MIRROR_RESERVED &&
		m->n_lent <= MIRROR_LENT);
	CLEANUP_FREE struct mirror *old = mem_new(1, sizeof(*old));
	int r = node_get_mirror(n, old, e);
	if (r < 0 || (r == 1 && mirror_equal(m, old)))
		return r < 0 ? r : 0;
	*old = (struct mirror){0};
	r = db_begin(n->db, true, e);
	if (r < 0)
		return r;
	r = db_reserve(n->db, e);
	if (r == 0)
		r = mirror_put(n->db, m, old, e);
	if (r == 1)
		return db_finish(n->db, r, e);
	db_abort(n->db);
	return r;
}
