/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a loan plan, each on its own safe against a crash right after it, as those of blocks are.
 * The lender keeps an address from its pods before it says lent: in the node state, in the file that survives
 * a reboot, and only then in the store [L2]. The borrower writes the document anew before it uses the
 * address [L3], and ends it when no packet for it comes any more [L4]. What is reserved stays so until the
 * documents were read afresh and none speaks of it [L5]; the same reading comes first when an agent starts [A3].
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "cluster/keys.h"
#include "cluster/loan_txn.h"
#include "ipam/node_cluster.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define WRITE_MS 5000
#define ANSWER_S 3   /* a lender that lives answers sooner */
#define IN_VAIN_S 15 /* one that did not, or had nothing, is not asked again before */

void know_reserved(struct agent *a)
{
	const struct mirror *m = &a->known.mirror;
	for (size_t i = 0; i < m->n_lent; i++)
		a->lending.reserved[a->lending.n_reserved++] =
			(struct loan_reserved){.addr = m->lent[i]};
}

static int compare_reserved(const void *a, const void *b)
{
	const struct loan_reserved *x = a, *y = b;
	return cidr_compare(&x->addr, &y->addr);
}

size_t list_reserved(const struct agent *a, struct cidr out[MIRROR_LENT])
{
	for (size_t i = 0; i < a->lending.n_reserved; i++)
		out[i] = a->lending.reserved[i].addr;
	return a->lending.n_reserved;
}

static bool is_reserved(const struct agent_lending *l, const struct cidr *addr)
{
	for (size_t i = 0; i < l->n_reserved; i++)
		if (cidr_equal(&l->reserved[i].addr, addr))
			return true;
	return false;
}

/* More than MIRROR_LENT cannot come: node_lend() counts, too. */
static void reserve(struct agent_lending *l, const struct cidr *addr, int64_t revision)
{
	if (is_reserved(l, addr) || l->n_reserved == MIRROR_LENT)
		return;
	l->reserved[l->n_reserved++] = (struct loan_reserved){*addr, revision};
	qsort(l->reserved, l->n_reserved, sizeof(l->reserved[0]), compare_reserved);
}

static void unreserve(struct agent_lending *l, const struct cidr *addr)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n_reserved; i++)
		if (!cidr_equal(&l->reserved[i].addr, addr))
			l->reserved[kept++] = l->reserved[i];
	l->n_reserved = kept;
}

/* ---- The documents, read afresh ---- */

static void add_reading(struct loan_reading *r, const struct store_event *ev)
{
	struct loan l = {.state = LOAN_QUARANTINED};
	struct err ignored; /* the replica says it */
	if (!keys_parse_loan(ev->key, l.borrower, &l.addr))
		return;
	if (ev->value)
		(void)loan_parse(ev->key, ev->value, ev->revision, &l, &ignored);
	r->docs = mem_grow(r->docs, &r->room, r->n_docs, sizeof(*r->docs));
	r->docs[r->n_docs++] = l;
}

/* [A3] What an earlier process may have lent, or may still be about to, as its writes may be carried out late.
 * One that nobody can read may be ours, too. */
static void learn_reserved(struct agent *a)
{
	struct agent_lending *l = &a->lending;
	for (int asked = 0; asked < 2; asked++) /* there is room for all that were lent */
		for (size_t i = 0; i < l->reading.n_docs; i++) {
			const struct loan *doc = &l->reading.docs[i];
			bool ours = !*doc->lender || strcmp(doc->lender, a->conf.node) == 0;
			if (ours && doc->state != LOAN_REFUSED &&
				(doc->state == LOAN_ASKED) == (asked == 1))
				reserve(l, &doc->addr, 0);
		}
	l->knows = true;
}

bool end_loan_reading(struct agent *a, const struct store_event *ev)
{
	struct loan_reading *r = &a->lending.reading;
	if (r->state != LOAN_READ_UNDER_WAY || ev->id != a->lending.read_id)
		return false;
	if (ev->kind == STORE_RESTART) {
		r->n_docs = 0;
	} else if (ev->kind == STORE_PUT) {
		add_reading(r, ev);
	} else if (ev->kind == STORE_CURRENT) {
		r->state = LOAN_READ_DONE;
		if (!a->lending.knows)
			learn_reserved(a);
	} else if (ev->kind == STORE_FAILED) {
		r->state = LOAN_READ_NOT;
	}
	return true;
}

static void start_reading(struct agent *a)
{
	a->lending.reading.n_docs = 0;
	a->lending.reading.state = LOAN_READ_UNDER_WAY;
	a->lending.read_id = store_start_list(a->store, KEYS_LOANS);
}

/* ---- Writes ---- */

static int64_t in_s(int64_t seconds)
{
	return boot_now_ms() / 1000 + seconds;
}

static void note(
	struct agent *a, enum pending_kind kind, const struct cidr *c, size_t dir, int64_t until_s)
{
	pending_add(&a->pending,
		&(struct pending){.block = *c, .dir = dir, .kind = kind, .until_s = until_s});
}

static void start_write(struct agent *a, const struct loan_plan_step *s, enum loan_state state)
{
	struct loan_txn t;
	struct loan doc = s->doc;
	struct pending p = {.block = s->doc.addr,
		.dir = s->dir,
		.kind = PENDING_LOAN,
		.uses = state == LOAN_USED,
		.revision = 1}; /* it has one then */
	doc.state = state;
	if (!loan_txn_put(&t, &doc)) {
		problems_add_as(&a->problems, "loans",
			"the name of this node is too long to borrow an address");
		return;
	}
	p.id = store_start_write(a->store, &t.write, WRITE_MS);
	pending_add(&a->pending, &p);
}

static void start_ask(struct agent *a, const struct loan_plan_step *s)
{
	log_info("asking node %s for address %s", s->doc.lender, ADDR_STRING(&s->doc.addr.addr));
	note(a, PENDING_ASKED, &s->doc.addr, s->dir, in_s(ANSWER_S));
	start_write(a, s, LOAN_ASKED);
}

static void start_take(struct agent *a, const struct loan_plan_step *s)
{
	if (!pending_find(&a->pending, &s->doc.addr, PENDING_ASKED))
		note(a, PENDING_ASKED, &s->doc.addr, s->dir, in_s(ANSWER_S));
	start_write(a, s, LOAN_USED);
}

static void start_end(struct agent *a, const struct loan_plan_step *s)
{
	struct loan_txn t;
	const struct loan *doc = &s->doc;
	pending_forget(&a->pending, &doc->addr); /* it is not this node's any more */
	if (doc->state == LOAN_USED)
		log_info("giving address %s back to node %s", ADDR_STRING(&doc->addr.addr),
			doc->lender);
	for (size_t i = 0; s->in_vain && i < a->replica.n_blocks; i++)
		if (cidr_contains(&a->replica.blocks[i].cidr, &doc->addr.addr))
			note(a, PENDING_REFUSED, &a->replica.blocks[i].cidr, 0, in_s(IN_VAIN_S));
	loan_txn_end(&t, doc);
	pending_add(&a->pending, &(struct pending){.block = doc->addr,
					 .kind = PENDING_LOAN,
					 .id = store_start_write(a->store, &t.write, WRITE_MS)});
}

/* ---- Changes of node states ---- */

static int drain_cold(struct node *n, const struct cidr *block, struct err *e)
{
	return node_drain_block(n, block, true, e);
}

/* 1: the address is kept from pods; 0: the answer is no. */
static int take_reserve(struct agent *a, const struct loan_plan_step *s)
{
	struct loan_plan_step no = *s;
	struct err e;
	int r = 0;
	no.doc.instead = (struct addr){0};
	if (s->block.len)
		r = node_states_lend(
			&a->states, s->dir, &s->doc.addr.addr, s->cold, &no.doc.instead, &e);
	if (r < 0) {
		problems_add_as(&a->problems, "loans", "address %s cannot be lent: %s",
			ADDR_STRING(&s->doc.addr.addr), e.text);
		return 0;
	}
	if (r == 1)
		reserve(&a->lending, &s->doc.addr, s->doc.revision);
	else
		start_write(a, &no, LOAN_REFUSED);
	return r;
}

static const struct {
	node_states_change_fn *change;
	const char *text;
} changes[] = {
	[LOAN_STEP_ADD] = {node_add_loan, "is used from now on, on loan"},
	[LOAN_STEP_DRAIN] = {drain_cold, "is used by no pod and will be given back"},
	[LOAN_STEP_DROP] = {node_drop_block, "is not on loan any more"},
	[LOAN_STEP_GIVE_WAY] = {drain_cold,
		"has no pods, and another node waits: it is given back"},
};

static int take_change(struct agent *a, const struct loan_plan_step *s)
{
	const struct cidr *c = s->verb == LOAN_STEP_GIVE_WAY ? &s->block : &s->doc.addr;
	struct err e;
	int r = node_states_change(&a->states, s->dir, changes[s->verb].change, c, &e);
	if (r == -EBUSY)
		return 0; /* a pod was faster */
	if (r < 0) {
		problems_add_as(&a->problems, CIDR_STRING(c), "%s: %s", CIDR_STRING(c), e.text);
		return 0;
	}
	log_info("%s %s", CIDR_STRING(c), changes[s->verb].text);
	if (s->verb == LOAN_STEP_DROP)
		pending_forget(&a->pending, c);
	else if (s->verb == LOAN_STEP_ADD)
		pending_settle(&a->pending, c);
	return 1;
}

/* ---- All steps ---- */

static bool is_in_store(enum loan_plan_verb v)
{
	return v == LOAN_STEP_ASK || v == LOAN_STEP_TAKE || v == LOAN_STEP_END ||
	       v == LOAN_STEP_LEND;
}

static void start_step(struct agent *a, const struct loan_plan_step *s)
{
	if (s->verb == LOAN_STEP_ASK) {
		start_ask(a, s);
	} else if (s->verb == LOAN_STEP_TAKE) {
		start_take(a, s);
	} else if (s->verb == LOAN_STEP_END) {
		start_end(a, s);
	} else {
		log_info("lending address %s to node %s", ADDR_STRING(&s->doc.addr.addr),
			s->doc.borrower);
		start_write(a, s, LOAN_LENT);
	}
}

static int take_step(struct agent *a, const struct loan_plan_step *s)
{
	switch (s->verb) {
	case LOAN_STEP_READ:
		start_reading(a);
		return 0;
	case LOAN_STEP_RESERVE:
		return take_reserve(a, s);
	case LOAN_STEP_UNRESERVE:
		log_info("address %s is lent no more", ADDR_STRING(&s->doc.addr.addr));
		unreserve(&a->lending, &s->doc.addr);
		return 1;
	default:
		return take_change(a, s);
	}
}

/* What is about to be used stands in the file first. */
static int save_added(struct agent *a, const struct loan_plan *p, const struct mirror *m)
{
	struct agent_adding adding = {.v = mem_new(p->n_steps + 1, sizeof(*adding.v))};
	struct err e;
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].verb == LOAN_STEP_ADD)
			adding.v[adding.n++] =
				(struct agent_addition){p->steps[i].doc.addr, p->steps[i].dir};
	int r = adding.n ? save_last_known(a, m, &adding, &e) : 0;
	free(adding.v);
	if (r < 0)
		(void)text_copy(a->disk_trouble, sizeof(a->disk_trouble), e.text);
	return r;
}

int apply_loan_plan(struct agent *a, const struct loan_plan *p, const struct mirror *m)
{
	int changed = 0;
	bool rests = *a->commit_trouble && boot_now_ms() < a->commit_retry_at;
	struct loan_reading *reading = &a->lending.reading;
	bool consumed = reading->state == LOAN_READ_DONE;
	int saved = save_added(a, p, m);
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct loan_plan_step *s = &p->steps[i];
		if (saved < 0 && s->verb == LOAN_STEP_ADD)
			continue; /* a reboot would believe the old file */
		if (!is_in_store(s->verb))
			changed |= take_step(a, s);
		else if (!rests)
			start_step(a, s);
	}
	if (consumed && reading->state == LOAN_READ_DONE)
		reading->state = LOAN_READ_NOT;
	return changed;
}
