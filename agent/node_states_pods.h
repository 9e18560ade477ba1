/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the node states know of pods: their addresses, names, host ports, limits, and what ADD was told of them. Tunnels'
 * addresses and those of other main plugins are left out.
 */
#include <stddef.h>

#include "agent/node_states.h"
#include "ipam/node_view.h"
#include "ipam/node_want.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/ports.h"

/* A pod of roost that has an address. */
struct node_states_pod {
	struct hash owner;
	struct addr addr;
	size_t dir;
};
struct node_states_wants { /* zeroed: nothing */
	struct ports_list ports;
	struct node_limits *limits; /* sorted by owner, of those that have some */
	size_t n_limits, room_limits;
};
void node_states_wants_done(struct node_states_wants *w);

/* All of now, sorted by owner: a heap array, and what they want. Without those of folders in trouble. */
void node_states_pods(struct node_states *s, struct node_states_pod **out, size_t *count,
	struct node_states_wants *wants);

/* A record of a pod of roost that the runtime named, "namespace/name". */
struct node_states_name {
	struct hash owner;
	struct addr addr;
	size_t dir;
	char pod[512];
};
/* The same for these. */
void node_states_names(struct node_states *s, struct node_states_name **out, size_t *count);

/* The same of every pod, with its names: "default" and the container where the runtime said none. */
struct node_states_local {
	struct hash owner;
	struct addr addr;
	char namespace[64], name[254];
};
void node_states_locals(struct node_states *s, struct node_states_local **out, size_t *count);

/* What ADD was told of owners (ipam/node_policy.h), sorted by owner: a heap array. */
struct node_identity;
void node_states_identities(struct node_states *s, struct node_identity **out, size_t *count);

/* Its state, open and locked so that no ADD or DEL deals with the pod until node_close(); and the addresses that it
 * has. 0: somebody deals with it, nothing is open. */
int node_states_lock_pod(struct node_states *s, size_t dir, const struct hash *owner,
	struct node **out, struct node_leases *leases, struct err *e);
