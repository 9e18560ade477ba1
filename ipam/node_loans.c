/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of a loan in the node state. The borrower has a block of one address, flagged, whose pool is
 * itself: so neither the never-used nor the released addresses of any pool lead to it. The lender has
 * a record of the address that says lent, and the list in the mirror, which the agent keeps in
 * accordance with the cluster's store: both are written in one transaction, so that a reservation of which
 * the agent was killed before it could say so in the store ends with the next mirror.
 */
#include "ipam/node_loans.h"

#include <assert.h>
#include <errno.h>

#include "ipam/index_blocks.h"
#include "ipam/node_cluster.h"
#include "ipam/node_impl.h"
#include "ipam/node_mirror.h"
#include "lib/boot.h"
#include "lib/mem.h"

#define SECOND UINT64_C(1000000000)

/* A loan as the walk meets it. */
struct loan {
	struct addr addr;
	bool fresh;	      /* never used here */
	bool released;	      /* or at released_ns */
	uint64_t released_ns; /* boot time */
};

/* The next loan of a pool behind *at: 1 or 0. */
static int next_loan(
	struct db *db, const struct pool *p, struct cidr *at, struct loan *out, struct err *e)
{
	struct index_block b;
	struct index_addr a;
	int r;
	while ((r = index_next_block(db, at, &b, e)) == 1) {
		if (!cidr_contains(&p->cidr, &b.cidr.addr))
			return 0;
		if (b.rec.loan && index_gives(&b))
			break;
	}
	if (r != 1)
		return r;
	*out = (struct loan){.addr = b.cidr.addr, .fresh = !b.rec.quarantined && b.rec.next == 0};
	r = out->fresh ? 0 : index_get_addr(db, &out->addr, &a, e);
	if (r == 1 && a.rec.state == RECORD_RELEASED) {
		out->released = true;
		out->released_ns = a.rec.released_ns;
	}
	return r < 0 ? r : 1;
}

static struct cidr first_of(const struct pool *p)
{
	return (struct cidr){.addr = p->cidr.addr};
}

static bool can_be_given(const struct loan *l, const struct pool *p, uint64_t now_ns)
{
	return l->fresh || (l->released && now_ns >= l->released_ns + p->cooldown_s * SECOND);
}

int node_loans_free(
	struct db *db, const struct pool *p, uint64_t now_ns, struct addr *out, struct err *e)
{
	struct cidr at = first_of(p);
	struct loan l;
	int r;
	while ((r = next_loan(db, p, &at, &l, e)) == 1) {
		if (!can_be_given(&l, p, now_ns))
			continue;
		*out = l.addr;
		return 1;
	}
	return r;
}

int node_loans_oldest(
	struct db *db, const struct pool *p, struct addr *out, uint64_t *released_ns, struct err *e)
{
	struct cidr at = first_of(p);
	struct loan l;
	int r;
	bool found = false;
	while ((r = next_loan(db, p, &at, &l, e)) == 1) {
		if (!l.released || l.released_ns >= *released_ns)
			continue;
		*out = l.addr;
		*released_ns = l.released_ns;
		found = true;
	}
	return r < 0 ? r : found;
}

int node_loans_count(
	struct db *db, const struct pool *p, uint64_t *now_free, uint64_t *cooling, struct err *e)
{
	struct cidr at = first_of(p);
	uint64_t now_ns = boot_now_ns();
	struct loan l;
	int r;
	while ((r = next_loan(db, p, &at, &l, e)) == 1) {
		if (can_be_given(&l, p, now_ns))
			*now_free = pool_sum(*now_free, 1);
		else if (l.released)
			*cooling = pool_sum(*cooling, 1);
	}
	return r;
}

/* ---- The lender ---- */

struct lending {
	struct db *db;
	struct mirror *m;
	struct index_block b;
	uint64_t cooled_ns; /* what was released until then has cooled down */
};

static int is_free(const struct lending *l, const struct addr *a, struct err *e)
{
	struct index_addr old;
	int r = cidr_any_contains(l->m->reserved, l->m->n_reserved, a)
			? 0
			: index_get_addr(l->db, a, &old, e);
	if (r < 0 || cidr_any_contains(l->m->reserved, l->m->n_reserved, a))
		return r;
	return r == 0 ? !l->b.rec.quarantined
		      : old.rec.state == RECORD_RELEASED && old.rec.released_ns <= l->cooled_ns;
}

/* A never-used one, else the first one that was released long ago. */
static int find_another(const struct lending *l, struct addr *out, struct err *e)
{
	struct index_addr a;
	uint64_t at = 0;
	struct addr next = addr_plus(&l->b.cidr.addr, l->b.rec.next);
	int r = 0;
	if (l->b.rec.next < pool_block_size(&l->b.cidr))
		r = is_free(l, &next, e);
	if (r == 1)
		*out = next;
	while (r == 0 && (r = index_next_addr(l->db, &l->b, &at, &a, e)) == 1) {
		r = is_free(l, &a.addr, e);
		if (r == 1)
			*out = a.addr;
	}
	return r < 0 ? r : 0;
}

static int lend(struct lending *l, const struct addr *wish, struct addr *instead, struct err *e)
{
	CLEANUP_FREE struct mirror *old = mem_new(1, sizeof(*old));
	int r = index_block_of(l->db, wish, &l->b, e);
	bool gives = r == 1 && l->b.rec.cluster && index_gives(&l->b) && !l->b.rec.loan;
	if (!gives || l->m->n_lent == MIRROR_LENT)
		return r < 0 ? r : 0;
	r = is_free(l, wish, e);
	if (r != 1)
		return r < 0 ? r : find_another(l, instead, e);
	*old = *l->m;
	l->m->lent[l->m->n_lent++] = cidr_of_host(wish);
	r = index_hold(l->db, wish, RECORD_LENT, boot_wall_s(), e);
	if (r == 0)
		r = node_mirror_write(l->db, l->m, old, e);
	return r < 0 ? r : 1;
}

int node_lend(
	struct node *n, const struct addr *wish, bool cold, struct addr *instead, struct err *e)
{
	assert(n->mode != NODE_READ);
	CLEANUP_FREE struct mirror *m = mem_new(1, sizeof(*m));
	struct lending l = {.db = n->db, .m = m};
	*instead = (struct addr){0};
	int r = db_begin(n->db, true, e);
	if (r < 0)
		return r;
	r = db_reserve(n->db, e);
	if (r == 0)
		r = node_mirror_read(n->db, m, e);
	if (r == 1)
		r = index_block_of(n->db, wish, &l.b, e);
	if (r == 1)
		r = index_blocks_cooled_before(
			n->db, &l.b, cold ? UINT64_MAX : boot_now_ns(), &l.cooled_ns, e);
	if (r == 0 && l.b.cidr.len)
		r = lend(&l, wish, instead, e);
	return db_finish(n->db, r, e);
}
