/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cluster as commands look at it: every node with its document, with what its agent last said,
 * and with its blocks; and the pools. A name that stands in only one of these places is a
 * node too: that is how half a removal shows.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/block.h"
#include "cluster/resource.h"
#include "cluster/status.h"
#include "lib/err.h"
#include "store/store.h"

enum inventory_agent {
	AGENT_NEVER, /* nothing was heard of one */
	AGENT_LIVE,
	AGENT_STOPPED, /* ended by itself, cleanly */
	AGENT_STALE,   /* no heartbeat for too long */
	AGENT_AHEAD,   /* its heartbeat is in the future: clocks differ, nobody can tell */
	AGENT_UNKNOWN, /* its status document cannot be read */
};
const char *inventory_agent_text(enum inventory_agent a); /* "live" */

struct inventory_node {
	char name[RESOURCE_NAME];
	int64_t revision; /* of the Node document; 0: there is none */
	int64_t status_revision;
	struct resource_node spec; /* zero when the document cannot be read */
	struct status status;	   /* zero, too */
	enum inventory_agent agent;
	char trouble[256];		/* which document cannot be read, and why; "" none */
	size_t n_blocks, n_quarantined; /* the latter are among the former */
	uint64_t pods; /* addresses in use in its own blocks, of the family that has more: a pod of
			  two families has one of each */
};

struct inventory_pool {
	char name[RESOURCE_NAME];
	struct resource_pool pool;
};

struct inventory {
	struct inventory_node *nodes; /* by name */
	size_t n_nodes;
	struct block *blocks; /* block_compare(); the node is "" when the document cannot be read */
	size_t n_blocks;
	struct inventory_pool *pools; /* by cidr */
	size_t n_pools;
};

int inventory_read(struct store *s, struct inventory *out, struct err *e);
void inventory_done(struct inventory *v); /* takes a zeroed one */
#define CLEANUP_INVENTORY __attribute__((cleanup(inventory_done)))

const struct inventory_node *inventory_find(const struct inventory *v, const char *name);

/* What the node's agent said of a block; NULL: nothing. */
const struct status_block *inventory_counts(
	const struct inventory_node *n, const struct cidr *block);

/* Its agent's state, from the status. */
enum inventory_agent inventory_judge(const struct status *s, int64_t now_wall_s);
