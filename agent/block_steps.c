/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a block plan, each on its own safe against a crash right after it: changes of the
 * node state are transactions there, changes of ownership are transactions in the store, and what
 * must survive a reboot is on the disk before a new block is used. Transactions end later; until
 * then a->pending says that they are under way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent_impl.h"
#include "cluster/block_txn.h"
#include "ipam/node_cluster.h"
#include "lib/boot.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define COMMIT_MS 5000
#define CONFLICT_S 10 /* a block that somebody took is not tried again before */
#define RETRY_MS 2000 /* a store that takes no changes is asked again after so long */
#define CLAIMED_S 5   /* the watch is expected to show a claim by then */

static void forget_trouble(struct agent *a)
{
	a->commit_trouble[0] = '\0';
	a->trouble_of_block = false;
	agent_want_reconcile(a, AGENT_AT_ONCE);
}

bool end_block_commit(struct agent *a, const struct store_event *ev)
{
	struct pending *p = pending_find_commit(&a->pending, ev->id);
	if (!p)
		return false;
	p->kind = ev->kind != STORE_DONE	 ? PENDING_CONFLICT
		  : p->kind == PENDING_TAKE_BACK ? PENDING_TAKEN
						 : PENDING_CLAIMED;
	p->until_s = boot_now_ms() / 1000 + (ev->kind == STORE_DONE ? CLAIMED_S : CONFLICT_S);
	log_debug("block %s: %s", CIDR_STRING(&p->block),
		ev->kind == STORE_DONE	   ? "committed"
		: ev->kind == STORE_FAILED ? ev->what
					   : "conflict");
	return true;
}

/* A store that is full can still be read, so nothing else tells of it. Heartbeats are tried again
 * every second and so find out when it is over; but a small document may fit where a block does
 * not, so what a block met stands until one succeeds, or none is wanted any more. */
void note_commit(struct agent *a, const struct store_event *ev)
{
	if (ev->kind != STORE_DONE && ev->kind != STORE_FAILED)
		return;
	bool of_block = pending_find_commit(&a->pending, ev->id) != NULL;
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

static void start_transaction(struct agent *a, const struct block_plan_step *s)
{
	CLEANUP_FREE struct block_txn *t = mem_new(1, sizeof(*t));
	struct pending p = {.block = s->block, .dir = s->dir};
	switch (s->verb) {
	case STEP_CLAIM:
		if (!a->trouble_of_block) /* else it is the same every few seconds */
			log_info("claiming block %s of pool %s", CIDR_STRING(&s->block), s->pool);
		p.kind = PENDING_CLAIM;
		block_txn_claim(t, &s->block, a->conf.node, s->pool, s->pool_revision);
		break;
	case STEP_TAKE_BACK:
		log_warning("taking block %s back, which was quarantined", CIDR_STRING(&s->block));
		p.kind = PENDING_TAKE_BACK;
		block_txn_take_back(t, &s->doc);
		break;
	default:
		log_info("giving block %s back", CIDR_STRING(&s->block));
		p.kind = PENDING_RETURN;
		block_txn_return(t, &s->doc);
		break;
	}
	p.id = store_start_commit(a->store, &t->txn, COMMIT_MS);
	pending_add(&a->pending, &p);
}

static int drain_block(struct node *n, const struct cidr *block, struct err *e)
{
	return node_drain_block(n, block, false, e);
}

/* What a step changes in a node state, and what is said of it. The others are transactions. */
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
	pending_forget(&a->pending, &s->block);
	return 1;
}

static bool is_transaction(enum block_plan_verb v)
{
	return v == STEP_CLAIM || v == STEP_RETURN || v == STEP_TAKE_BACK;
}

int apply_block_plan(struct agent *a, const struct block_plan *p, const struct mirror *m)
{
	struct err e;
	int changed = 0;
	bool rests = *a->commit_trouble && boot_now_ms() < a->commit_retry_at;
	bool wanted = false;
	int r = save_last_known(a, m, p, &e);
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
		wanted |= is_transaction(s->verb);
		if (!is_transaction(s->verb))
			changed |= take_step(a, s);
		else if (!rests)
			start_transaction(a, s);
	}
	if (a->trouble_of_block && !wanted && !rests)
		forget_trouble(a);
	return changed;
}
