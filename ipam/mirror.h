/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the cluster says to one node, as a plain value: the agent makes it (agent/desired) and keeps
 * it in the node state (ipam/node_cluster.h), where ADD reads it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"

#define MIRROR_RESERVED 256
#define MIRROR_LENT 256 /* addresses that one node lends at a time */

struct mirror_pool {
	struct pool pool;
	char name[64]; /* cut; for people */
	bool assigns;  /* enabled, and selects this node: new pods may have its addresses */
};

struct mirror {
	char node[254];
	char socket[108]; /* the agent's */
	uint64_t netns;	  /* the cookie of the agent's network namespace; 0: not known */
	uint32_t mtu
		[FAMILIES]; /* of pods with addresses of that family, bytes; 0: from the uplink */
	struct mirror_pool pools[POOL_MAX]; /* in order of preference */
	size_t n_pools;
	struct cidr reserved[MIRROR_RESERVED];
	size_t n_reserved;
	struct cidr lent
		[MIRROR_LENT]; /* addresses of this node's blocks that another one may use, as prefixes */
	size_t n_lent;
};

bool mirror_lent_equal(const struct mirror *a, const struct mirror *b);
bool mirror_reserved_equal(const struct mirror *a, const struct mirror *b);
bool mirror_equal(const struct mirror *a, const struct mirror *b);

/* The pools that give addresses here. -EAGAIN: none does; says why. */
int mirror_pools(const struct mirror *m, struct pool out[POOL_MAX], size_t *n, struct err *e);
