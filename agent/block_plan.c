/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks, compared. Three things are known of each: what the store says (the replica), what a node
 * state has, what is under way. The table of what follows:
 *
 *	store            node state          step
 *	ours, pending    none                CONFIRM, which looks at the pool first; RETURN without one
 *	ours, not        any                 CONFIRM: an earlier process wrote it, and somebody may be
 *	 confirmed                           about to take it from a node that was gone
 *	ours             none                ADD
 *	ours             draining, withdrawn RETURN
 *	ours             empty for long      DRAIN, while enough addresses stay
 *	ours, quarantined in a state         CONFIRM: this node uses it
 *	ours, quarantined none               RETURN: this node does not use it
 *	none             in use              CLAIM, to have it again
 *	none             empty               DROP
 *	another's        there               DISOWN, then DROP when it is empty
 *	lent from        none                neither ADD nor RETURN before loans were read, no RETURN then
 *	unreadable       any                 none: somebody has to mend the document
 *
 * While a store that lost documents is not used (agent/store_loss.h) only two rows count: none and
 * in use is entered again (CONFIRM), ours and none is returned.
 *
 * Else there is a claim of something new for each ADD that waits, of the pools that its pod may use, and for
 * each family and folder with less than the headroom. A block with a transaction under way is left
 * alone.
 */
#include "agent/block_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/pools.h"
#include "lib/mem.h"
#include "lib/text.h"

struct planning {
	const struct block_plan_input *in;
	struct block_plan *out;
	size_t room;
	bool shrunk[AGENT_CONF_STATE_DIRS][FAMILIES];
};

static struct block_plan_step *add_step(
	struct planning *p, enum block_plan_verb verb, const struct cidr *block, size_t dir)
{
	struct block_plan *out = p->out;
	out->steps = mem_grow(out->steps, &p->room, out->n_steps, sizeof(*out->steps));
	struct block_plan_step *s = &out->steps[out->n_steps++];
	*s = (struct block_plan_step){.verb = verb, .block = *block, .dir = dir};
	return s;
}

static void add_claim(
	struct planning *p, const struct cidr *block, size_t dir, const struct replica_item *pool)
{
	struct block_plan_step *s = add_step(p, STEP_CLAIM, block, dir);
	(void)text_copy(s->pool, sizeof(s->pool), pool->resource.name);
}

static bool is_under_way(const struct block_plan_input *in, const struct cidr *block)
{
	return pending_find_step(in->pending, block) != NULL;
}

/* A step ended, and the watch has not shown yet what became of it. */
static bool is_tried(const struct block_plan_input *in, const struct cidr *block)
{
	const struct pending *done = pending_find(in->pending, block, PENDING_DONE);
	const struct replica_block *b = replica_block(in->replica, block);
	bool shown = done && done->revision && b && b->revision >= done->revision;
	return (done && !shown) || pending_find(in->pending, block, PENDING_CONFLICT);
}

static bool is_confirmed(const struct block_plan_input *in, const struct cidr *block)
{
	return pending_find(in->pending, block, PENDING_CONFIRMED) != NULL;
}

static bool is_ours(const struct block_plan_input *in, const struct replica_block *b)
{
	return b->node && strcmp(b->node, in->node) == 0;
}

static const struct mirror_pool *pool_of(const struct mirror *m, const struct cidr *block)
{
	for (size_t i = 0; i < m->n_pools; i++) {
		const struct mirror_pool *p = &m->pools[i];
		if (p->pool.block_len == block->len && cidr_contains(&p->pool.cidr, &block->addr))
			return p;
	}
	return NULL;
}

/* The document of a pool, by its prefix, as names are cut in the mirror: of several the oldest counts. */
static const struct replica_item *pool_document(
	const struct block_plan_input *in, const struct cidr *cidr)
{
	const struct replica_item *found = NULL;
	for (size_t i = 0; i < in->replica->n_items; i++) {
		const struct replica_item *item = in->replica->items[i];
		if (item->resource.kind == RESOURCE_IPPOOL &&
			cidr_equal(&item->resource.pool.pool.cidr, cidr) &&
			(!found || pools_is_older(&item->resource, &found->resource)))
			found = item;
	}
	return found;
}

/* Where a new block goes: where it was meant for, else where addresses are fewest. */
static size_t home_of(const struct block_plan_input *in, const struct cidr *block)
{
	const struct pending *p = pending_find(in->pending, block, PENDING_DONE);
	if (!p)
		p = pending_find(in->pending, block, PENDING_HOME);
	if (p && p->dir < in->states->n_dirs)
		return p->dir;
	enum family family = family_of(block->addr.family);
	size_t best = 0;
	for (size_t i = 1; i < in->states->n_dirs; i++) {
		const struct node_states_dir *d = &in->states->dirs[i];
		const struct node_states_dir *b = &in->states->dirs[best];
		if (*b->trouble || (!*d->trouble && d->free[family] < b->free[family]))
			best = i;
	}
	return best;
}

static void set_doc(struct block_plan_step *s, const struct replica_block *b)
{
	s->doc = (struct block){.cidr = b->cidr, .state = b->state, .revision = b->revision};
	(void)text_copy(s->doc.node, sizeof(s->doc.node), b->node);
}

static bool is_lent(const struct block_plan_input *in, const struct cidr *block)
{
	for (size_t i = 0; i < in->n_lent; i++)
		if (cidr_contains(block, &in->lent[i].addr))
			return true;
	return false;
}

/* A block of which only we know that we were about to own it: by a process that was killed, or whose
 * store was gone. */
static void plan_pending(struct planning *p, const struct replica_block *b, size_t dir)
{
	const struct mirror_pool *m = pool_of(p->in->mirror, &b->cidr);
	const struct replica_item *pool = m ? pool_document(p->in, &m->pool.cidr) : NULL;
	struct block_plan_step *s = add_step(p, pool ? STEP_CONFIRM : STEP_RETURN, &b->cidr, dir);
	set_doc(s, b);
	if (pool)
		(void)text_copy(s->pool, sizeof(s->pool), pool->resource.name);
}

/* A block that the store says is ours. */
static void plan_owned(struct planning *p, const struct replica_block *b)
{
	const struct node_states_block *s = node_states_find(p->in->states, &b->cidr);
	bool confirmed = is_confirmed(p->in, &b->cidr);
	if (is_under_way(p->in, &b->cidr) || (!s && !p->in->knows_loans))
		return;
	if (is_tried(p->in, &b->cidr) &&
		(b->state != BLOCK_OWNED || !confirmed || (s && s->in.draining)))
		return;
	if (b->state == BLOCK_PENDING) {
		plan_pending(p, b, s ? s->dir : home_of(p->in, &b->cidr));
	} else if (b->state == BLOCK_QUARANTINED) {
		if (s || !is_lent(p->in, &b->cidr))
			set_doc(add_step(p, s ? STEP_CONFIRM : STEP_RETURN, &b->cidr, 0), b);
	} else if (!confirmed) {
		set_doc(add_step(p, STEP_CONFIRM, &b->cidr, s ? s->dir : home_of(p->in, &b->cidr)),
			b);
	} else if (!s || s->in.disowned) {
		size_t dir = s ? s->dir : home_of(p->in, &b->cidr);
		if (!pool_of(p->in->mirror, &b->cidr)) {
			problems_add(&p->out->problems,
				"block %s belongs to this node, but no pool contains it",
				CIDR_STRING(&b->cidr));
			return;
		}
		(void)add_step(p, STEP_ADD, &b->cidr, dir);
	} else if (s->in.draining &&
		   cidr_is_among(p->in->withdrawn, p->in->n_withdrawn, &b->cidr)) {
		set_doc(add_step(p, STEP_RETURN, &b->cidr, s->dir), b);
	}
}

static bool is_idle(const struct block_plan_input *in, const struct node_states_block *s)
{
	const struct mirror_pool *pool = pool_of(in->mirror, &s->in.cidr);
	uint64_t all = in->states->dirs[s->dir].free[family_of(s->in.cidr.addr.family)];
	if (s->empty_since_s < 0)
		return false;
	if (in->drain || !pool || !pool->assigns)
		return true;
	return in->now_s - s->empty_since_s >= in->idle_s && all >= s->in.free &&
	       all - s->in.free >= in->headroom;
}

/* Of the problem that a block is not ours, whatever the number of its addresses. */
#define block_key(block) CIDR_STRING(block)

static void plan_claim_again(struct planning *p, const struct node_states_block *s)
{
	const struct replica_item *pool = pool_document(p->in, &s->in.pool);
	if (!pool || pool->resource.pool.disabled) {
		problems_add_as(&p->out->problems, block_key(&s->in.cidr),
			"block %s with %llu addresses in use is not ours in the store, and its "
			"pool is not there to claim it again",
			CIDR_STRING(&s->in.cidr), (unsigned long long)s->in.used);
		return;
	}
	if (is_tried(p->in, &s->in.cidr))
		return;
	add_claim(p, &s->in.cidr, s->dir, pool);
}

/* A block of a node state that the store says is not ours. */
static void plan_lost(
	struct planning *p, const struct node_states_block *s, const struct replica_block *b)
{
	bool unused = s->in.used == 0 && s->in.quarantined == 0;
	if (!b) {
		if (s->in.draining || (unused && s->in.cooling == 0))
			(void)add_step(p, STEP_DROP, &s->in.cidr, s->dir);
		else
			plan_claim_again(p, s);
		return;
	}
	if (!b->node)
		return;
	if (unused) {
		(void)add_step(p, STEP_DROP, &s->in.cidr, s->dir);
		return;
	}
	problems_add_as(&p->out->problems, block_key(&s->in.cidr),
		"block %s, of which %llu addresses are in use here, belongs to node %s",
		CIDR_STRING(&s->in.cidr), (unsigned long long)s->in.used, b->node);
	if (!s->in.disowned)
		(void)add_step(p, STEP_DISOWN, &s->in.cidr, s->dir);
}

static void plan_states(struct planning *p)
{
	const struct node_states *states = p->in->states;
	for (size_t i = 0; i < states->n_blocks; i++) {
		const struct node_states_block *s = &states->blocks[i];
		const struct replica_block *b = replica_block(p->in->replica, &s->in.cidr);
		bool *shrunk = &p->shrunk[s->dir][family_of(s->in.cidr.addr.family)];
		if (s->in.loan || is_under_way(p->in, &s->in.cidr))
			continue; /* of loans: agent/loan_plan.c */
		if (!b || !is_ours(p->in, b)) {
			plan_lost(p, s, b);
		} else if (b->state == BLOCK_OWNED && !s->in.draining && !*shrunk &&
			   is_idle(p->in, s)) {
			(void)add_step(p, STEP_DRAIN, &s->in.cidr, s->dir);
			*shrunk = true;
		}
	}
}

/* ---- More addresses ---- */

static bool may_use(const struct block_plan_ask *ask, const struct cidr *pool)
{
	bool any = !ask->n_pools || cidr_is_among(ask->pools, ask->n_pools, pool);
	return any && family_of(pool->addr.family) == ask->family;
}

/* Whether the ask may have addresses of this block. */
static bool block_suits(const struct block_plan_ask *ask, const struct mirror *m, size_t dir,
	const struct cidr *block)
{
	const struct mirror_pool *pool = pool_of(m, block);
	return dir == ask->dir && pool && pool->assigns && may_use(ask, &pool->pool.cidr);
}

bool block_plan_suits(
	const struct block_plan_ask *ask, const struct mirror *m, const struct addr *a)
{
	for (size_t i = 0; i < m->n_pools; i++)
		if (m->pools[i].assigns && cidr_contains(&m->pools[i].pool.cidr, a) &&
			may_use(ask, &m->pools[i].pool.cidr))
			return true;
	return false;
}

static uint64_t free_for(const struct block_plan_input *in, const struct block_plan_ask *ask)
{
	const struct node_states *s = in->states;
	uint64_t sum = 0;
	for (size_t i = 0; i < s->n_blocks; i++) {
		const struct node_block *b = &s->blocks[i].in;
		bool suits = b->loan ? s->blocks[i].dir == ask->dir &&
					       block_plan_suits(ask, in->mirror, &b->cidr.addr)
				     : block_suits(ask, in->mirror, s->blocks[i].dir, &b->cidr);
		if (!b->draining && !b->disowned && suits)
			sum += b->free;
	}
	return sum;
}

static bool is_new(const struct block_plan_input *in, const struct cidr *block)
{
	const struct node_states_block *s = node_states_find(in->states, block);
	return !s || s->in.draining || s->in.disowned;
}

/* Addresses for the ask are on the way: claims that the watch has not shown yet count. */
static bool is_growing(const struct planning *p, const struct block_plan_ask *ask)
{
	const struct block_plan_input *in = p->in;
	for (size_t i = 0; i < in->pending->n; i++) {
		const struct pending *n = &in->pending->v[i];
		if ((pending_is_under_way(n) || n->kind == PENDING_DONE) &&
			!node_states_find(in->states, &n->block) &&
			block_suits(ask, in->mirror, n->dir, &n->block))
			return true;
	}
	for (size_t i = 0; i < p->out->n_steps; i++) {
		const struct block_plan_step *s = &p->out->steps[i];
		if ((s->verb == STEP_ADD || s->verb == STEP_CLAIM || s->verb == STEP_CONFIRM) &&
			is_new(in, &s->block) && block_suits(ask, in->mirror, s->dir, &s->block))
			return true;
	}
	return false;
}

/* A RETURN whose answer was lost, in this life or an earlier one, may be carried out late: the
 * document is written anew first, so that its revision is another one. */
static void use_again(
	struct planning *p, const struct node_states_block *s, const struct replica_block *b)
{
	const struct cidr *block = &s->in.cidr;
	struct block_plan_step *step = NULL;
	for (size_t i = 0; !step && i < p->out->n_steps; i++)
		if (cidr_equal(&p->out->steps[i].block, block))
			step = &p->out->steps[i]; /* its RETURN */
	bool safe = is_confirmed(p->in, block);
	if (!safe && is_tried(p->in, block))
		return;
	if (!step)
		step = add_step(p, STEP_ADD, block, s->dir);
	step->verb = safe ? STEP_ADD : STEP_CONFIRM;
	set_doc(step, b);
}

/* A block that is being given back, and is needed after all. */
static bool keep_draining(struct planning *p, const struct block_plan_ask *ask)
{
	const struct node_states *states = p->in->states;
	for (size_t i = 0; i < states->n_blocks; i++) {
		const struct node_states_block *s = &states->blocks[i];
		const struct replica_block *b = replica_block(p->in->replica, &s->in.cidr);
		if (!s->in.draining || !block_suits(ask, p->in->mirror, s->dir, &s->in.cidr) ||
			!b || !is_ours(p->in, b) || is_under_way(p->in, &s->in.cidr))
			continue;
		use_again(p, s, b);
		return true;
	}
	return false;
}

static bool pick_block(struct planning *p, const struct mirror_pool *pool, size_t dir,
	const struct block_taken *taken)
{
	const struct replica_item *doc = pool_document(p->in, &pool->pool.cidr);
	struct cidr block;
	if (!doc || !block_pick(&pool->pool, p->in->node, taken, &block))
		return false;
	add_claim(p, &block, dir, doc);
	return true;
}

/* Blocks that are not to be tried: conflicts of the last seconds and what is under way or planned. */
static size_t list_tried(const struct planning *p, struct cidr **out)
{
	size_t n = 0;
	struct cidr *tried = mem_new(p->in->pending->n + p->out->n_steps + 1, sizeof(*tried));
	for (size_t i = 0; i < p->in->pending->n; i++)
		if (p->in->pending->v[i].kind < PENDING_CONFIRMED)
			tried[n++] = p->in->pending->v[i].block;
	for (size_t i = 0; i < p->out->n_steps; i++)
		if (p->out->steps[i].verb == STEP_CLAIM)
			tried[n++] = p->out->steps[i].block;
	*out = tried;
	return n;
}

/* The first free block of the pools in their order. */
static bool pick_any(struct planning *p, const struct block_plan_ask *ask, size_t *usable)
{
	const struct mirror *m = p->in->mirror;
	const struct replica *r = p->in->replica;
	CLEANUP_FREE struct cidr *tried = NULL;
	struct block_taken taken = {
		.sorted = r->blocks, .n = r->n_blocks, .stride = sizeof(*r->blocks)};
	taken.n_tried = list_tried(p, &tried);
	taken.tried = tried;
	*usable = 0;
	for (size_t i = 0; i < m->n_pools; i++) {
		if (!m->pools[i].assigns || !may_use(ask, &m->pools[i].pool.cidr))
			continue;
		++*usable;
		if (pick_block(p, &m->pools[i], ask->dir, &taken))
			return true;
	}
	return false;
}

/* This node's blocks, and those it is about to have. */
static size_t count_blocks(const struct planning *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->in->states->n_blocks; i++)
		n += !p->in->states->blocks[i].in.loan;
	for (size_t i = 0; i < p->in->pending->n; i++) {
		const struct pending *k = &p->in->pending->v[i];
		bool claims = k->kind == PENDING_DONE || k->kind < PENDING_RETURN;
		n += claims && pool_of(p->in->mirror, &k->block) &&
		     !node_states_find(p->in->states, &k->block);
	}
	for (size_t i = 0; i < p->out->n_steps; i++) {
		const struct block_plan_step *s = &p->out->steps[i];
		n += (s->verb == STEP_CLAIM || s->verb == STEP_CONFIRM) &&
		     !node_states_find(p->in->states, &s->block);
	}
	return n;
}

static void claim_for(struct planning *p, const struct block_plan_ask *ask, char why[256])
{
	size_t usable;
	size_t blocks = count_blocks(p);
	const char *family = family_name(ask->family);
	const char *whom = ask->n_pools ? "this pod" : "this node";
	if (p->in->max_blocks && blocks >= p->in->max_blocks)
		(void)snprintf(why, 256, "this node has %zu blocks, and maxBlocksPerHost is %u",
			blocks, p->in->max_blocks);
	else if (pick_any(p, ask, &usable))
		return;
	else if (usable)
		(void)snprintf(why, 256, "every block of the %zu %s pool%s for %s is taken", usable,
			family, usable == 1 ? "" : "s", whom);
	else
		(void)snprintf(why, 256, "no enabled %s pool%s selects this node", family,
			ask->n_pools ? " that the pod may use" : "");
}

static void plan_claim(
	struct planning *p, const struct block_plan_ask *ask, uint64_t least, char why[256])
{
	if (!p->in->knows_loans)
		return; /* blocks that the store says are ours wait for that, too */
	if (free_for(p->in, ask) < least && !is_growing(p, ask) && !keep_draining(p, ask))
		claim_for(p, ask, why);
}

static bool has_pool(const struct mirror *m, enum family family)
{
	for (size_t i = 0; i < m->n_pools; i++)
		if (m->pools[i].assigns && family_of(m->pools[i].pool.cidr.addr.family) == family)
			return true;
	return false;
}

/* How many free addresses shall be there before somebody asks. A node that is cordoned still starts pods of
 * the machinery, and has to say that it can. */
static uint64_t wanted_free(const struct block_plan_input *in)
{
	return in->cordoned && in->headroom > 1 ? 1 : in->headroom;
}

/* Who waits comes first: there may be few blocks left, and the headroom takes of any pool. */
static void plan_claims(struct planning *p)
{
	const struct block_plan_input *in = p->in;
	struct block_plan_answer *answers = mem_new(in->n_asks + 1, sizeof(*answers));
	p->out->answers = answers;
	for (size_t i = 0; i < in->n_asks; i++) {
		answers[i].free = free_for(in, &in->asks[i]);
		plan_claim(p, &in->asks[i], 1, answers[i].why_not);
	}
	for (size_t dir = 0; dir < in->states->n_dirs; dir++)
		for (enum family family = IPV4; family < FAMILIES; family++)
			if (has_pool(in->mirror, family) && !*in->states->dirs[dir].trouble)
				plan_claim(p,
					&(struct block_plan_ask){.dir = dir, .family = family},
					wanted_free(in), p->out->why_not[family]);
}

/* ---- A store that lost documents ---- */

/* Its pool may be lost, too, and is not asked: the block is in use. */
static void plan_enter(struct planning *p, const struct node_states_block *s)
{
	struct block_plan_step *step = add_step(p, STEP_CONFIRM, &s->in.cidr, s->dir);
	step->doc = (struct block){.cidr = s->in.cidr, .state = BLOCK_OWNED};
	(void)text_copy(step->doc.node, sizeof(step->doc.node), p->in->node);
}

/* What this node's pods use is entered again before anybody can claim it; what an earlier state of
 * the store gives it, and it does not have, may be used by another node by now: it goes back. */
static void plan_restore(struct planning *p)
{
	const struct block_plan_input *in = p->in;
	for (size_t i = 0; i < in->states->n_blocks; i++) {
		const struct node_states_block *s = &in->states->blocks[i];
		bool used = s->in.used > 0 || s->in.cooling > 0 || s->in.quarantined > 0;
		if (used && !s->in.loan && !replica_block(in->replica, &s->in.cidr) &&
			!is_under_way(in, &s->in.cidr) && !is_tried(in, &s->in.cidr))
			plan_enter(p, s);
	}
	for (size_t i = 0; i < in->replica->n_blocks; i++) {
		const struct replica_block *b = &in->replica->blocks[i];
		if (is_ours(in, b) && !node_states_find(in->states, &b->cidr) &&
			!is_under_way(in, &b->cidr) && !is_tried(in, &b->cidr) && in->knows_loans &&
			!is_lent(in, &b->cidr))
			set_doc(add_step(p, STEP_RETURN, &b->cidr, 0), b);
	}
}

/* A limit that was lowered: nothing is taken away, so somebody has to know. */
static void judge_limit(struct planning *p)
{
	const struct node_states *states = p->in->states;
	size_t kept = 0;
	for (size_t i = 0; i < states->n_blocks; i++)
		kept += !states->blocks[i].in.draining && !states->blocks[i].in.disowned &&
			!states->blocks[i].in.loan;
	if (p->in->max_blocks && kept > p->in->max_blocks)
		problems_add(&p->out->problems,
			"this node has %zu blocks, and maxBlocksPerHost is %u: it keeps those that "
			"are "
			"in use and claims no further ones; raise it, or stop pods here",
			kept, p->in->max_blocks);
}

void block_plan_make(const struct block_plan_input *in, struct block_plan *out)
{
	*out = (struct block_plan){0};
	struct planning p = {.in = in, .out = out};
	if (in->only_restore) {
		plan_restore(&p);
		return;
	}
	for (size_t i = 0; i < in->replica->n_blocks; i++)
		if (is_ours(in, &in->replica->blocks[i]))
			plan_owned(&p, &in->replica->blocks[i]);
	plan_states(&p);
	plan_claims(&p);
	judge_limit(&p);
}

void block_plan_done(struct block_plan *p)
{
	free(p->steps);
	free(p->answers);
	*p = (struct block_plan){0};
}
