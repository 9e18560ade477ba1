/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * This machine's Node as Kubernetes has it, and the changes of it that are roost's: the condition
 * NetworkUnavailable, and the taint that keeps pods away until the network is there. Pure.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/problems.h"

/* Who registers nodes with it (kubelet's --register-with-taints) keeps pods away until roost is ready. */
#define OWN_NODE_TAINT "roost.io/not-ready"
#define OWN_NODE_ADDRS 16

enum own_node_network {
	OWN_NODE_SILENT,      /* nobody has said anything of it */
	OWN_NODE_AVAILABLE,   /* NetworkUnavailable is False */
	OWN_NODE_UNAVAILABLE, /* True, or Unknown */
};

struct own_node {
	char uid[64];
	char version[24]; /* resourceVersion, as text */
	bool unschedulable;
	bool deleting;
	struct addr addrs[OWN_NODE_ADDRS]; /* InternalIPs of both families, in the Node's order */
	size_t n_addrs;
	json_t *labels;	 /* an object of texts */
	size_t left_out; /* labels that there was no room for */
	enum own_node_network network;
	bool is_ours;	      /* that was said by roost, */
	bool says_broken;     /* and it says that the network broke */
	json_t *other_taints; /* NULL: ours is not there */
};

/* Of an object of /api/v1/nodes, of anybody's making: what is of another form is passed over. */
void own_node_read(const json_t *object, struct own_node *out);
void own_node_done(struct own_node *n); /* takes a zeroed one */

/* What the agent knows of its network. */
enum own_node_state {
	OWN_NODE_UNCERTAIN, /* not ready yet, or about to be looked at: nothing is said */
	OWN_NODE_READY,	    /* pods that start now have a network */
	OWN_NODE_BROKEN,    /* they would have none */
};

/* The patch (strategic) of the Node's status that says so; NULL: it says so already, or there is nothing
 * to be said. why: for people, of BROKEN. The caller's. */
json_t *own_node_condition(
	const struct own_node *n, enum own_node_state state, const char *why, int64_t wall_s);

/* The patch (JSON patch) of the Node that takes our taint away, if the Node is as it was read; NULL: it
 * is not there. The caller's. */
json_t *own_node_untaint(const struct own_node *n);
