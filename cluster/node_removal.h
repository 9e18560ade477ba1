/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Removing a node that does not live from the cluster store: which document is written next, and when
 * the store has to be looked at again. Pure: the caller looks, commits and says what became of it, so
 * roostctl may wait for each write and the agent does not. That the node does not live is the
 * caller's judgement, made of the status that it shows here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/block.h"
#include "cluster/loan.h"
#include "store/store.h"

enum node_removal_step {
	NODE_REMOVAL_LOOK, /* the store has to be looked at, again when somebody wrote meanwhile */
	NODE_REMOVAL_MARK, /* [N0] of a node without status: it gets one */
	NODE_REMOVAL_STATUS,   /* [R0] its status goes, */
	NODE_REMOVAL_DOCUMENT, /* and then its Node document */
	NODE_REMOVAL_LOAN,     /* [R3] an address that it borrows is freed or quarantined */
	NODE_REMOVAL_BLOCK,    /* [R3] one of its blocks is freed or quarantined */
	NODE_REMOVAL_DONE,
	NODE_REMOVAL_BACK, /* it has come back: the rest is left alone */
};

/* What the store has. The status is read first [N0], then the blocks [R1] and the loans [R2], the loans afresh; the
 * rest at any time. */
struct node_removal_look {
	int64_t status_revision, node_revision; /* 0: there is none */
	bool is_agent;				/* the status is one that an agent wrote */
	const struct block *blocks; /* borrowed for the call; those of others are passed over */
	size_t n_blocks;
	const struct loan *loans; /* all of them; the same */
	size_t n_loans;
};

struct node_removal {
	char node[RESOURCE_NAME];
	bool frees; /* blocks become free, but those of which addresses are lent; else they are quarantined until
		     * the node comes back */
	bool began; /* R0 is done */
	enum node_removal_step step;
	struct cidr *done; /* blocks that were freed or quarantined; heap */
	size_t n_done, room_done;
	size_t n_lending; /* and those that were quarantined instead of freed, as other nodes use their addresses */
	size_t n_loans; /* addresses that it borrowed, and that were freed or quarantined */
	struct node_removal_write *write; /* what follows is node_removal.c's alone */
};

void node_removal_init(struct node_removal *r, const char *node, bool frees);
void node_removal_done(struct node_removal *r); /* takes a zeroed one */

/* In the step LOOK: what there is to do follows. */
void node_removal_take(struct node_removal *r, const struct node_removal_look *seen);

/* The write that is next, to be sent as it is; borrowed until the next call. NULL: there is none,
 * r->step says why (LOOK, DONE, BACK). */
const struct store_write *node_removal_next(struct node_removal *r);

/* It was done, or (false) the document is another one. An outcome that is not known: done with r. */
void node_removal_wrote(struct node_removal *r, bool done);
