/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving addresses: the part of ipam/node.h that decides. All of one request happens in one write
 * transaction: the configured pools are compared with the recorded ones, what the owner has is kept
 * or released, gateways are reserved, and each family gets its address; whatever goes wrong, the
 * transaction is dropped and nothing has changed.
 *
 * Order, the phases outermost and the pools in configuration order inside each: a never-used
 * address of an own block; the address that is free for longest; a never-used one of a newly
 * claimed block; the one that cools down for longest.
 *
 * A claim needs the block registry, which is files, and no files are touched while the state's
 * write lock is held. So an attempt that needs a block ends with "this one first" and is dropped,
 * the block is registered, and the next attempt may use it. When another process took the block
 * meanwhile, that attempt asks for the next block; the entry made in vain names our own state and
 * disturbs nobody. A block that a lost state held is recorded as quarantined, and the next one is
 * asked for.
 *
 * In a cluster nothing is claimed here: the third step is a single address that another node lends, if
 * there is one, and else the agent's, so an attempt ends there, and the caller comes back, with "cooling" when the agent had nothing either. An address that
 * became reserved while a pod had it is in the queues like any other; it is put aside when its turn
 * comes.
 *
 * Asking whether an assignment could succeed is the same code with the transaction dropped at the
 * end and the registry only looked at.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "ipam/index_blocks.h"
#include "ipam/index_pod.h"
#include "ipam/index_limits.h"
#include "ipam/index_ports.h"
#include "ipam/node.h"
#include "ipam/node_impl.h"
#include "ipam/node_loans.h"
#include "ipam/messages.h"
#include "ipam/subnet.h"
#include "lib/family.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ATTEMPTS 100000 /* a bound; each attempt but the last found a lost or taken block */

/* A block that the registry gave us, or that somebody lost. */
struct grant {
	struct cidr block;
	bool lost;
};

struct attempt {
	struct node *n;
	const struct node_want *w;
	struct index_time now;
	bool dry; /* changes nothing */
	struct node_leases leases;
	struct grant *grants;
	size_t n_grants, room;
	const struct pool *need_pool; /* a claim that has to be registered first */
	struct cidr need_block;
};

static bool want_has_family(const struct node_want *w, uint8_t family)
{
	if (w->without[family_of(family)])
		return false;
	for (size_t i = 0; i < w->n_pools; i++)
		if (w->pools[i].cidr.addr.family == family)
			return true;
	return false;
}

static const struct pool *usable_pool(const struct node_want *w, const struct addr *a)
{
	for (size_t i = 0; i < w->n_pools; i++)
		if (node_want_uses(w, i, a->family) && cidr_contains(&w->pools[i].cidr, a))
			return &w->pools[i];
	return NULL;
}

static const struct addr *requested_addr(const struct node_want *w, uint8_t family)
{
	for (size_t i = 0; i < w->n_requested; i++)
		if (w->requested[i].family == family)
			return &w->requested[i];
	return NULL;
}

/* A configuration's claim in a pool of the cluster would be unknown to the other nodes. */
static int check_claim(struct attempt *a, const struct cidr *block, struct err *e)
{
	struct cidr pool;
	int r = index_blocks_in_cluster(a->n->db, block, &pool, e);
	return r == 1 ? messages_cluster_pool(&pool, e) : r;
}

/* The block becomes ours if the registry agreed: 0; 1 when it has to be asked first. */
static int claim_block(
	struct attempt *a, const struct pool *p, const struct cidr *block, struct err *e)
{
	int allowed = check_claim(a, block, e);
	if (allowed < 0)
		return allowed;
	for (size_t i = 0; i < a->n_grants; i++) {
		if (!cidr_equal(&a->grants[i].block, block))
			continue;
		struct index_blocks_claim c = {
			.pool = p->cidr,
			.block = *block,
			.quarantined = a->grants[i].lost,
			.wall_s = a->now.wall_s,
		};
		int r = index_blocks_claim(a->n->db, &c, e);
		if (r == 0)
			r = subnet_hold_special(a->n->db, a->w, block, a->now.wall_s, e);
		return r;
	}
	a->need_pool = p;
	a->need_block = *block;
	return 1;
}

/* Gives the address, which the caller found to be free or the owner's, and notes the lease. */
static int give_addr(struct attempt *a, const struct addr *addr, bool was_ours, struct err *e)
{
	struct index_block b;
	int r = index_block_of(a->n->db, addr, &b, e);
	if (r < 0)
		return r;
	assert(r == 1);
	struct index_addr old = {0};
	int known = index_get_addr(a->n->db, addr, &old, e);
	if (known < 0)
		return known;
	a->leases.v[a->leases.n++] = (struct node_lease){
		.addr = *addr, .block = b.cidr, .was_ours = was_ours, .was_used = known == 1};
	return index_use(a->n->db, addr, &a->w->owner, a->now.wall_s, e);
}

/* The address's block is one of ours, or becomes one: 0, 1 (claim first) or an error. */
static int ensure_block(
	struct attempt *a, const struct pool *p, const struct addr *addr, struct err *e)
{
	struct index_block b;
	struct cidr block = pool_block_of(p, addr);
	int r = index_block_of(a->n->db, addr, &b, e);
	if (r < 0)
		return r;
	if (a->w->cluster && (r == 0 || !index_gives(&b)))
		return messages_not_ours(addr, r == 1 ? &b.rec : NULL, e);
	if (r == 1)
		return index_gives(&b) ? 0 : messages_not_ours(addr, &b.rec, e);
	r = index_overlap(a->n->db, &block, &b, e);
	if (r == 0)
		return claim_block(a, p, &block, e);
	if (r < 0)
		return r;
	char text[ADDR_TEXT];
	char other[CIDR_TEXT];
	addr_format(addr, text);
	cidr_format(&b.cidr, other);
	return err_set(e, EADDRINUSE,
		"address %s cannot be had: its block overlaps %s, which this node holds from an "
		"earlier configuration",
		text, other);
}

static int take_requested(struct attempt *a, const struct addr *addr, struct err *e)
{
	const struct pool *p = usable_pool(a->w, addr);
	if (!p)
		return messages_outside(a->w, addr, e);
	struct index_addr old;
	int had = index_get_addr(a->n->db, addr, &old, e);
	if (had < 0)
		return had;
	if (had && old.rec.state != RECORD_RELEASED)
		return messages_taken(addr, &old.rec, e);
	if (cidr_any_contains(a->w->reserved, a->w->n_reserved, addr))
		return messages_taken(addr, &(struct record_addr){.state = RECORD_RESERVED}, e);
	int r = ensure_block(a, p, addr, e);
	if (r != 0)
		return r;
	struct index_block b;
	r = index_block_of(a->n->db, addr, &b, e);
	if (r < 0)
		return r;
	if (!had && b.rec.quarantined)
		return messages_taken(addr, &(struct record_addr){.state = RECORD_QUARANTINED}, e);
	return give_addr(a, addr, false, e);
}

/* Each phase: 1 found, 0 not, 2 a claim is needed first, or an error. */
enum { NOT_FOUND, FOUND, CLAIM_FIRST };

static int find_fresh(struct attempt *a, const struct pool *p, struct addr *out, struct err *e)
{
	return index_fresh(a->n->db, &p->cidr, out, e);
}

static int find_free(struct attempt *a, const struct pool *p, struct addr *out, struct err *e)
{
	uint64_t released_ns;
	int r = index_oldest(a->n->db, &p->cidr, out, &released_ns, e);
	if (r != 1)
		return r;
	return a->now.now_ns >= released_ns + p->cooldown_s * UINT64_C(1000000000);
}

static int find_claim(struct attempt *a, const struct pool *p, struct addr *out, struct err *e)
{
	struct cidr block;
	int r;
	while ((r = index_blocks_unclaimed(a->n->db, p, &block, e)) == 1) {
		r = claim_block(a, p, &block, e);
		if (r == 0)
			r = index_fresh(a->n->db, &p->cidr, out, e);
		else if (r == 1)
			return CLAIM_FIRST;
		if (r != 0)
			return r;
	}
	return r;
}

static int find_cooling(struct attempt *a, uint8_t family, struct addr *out, struct err *e)
{
	uint64_t best = UINT64_MAX;
	for (size_t i = 0; i < a->w->n_pools; i++) {
		struct addr addr;
		uint64_t released_ns;
		if (!node_want_uses(a->w, i, family))
			continue;
		int r = index_oldest(a->n->db, &a->w->pools[i].cidr, &addr, &released_ns, e);
		if (r < 0)
			return r;
		if (r == 1 && released_ns < best) {
			best = released_ns;
			*out = addr;
		}
		r = a->w->cluster ? node_loans_oldest(a->n->db, &a->w->pools[i], out, &best, e) : 0;
		if (r < 0)
			return r;
	}
	return best != UINT64_MAX;
}

/* Lent by another node. */
static int find_loan(struct attempt *a, const struct pool *p, struct addr *out, struct err *e)
{
	return node_loans_free(a->n->db, p, a->now.now_ns, out, e);
}

static int find_any(struct attempt *a, uint8_t family, struct addr *out, struct err *e)
{
	int (*const phases[])(struct attempt *, const struct pool *, struct addr *,
		struct err *) = {find_fresh, find_free, a->w->cluster ? find_loan : find_claim};
	for (size_t phase = 0; phase < sizeof(phases) / sizeof(phases[0]); phase++)
		for (size_t i = 0; i < a->w->n_pools; i++) {
			if (!node_want_uses(a->w, i, family))
				continue;
			int r = phases[phase](a, &a->w->pools[i], out, e);
			if (r != NOT_FOUND)
				return r;
		}
	if (a->w->cluster && !a->w->cooling)
		return NOT_FOUND;
	return find_cooling(a, family, out, e);
}

/* Reserved ones on the way are put aside. */
static int find_unreserved(struct attempt *a, uint8_t family, struct addr *out, struct err *e)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		int r = find_any(a, family, out, e);
		if (r != FOUND || !cidr_any_contains(a->w->reserved, a->w->n_reserved, out))
			return r;
		r = index_hold(a->n->db, out, RECORD_RESERVED, a->now.wall_s, e);
		if (r < 0)
			return r;
	}
	return NOT_FOUND;
}

static int take_any(struct attempt *a, uint8_t family, struct err *e)
{
	struct addr addr;
	bool usable = false;
	for (size_t i = 0; i < a->w->n_pools; i++)
		usable |= node_want_uses(a->w, i, family);
	if (!usable)
		return err_set(e, EADDRNOTAVAIL, "none of the %s pools may be used here",
			family_name(family_of(family)));
	int r = find_unreserved(a, family, &addr, e);
	if (r < 0)
		return r;
	if (r == CLAIM_FIRST)
		return 1;
	if (r == FOUND)
		return give_addr(a, &addr, false, e);
	a->n->lacking = family;
	return messages_exhausted(a->n, a->w, family, e);
}

/* Whether the address may stay with its owner as far as its block goes. */
static int block_allows(struct attempt *a, const struct addr *own, struct err *e)
{
	struct index_block b;
	int r = index_block_of(a->n->db, own, &b, e);
	return r == 1 ? index_gives(&b) : r < 0 ? r : !a->w->cluster;
}

/* What the owner has of a family: kept (*kept is set) when it still fits, else released. */
static int settle_own(
	struct attempt *a, uint8_t family, struct addr *own, bool *kept, struct err *e)
{
	*kept = false;
	int r = index_get_owner(a->n->db, &a->w->owner.hash, family, own, e);
	if (r != 1)
		return r;
	const struct addr *wish = requested_addr(a->w, family);
	r = block_allows(a, own, e);
	if (r < 0)
		return r;
	*kept = r == 1 && usable_pool(a->w, own) && !subnet_is_gateway(a->w, own) &&
		(!wish || addr_equal(wish, own));
	return *kept ? 0 : index_release(a->n->db, own, &a->now, e);
}

static int give_family(
	struct attempt *a, uint8_t family, const struct addr *own, bool kept, struct err *e)
{
	const struct addr *wish = requested_addr(a->w, family);
	if (kept) {
		int r = ensure_block(a, usable_pool(a->w, own), own, e);
		return r != 0 ? r : give_addr(a, own, true, e);
	}
	if (wish)
		return take_requested(a, wish, e);
	return want_has_family(a->w, family) ? take_any(a, family, e) : 0;
}

static bool is_known(const char *text)
{
	return text && *text;
}

static int put_identity(struct attempt *a, struct err *e)
{
	struct node_identity pod = {.owner = a->w->owner.hash};
	if (a->w->uid)
		(void)text_copy(pod.uid, sizeof(pod.uid), a->w->uid);
	if (a->w->labels)
		(void)text_copy(pod.labels, sizeof(pod.labels), a->w->labels);
	int r = index_pod_put(a->n->db, &pod, e);
	return r < 0 ? r : 0;
}

/* One transaction's work: 0, 1 when a claim is needed first, or an error. */
static int try_all(struct attempt *a, struct err *e)
{
	struct addr own[FAMILIES];
	bool kept[FAMILIES];
	int r = 0;
	a->leases.n = 0;
	for (size_t i = 0; r == 0 && !a->w->cluster && i < a->w->n_pools; i++)
		r = index_blocks_sync_pool(a->n->db, &a->w->pools[i], e);
	for (enum family f = IPV4; r == 0 && f < FAMILIES; f++)
		r = settle_own(a, family_af(f), &own[f], &kept[f], e);
	if (r == 0)
		r = subnet_reserve(a->n->db, a->w, a->now.wall_s, e);
	for (enum family f = IPV4; r == 0 && f < FAMILIES; f++)
		r = give_family(a, family_af(f), &own[f], kept[f], e);
	/* What it had before goes; one that has nothing yet has none. */
	if (r == 0 && (a->w->n_ports || kept[IPV4] || kept[IPV6]))
		r = index_ports_put(a->n->db, &a->w->owner.hash, a->w->ports, a->w->n_ports, e);
	if (r == 0 && (a->w->limits || kept[IPV4] || kept[IPV6]))
		r = index_limits_put(a->n->db, &a->w->owner.hash, a->w->limits, e);
	if (r == 0 && (is_known(a->w->uid) || is_known(a->w->labels) || kept[IPV4] || kept[IPV6]))
		r = put_identity(a, e);
	return r;
}

/* A block of a lost state: ours, but quarantined. */
static int record_lost(struct attempt *a, const struct registry_self *self, struct err *e)
{
	struct db *db = a->n->db;
	struct index_block there;
	int r = db_begin(db, true, e);
	if (r == 0)
		r = db_reserve(db, e);
	if (r == 0)
		r = index_blocks_sync_pool(db, a->need_pool, e);
	if (r == 0)
		r = index_overlap(db, &a->need_block, &there, e);
	if (r == 0) {
		struct index_blocks_claim c = {
			.pool = a->need_pool->cidr,
			.block = a->need_block,
			.quarantined = true,
			.wall_s = a->now.wall_s,
		};
		r = index_blocks_claim(db, &c, e);
	}
	r = db_finish(db, r, e);
	return r < 0 ? r : registry_take(self, &a->need_block, e);
}

/* Asks the registry for the block that the attempt needs. */
static int register_claim(struct attempt *a, struct err *e)
{
	assert(a->need_pool);
	struct registry_self self;
	int r = node_self(a->n, &self, e);
	if (r < 0)
		return r;
	int holder = a->dry ? registry_check(&self, &a->need_block, &a->need_pool->cidr, e)
			    : registry_claim(&self, &a->need_block, &a->need_pool->cidr, e);
	if (holder < 0)
		return holder;
	if (holder == REGISTRY_LOST && !a->dry)
		return record_lost(a, &self, e);
	a->grants = mem_grow(a->grants, &a->room, a->n_grants, sizeof(*a->grants));
	a->grants[a->n_grants++] =
		(struct grant){.block = a->need_block, .lost = holder == REGISTRY_LOST};
	return 0;
}

static int run_attempts(struct attempt *a, struct err *e)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		a->now = node_time();
		int r = db_begin(a->n->db, true, e);
		if (r == 0)
			r = db_reserve(a->n->db, e);
		if (r == 0)
			r = try_all(a, e);
		if (r == 0 && !a->dry)
			return db_commit(a->n->db, e);
		db_abort(a->n->db);
		if (r != 1)
			return r;
		r = register_claim(a, e);
		if (r < 0)
			return r;
	}
	return err_set(e, EAGAIN, "no block could be claimed: too many are taken or lost");
}

static int check_want(const struct node_want *w, struct err *e)
{
	if (w->n_pools == 0)
		return err_set(e, EADDRNOTAVAIL, "there is no pool to take an address from");
	for (size_t i = 0; i < w->n_requested; i++)
		if (requested_addr(w, w->requested[i].family) != &w->requested[i])
			return err_set(e, EINVAL, "more than one %s address is requested",
				family_name(family_of(w->requested[i].family)));
	return 0;
}

int node_assign(struct node *n, const struct node_want *w, struct node_leases *out, struct err *e)
{
	assert(n->mode != NODE_READ);
	struct attempt a = {.n = n, .w = w};
	int r = check_want(w, e);
	if (r == 0)
		r = run_attempts(&a, e);
	free(a.grants);
	if (r == 0)
		*out = a.leases;
	return r;
}

uint8_t node_lacking(const struct node *n)
{
	return n->lacking;
}

int node_can_assign(struct node *n, const struct pool *pools, size_t count, struct err *e)
{
	struct node_want w = {.owner = owner_of("", "", ""), .pools = pools, .n_pools = count};
	return node_try_assign(n, &w, e);
}

int node_try_assign(struct node *n, const struct node_want *w, struct err *e)
{
	struct attempt a = {.n = n, .w = w, .dry = true};
	int r = check_want(w, e);
	if (r == 0)
		r = node_reopen(n, e);
	if (r == 0)
		r = run_attempts(&a, e);
	free(a.grants);
	return r;
}

int node_unassign(
	struct node *n, const struct hash *owner, const struct node_leases *l, struct err *e)
{
	assert(n->mode != NODE_READ);
	int r = db_begin(n->db, true, e);
	for (size_t i = 0; r >= 0 && i < l->n; i++) {
		struct index_addr now;
		if (l->v[i].was_ours)
			continue;
		r = index_get_addr(n->db, &l->v[i].addr, &now, e);
		if (r == 1 && now.rec.state == RECORD_USED &&
			hash_equal(&now.rec.owner.hash, owner))
			r = index_unuse(n->db, &l->v[i].addr, e);
	}
	r = db_finish(n->db, r, e);
	return r < 0 ? r : 0;
}
