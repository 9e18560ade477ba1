/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an attachment wants of the node state, and what it gets: plain values.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/owner.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/bandwidth.h"
#include "lib/family.h"
#include "lib/ports.h"

/* What one attachment needs: one address of each family that has a pool, but for those it does without. */
struct node_want {
	struct owner owner;
	const struct pool *pools; /* the configuration's, in order of preference */
	size_t n_pools;
	const bool *usable; /* per pool: may be taken from for this one; NULL: all */
	bool without[FAMILIES];
	const struct port *ports; /* the host ports that it has from now on */
	size_t n_ports;
	const struct bandwidths *limits; /* likewise; NULL: none */
	const char *uid,
		*labels; /* of its pod, see node_identity in ipam/node_policy.h; NULL: unknown */
	const struct addr *requested; /* at most one of a family */
	size_t n_requested;
	const struct addr *gateways; /* to be kept reserved when inside a pool */
	size_t n_gateways;
	bool cluster; /* the pools are the cluster's (ipam/node_cluster.h): nothing is claimed here */
	bool cooling; /* cluster: the agent was asked; take the oldest cooling one, too */
	const struct cidr *reserved; /* cluster: given to nobody */
	size_t n_reserved;
};

/* Whether pool i may be used and is of the family. */
static inline bool node_want_uses(const struct node_want *w, size_t i, uint8_t family)
{
	return w->pools[i].cidr.addr.family == family && (!w->usable || w->usable[i]);
}

struct node_lease {
	struct addr addr;
	struct cidr block;
	/* The owner had it already, from an ADD that was killed or a dead namespace. */
	bool was_ours;
	bool was_used; /* somebody had it before, since the block came to this node */
};

struct node_leases {
	struct node_lease v[FAMILIES]; /* one of each, IPv4 first */
	size_t n;
	uint64_t netns; /* node_find(): the namespace recorded with them, 0 unknown */
};
