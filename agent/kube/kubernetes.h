/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The agent's Kubernetes side, one face: what this machine's Node says, what the Node is told of the
 * network, addresses whose pod is gone, and, in one agent of the cluster, nodes that were deleted. Never
 * waits. While the API server is away everything here stands still, and pods start as ever.
 * docs/KUBERNETES.md has the requests that it makes, and the rights that they need.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/kube/own_node.h"
#include "agent/node_states.h"
#include "agent/policy/enforce.h"
#include "agent/replica.h"
#include "agent/services/table.h"
#include "cluster/agent_conf.h"
#include "lib/net.h"
#include "lib/problems.h"
#include "store/store.h"

/* NULL: the agent is not in Kubernetes. Every function here takes that. */
struct kubernetes;

/* me: unlike any other agent's, and the same after a restart. Contacts nobody. -EINVAL: a setting;
 * *out is NULL when there is none. c is borrowed until the end. */
int kubernetes_open(
	struct kubernetes **out, const struct agent_conf *c, const char *me, struct err *e);
void kubernetes_close(struct kubernetes *k);

/* The process ends by itself: the next agent need not wait for what this one does for all. Waits ms at most. */
void kubernetes_leave(struct kubernetes *k, unsigned int ms);

int kubernetes_fd(const struct kubernetes *k); /* readable: call kubernetes_step(); -1: none */

/* For others of this agent; NULL: there is none. Their events come by kubernetes_step(). */
struct kube *kubernetes_client(const struct kubernetes *k);

/* The agent's own parts, borrowed for the call. */
struct kubernetes_agent {
	struct store *store;
	const struct replica *replica;
	struct node_states *states;
	struct net *net;
	struct enforce *enforce; /* gets the events that are its own */
	bool acts;		 /* the name is this agent's, and the store was read */
	int64_t now_ms;
};

/* Takes in what happened and does what is due. true: something of the Node is not as it was, so a
 * reconciliation is wanted. */
bool kubernetes_step(struct kubernetes *k, const struct kubernetes_agent *a);

/* An event of the cluster store. true: it was the answer to a request made here. */
bool kubernetes_take(
	struct kubernetes *k, const struct store_event *ev, const struct kubernetes_agent *a);

/* What the last reconciliation found of the network. broken: why there is none; "" it is not broken. */
void kubernetes_tell(struct kubernetes *k, bool is_ready, const char *broken);

/* All problems of this node, as they are now: those that last become Events of its Node. */
void kubernetes_show(struct kubernetes *k, const struct problems *p);

/* This machine's Node, as it was last; NULL: there is none, or nobody knows yet. It stays while the API is
 * away. */
const struct own_node *kubernetes_node(const struct kubernetes *k);

/* Its uid, also when it is gone; STATUS_NO_NODE: none was met. "": not in Kubernetes. */
const char *kubernetes_uid(const struct kubernetes *k);

/* Whether it will be known in a moment if there is a Node: the first answer is on the way. */
bool kubernetes_is_awaited(const struct kubernetes *k);

/* Services: whether addresses of them may have to be announced, to be said in each reconciliation, and what
 * is kept of them; without Kubernetes there are none. Borrowed. */
void kubernetes_want_services(struct kubernetes *k, bool matter);
const struct service_table *kubernetes_services(const struct kubernetes *k);

void kubernetes_list_problems(const struct kubernetes *k, struct problems *out);
