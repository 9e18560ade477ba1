/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What to do about single addresses of other nodes' blocks, and about those that others would have of this
 * node's: the pure comparison of the loans in the cluster store (replica), of what the node states have,
 * and of which ADD waits in vain. It comes after the block plan, as a block is better than a loan.
 * docs/ARCHITECTURE.md has the protocol; the names in brackets are those of tests/model/loans.pml.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/block_plan.h"
#include "cluster/loan.h"

/* Addresses of own blocks that are kept from this node's pods, sorted. They are few. */
struct loan_reserved {
	struct cidr addr;
	int64_t revision; /* of the document that it was reserved for by this process; 0: of an earlier one, or
			   * as there is a document */
};

/* Documents of loans, read afresh. */
struct loan_reading {
	enum { LOAN_READ_NOT, LOAN_READ_UNDER_WAY, LOAN_READ_DONE } state;
	struct loan *docs; /* heap */
	size_t n_docs, room;
};

enum loan_plan_verb {
	/* the borrower */
	LOAN_STEP_ASK,	 /* [L1] in the store */
	LOAN_STEP_TAKE,	 /* [L3, A2] it says used: in the store, before it is used */
	LOAN_STEP_END,	 /* [L4] it goes: in the store */
	LOAN_STEP_ADD,	 /* pods may have it: in the node state */
	LOAN_STEP_DRAIN, /* no pod has it, and none shall get it */
	LOAN_STEP_DROP,	 /* the node state forgets it */
	/* the lender */
	LOAN_STEP_READ,	     /* [A3, L5] the documents, afresh */
	LOAN_STEP_RESERVE,   /* [L2] kept from own pods, or the answer is no: in the node state */
	LOAN_STEP_LEND,	     /* [L2] it says lent: in the store */
	LOAN_STEP_UNRESERVE, /* [L5] no document speaks of it */
	LOAN_STEP_GIVE_WAY, /* a block that has only addresses that cool down is given back as a whole */
};
struct loan_plan_step {
	enum loan_plan_verb verb;
	struct loan doc;   /* as read, or as it is to be (ASK); of UNRESERVE the address alone */
	size_t dir;	   /* of the node state */
	struct cidr block; /* ASK, RESERVE, GIVE_WAY: the one that has the address */
	bool cold;	   /* RESERVE: an address that cools down is as good as free */
	bool in_vain;	   /* END of one that the lender did not answer, or refused */
};

struct loan_plan_input {
	const struct block_plan_input *blocks; /* what the block plan was made of */
	const struct loan_reserved *reserved;
	size_t n_reserved;
	const struct cidr *saved; /* of these, what is on the disk */
	size_t n_saved;
	const struct loan_reading *reading;
	bool lends; /* the cluster's setting: nothing is asked for and nothing lent anew without it */
};

struct loan_plan {
	struct loan_plan_step *steps; /* heap */
	size_t n_steps;
	struct problems problems;
};

/* answers: the block plan's, which lose their "why not" where a loan is on the way. */
void loan_plan_make(
	const struct loan_plan_input *in, struct block_plan *answers, struct loan_plan *out);
void loan_plan_done(struct loan_plan *p);
