/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether the cluster store still holds what this node is built on. A store that comes back empty, as
 * another one, or as it was some time ago must not take routes and blocks from pods that run: until
 * its documents are there again, or an operator says that it is right as it is, the node stays as
 * it was. Pure: values in, a judgement out.
 */
#include "agent/node_states.h"
#include "agent/replica.h"
#include "lib/problems.h"

struct store_event;

struct store_loss {
	uint64_t id; /* of the store with which the node was last made equal; 0: not known */
	uint64_t now_id;
	int64_t revision; /* the largest that the store told */
	int64_t before;	  /* this one, when it went back; 0: it did not */
	int64_t since_ms; /* boot time: something is suspicious; 0: nothing is */
	bool accepted;	  /* an operator takes it as it is */
	bool holds;
	char *nodes; /* the names of the nodes that there were, one after the other; heap */
	size_t nodes_len;
	char *self; /* the text of our own Node document then; heap, NULL: none */
	int64_t self_revision;
	char why[PROBLEM_TEXT]; /* while it holds */
};

struct store_loss_input {
	const char *node;
	const char *url;		  /* of the store, for the sentence */
	const struct replica *replica;	  /* whole */
	const struct node_states *states; /* as read */
	bool had_pools; /* the agent of before, of this boot or an earlier one, knew of some */
	bool is_start;	/* this agent has made nothing yet */
	int64_t now_ms;
};

void store_loss_done(struct store_loss *l);

/* Any event of the store. */
void store_loss_hear(struct store_loss *l, const struct store_event *ev, int64_t now_ms);

/* true: nothing may be taken away now; l->why says what is missing. */
bool store_loss_judge(struct store_loss *l, const struct store_loss_input *in);

/* The node was made equal to what the store holds. */
void store_loss_note(struct store_loss *l, const struct replica *r);
