/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses on a node of a cluster: from the blocks the agent put into the node state, and when
 * they have none left, from a block that the agent is asked for.
 */
#include "ipam/node.h"
#include "lib/err.h"

/* node_assign() in a cluster: a free address, else the agent is asked for a block, else the one
 * that cools down for longest. w has all but the cluster's part. dir is the state folder. -EAGAIN
 * says which limit was hit and what the agent said. */
int agent_client_assign(struct node *n, const char *dir, struct node_want *w,
	struct node_leases *out, struct err *e);

/* -EAGAIN: no agent has spoken to this node since boot. */
int agent_client_unknown(const char *dir, struct err *e);
