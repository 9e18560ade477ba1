/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The pods of this node as network policy wants them: the host ends of their links, by their labels, with what
 * the node states know of their owners.
 */
#include "agent/node_states.h"
#include "agent/policy/enforce.h"
#include "lib/err.h"
#include "lib/net.h"

/* Sorted by link; for enforce_node_done(). Addresses of the node itself are those of all other links. */
int local_pods_list(struct net *n, struct node_states *s, struct enforce_node *out, struct err *e);
