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

#include "agent/replica.h"
#include "agent/states.h"
#include "cluster/block.h"

enum blocks_verb {
	BLOCKS_ADD,	  /* the store says it is ours: into the node state */
	BLOCKS_TAKE_BACK, /* ours, quarantined or draining, is used again: transaction */
	BLOCKS_CLAIM,	  /* a free one, or one of ours that lost its document: transaction */
	BLOCKS_DRAIN,	  /* give nothing more from it, so that it can go back */
	BLOCKS_RETURN,	  /* drained, and no longer announced: transaction */
	BLOCKS_DROP,	  /* the node state forgets it */
	BLOCKS_DISOWN,	  /* it is somebody else's: the node state gives nothing more from it */
};
struct blocks_step {
	enum blocks_verb verb;
	struct cidr block;
	size_t dir;
	char pool[RESOURCE_NAME]; /* CLAIM: and the revision of its document */
	int64_t pool_revision;
	struct block doc; /* TAKE_BACK, RETURN: as read */
};

/* What is known of a block beside the store and the node states. */
enum blocks_note {
	BLOCKS_UNDER_WAY, /* a transaction of ours */
	BLOCKS_CONFLICT,  /* one was in vain; not to be tried again until then */
	BLOCKS_CLAIMED,	  /* one succeeded; the watch will show it */
	BLOCKS_TAKEN,	  /* a TAKE_BACK succeeded: no earlier RETURN can be carried out any more */
	BLOCKS_HOME,	  /* it was in that state folder before a restart */
};
struct blocks_pending {
	struct cidr block;
	size_t dir;
	enum blocks_note note;
	enum blocks_verb verb; /* UNDER_WAY: what it does */
	uint64_t id;	       /* UNDER_WAY: of the store's request */
	int64_t until_s;       /* boot time: void after; UNDER_WAY and HOME: never */
};

/* An ADD that waits for an address. */
struct blocks_ask {
	size_t dir;
	int family;		  /* 0 IPv4, 1 IPv6 */
	const struct cidr *pools; /* the only ones it may use */
	size_t n_pools;		  /* 0: any */
};

struct blocks_input {
	const char *node;
	const struct replica *replica; /* whole */
	const struct mirror *mirror;
	const struct states *states;
	const struct blocks_pending *pending;
	size_t n_pending;
	const struct cidr *withdrawn; /* BIRD runs without these draining blocks, confirmed */
	size_t n_withdrawn;
	uint64_t headroom; /* free addresses a family and state folder */
	const struct blocks_ask *asks;
	size_t n_asks;
	uint32_t max_blocks; /* 0: no limit */
	int64_t idle_s, now_s;
	bool drain; /* the node takes no pods: everything idle goes back at once */
};

struct blocks_answer {
	uint64_t free;	   /* addresses that it would get at once */
	char why_not[256]; /* "": they are there, or on the way */
};

struct blocks_plan {
	struct blocks_step *steps; /* heap */
	size_t n_steps;
	char problems[4][256];
	size_t n_problems;
	char why_not[2][256];	       /* IPv4, IPv6: no further block can be had, and why; "" */
	struct blocks_answer *answers; /* to each ask; heap */
};
void blocks_plan(const struct blocks_input *in, struct blocks_plan *out);
void blocks_done(struct blocks_plan *p);
