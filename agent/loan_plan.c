/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loans, compared. Of a loan of this node:
 *
 *	store              node state          step
 *	asked, a while ago any                 END: the lender does not live, or is of an earlier version
 *	refused            any                 END, and another address is asked for
 *	lent               none                TAKE when somebody waits still, else END
 *	used, quarantined  there, not written  TAKE: whoever was about to end it meets another document, or
 *	                    by this process     was faster
 *	used, quarantined  none, the same      END: nobody here uses it
 *	used               none                ADD
 *	used               no pod for a while  DRAIN, so that a loan goes back before a block does
 *	used               draining, withdrawn END
 *	none               in use              ASK for the same one
 *	none               else                DROP
 *
 * And of an address of a block of this node for which somebody asks: RESERVE, which refuses when it is not
 * free; when the reservation is on the disk, LEND. What is reserved stays so until the documents were read
 * afresh and none speaks of it. An agent that starts reads them before anything else [A3].
 *
 * Then each ADD that waits, and for which there is no block, gets a loan: the nodes that own blocks are asked
 * one after the other, in an order that is this node's own, and one that has not the address that was asked for says
 * which one it has. A node without any address of a family borrows one, so that it can start pods at all.
 */
#include "agent/loan_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/text.h"

#define ASKED_MAX 512 /* addresses of one block that are looked at: a node lends half as many */
#define UNUSED_S 10   /* a loan that no pod has goes back after so long */

/* A loan that somebody waits for. */
struct need {
	struct block_plan_ask ask;
	char *why_not; /* of its answer; NULL: nobody waits */
	bool met;
};

struct planning {
	const struct loan_plan_input *in;
	const struct block_plan_input *b;
	struct loan_plan *out;
	size_t room;
	struct need *needs;
	size_t n_needs;
};

static struct loan_plan_step *add_step(
	struct planning *p, enum loan_plan_verb verb, const struct loan *doc, size_t dir)
{
	struct loan_plan *out = p->out;
	out->steps = mem_grow(out->steps, &p->room, out->n_steps, sizeof(*out->steps));
	struct loan_plan_step *s = &out->steps[out->n_steps++];
	*s = (struct loan_plan_step){.verb = verb, .doc = *doc, .dir = dir};
	return s;
}

static bool is_under_way(const struct planning *p, const struct cidr *addr)
{
	return pending_find_step(p->b->pending, addr) != NULL;
}

/* A step ended, and the watch has not shown yet what became of it. doc NULL: there is none. */
static bool is_tried(const struct planning *p, const struct cidr *addr, const struct loan *doc)
{
	const struct pending *done = pending_find(p->b->pending, addr, PENDING_DONE);
	bool shown = done && done->revision && doc && doc->revision >= done->revision;
	return (done && !shown) || pending_find(p->b->pending, addr, PENDING_CONFLICT);
}

static bool is_busy(const struct planning *p, const struct cidr *addr, const struct loan *doc)
{
	return is_under_way(p, addr) || is_tried(p, addr, doc);
}

static bool is_own(const struct planning *p, const struct loan *l)
{
	return strcmp(l->borrower, p->b->node) == 0;
}

/* The owner of the block that has an address; NULL: there is none. */
static const struct replica_block *block_around(const struct replica *r, const struct addr *a)
{
	for (unsigned int len = 0; len <= addr_bits(a); len++) {
		struct cidr c = cidr_masked(a, (uint8_t)len);
		const struct replica_block *b = replica_block(r, &c);
		if (b)
			return b;
	}
	return NULL;
}

static bool is_owned_by_us(const struct planning *p, const struct replica_block *b)
{
	return b && b->node && b->state == BLOCK_OWNED && strcmp(b->node, p->b->node) == 0;
}

/* ---- Who waits ---- */

static bool has_any(const struct node_states *s, size_t dir, enum family f)
{
	for (size_t i = 0; i < s->n_blocks; i++)
		if (s->blocks[i].dir == dir && !s->blocks[i].in.disowned &&
			s->blocks[i].in.cidr.addr.family == family_af(f))
			return true;
	return false;
}

static void list_needs(struct planning *p, struct block_plan *blocks)
{
	const struct block_plan_input *b = p->b;
	p->needs = mem_new(b->n_asks + b->states->n_dirs * FAMILIES + 1, sizeof(*p->needs));
	for (size_t i = 0; blocks->answers && i < b->n_asks; i++)
		if (!blocks->answers[i].free && *blocks->answers[i].why_not)
			p->needs[p->n_needs++] =
				(struct need){b->asks[i], blocks->answers[i].why_not, false};
	for (size_t dir = 0; dir < b->states->n_dirs && !b->drain; dir++)
		for (enum family f = IPV4; f < FAMILIES; f++)
			if (*blocks->why_not[f] && !has_any(b->states, dir, f) &&
				!*b->states->dirs[dir].trouble)
				p->needs[p->n_needs++] =
					(struct need){{.dir = dir, .family = f}, NULL, false};
}

/* Somebody waits for this address: the first one that does, who waits no more. dir < 0: whatever folder. */
static struct need *meet_need(struct planning *p, const struct addr *a, int dir)
{
	for (size_t i = 0; i < p->n_needs; i++) {
		struct need *n = &p->needs[i];
		if (n->met || (dir >= 0 && n->ask.dir != (size_t)dir) ||
			!block_plan_suits(&n->ask, p->b->mirror, a))
			continue;
		n->met = true;
		if (n->why_not)
			*n->why_not = '\0';
		return n;
	}
	return NULL;
}

/* ---- The borrower ---- */

static size_t dir_of(const struct planning *p, const struct cidr *addr)
{
	const struct pending *at = pending_find(p->b->pending, addr, PENDING_ASKED);
	if (!at)
		at = pending_find(p->b->pending, addr, PENDING_HOME);
	return at && at->dir < p->b->states->n_dirs ? at->dir : 0;
}

/* Addresses of the folder's own blocks that can be given, cold: those too that cool down. */
static uint64_t own_addresses(const struct planning *p, size_t dir, uint8_t family, bool cold)
{
	const struct node_states *s = p->b->states;
	uint64_t sum = 0;
	for (size_t i = 0; i < s->n_blocks; i++) {
		const struct node_block *b = &s->blocks[i].in;
		if (s->blocks[i].dir == dir && b->cidr.addr.family == family && !b->loan &&
			!b->draining && !b->disowned)
			sum += b->free + (cold ? b->cooling : 0);
	}
	return sum;
}

static uint64_t own_free(const struct planning *p, size_t dir, uint8_t family)
{
	return own_addresses(p, dir, family, false);
}

/* Whether the folder has something else of the family. */
static bool has_others(const struct planning *p, const struct node_states_block *loan)
{
	const struct node_states *s = p->b->states;
	for (size_t i = 0; i < s->n_blocks; i++)
		if (&s->blocks[i] != loan && s->blocks[i].dir == loan->dir &&
			s->blocks[i].in.cidr.addr.family == loan->in.cidr.addr.family &&
			!s->blocks[i].in.disowned && !s->blocks[i].in.draining)
			return true;
	return false;
}

static bool is_superfluous(const struct planning *p, const struct node_states_block *s)
{
	if (s->empty_since_s < 0 || s->in.draining)
		return false;
	return p->b->drain || own_free(p, s->dir, s->in.cidr.addr.family) > 0 ||
	       (p->b->now_s - s->empty_since_s >= UNUSED_S && has_others(p, s));
}

/* Used by this node, as this very process has written. */
static void plan_confirmed(
	struct planning *p, const struct loan *doc, const struct node_states_block *s)
{
	if (!s || s->in.disowned) {
		size_t dir = s ? s->dir : dir_of(p, &doc->addr);
		(void)add_step(p, LOAN_STEP_ADD, doc, dir);
		(void)meet_need(p, &doc->addr.addr, (int)dir);
	} else if (s->in.draining &&
		   cidr_is_among(p->b->withdrawn, p->b->n_withdrawn, &doc->addr)) {
		(void)add_step(p, LOAN_STEP_END, doc, s->dir);
	} else if (is_superfluous(p, s)) {
		(void)add_step(p, LOAN_STEP_DRAIN, doc, s->dir);
	}
}

static void plan_used(struct planning *p, const struct loan *doc, const struct node_states_block *s)
{
	if (pending_find(p->b->pending, &doc->addr, PENDING_CONFIRMED))
		plan_confirmed(p, doc, s);
	else if (s && s->in.draining &&
		 cidr_is_among(p->b->withdrawn, p->b->n_withdrawn, &doc->addr))
		(void)add_step(p, LOAN_STEP_END, doc, s->dir);
	else if (s && !s->in.draining)
		(void)add_step(p, LOAN_STEP_TAKE, doc, s->dir);
	else if (!s)
		(void)add_step(p, LOAN_STEP_END, doc, 0);
}

static void plan_lent(struct planning *p, const struct loan *doc, const struct node_states_block *s)
{
	const struct pending *asked = pending_find(p->b->pending, &doc->addr, PENDING_ASKED);
	struct need *n = s ? NULL : meet_need(p, &doc->addr.addr, asked ? (int)asked->dir : -1);
	if (s && !s->in.draining)
		(void)add_step(p, LOAN_STEP_TAKE, doc, s->dir);
	else if (n && p->in->lends)
		(void)add_step(p, LOAN_STEP_TAKE, doc, n->ask.dir);
	else
		(void)add_step(p, LOAN_STEP_END, doc, 0);
}

static void add_ask(
	struct planning *p, const struct cidr *addr, const struct replica_block *of, size_t dir)
{
	struct loan l = {.addr = *addr, .state = LOAN_ASKED};
	(void)text_copy(l.borrower, sizeof(l.borrower), p->b->node);
	(void)text_copy(l.lender, sizeof(l.lender), of->node);
	add_step(p, LOAN_STEP_ASK, &l, dir)->block = of->cidr;
}

/* The lender may have named another one of its addresses. */
static void plan_refused(struct planning *p, const struct loan *doc, const struct pending *asked)
{
	struct cidr instead = cidr_of_host(&doc->instead);
	const struct replica_block *of =
		doc->instead.family ? block_around(p->b->replica, &doc->instead) : NULL;
	bool names = of && of->node && strcmp(of->node, doc->lender) == 0 && p->in->lends &&
		     !replica_loan(p->b->replica, &instead, p->b->node) &&
		     !node_states_find(p->b->states, &instead) && !is_busy(p, &instead, NULL);
	const struct need *n =
		names ? meet_need(p, &doc->instead, asked ? (int)asked->dir : -1) : NULL;
	add_step(p, LOAN_STEP_END, doc, 0)->in_vain = !n;
	if (n)
		add_ask(p, &instead, of, n->ask.dir);
}

static void plan_own_loan(struct planning *p, const struct loan *doc)
{
	const struct node_states_block *s = node_states_find(p->b->states, &doc->addr);
	const struct pending *asked = pending_find(p->b->pending, &doc->addr, PENDING_ASKED);
	s = s && s->in.loan ? s : NULL;
	if (is_busy(p, &doc->addr, doc)) {
		if (asked)
			(void)meet_need(p, &doc->addr.addr, (int)asked->dir);
		return;
	}
	switch (doc->state) {
	case LOAN_ASKED:
		if (asked)
			(void)meet_need(p, &doc->addr.addr, (int)asked->dir);
		else
			add_step(p, LOAN_STEP_END, doc, 0)->in_vain = true;
		break;
	case LOAN_REFUSED:
		plan_refused(p, doc, asked);
		break;
	case LOAN_LENT:
		plan_lent(p, doc, s);
		break;
	case LOAN_USED:
		plan_used(p, doc, s);
		break;
	case LOAN_QUARANTINED:
		if (*doc->lender)
			(void)add_step(p, s ? LOAN_STEP_TAKE : LOAN_STEP_END, doc, s ? s->dir : 0);
		break;
	}
}

/* A loan of the node state that the store does not have. */
static void plan_lost(struct planning *p, const struct node_states_block *s)
{
	const struct replica_block *of = block_around(p->b->replica, &s->in.cidr.addr);
	const struct loan none = {.addr = s->in.cidr};
	if (s->in.draining || (!s->in.used && !s->in.quarantined)) {
		(void)add_step(p, LOAN_STEP_DROP, &none, s->dir);
		return;
	}
	problems_add_as(&p->out->problems, CIDR_STRING(&s->in.cidr),
		"address %s is used here, but the store has no loan of it any more%s%.64s",
		ADDR_STRING(&s->in.cidr.addr),
		of && of->node ? ": asking for it again at node " : "",
		of && of->node ? of->node : "");
	if (of && of->node && of->state == BLOCK_OWNED && !is_owned_by_us(p, of) &&
		!is_tried(p, &s->in.cidr, NULL))
		add_ask(p, &s->in.cidr, of, s->dir);
}

static void plan_borrowed(struct planning *p)
{
	const struct replica *r = p->b->replica;
	for (size_t i = 0; i < r->n_loans; i++)
		if (is_own(p, &r->loans[i].doc))
			plan_own_loan(p, &r->loans[i].doc);
	for (size_t i = 0; i < p->b->states->n_blocks; i++) {
		const struct node_states_block *s = &p->b->states->blocks[i];
		if (s->in.loan && !replica_loan(r, &s->in.cidr, p->b->node) &&
			!is_under_way(p, &s->in.cidr))
			plan_lost(p, s);
	}
	for (size_t i = 0; i < p->b->pending->n; i++) { /* the watch has not shown them yet */
		const struct pending *n = &p->b->pending->v[i];
		if (n->kind == PENDING_ASKED && !replica_loan(r, &n->block, p->b->node))
			(void)meet_need(p, &n->block.addr, (int)n->dir);
	}
}

/* ---- Whom to ask ---- */

static bool overlaps_states(const struct node_states *s, const struct cidr *block)
{
	for (size_t i = 0; i < s->n_blocks; i++)
		if (!s->blocks[i].in.loan && cidr_overlaps(&s->blocks[i].in.cidr, block))
			return true;
	return false;
}

/* Its node has not answered, or just said no. */
static bool is_in_vain(const struct planning *p, const struct cidr *block)
{
	const struct replica *r = p->b->replica;
	if (pending_find(p->b->pending, block, PENDING_REFUSED))
		return true;
	for (size_t i = 0; i < r->n_loans; i++) {
		const struct loan *l = &r->loans[i].doc;
		if (is_own(p, l) && cidr_contains(block, &l->addr.addr) &&
			(l->state == LOAN_REFUSED ||
				(l->state == LOAN_ASKED &&
					!pending_find(p->b->pending, &l->addr, PENDING_ASKED))))
			return true;
	}
	return false;
}

/* Whether the block's node is to be asked. */
static bool is_candidate(
	const struct planning *p, const struct replica_block *b, const struct block_plan_ask *ask)
{
	return b->node && b->state == BLOCK_OWNED && strcmp(b->node, p->b->node) != 0 &&
	       b->cidr.len < addr_bits(&b->cidr.addr) &&
	       block_plan_suits(ask, p->b->mirror, &b->cidr.addr) && !is_in_vain(p, &b->cidr) &&
	       !overlaps_states(p->b->states, &b->cidr);
}

static uint64_t hash_number(const char *text)
{
	struct hash h = hash_of(text, strlen(text));
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | h.bytes[i];
	return v;
}

/* Not one that is asked for already: of this plan, or as the store or a step says. */
static bool is_asked(const struct planning *p, const struct cidr *addr)
{
	if (replica_loan(p->b->replica, addr, p->b->node) || is_busy(p, addr, NULL) ||
		node_states_find(p->b->states, addr) ||
		pending_find(p->b->pending, addr, PENDING_ASKED))
		return true;
	for (size_t i = 0; i < p->out->n_steps; i++)
		if (p->out->steps[i].verb == LOAN_STEP_ASK &&
			cidr_equal(&p->out->steps[i].doc.addr, addr))
			return true;
	return false;
}

/* Any address of a block: its node says which one is free. */
static bool ask_in_block(
	struct planning *p, const struct replica_block *b, const struct block_plan_ask *ask)
{
	uint64_t size = pool_block_size(&b->cidr);
	uint64_t at = hash_number(p->b->node) % size;
	for (uint64_t i = 0; i < size && i < ASKED_MAX; i++) {
		struct addr a = addr_plus(&b->cidr.addr, (at + i) % size);
		struct cidr c = cidr_of_host(&a);
		if (is_asked(p, &c))
			continue;
		add_ask(p, &c, b, ask->dir);
		return true;
	}
	return false;
}

static bool ask_anybody(struct planning *p, const struct block_plan_ask *ask)
{
	const struct replica *r = p->b->replica;
	size_t start = r->n_blocks ? hash_number(p->b->node) % r->n_blocks : 0;
	for (size_t i = 0; i < r->n_blocks; i++) {
		const struct replica_block *b = &r->blocks[(start + i) % r->n_blocks];
		if (is_candidate(p, b, ask) && ask_in_block(p, b, ask))
			return true;
	}
	return false;
}

static void plan_asks(struct planning *p)
{
	for (size_t i = 0; i < p->n_needs; i++) {
		struct need *n = &p->needs[i];
		if (n->met)
			continue;
		if (p->in->lends && ask_anybody(p, &n->ask)) {
			if (n->why_not)
				*n->why_not = '\0';
		} else if (n->why_not && p->in->lends) {
			struct text t = {.buf = n->why_not, .size = 256, .len = strlen(n->why_not)};
			text_add(&t, ", and no node lends an address");
		}
	}
}

/* ---- The lender ---- */

static const struct loan_reserved *find_reserved(const struct planning *p, const struct cidr *addr)
{
	for (size_t i = 0; i < p->in->n_reserved; i++)
		if (cidr_equal(&p->in->reserved[i].addr, addr))
			return &p->in->reserved[i];
	return NULL;
}

static const struct node_states_block *own_block_around(
	const struct planning *p, const struct addr *a)
{
	for (size_t i = 0; i < p->b->states->n_blocks; i++) {
		const struct node_states_block *s = &p->b->states->blocks[i];
		if (!s->in.loan && cidr_contains(&s->in.cidr, a))
			return s;
	}
	return NULL;
}

/* Whether the block may go as a whole: it has nothing but addresses that are free or cool down, and the others
 * have what the node wants. */
static bool gives_way(const struct planning *p, const struct node_states_block *s)
{
	uint64_t all = own_free(p, s->dir, s->in.cidr.addr.family);
	uint64_t cold = own_addresses(p, s->dir, s->in.cidr.addr.family, true);
	return s->in.used == 0 && s->in.quarantined == 0 && all >= s->in.free &&
	       all - s->in.free >= p->b->headroom && cold > s->in.free + s->in.cooling;
}

static bool may_lend(const struct planning *p, const struct node_states_block *s)
{
	const struct replica_block *b = replica_block(p->b->replica, &s->in.cidr);
	return p->in->lends && !s->in.draining && !s->in.disowned && is_owned_by_us(p, b) &&
	       pending_find(p->b->pending, &s->in.cidr, PENDING_CONFIRMED) &&
	       !is_under_way(p, &s->in.cidr);
}

static void plan_asked_for(struct planning *p, const struct loan *doc)
{
	const struct loan_reserved *kept = find_reserved(p, &doc->addr);
	const struct node_states_block *s = own_block_around(p, &doc->addr.addr);
	if (kept && kept->revision == doc->revision) {
		if (cidr_is_among(p->in->saved, p->in->n_saved, &doc->addr))
			(void)add_step(p, LOAN_STEP_LEND, doc, 0);
		return;
	}
	bool lends = s && may_lend(p, s);
	if (lends && gives_way(p, s)) {
		add_step(p, LOAN_STEP_GIVE_WAY, doc, s->dir)->block = s->in.cidr;
		return; /* which answers */
	}
	if (s && s->in.draining)
		return; /* the same */
	/* The last address is its own; of a block without pods all may go. */
	bool spares = lends && (own_free(p, s->dir, s->in.cidr.addr.family) > 1 ||
				       s->in.used == s->in.lent || p->b->drain);
	struct loan_plan_step *step = add_step(p, LOAN_STEP_RESERVE, doc, s ? s->dir : 0);
	if (spares)
		step->block = s->in.cidr;
	step->cold = spares && s->in.used == s->in.lent;
}

static bool is_told(const struct planning *p, const struct cidr *addr)
{
	const struct replica *r = p->b->replica;
	for (size_t i = 0; i < r->n_loans; i++)
		if (cidr_equal(&r->loans[i].doc.addr, addr))
			return true;
	return false;
}

static bool is_read(const struct planning *p, const struct cidr *addr)
{
	for (size_t i = 0; i < p->in->reading->n_docs; i++)
		if (cidr_equal(&p->in->reading->docs[i].addr, addr))
			return true;
	return false;
}

/* A reading that began before the document went has it still: then the next one is wanted. */
static void plan_reserved(struct planning *p)
{
	bool read = p->in->reading->state == LOAN_READ_DONE;
	bool wants = !p->b->knows_loans;
	for (size_t i = 0; i < p->in->n_reserved; i++) {
		const struct loan doc = {.addr = p->in->reserved[i].addr};
		if (is_busy(p, &doc.addr, NULL) || is_told(p, &doc.addr))
			continue;
		if (read && p->b->knows_loans && !is_read(p, &doc.addr))
			(void)add_step(p, LOAN_STEP_UNRESERVE, &doc, 0);
		else
			wants = true;
	}
	if (wants && p->in->reading->state != LOAN_READ_UNDER_WAY)
		(void)add_step(p, LOAN_STEP_READ, &(struct loan){0}, 0);
}

static void plan_lending(struct planning *p)
{
	const struct replica *r = p->b->replica;
	plan_reserved(p);
	for (size_t i = 0; i < r->n_loans && p->b->knows_loans; i++) {
		const struct loan *l = &r->loans[i].doc;
		if (l->state == LOAN_ASKED && strcmp(l->lender, p->b->node) == 0 &&
			!is_busy(p, &l->addr, l))
			plan_asked_for(p, l);
	}
}

/* ---- A store that lost documents ---- */

static void plan_restore(struct planning *p)
{
	const struct replica *r = p->b->replica;
	for (size_t i = 0; i < p->b->states->n_blocks; i++) {
		const struct node_states_block *s = &p->b->states->blocks[i];
		const struct replica_block *of = block_around(r, &s->in.cidr.addr);
		struct loan l = {.addr = s->in.cidr, .state = LOAN_USED};
		if (!s->in.loan || !(s->in.used || s->in.quarantined) || !of || !of->node ||
			replica_loan(r, &s->in.cidr, p->b->node) || is_busy(p, &s->in.cidr, NULL))
			continue;
		(void)text_copy(l.borrower, sizeof(l.borrower), p->b->node);
		(void)text_copy(l.lender, sizeof(l.lender), of->node);
		(void)add_step(p, LOAN_STEP_TAKE, &l, s->dir);
	}
	if (!p->b->knows_loans && p->in->reading->state != LOAN_READ_UNDER_WAY)
		(void)add_step(p, LOAN_STEP_READ, &(struct loan){0}, 0);
}

void loan_plan_make(
	const struct loan_plan_input *in, struct block_plan *answers, struct loan_plan *out)
{
	*out = (struct loan_plan){0};
	struct planning p = {.in = in, .b = in->blocks, .out = out};
	if (in->blocks->only_restore) {
		plan_restore(&p);
		return;
	}
	list_needs(&p, answers);
	plan_borrowed(&p);
	plan_asks(&p);
	plan_lending(&p);
	free(p.needs);
}

void loan_plan_done(struct loan_plan *p)
{
	free(p->steps);
	*p = (struct loan_plan){0};
}
