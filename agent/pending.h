/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of a block beside the store and the node states: a step under way, how one ended while
 * the watch has not shown it yet, and what this process has confirmed. The block plan reads the list, whoever takes its steps
 * writes it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "lib/addr.h"

enum pending_kind {
	PENDING_CLAIM,	      /* these six: a step of ours in the store is under way */
	PENDING_CHECK,	      /* the pools are read afresh, for a pending block */
	PENDING_CHECK_BLOCKS, /* and the blocks, as pools overlap there */
	PENDING_CONFIRM,
	PENDING_RETURN,
	PENDING_LOAN,
	PENDING_CONFLICT, /* one was in vain; not to be tried again until then */
	PENDING_DONE,	  /* one succeeded; the watch will show it */
	PENDING_CONFIRMED, /* the store has our name from this very process, which has not sent a RETURN
			    * since: nothing that was sent earlier can be carried out any more */
	PENDING_HOME,	   /* it was in that state folder before a restart */
	PENDING_ASKED,	   /* a loan of this address was asked for, for this folder */
	PENDING_REFUSED, /* of this block nothing was lent a moment ago */
};

struct pools_read;

struct pending {
	struct cidr block;
	size_t dir; /* index of its state folder */
	enum pending_kind kind;
	uint64_t id;		  /* of the store's request, of a step under way */
	int64_t until_s;	  /* boot time: void after; 0: never */
	char pool[RESOURCE_NAME]; /* CLAIM, CHECK: that is to give it */
	struct pools_read *pools; /* CHECK: as far as they were told; heap */
	bool uses;		  /* LOAN: its document says used then */
	bool met;		  /* CHECK_BLOCKS: another block has its addresses */
	int64_t revision; /* CHECK: of the block's document; DONE: that it has now, 0: it went */
};

struct pending_list {
	struct pending *v; /* heap */
	size_t n, room;
};
void pending_done(struct pending_list *l);

void pending_free_pools(struct pending *p); /* what the check is over with */

void pending_add(struct pending_list *l, const struct pending *p);
void pending_forget(struct pending_list *l, const struct cidr *block); /* all that is known of it */
void pending_settle(
	struct pending_list *l, const struct cidr *block); /* but that it is confirmed */
void pending_forget_kind(struct pending_list *l, enum pending_kind kind);
void pending_expire(struct pending_list *l, int64_t now_s);

/* Whether a step is under way. */
bool pending_is_under_way(const struct pending *p);

/* NULL: there is none. */
const struct pending *pending_find(
	const struct pending_list *l, const struct cidr *block, enum pending_kind kind);
const struct pending *pending_find_step(const struct pending_list *l, const struct cidr *block);
struct pending *pending_find_step_of(const struct pending_list *l, uint64_t id);
