/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records and their indexes. Invariants, at the end of each transaction:
 *
 * - Blocks are disjoint. An address belongs to the one block that contains it; records of addresses
 *   outside of every block are possible (a reserved gateway, an adopted pod whose block is
 *   unknown).
 * - A block that is draining or disowned gives nothing: it is not in FRESH, and its released
 *   addresses are not in the QUEUE.
 * - block.next is the offset of the lowest address of the block that has no record, or the block's
 *   size; a quarantined block counts as having none. The FRESH index has a block exactly when next
 *   is an address of it: the lowest entry of a pool is its next never-used address, without a
 *   search.
 * - pool.next is the index of the lowest block of the pool that overlaps no block of this node, or
 *   the number of its blocks.
 * - The QUEUE has exactly the RELEASED addresses of blocks that give, under their block's pool.
 * - OWNER has exactly the USED addresses, at most one per owner and family; PORTS only owners that OWNER has.
 *
 * Moving a "next" forward is a loop over what was taken out of order, so each address and each
 * block is passed once: constant time on average.
 *
 * A record that contradicts another one is damage, reported like a broken page.
 */
#include "ipam/index.h"

#include <errno.h>

#include "ipam/index_pod.h"
#include "ipam/index_limits.h"
#include "ipam/index_ports.h"

static struct record_key addr_key(const struct addr *a)
{
	return (struct record_key){.kind = RECORD_ADDR, .addr = *a};
}

static struct record_key block_key(const struct cidr *c)
{
	return (struct record_key){.kind = RECORD_BLOCK, .block = *c};
}

static struct record_key queue_key(
	const struct cidr *pool, uint64_t released_ns, const struct addr *a)
{
	return (struct record_key){
		.kind = RECORD_QUEUE, .pool = *pool, .released_ns = released_ns, .addr = *a};
}

static const struct db_value nothing;

int index_get_addr(struct db *db, const struct addr *a, struct index_addr *out, struct err *e)
{
	struct record_key k = addr_key(a);
	int r = db_get(db, &k, &out->value, e);
	out->addr = *a;
	if (r == 1 && !record_addr_parse(out->value.bytes, out->value.len, &out->rec))
		return db_damage(db, e, "the record of an address is malformed");
	return r;
}

int index_get_owner(
	struct db *db, const struct hash *owner, uint8_t family, struct addr *out, struct err *e)
{
	struct record_key k = {.kind = RECORD_OWNER, .owner = *owner, .family = family};
	struct db_value v;
	int r = db_get(db, &k, &v, e);
	if (r != 1)
		return r;
	struct addr a;
	if (!record_owner_parse(v.bytes, v.len, &a) || a.family != family)
		return db_damage(db, e, "the record of an owner is malformed");
	struct index_addr rec;
	r = index_get_addr(db, &a, &rec, e);
	if (r < 0)
		return r;
	if (r == 0 || rec.rec.state != RECORD_USED || !hash_equal(&rec.rec.owner.hash, owner))
		return db_damage(db, e, "an owner's address is not his");
	*out = a;
	return 1;
}

int index_get_pool(struct db *db, const struct cidr *pool, struct record_pool *out, struct err *e)
{
	struct record_key k = {.kind = RECORD_POOL, .pool = *pool};
	struct db_value v;
	int r = db_get(db, &k, &v, e);
	if (r == 1 && !record_pool_parse(v.bytes, v.len, out))
		return db_damage(db, e, "the record of a pool is malformed");
	return r;
}

static int parse_block(
	struct db *db, const struct db_entry *entry, struct index_block *out, struct err *e)
{
	struct index_block b = {.cidr = entry->key.block};
	if (!record_block_parse(entry->value.bytes, entry->value.len, &b.rec) ||
		b.rec.pool_len > b.cidr.len || b.rec.next > pool_block_size(&b.cidr)) {
		(void)db_damage(db, e, "the record of a block is malformed");
		return -EUCLEAN;
	}
	b.pool = cidr_masked(&b.cidr.addr, b.rec.pool_len);
	*out = b;
	return 1;
}

static struct addr last_addr(const struct cidr *c)
{
	struct addr a = c->addr;
	for (unsigned int bit = c->len; bit < addr_bits(&a); bit++)
		a.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return a;
}

int index_overlap(struct db *db, const struct cidr *c, struct index_block *out, struct err *e)
{
	struct addr last = last_addr(c);
	struct cidr host = cidr_of_host(&last);
	struct record_key k = block_key(&host);
	struct db_entry entry;
	int r = db_floor(db, &k, &entry, e);
	if (r != 1 || !cidr_overlaps(&entry.key.block, c))
		return r < 0 ? r : 0;
	return parse_block(db, &entry, out, e);
}

int index_block_of(struct db *db, const struct addr *a, struct index_block *out, struct err *e)
{
	struct cidr host = cidr_of_host(a);
	return index_overlap(db, &host, out, e);
}

/* No prefix has this length: it sorts behind all that begin with its address. */
static struct cidr behind_prefix(const struct cidr *c)
{
	return (struct cidr){.addr = c->addr, .len = 129};
}

int index_next_pool(
	struct db *db, struct cidr *at, struct cidr *pool, struct record_pool *rec, struct err *e)
{
	struct record_key k = {.kind = RECORD_POOL, .pool = *at};
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	if (r == 1)
		r = index_get_pool(db, &entry.key.pool, rec, e);
	if (r != 1)
		return r;
	*pool = entry.key.pool;
	*at = behind_prefix(pool);
	return 1;
}

int index_next_block(struct db *db, struct cidr *at, struct index_block *out, struct err *e)
{
	struct record_key k = block_key(at);
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	if (r == 1)
		r = index_block_of(db, &entry.key.block.addr, out, e);
	if (r == 1 && !cidr_equal(&out->cidr, &entry.key.block))
		return db_damage(db, e, "blocks overlap");
	if (r == 1)
		*at = behind_prefix(&out->cidr);
	return r;
}

int index_next_addr(struct db *db, const struct index_block *b, uint64_t *at,
	struct index_addr *out, struct err *e)
{
	if (*at >= pool_block_size(&b->cidr))
		return 0;
	struct addr from = addr_plus(&b->cidr.addr, *at);
	struct record_key k = addr_key(&from);
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	if (r != 1 || !cidr_contains(&b->cidr, &entry.key.addr))
		return r < 0 ? r : 0;
	out->addr = entry.key.addr;
	out->value = entry.value;
	if (!record_addr_parse(out->value.bytes, out->value.len, &out->rec))
		return db_damage(db, e, "the record of an address is malformed");
	*at = addr_minus(&out->addr, &b->cidr.addr) + 1;
	return 1;
}

static bool block_is_fresh(const struct index_block *b)
{
	return index_gives(b) && !b->rec.quarantined && b->rec.next < pool_block_size(&b->cidr);
}

/* Writes the block and makes the FRESH index say what is true of it. */
static int put_block(struct db *db, const struct index_block *b, struct err *e)
{
	struct record_key k = block_key(&b->cidr);
	struct db_value v;
	v.len = record_block_format(&b->rec, v.bytes);
	int r = db_put(db, &k, &v, e);
	if (r < 0)
		return r;
	k = (struct record_key){.kind = RECORD_FRESH, .pool = b->pool, .block = b->cidr};
	if (block_is_fresh(b))
		return db_put(db, &k, &nothing, e);
	r = db_del(db, &k, e);
	return r < 0 ? r : 0;
}

/* Moves next over addresses that have a record. */
int index_put_block(struct db *db, struct index_block *b, struct err *e)
{
	uint64_t size = pool_block_size(&b->cidr);
	while (!b->rec.quarantined && b->rec.next < size) {
		struct addr a = addr_plus(&b->cidr.addr, b->rec.next);
		struct record_key k = addr_key(&a);
		struct db_value v;
		int r = db_get(db, &k, &v, e);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		b->rec.next++;
	}
	return put_block(db, b, e);
}

/* Moves next over blocks that are this node's. */
int index_put_pool(struct db *db, const struct cidr *pool, struct record_pool *rec, struct err *e)
{
	struct pool p = {.cidr = *pool, .block_len = rec->block_len};
	uint64_t count = pool_block_count(&p);
	for (; rec->next < count; rec->next++) {
		struct cidr block = pool_block(&p, rec->next);
		struct index_block there;
		int r = index_overlap(db, &block, &there, e);
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	struct record_key k = {.kind = RECORD_POOL, .pool = *pool};
	struct db_value v;
	v.len = record_pool_format(rec, v.bytes);
	return db_put(db, &k, &v, e);
}

static int put_addr(struct db *db, const struct addr *a, const struct record_addr *rec, bool is_new,
	struct err *e)
{
	struct record_key k = addr_key(a);
	struct db_value v;
	v.len = record_addr_format(rec, v.bytes);
	int r = db_put(db, &k, &v, e);
	if (r < 0 || !is_new)
		return r;
	struct index_block b = {0};
	r = index_block_of(db, a, &b, e);
	if (r != 1)
		return r;
	return addr_minus(a, &b.cidr.addr) == b.rec.next ? index_put_block(db, &b, e) : 0;
}

static int put_owner(struct db *db, const struct hash *owner, const struct addr *a, struct err *e)
{
	struct record_key k = {.kind = RECORD_OWNER, .owner = *owner, .family = a->family};
	struct db_value v;
	v.len = record_owner_format(a, v.bytes);
	return db_put(db, &k, &v, e);
}

/* Deletes a record that has to be there. */
static int del_known(struct db *db, const struct record_key *k, const char *what, struct err *e)
{
	int r = db_del(db, k, e);
	return r == 0 ? db_damage(db, e, what) : r < 0 ? r : 0;
}

/* Host ports, limits and what is known of the pod go with the owner's last address. */
static int del_owner(struct db *db, const struct hash *owner, uint8_t family, struct err *e)
{
	struct record_key k = {.kind = RECORD_OWNER, .owner = *owner, .family = family};
	struct db_value v;
	int r = del_known(db, &k, "the owner of an address is unknown", e);
	if (r < 0)
		return r;
	k.family = family == AF_INET ? AF_INET6 : AF_INET;
	r = db_get(db, &k, &v, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = index_ports_del(db, owner, e);
	if (r >= 0)
		r = index_limits_put(db, owner, NULL, e);
	return r < 0 ? r : index_pod_del(db, owner, e);
}

static int queue_del(struct db *db, const struct addr *a, uint64_t released_ns, struct err *e)
{
	struct index_block b;
	int r = index_block_of(db, a, &b, e);
	if (r == 0)
		return db_damage(db, e, "a released address is in no block");
	if (r < 0 || !index_gives(&b))
		return r < 0 ? r : 0;
	struct record_key k = queue_key(&b.pool, released_ns, a);
	return del_known(db, &k, "a released address is not in the queue", e);
}

static int queue_add(struct db *db, const struct index_block *b, const struct addr *a,
	uint64_t released_ns, struct err *e)
{
	struct record_key k = queue_key(&b->pool, released_ns, a);
	return index_gives(b) ? db_put(db, &k, &nothing, e) : 0;
}

int index_use(
	struct db *db, const struct addr *a, const struct owner *o, int64_t wall_s, struct err *e)
{
	struct index_addr old = {0};
	int r = index_get_addr(db, a, &old, e);
	if (r < 0)
		return r;
	bool is_new = r == 0;
	if (!is_new && old.rec.state == RECORD_RELEASED) {
		r = queue_del(db, a, old.rec.released_ns, e);
		if (r < 0)
			return r;
	}
	struct record_addr rec = {
		.state = RECORD_USED,
		.since_s = wall_s,
		.released_ns = is_new ? 0 : old.rec.released_ns,
		.owner = *o,
	};
	r = put_addr(db, a, &rec, is_new, e);
	return r < 0 ? r : put_owner(db, &o->hash, a, e);
}

/* The record goes; next comes back when the address is lower. */
static int forget_addr(struct db *db, const struct addr *a, struct err *e)
{
	struct record_key k = addr_key(a);
	int r = del_known(db, &k, "an address vanished", e);
	if (r < 0)
		return r;
	struct index_block b = {0};
	r = index_block_of(db, a, &b, e);
	if (r != 1)
		return r;
	uint64_t offset = addr_minus(a, &b.cidr.addr);
	if (b.rec.quarantined || offset >= b.rec.next)
		return 0;
	b.rec.next = offset;
	return put_block(db, &b, e);
}

int index_unuse(struct db *db, const struct addr *a, struct err *e)
{
	struct index_addr old;
	int r = index_get_addr(db, a, &old, e);
	if (r != 1)
		return r;
	r = del_owner(db, &old.rec.owner.hash, a->family, e);
	if (r < 0)
		return r;
	struct index_block b;
	r = index_block_of(db, a, &b, e);
	if (r < 0)
		return r;
	if (r == 0 || old.rec.released_ns == 0)
		return forget_addr(db, a, e);
	old.rec.state = RECORD_RELEASED;
	r = put_addr(db, a, &old.rec, false, e);
	return r < 0 ? r : queue_add(db, &b, a, old.rec.released_ns, e);
}

/* What has to go with the old state of an address. */
static int leave_state(
	struct db *db, const struct addr *a, const struct record_addr *rec, struct err *e)
{
	switch (rec->state) {
	case RECORD_USED:
		return del_owner(db, &rec->owner.hash, a->family, e);
	case RECORD_RELEASED:
		return queue_del(db, a, rec->released_ns, e);
	default:
		return 0;
	}
}

static struct record_addr unowned_addr(enum record_state state, int64_t wall_s)
{
	return (struct record_addr){.state = state, .since_s = wall_s, .owner = OWNER_NONE};
}

int index_release(struct db *db, const struct addr *a, const struct index_time *t, struct err *e)
{
	struct index_addr old;
	int had = index_get_addr(db, a, &old, e);
	if (had < 0)
		return had;
	int r = had ? leave_state(db, a, &old.rec, e) : 0;
	if (r < 0)
		return r;
	struct index_block b;
	r = index_block_of(db, a, &b, e);
	if (r < 0)
		return r;
	if (r == 0)
		return had ? forget_addr(db, a, e) : 0;
	struct record_addr rec = had ? old.rec : unowned_addr(RECORD_RELEASED, t->wall_s);
	rec.state = RECORD_RELEASED;
	rec.since_s = t->wall_s;
	rec.released_ns = t->now_ns;
	r = put_addr(db, a, &rec, !had, e);
	return r < 0 ? r : queue_add(db, &b, a, t->now_ns, e);
}

int index_hold(
	struct db *db, const struct addr *a, enum record_state state, int64_t wall_s, struct err *e)
{
	struct index_addr old;
	int had = index_get_addr(db, a, &old, e);
	int r = had == 1 ? leave_state(db, a, &old.rec, e) : had;
	if (r < 0)
		return r;
	struct record_addr rec = unowned_addr(state, wall_s);
	return put_addr(db, a, &rec, !had, e);
}

int index_requeue(struct db *db, const struct addr *a, uint64_t released_ns,
	const struct cidr *from, const struct cidr *to, struct err *e)
{
	int r = 0;
	if (from) {
		struct record_key k = queue_key(from, released_ns, a);
		r = del_known(db, &k, "a released address is not in the queue", e);
	}
	if (r < 0 || !to)
		return r;
	struct record_key k = queue_key(to, released_ns, a);
	return db_put(db, &k, &nothing, e);
}

int index_unhold(struct db *db, const struct addr *a, struct err *e)
{
	return forget_addr(db, a, e);
}

int index_count_fresh(struct db *db, const struct index_block *b, uint64_t *out, struct err *e)
{
	*out = 0;
	if (!block_is_fresh(b))
		return 0;
	uint64_t count = pool_block_size(&b->cidr) - b->rec.next;
	struct addr from = addr_plus(&b->cidr.addr, b->rec.next);
	struct record_key k = addr_key(&from);
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	for (; r == 1 && cidr_contains(&b->cidr, &entry.key.addr); r = db_next(db, &entry, e))
		count--;
	*out = count;
	return r < 0 ? r : 0;
}

int index_fresh(struct db *db, const struct cidr *pool, struct addr *out, struct err *e)
{
	struct record_key k = {.kind = RECORD_FRESH, .pool = *pool, .block = *pool};
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	if (r != 1 || !cidr_equal(&entry.key.pool, pool))
		return r < 0 ? r : 0;
	struct index_block b;
	r = index_block_of(db, &entry.key.block.addr, &b, e);
	if (r < 0)
		return r;
	if (r != 1 || !block_is_fresh(&b))
		return db_damage(db, e, "a block has no never-used address");
	*out = addr_plus(&b.cidr.addr, b.rec.next);
	return 1;
}

int index_oldest(struct db *db, const struct cidr *pool, struct addr *out, uint64_t *released_ns,
	struct err *e)
{
	struct record_key k = queue_key(pool, 0, &pool->addr);
	struct db_entry entry;
	int r = db_seek(db, &k, &entry, e);
	if (r != 1 || !cidr_equal(&entry.key.pool, pool))
		return r < 0 ? r : 0;
	*out = entry.key.addr;
	*released_ns = entry.key.released_ns;
	return 1;
}
