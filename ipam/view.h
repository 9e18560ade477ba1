/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The whole node state as plain values, as of one moment: for people (roostctl), for GC, and for
 * comparing it with the kernel.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/owner.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/err.h"

struct node;

enum node_addr_state { NODE_USED, NODE_COOLING, NODE_RESERVED, NODE_QUARANTINED, NODE_FREE };
const char *node_state_text(enum node_addr_state s); /* "used", ... */

/* One address that is not simply free. Strings belong to the entry. */
struct node_entry {
	struct addr addr;
	enum node_addr_state state;
	int64_t since_s;    /* wall clock, when it got this state */
	uint32_t cooling_s; /* NODE_COOLING: seconds left */
	struct owner owner; /* NODE_USED: the owner; NODE_COOLING: the last one */
};

struct node_block {
	struct cidr cidr;
	struct cidr pool;
	uint64_t size, used, cooling, reserved, quarantined, free; /* addresses; saturating */
	bool cluster;  /* the cluster's store says that it is this node's; the agent returns it */
	bool draining; /* is being given back to the cluster */
	bool disowned; /* the cluster says it is another node's */
};

struct node_pool {
	struct pool pool;
	uint64_t blocks, max_blocks; /* owned here; possible (saturates) */
	uint64_t size, used, cooling, reserved, quarantined, free;
};

/* Everything, as of one moment, sorted by address; free it with node_view_done(). */
struct node_view {
	struct node_pool *pools;
	size_t n_pools;
	struct node_block *blocks;
	size_t n_blocks;
	struct node_entry **entries;
	size_t n_entries;
};
int node_list(struct node *n, struct node_view *out, struct err *e);
void node_view_done(struct node_view *v);
