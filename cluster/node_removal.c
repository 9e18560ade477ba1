/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four steps, whose order is what makes it safe, at whatever moment it is killed and whoever comes
 * back meanwhile (tests/model/blocks.pml):
 *
 * N0 The node's status is read, and judged to be of nobody who lives. Where there is none one is written:
 *    that there is none still, later on, would not say that nobody came back and was removed again meanwhile.
 * R1 Then its blocks are read. A copy of them that is older than that does no harm: a block that was
 *    written since conflicts, and one that was not there is met at the next look.
 * R0 The status goes, if it is as it was at N0, and then the Node document. An agent that lives after all has
 *    written a heartbeat since, so nothing happens to it. From here on the other nodes drop the
 *    sessions with it and its routes.
 * R2 The loans are read afresh: a block of which an address is lent, or asked for, is not freed. Its agent
 *    did not live at N0, so nothing of it is lent later but by an agent that has written its blocks anew.
 * R3 What it borrows, and its blocks, are quarantined or deleted, each if it is as it was at R1. An agent that comes back
 *    writes its status and then each of its blocks, and uses what it could write: so a block is
 *    either its own, and left alone here, or gone for it.
 *
 * Reading the blocks after R0 would be wrong: an agent that came back in between has written them
 * already, and would lose what it uses. What a killed removal leaves is blocks of a node that has no
 * document: `node list` shows it with a note, nobody can claim them, and the same removal again goes on.
 */
#include "cluster/node_removal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/block_txn.h"
#include "cluster/keys.h"
#include "cluster/loan_txn.h"
#include "cluster/status.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

struct node_removal_write {
	int64_t status_revision, node_revision;
	struct block *blocks; /* that something has to be done with; heap */
	bool *lends;	      /* of each of them: addresses of it are lent; heap */
	size_t n_blocks, at;
	struct loan *loans; /* the same */
	size_t n_loans, at_loan;
	bool again; /* somebody wrote a block or a loan meanwhile */
	char key[STORE_KEY_MAX];
	char *value;
	struct store_write write;
	struct block_txn block;
	struct loan_txn loan;
};

void node_removal_init(struct node_removal *r, const char *node, bool frees)
{
	*r = (struct node_removal){.frees = frees, .step = NODE_REMOVAL_LOOK};
	(void)text_copy(r->node, sizeof(r->node), node);
	r->write = mem_new(1, sizeof(*r->write));
}

void node_removal_done(struct node_removal *r)
{
	if (r->write) {
		free(r->write->blocks);
		free(r->write->loans);
		free(r->write->lends);
		free(r->write->value);
	}
	free(r->write);
	free(r->done);
	*r = (struct node_removal){0};
}

/* Whether it may be free. A loan that nobody can read may be of any block. */
static bool is_lent(const struct node_removal_look *seen, const struct block *b)
{
	for (size_t i = 0; i < seen->n_loans; i++)
		if (cidr_contains(&b->cidr, &seen->loans[i].addr.addr))
			return true;
	return false;
}

/* Blocks that are quarantined already have nothing to be done but to be freed, or to be marked as such that will be. */
static bool concerns(
	const struct node_removal *r, const struct node_removal_look *seen, const struct block *b)
{
	return strcmp(b->node, r->node) == 0 &&
	       (b->state != BLOCK_QUARANTINED ||
		       (r->frees && (!is_lent(seen, b) || !b->free_after_loans)));
}

static size_t list_loans(struct node_removal *r, const struct node_removal_look *seen)
{
	struct node_removal_write *w = r->write;
	size_t all = 0;
	free(w->loans);
	w->loans = mem_new(seen->n_loans + 1, sizeof(*w->loans));
	w->n_loans = w->at_loan = 0;
	for (size_t i = 0; i < seen->n_loans; i++) {
		const struct loan *l = &seen->loans[i];
		if (strcmp(l->borrower, r->node) != 0)
			continue;
		all++;
		if (r->frees || l->state != LOAN_QUARANTINED)
			w->loans[w->n_loans++] = *l;
	}
	return all;
}

static size_t list_blocks(struct node_removal *r, const struct node_removal_look *seen)
{
	struct node_removal_write *w = r->write;
	size_t all = 0;
	free(w->blocks);
	free(w->lends);
	w->blocks = mem_new(seen->n_blocks + 1, sizeof(*w->blocks));
	w->lends = mem_new(seen->n_blocks + 1, sizeof(*w->lends));
	w->n_blocks = w->at = 0;
	w->again = false;
	for (size_t i = 0; i < seen->n_blocks; i++) {
		all += strcmp(seen->blocks[i].node, r->node) == 0;
		if (!concerns(r, seen, &seen->blocks[i]))
			continue;
		w->lends[w->n_blocks] = is_lent(seen, &seen->blocks[i]);
		w->blocks[w->n_blocks] = seen->blocks[i];
		w->blocks[w->n_blocks++].free_after_loans = r->frees;
	}
	return all;
}

/* The step that follows R0's, or the next loan or block. */
static void go_on(struct node_removal *r)
{
	struct node_removal_write *w = r->write;
	r->began = true;
	if (w->at_loan < w->n_loans)
		r->step = NODE_REMOVAL_LOAN;
	else if (w->at < w->n_blocks)
		r->step = NODE_REMOVAL_BLOCK;
	else
		r->step = w->again ? NODE_REMOVAL_LOOK : NODE_REMOVAL_DONE;
}

static void go_to_document(struct node_removal *r)
{
	if (r->write->node_revision)
		r->step = NODE_REMOVAL_DOCUMENT;
	else
		go_on(r);
}

void node_removal_take(struct node_removal *r, const struct node_removal_look *seen)
{
	struct node_removal_write *w = r->write;
	assert(r->step == NODE_REMOVAL_LOOK);
	w->status_revision = seen->status_revision;
	w->node_revision = seen->node_revision;
	size_t n = list_blocks(r, seen) + list_loans(r, seen);
	if (r->began && seen->status_revision && seen->is_agent)
		r->step = NODE_REMOVAL_BACK;
	else if (seen->status_revision)
		r->step = NODE_REMOVAL_STATUS;
	else if (n)
		r->step = NODE_REMOVAL_MARK; /* and the blocks are read behind it */
	else
		go_to_document(r);
}

/* value (owned from here on) NULL: the document goes. */
static const struct store_write *write_document(
	struct node_removal_write *w, int64_t revision, char *value)
{
	free(w->value);
	w->value = value;
	w->write = (struct store_write){.key = w->key, .value = value, .revision = revision};
	return &w->write;
}

static const struct store_write *write_mark(struct node_removal *r)
{
	CLEANUP_JSON json_t *mark = status_format_removal();
	keys_status(r->node, r->write->key);
	return write_document(r->write, 0, json_text(mark));
}

/* A pending block was never used. */
static const struct store_write *write_block(struct node_removal *r)
{
	struct node_removal_write *w = r->write;
	const struct block *b = &w->blocks[w->at];
	if ((r->frees && !w->lends[w->at]) || b->state == BLOCK_PENDING)
		block_txn_return(&w->block, b);
	else
		block_txn_quarantine(&w->block, b);
	return &w->block.write;
}

/* One that was never lent has nobody who uses it. */
static const struct store_write *write_loan(struct node_removal *r)
{
	struct node_removal_write *w = r->write;
	struct loan l = w->loans[w->at_loan];
	bool ends = r->frees || l.state == LOAN_ASKED || l.state == LOAN_REFUSED || !*l.lender;
	l.state = LOAN_QUARANTINED;
	if (ends)
		loan_txn_end(&w->loan, &l);
	else
		(void)loan_txn_put(&w->loan, &l); /* it has a key already */
	return &w->loan.write;
}

const struct store_write *node_removal_next(struct node_removal *r)
{
	struct node_removal_write *w = r->write;
	switch (r->step) {
	case NODE_REMOVAL_MARK:
		return write_mark(r);
	case NODE_REMOVAL_STATUS:
		keys_status(r->node, w->key);
		return write_document(w, w->status_revision, NULL);
	case NODE_REMOVAL_DOCUMENT:
		keys_resource(RESOURCE_NODE, r->node, w->key);
		return write_document(w, w->node_revision, NULL);
	case NODE_REMOVAL_LOAN:
		return write_loan(r);
	case NODE_REMOVAL_BLOCK:
		return write_block(r);
	default:
		return NULL;
	}
}

static void wrote_block(struct node_removal *r, bool done)
{
	struct node_removal_write *w = r->write;
	const struct block *b = &w->blocks[w->at];
	bool lends = r->frees && w->lends[w->at];
	w->at++;
	r->n_lending += done && lends;
	if (done && !lends && b->state != BLOCK_PENDING) {
		r->done = mem_grow(r->done, &r->room_done, r->n_done, sizeof(*r->done));
		r->done[r->n_done++] = b->cidr;
	}
	w->again |= !done;
	go_on(r);
}

static void wrote_loan(struct node_removal *r, bool done)
{
	struct node_removal_write *w = r->write;
	enum loan_state was = w->loans[w->at_loan++].state;
	r->n_loans += done && was != LOAN_ASKED && was != LOAN_REFUSED;
	w->again |= !done;
	go_on(r);
}

void node_removal_wrote(struct node_removal *r, bool done)
{
	if (r->step == NODE_REMOVAL_BLOCK)
		wrote_block(r, done);
	else if (r->step == NODE_REMOVAL_LOAN)
		wrote_loan(r, done);
	else if (!done || r->step == NODE_REMOVAL_MARK)
		r->step = NODE_REMOVAL_LOOK;
	else if (r->step == NODE_REMOVAL_STATUS)
		go_to_document(r);
	else
		go_on(r);
}
