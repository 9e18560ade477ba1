/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the tables of this room shall hold, as plain values: computed by agent/desired, put into the
 * kernel by nat.h and tunnel_filter.h. All pointers are borrowed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/family.h"

struct nat_want {
	const struct cidr *pools; /* packets between pools are never changed */
	size_t n_pools;
	const struct cidr *nat; /* sources to be masqueraded towards everything else */
	size_t n_nat;
};

/* Addresses of both families, in any order, some perhaps twice. */
struct tunnel_filter_list {
	const struct addr *v;
	size_t n;
};

struct tunnel_filter_want {
	bool ipip, vxlan[FAMILIES];	  /* which tunnels there are */
	struct tunnel_filter_list peers;  /* the other nodes */
	struct tunnel_filter_list others; /* far ends of IPIP tunnels that are not ours */
	struct tunnel_filter_list theirs; /* this host's ends of those that have no fixed far end */
	uint16_t port;			  /* of VXLAN */
	uint32_t vni;
};
