/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What to do with blocks: the pure comparison of who owns what in the cluster store (replica), what
 * this node's states have, and how many free addresses there should be. It yields steps; the agent
 * takes them. docs/IPAM.md has the life of a block and what a crash after each step leaves.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/pending.h"
#include "agent/replica.h"
#include "agent/node_states.h"
#include "cluster/block.h"
#include "lib/family.h"
#include "lib/problems.h"

enum block_plan_verb {
	STEP_ADD, /* the store says it is ours: into the node state */
	STEP_CONFIRM, /* ours, and written by an earlier process, pending, quarantined or draining: in the store */
	STEP_CLAIM,  /* a free one, or one of ours that lost its document: in the store */
	STEP_DRAIN,  /* give nothing more from it, so that it can go back */
	STEP_RETURN, /* drained, and no longer announced: in the store */
	STEP_DROP,   /* the node state forgets it */
	STEP_DISOWN, /* it is somebody else's: the node state gives nothing more from it */
};
struct block_plan_step {
	enum block_plan_verb verb;
	struct cidr block;
	size_t dir;
	char pool[RESOURCE_NAME]; /* CLAIM, CONFIRM of a pending one: that is to give it */
	struct block doc;	  /* CONFIRM, RETURN: as read; revision 0: there shall be none */
};

/* An ADD that waits for an address. */
struct block_plan_ask {
	size_t dir;
	enum family family;
	const struct cidr *pools; /* the only ones it may use */
	size_t n_pools;		  /* 0: any */
};

struct block_plan_input {
	const char *node;
	const struct replica *replica; /* whole */
	const struct mirror *mirror;
	const struct node_states *states;
	const struct pending_list *pending;
	const struct cidr *withdrawn; /* BIRD runs without these draining blocks, confirmed */
	size_t n_withdrawn;
	uint64_t headroom; /* free addresses a family and state folder */
	const struct block_plan_ask *asks;
	size_t n_asks;
	uint32_t max_blocks;	 /* 0: no limit */
	const struct cidr *lent; /* addresses of own blocks that other nodes may use */
	size_t n_lent;
	bool knows_loans; /* they were read since this agent began: a block may become this node's, or free */
	int64_t idle_s, now_s;
	bool cordoned;	   /* few pods come: one free address is enough before a block is claimed */
	bool drain;	   /* the node takes no pods: everything idle goes back at once */
	bool only_restore; /* the store lost documents: nothing but what it must know of this node */
};

struct block_plan_answer {
	uint64_t free;	   /* addresses that it would get at once */
	char why_not[256]; /* "": they are there, or on the way */
};

struct block_plan {
	struct block_plan_step *steps; /* heap */
	size_t n_steps;
	struct problems problems;
	char why_not[FAMILIES][256];	   /* no further block can be had, and why; "" */
	struct block_plan_answer *answers; /* to each ask; heap */
};
void block_plan_make(const struct block_plan_input *in, struct block_plan *out);
void block_plan_done(struct block_plan *p);

/* Whether the ask may have this address. */
bool block_plan_suits(
	const struct block_plan_ask *ask, const struct mirror *m, const struct addr *a);
