/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What one agent does for all: nodes that were deleted in Kubernetes, or whose name another machine has
 * there, leave the cluster store by the steps of cluster/node_removal.h. Never waits; one document at a time.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/kube/roster.h"
#include "agent/replica.h"
#include "lib/problems.h"
#include "store/store.h"

struct controller;

struct controller *controller_new(void);
void controller_free(struct controller *c); /* takes NULL */

struct controller_input {
	struct store *store;
	const struct replica *replica; /* whole */
	struct roster *nodes;	       /* of Kubernetes, complete; checked is ours */
	int64_t grace_ms, now_ms;
};

/* What is due. To be called about once a second while this agent holds the Lease. */
void controller_step(struct controller *c, const struct controller_input *in);

/* The Lease is another's, or Kubernetes' nodes are not known: all that was seen is forgotten, what is under
 * way ends without a further step. */
void controller_rest(struct controller *c);

/* What an earlier holder of the Lease has seen, taken of its object before it is held; and what is left to the
 * next one, put into an object. */
void controller_inherit(struct controller *c, const json_t *lease);
void controller_bequeath(const struct controller *c, json_t *lease, int64_t now_ms);

/* true: the event is the answer to a request of ours. */
bool controller_take(
	struct controller *c, const struct store_event *ev, const struct controller_input *in);

const struct problems *controller_problems(const struct controller *c);

/* Whether they are others than at the last call. */
bool controller_has_news(struct controller *c);
