/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What ADD has to know of network policy, told by the agent before there is a pod: ADD waits for nobody, and
 * no packet of a pod may pass that a policy known by then forbids. And what the agent has to know of a pod
 * that ADD alone was told: its uid and its labels.
 */
#include <stdbool.h>
#include <stddef.h>

#include "ipam/node.h"
#include "lib/err.h"
#include "lib/hash.h"

#define NODE_UID 64   /* bytes of a pod's uid with its NUL */
#define NODE_CHAIN 32 /* of a chain's name, too */

/* Policies may select pods of a namespace ("": of one that is not in the list): the host end of such a pod is
 * closed in these directions until the agent opens it. One without any direction is in the list only to be
 * open where "" is not. */
struct node_closed {
	char namespace[64];
	bool ingress, egress;
	bool to_host; /* with egress: also towards sockets of this node */
};

/* The chains of a pod that the agent knows before its ADD; "" of a direction that is open. */
struct node_staged {
	char uid[NODE_UID];
	char ingress[NODE_CHAIN], egress[NODE_CHAIN], to_host[NODE_CHAIN];
};

/* Makes both lists so, each sorted by its first member: 1 when something changed, 0 when it was so. */
struct node_policy {
	const struct node_closed *closed;
	size_t n_closed;
	const struct node_staged *staged;
	size_t n_staged;
};
int node_put_policy(struct node *n, const struct node_policy *p, struct err *e);

/* For one pod. uid "": not known. Nothing is closed where no agent has told of a policy. */
struct node_gate {
	bool ingress, egress, to_host; /* closed */
	bool is_staged;		       /* never of one that is open anyway */
	struct node_staged staged;
};
int node_get_gate(struct node *n, const char *namespace, const char *uid, struct node_gate *out,
	struct err *e);

/* What was said of an owner of addresses with its ADD (struct node_want); goes with its last address. Sorted by
 * owner; a heap array, the caller's. */
#define NODE_LABELS 1900 /* bytes of a pod's labels as compact JSON, with NUL */
struct node_identity {
	struct hash owner;
	char uid[NODE_UID];
	char labels[NODE_LABELS]; /* an object of strings; "": none */
};
int node_list_identities(struct node *n, struct node_identity **out, size_t *count, struct err *e);
