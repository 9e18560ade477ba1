/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks come by claim (a pool needs room) or by adoption (an earlier state of this boot was lost,
 * and the kernel or the block registry still names them). An adopted block is loose until a
 * configured pool with its block size contains it: only then is known how long its addresses cool
 * down and who may take them. A pool of another block size, or another pool, can not take it over,
 * so that blocks stay disjoint and a block belongs to one pool.
 */
#include "ipam/index_blocks.h"

#include <errno.h>
#include <sys/socket.h>

static const char give_back[] = "keep the pool as it was until its pods are gone, then: roostctl "
				"ipam release --idle-blocks";

/* A block that is in the way of the pool: says so. */
static int refuse_pool(const struct pool *p, const struct index_block *b, struct err *e)
{
	char pool[CIDR_TEXT];
	char other[CIDR_TEXT];
	char block[CIDR_TEXT];
	cidr_format(&p->cidr, pool);
	cidr_format(&b->pool, other);
	cidr_format(&b->cidr, block);
	int r;
	if (!b->rec.loose && !cidr_equal(&b->pool, &p->cidr))
		r = err_set(e, EINVAL, "pool %s overlaps pool %s, of which this node owns block %s",
			pool, other, block);
	else
		r = err_set(e, EINVAL,
			"pool %s has blockSize %u, but this node owns block %s of it, cut with "
			"blockSize %u",
			pool, p->block_len, block, b->cidr.len);
	err_details(e, "%s", give_back);
	return r;
}

/* Released addresses follow their block into the pool's queue. */
static int move_queue(
	struct db *db, const struct index_block *b, const struct cidr *to, struct err *e)
{
	struct record_key k = {.kind = RECORD_QUEUE, .pool = b->pool, .addr = b->cidr.addr};
	for (;;) {
		struct db_entry entry;
		int r = db_seek(db, &k, &entry, e);
		if (r != 1 || !cidr_equal(&entry.key.pool, &b->pool))
			return r < 0 ? r : 0;
		r = index_requeue(db, &entry.key.addr, entry.key.released_ns, &b->pool, to, e);
		if (r < 0)
			return r;
	}
}

static int join_pool(struct db *db, const struct cidr *pool, struct index_block *b, struct err *e)
{
	if (!cidr_equal(&b->pool, pool)) {
		int r = move_queue(db, b, pool, e);
		if (r < 0)
			return r;
	}
	b->pool = *pool;
	b->rec.pool_len = pool->len;
	b->rec.loose = false;
	return index_put_block(db, b, e);
}

/* This node's blocks inside a new pool, in order: loose ones join, others are in the way. */
static int join_inside(struct db *db, const struct pool *p, struct record_pool *rec, struct err *e)
{
	struct index_block b;
	int r = index_block_of(db, &p->cidr.addr, &b, e);
	if (r < 0 || (r == 1 && b.cidr.len < p->cidr.len))
		return r < 0 ? r : refuse_pool(p, &b, e);
	struct cidr at = p->cidr;
	while ((r = index_next_block(db, &at, &b, e)) == 1 && cidr_overlaps(&b.cidr, &p->cidr)) {
		if (b.rec.loan)
			continue;
		if (!b.rec.loose || b.cidr.len != p->block_len)
			return refuse_pool(p, &b, e);
		r = join_pool(db, &p->cidr, &b, e);
		if (r < 0)
			return r;
		rec->blocks++;
	}
	return r < 0 ? r : 0;
}

/* Recorded pools without blocks make way for a new one that overlaps them, others do not. */
static int make_way(struct db *db, const struct pool *p, struct err *e)
{
	struct cidr at = INDEX_FIRST, other;
	struct record_pool rec;
	int r;
	while ((r = index_next_pool(db, &at, &other, &rec, e)) == 1) {
		struct index_block b;
		if (!cidr_overlaps(&other, &p->cidr))
			continue;
		if (rec.blocks) {
			r = index_overlap(db, &other, &b, e);
			if (r == 0)
				return db_damage(db, e, "a pool has lost its blocks");
			return r < 0 ? r : refuse_pool(p, &b, e);
		}
		struct record_key k = {.kind = RECORD_POOL, .pool = other};
		r = db_del(db, &k, e);
		if (r < 0)
			return r;
	}
	return r;
}

static int add_pool(struct db *db, const struct pool *p, struct err *e)
{
	struct record_pool rec = {.block_len = p->block_len, .cooldown_s = p->cooldown_s};
	int r = make_way(db, p, e);
	if (r == 0)
		r = join_inside(db, p, &rec, e);
	return r < 0 ? r : index_put_pool(db, &p->cidr, &rec, e);
}

int index_blocks_sync_pool(struct db *db, const struct pool *p, struct err *e)
{
	struct record_pool rec;
	int r = index_get_pool(db, &p->cidr, &rec, e);
	if (r < 0)
		return r;
	if (r == 0 || (rec.block_len != p->block_len && rec.blocks == 0))
		return add_pool(db, p, e);
	struct index_block b;
	if (rec.block_len != p->block_len) {
		r = index_overlap(db, &p->cidr, &b, e);
		if (r == 0)
			return db_damage(db, e, "a pool has lost its blocks");
		return r < 0 ? r : refuse_pool(p, &b, e);
	}
	if (rec.cooldown_s == p->cooldown_s)
		return 0;
	rec.cooldown_s = p->cooldown_s;
	return index_put_pool(db, &p->cidr, &rec, e);
}

int index_blocks_unclaimed(struct db *db, const struct pool *p, struct cidr *out, struct err *e)
{
	struct record_pool rec;
	int r = index_get_pool(db, &p->cidr, &rec, e);
	if (r == 0)
		return db_damage(db, e, "a pool vanished");
	if (r < 0)
		return r;
	if (rec.next >= pool_block_count(p))
		return 0;
	*out = pool_block(p, rec.next);
	return 1;
}

int index_blocks_claim(struct db *db, const struct index_blocks_claim *c, struct err *e)
{
	struct record_pool rec;
	int r = index_get_pool(db, &c->pool, &rec, e);
	if (r == 0)
		return db_damage(db, e, "a pool vanished");
	if (r < 0)
		return r;
	struct index_block b = {
		.cidr = c->block,
		.pool = c->pool,
		.rec = {.pool_len = c->pool.len,
			.quarantined = c->quarantined,
			.cluster = c->cluster,
			.disowned = c->disowned,
			.since_s = c->wall_s},
	};
	r = index_put_block(db, &b, e);
	if (r < 0)
		return r;
	rec.blocks++;
	return index_put_pool(db, &c->pool, &rec, e);
}

/* The recorded pool that a block of this size belongs to: 1 or 0. */
static int find_pool_of_size(
	struct db *db, const struct cidr *block, struct cidr *out, struct err *e)
{
	struct cidr at = INDEX_FIRST;
	struct record_pool rec;
	int r;
	while ((r = index_next_pool(db, &at, out, &rec, e)) == 1)
		if (rec.block_len == block->len && cidr_contains(out, &block->addr))
			return 1;
	return r;
}

int index_blocks_adopt(struct db *db, const struct cidr *block, int64_t wall_s, struct err *e)
{
	struct index_block there;
	int r = index_overlap(db, block, &there, e);
	if (r != 0)
		return r < 0 ? r : 0;
	struct index_blocks_claim c = {.block = *block, .quarantined = true, .wall_s = wall_s};
	struct cidr of_cluster;
	r = index_blocks_in_cluster(db, block, &of_cluster, e);
	if (r < 0)
		return r;
	c.disowned = r == 1; /* whose it is now only the store can say */
	r = find_pool_of_size(db, block, &c.pool, e);
	if (r < 0)
		return r;
	if (r == 1) {
		r = index_blocks_claim(db, &c, e);
		return r < 0 ? r : 1;
	}
	struct index_block b = {
		.cidr = *block,
		.pool = *block,
		.rec = {.pool_len = block->len,
			.quarantined = true,
			.loose = true,
			.disowned = c.disowned,
			.since_s = wall_s},
	};
	r = index_put_block(db, &b, e);
	return r < 0 ? r : 1;
}

int index_blocks_put_giving(struct db *db, struct index_block *b, bool gave, struct err *e)
{
	bool gives = index_gives(b);
	struct index_addr a;
	uint64_t at = 0;
	int r = 0;
	while (gives != gave && (r = index_next_addr(db, b, &at, &a, e)) == 1) {
		if (a.rec.state == RECORD_RELEASED)
			r = index_requeue(db, &a.addr, a.rec.released_ns, gave ? &b->pool : NULL,
				gives ? &b->pool : NULL, e);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : index_put_block(db, b, e);
}

int index_blocks_is_idle(
	struct db *db, const struct index_block *b, uint64_t cooled_before_ns, struct err *e)
{
	struct index_addr a;
	uint64_t at = 0, seen = 0;
	int r;
	for (; (r = index_next_addr(db, b, &at, &a, e)) == 1; seen++) {
		bool idle =
			a.rec.state == RECORD_RESERVED || /* whoever needs it does so again */
			(a.rec.state == RECORD_RELEASED && a.rec.released_ns <= cooled_before_ns);
		if (!idle)
			return 0;
	}
	if (r < 0)
		return r;
	/* in a quarantined block what has no record is quarantined */
	return !b->rec.quarantined || seen == pool_block_size(&b->cidr);
}

int index_blocks_cooled_before(
	struct db *db, const struct index_block *b, uint64_t now_ns, uint64_t *out, struct err *e)
{
	struct record_pool pool = {.cooldown_s = POOL_COOLDOWN_S};
	int r = index_get_pool(db, &b->pool, &pool, e);
	uint64_t wait = pool.cooldown_s * UINT64_C(1000000000);
	*out = now_ns == UINT64_MAX ? now_ns : now_ns > wait ? now_ns - wait : 0;
	return r < 0 ? r : 0;
}

int index_blocks_in_cluster(struct db *db, const struct cidr *c, struct cidr *out, struct err *e)
{
	struct record_key k = {.kind = RECORD_MIRROR_POOL};
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	for (; r == 1; r = db_next(db, &entry, e)) {
		struct mirror_pool p;
		if (!record_mirror_pool_parse(entry.value.bytes, entry.value.len, &p))
			return db_damage(db, e, "the copy of a pool is malformed");
		if (cidr_overlaps(&p.pool.cidr, c)) {
			*out = p.pool.cidr;
			return 1;
		}
	}
	return r;
}

static int drop_records(struct db *db, const struct index_block *b, struct err *e)
{
	struct index_addr a;
	uint64_t at = 0;
	int r;
	while ((r = index_next_addr(db, b, &at, &a, e)) == 1) {
		if (a.rec.state != RECORD_RELEASED && a.rec.state != RECORD_RESERVED)
			return db_damage(db, e, "an idle block is not idle");
		if (a.rec.state == RECORD_RELEASED && index_gives(b))
			r = index_requeue(db, &a.addr, a.rec.released_ns, &b->pool, NULL, e);
		struct record_key k = {.kind = RECORD_ADDR, .addr = a.addr};
		if (r >= 0)
			r = db_del(db, &k, e);
		if (r < 0)
			return r;
	}
	return r;
}

/* The pool has one block less; without any it goes. */
static int leave_pool(struct db *db, const struct index_block *b, struct err *e)
{
	struct record_pool rec;
	int r = index_get_pool(db, &b->pool, &rec, e);
	if (r == 0 || (r == 1 && rec.blocks == 0))
		return db_damage(db, e, "the pool of a block vanished");
	if (r < 0)
		return r;
	if (--rec.blocks == 0) {
		struct record_key k = {.kind = RECORD_POOL, .pool = b->pool};
		r = db_del(db, &k, e);
		return r < 0 ? r : 0;
	}
	struct pool p = {.cidr = b->pool, .block_len = rec.block_len};
	uint64_t index = pool_block_index(&p, &b->cidr.addr);
	if (index < rec.next)
		rec.next = index;
	return index_put_pool(db, &b->pool, &rec, e);
}

int index_blocks_drop(struct db *db, const struct index_block *b, struct err *e)
{
	int r = drop_records(db, b, e);
	if (r < 0)
		return r;
	struct record_key k = {.kind = RECORD_FRESH, .pool = b->pool, .block = b->cidr};
	r = db_del(db, &k, e);
	if (r < 0)
		return r;
	k = (struct record_key){.kind = RECORD_BLOCK, .block = b->cidr};
	r = db_del(db, &k, e);
	bool of_pool = !b->rec.loose && !b->rec.loan;
	return r < 0 || !of_pool ? (r < 0 ? r : 0) : leave_pool(db, b, e);
}
