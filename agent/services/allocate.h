/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which address each load balancer gets. Pure: from all services of that type and the pools for them. A
 * service keeps what it has, as long as it may; no address is given twice but to services that share it.
 */
#include "agent/services/demand.h"
#include "cluster/resource.h"

struct allocate_pool {
	char name[RESOURCE_NAME];
	struct cidr cidr;
	bool disabled; /* gives nothing new */
	bool manual;   /* only to services that name it, or an address of it */
};

struct allocate_input {
	const struct demand *const *all; /* every load balancer of the cluster, the oldest first */
	size_t n;
	const struct allocate_pool *pools; /* by name; no two overlap */
	size_t n_pools;
	const struct cidr *reserved; /* IPReservation: given only where asked for by name */
	size_t n_reserved;
};

struct allocation {
	struct addr addrs[DEMAND_MOST]; /* of a service of ours: what its status shall say */
	size_t n;
	char why[256]; /* what it lacks, and what mends it; "" nothing */
};

/* One for each service, in the same order; of those that are not ours it stays empty. The caller frees it. */
struct allocation *allocate(const struct allocate_input *in);
