/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a block plan, each on its own safe against a crash right after it: changes of the
 * node state are transactions there, changes of ownership are writes of the block's document, and what
 * must survive a reboot is on the disk before a new block is used. Writes end later; until then
 * a->pending says that they are under way.
 *
 * A claim has three of them: the document is made, pending [C2], the pools are read afresh [C3], and the
 * document says owned, or goes again [C4]. Whoever wants the pool gone disables it before he counts its
 * blocks, pending ones among them: as both write before they read, one of them sees the other. What a
 * crash leaves is a pending block, with which the next agent goes on at C3.
 *
 * An agent that starts has said so in its status [A1]; then it writes the document of each of its
 * blocks anew [A2], comparing: so a removal of this node that was under way meets another revision
 * and leaves the block alone, or came first, and the block is not used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "cluster/block_txn.h"
#include "cluster/keys.h"
#include "cluster/pools.h"
#include "ipam/node_cluster.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define WRITE_MS 5000
#define CONFLICT_S 10	  /* a block that somebody took is not tried again before */
#define RETRY_MS 2000	  /* a store that takes no changes is asked again after so long */
#define LOAN_CONFLICT_S 1 /* the other node has written */
#define DONE_S 5	  /* the watch is expected to show what was done by then */

static void forget_trouble(struct agent *a)
{
	a->commit_trouble[0] = '\0';
	a->trouble_of_block = false;
	agent_want_reconcile(a, AGENT_AT_ONCE);
}

static uint64_t start_write(struct agent *a, const struct block_txn *t)
{
	return store_start_write(a->store, &t->write, WRITE_MS);
}

/* [C3] */
static void start_check(struct agent *a, struct pending *p)
{
	char prefix[STORE_KEY_MAX];
	keys_resource(RESOURCE_IPPOOL, "", prefix);
	p->kind = PENDING_CHECK;
	p->pools = mem_new(1, sizeof(*p->pools));
	p->id = store_start_list(a->store, prefix);
}

/* [C4] The block is confirmed, or goes back; why: NULL, or what stands against it. */
static void end_check(struct agent *a, struct pending *p, const char *why)
{
	struct block_txn t;
	struct block b = {.cidr = p->block, .state = BLOCK_PENDING, .revision = p->revision};
	(void)text_copy(b.node, sizeof(b.node), a->conf.node);
	if (!why) {
		p->kind = PENDING_CONFIRM;
		block_txn_confirm(&t, &b);
	} else {
		log_info("block %s of pool %s is not taken: %s", CIDR_STRING(&p->block), p->pool,
			why);
		p->kind = PENDING_RETURN;
		block_txn_return(&t, &b);
	}
	p->id = start_write(a, &t);
}

/* A pool that another one overlaps counts, but blocks of that one may be there: it was the only one once, or
 * for a moment. Whoever claimed of it wrote its block before it read the pools, so it is seen here. */
static void judge_pools(struct agent *a, struct pending *p)
{
	bool meets;
	bool gives = pools_read_give(p->pools, p->pool, &p->block, &meets);
	pending_free_pools(p);
	if (!gives || !meets) {
		end_check(a, p, gives ? NULL : "the pool does not give it any more");
		return;
	}
	p->kind = PENDING_CHECK_BLOCKS;
	p->met = false;
	p->id = store_start_list(a->store, KEYS_BLOCKS);
}

/* An event of a list. true: it is over. */
static bool take_pools(struct agent *a, struct pending *p, const struct store_event *ev)
{
	if (ev->kind == STORE_RESTART)
		pools_read_done(p->pools);
	else if (ev->kind == STORE_PUT)
		pools_read_add(p->pools, ev->value);
	else if (ev->kind == STORE_CURRENT)
		judge_pools(a, p);
	return ev->kind == STORE_CURRENT;
}

static bool take_blocks(struct agent *a, struct pending *p, const struct store_event *ev)
{
	struct cidr c;
	if (ev->kind == STORE_RESTART)
		p->met = false;
	else if (ev->kind == STORE_PUT && keys_parse_block(ev->key, &c))
		p->met |= cidr_overlaps(&c, &p->block) && !cidr_equal(&c, &p->block);
	else if (ev->kind == STORE_CURRENT)
		end_check(a, p, p->met ? "a block of another pool has its addresses" : NULL);
	return ev->kind == STORE_CURRENT;
}

static void end_step(struct agent *a, struct pending *p, const struct store_event *ev)
{
	const struct pending confirmed = {.block = p->block, .kind = PENDING_CONFIRMED};
	bool done = ev->kind == STORE_DONE;
	bool is_loan = p->kind == PENDING_LOAN;
	bool ours = done && (p->kind == PENDING_CONFIRM || p->uses);
	p->revision = ours || (done && is_loan && p->revision) ? ev->revision : 0;
	p->uses = false;
	p->kind = done ? PENDING_DONE : PENDING_CONFLICT;
	p->until_s = boot_now_ms() / 1000 + (done	      ? DONE_S
						    : is_loan ? LOAN_CONFLICT_S
							      : CONFLICT_S);
	if (ours && !pending_find(&a->pending, &confirmed.block, PENDING_CONFIRMED))
		pending_add(&a->pending, &confirmed); /* p may have moved */
}

bool end_block_step(struct agent *a, const struct store_event *ev)
{
	struct pending *p = pending_find_step_of(&a->pending, ev->id);
	if (!p)
		return false;
	if (p->kind == PENDING_CHECK && ev->kind != STORE_FAILED)
		return take_pools(a, p, ev);
	if (p->kind == PENDING_CHECK_BLOCKS && ev->kind != STORE_FAILED)
		return take_blocks(a, p, ev);
	bool done = ev->kind == STORE_DONE;
	log_debug("block %s: %s", CIDR_STRING(&p->block),
		done			   ? "written"
		: ev->kind == STORE_FAILED ? ev->what
					   : "conflict");
	pending_free_pools(p);
	if (p->kind == PENDING_CLAIM && done) {
		p->revision = ev->revision;
		start_check(a, p);
	} else {
		end_step(a, p, ev);
	}
	return true;
}

/* A store that is full can still be read, so nothing else tells of it. Heartbeats are tried again
 * every second and so find out when it is over; but a small document may fit where a block does
 * not, so what a block met stands until one succeeds, or none is wanted any more. */
void note_commit(struct agent *a, const struct store_event *ev)
{
	if (ev->kind != STORE_DONE && ev->kind != STORE_FAILED)
		return;
	bool of_block = pending_find_step_of(&a->pending, ev->id) != NULL;
	if (ev->kind == STORE_DONE) {
		if (*a->commit_trouble && (of_block || !a->trouble_of_block))
			forget_trouble(a);
		return;
	}
	bool is_outage = ev->error == -ETIMEDOUT || ev->error == -ECONNREFUSED ||
			 store_trouble(a->store, NULL);
	if (!of_block && (a->trouble_of_block || is_outage))
		return; /* the store itself tells of that */
	a->trouble_of_block = of_block;
	a->commit_failed_ms = boot_now_ms();
	a->commit_retry_at = a->commit_failed_ms + RETRY_MS;
	if (strcmp(a->commit_trouble, ev->what) == 0)
		return;
	(void)text_copy(a->commit_trouble, sizeof(a->commit_trouble), ev->what);
	agent_want_reconcile(a, AGENT_AT_ONCE);
}

static void start_claim(struct agent *a, const struct block_plan_step *s, struct pending *p)
{
	struct block_txn t;
	if (!a->trouble_of_block) /* else it is the same every few seconds */
		log_info("claiming block %s of pool %s", CIDR_STRING(&s->block), s->pool);
	p->kind = PENDING_CLAIM;
	block_txn_claim(&t, &s->block, a->conf.node);
	p->id = start_write(a, &t);
}

static void start_confirm(struct agent *a, const struct block_plan_step *s, struct pending *p)
{
	struct block_txn t;
	if (s->doc.state == BLOCK_PENDING) {
		p->revision = s->doc.revision;
		start_check(a, p);
		return;
	}
	if (s->doc.state == BLOCK_QUARANTINED)
		log_warning("taking block %s back, which was quarantined", CIDR_STRING(&s->block));
	p->kind = PENDING_CONFIRM;
	block_txn_confirm(&t, &s->doc);
	p->id = start_write(a, &t);
}

static void start_return(struct agent *a, const struct block_plan_step *s, struct pending *p)
{
	struct block_txn t;
	log_info("giving block %s back", CIDR_STRING(&s->block));
	pending_forget(&a->pending, &s->block); /* it is not confirmed any more */
	p->kind = PENDING_RETURN;
	block_txn_return(&t, &s->doc);
	p->id = start_write(a, &t);
}

static void start_step(struct agent *a, const struct block_plan_step *s)
{
	struct pending p = {.block = s->block, .dir = s->dir};
	(void)text_copy(p.pool, sizeof(p.pool), s->pool);
	if (s->verb == STEP_CLAIM)
		start_claim(a, s, &p);
	else if (s->verb == STEP_CONFIRM)
		start_confirm(a, s, &p);
	else
		start_return(a, s, &p);
	pending_add(&a->pending, &p);
}

static int drain_block(struct node *n, const struct cidr *block, struct err *e)
{
	return node_drain_block(n, block, false, e);
}

/* What a step changes in a node state, and what is said of it. The others are writes to the store. */
static const struct {
	node_states_change_fn *change;
	const char *text;
} changes[] = {
	[STEP_ADD] = {node_add_block, "is used from now on"},
	[STEP_DRAIN] = {drain_block, "is idle and will be given back"},
	[STEP_DISOWN] = {node_disown_block,
		"belongs to another node: nothing more is given from it"},
	[STEP_DROP] = {node_drop_block, "is no longer this node's"},
};

/* 1: done, 0: not. A block that was taken into use meanwhile is no error. */
static int take_step(struct agent *a, const struct block_plan_step *s)
{
	struct err e;
	int r = node_states_change(&a->states, s->dir, changes[s->verb].change, &s->block, &e);
	if (r == -EBUSY)
		return 0;
	if (r < 0) {
		problems_add_as(&a->problems, CIDR_STRING(&s->block), "block %s: %s",
			CIDR_STRING(&s->block), e.text);
		return 0;
	}
	log_info("block %s %s", CIDR_STRING(&s->block), changes[s->verb].text);
	if (s->verb == STEP_ADD || s->verb == STEP_DRAIN)
		pending_settle(&a->pending, &s->block);
	else
		pending_forget(&a->pending, &s->block);
	return 1;
}

static bool is_in_store(enum block_plan_verb v)
{
	return v == STEP_CLAIM || v == STEP_RETURN || v == STEP_CONFIRM;
}

int apply_block_plan(struct agent *a, const struct block_plan *p, const struct mirror *m)
{
	struct err e;
	int changed = 0;
	bool rests = *a->commit_trouble && boot_now_ms() < a->commit_retry_at;
	bool wanted = false;
	struct agent_adding adding = {.v = mem_new(p->n_steps + 1, sizeof(*adding.v))};
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].verb == STEP_ADD)
			adding.v[adding.n++] =
				(struct agent_addition){p->steps[i].block, p->steps[i].dir};
	int r = save_last_known(a, m, &adding, &e);
	free(adding.v);
	a->disk_trouble[0] = '\0';
	if (r < 0) {
		(void)text_copy(a->disk_trouble, sizeof(a->disk_trouble), e.text);
		problems_add_as(&a->problems, "data folder",
			"new blocks are not used, old ones not given back: %s", e.text);
	}
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct block_plan_step *s = &p->steps[i];
		if (r < 0 && (s->verb == STEP_ADD || s->verb == STEP_RETURN))
			continue; /* a reboot would believe the old file */
		wanted |= is_in_store(s->verb);
		if (!is_in_store(s->verb))
			changed |= take_step(a, s);
		else if (!rests)
			start_step(a, s);
	}
	if (a->trouble_of_block && !wanted && !rests)
		forget_trouble(a);
	return changed;
}
