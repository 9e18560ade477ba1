/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The whole node state as plain values, as of one moment: for people (roostctl), for GC, and for
 * comparing it with the kernel. node_list() (ipam/node.h) makes one; here is what it says, and how
 * to find something in it. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/owner.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/bandwidth.h"
#include "lib/hash.h"
#include "lib/ports.h"

enum node_addr_state {
	NODE_USED,
	NODE_COOLING,
	NODE_RESERVED,
	NODE_QUARANTINED,
	NODE_LENT,
	NODE_FREE
};
const char *node_state_text(enum node_addr_state s); /* "used", ... */

/* One address that is not simply free. Strings belong to the entry. */
struct node_entry {
	struct addr addr;
	enum node_addr_state state;
	int64_t since_s;     /* wall clock, when it got this state */
	uint32_t cooling_s;  /* NODE_COOLING: seconds left */
	bool in_reservation; /* NODE_RESERVED: an IPReservation of the cluster; else a gateway */
	struct owner owner;  /* NODE_USED: the owner; NODE_COOLING: the last one */
};

struct node_block {
	struct cidr cidr;
	struct cidr pool;
	uint64_t size, used, cooling, reserved, quarantined, free; /* addresses; saturating */
	uint64_t lent; /* of those used: by another node */
	bool loan;     /* one address of another node's block */
	bool cluster;  /* the cluster's store says that it is this node's; the agent returns it */
	bool draining; /* is being given back to the cluster */
	bool disowned; /* the cluster says it is another node's */
};

struct node_pool {
	struct pool pool;
	uint64_t blocks, max_blocks; /* owned here; possible (saturates) */
	uint64_t size, used, cooling, reserved, quarantined, free;
};

struct node_limits {
	struct hash owner;
	struct bandwidths limits;
};

/* Everything, as of one moment, sorted by address; free it with node_view_done(). */
struct node_view {
	struct node_pool *pools;
	size_t n_pools;
	struct node_block *blocks;
	size_t n_blocks;
	struct node_entry **entries;
	size_t n_entries;
	struct ports_list ports;    /* of owners with addresses */
	struct node_limits *limits; /* likewise, sorted by owner; those that have some */
	size_t n_limits;
};
void node_view_done(struct node_view *v); /* takes a zeroed one */

/* The entry of an address, the block and the pool that contain it; NULL. */
const struct node_entry *node_view_entry(const struct node_view *v, const struct addr *a);
const struct node_block *node_view_block(const struct node_view *v, const struct addr *a);
const struct node_pool *node_view_pool(const struct node_view *v, const struct addr *a);

/* An owner's limits among some that are sorted; zeros: none. */
struct bandwidths node_limits_of(const struct node_limits *v, size_t n, const struct hash *owner);

/* A state that was rebuilt from the kernel has blocks whose pool it has not heard of yet:
 * whether b is such a block; and all of them as one pool without prefix (sums), false when there
 * is none. */
bool node_view_is_orphan(const struct node_view *v, const struct node_block *b);
bool node_view_orphans(const struct node_view *v, struct node_pool *out);
