/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel of this node has, as plain values: links, addresses, routes of the host's own.
 * Filled by agent/kernel/kernel.c from its caches, or by a test. The host ends of pods' links are left
 * out: there may be many, and nothing here is about them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/family.h"
#include "lib/net_sizes.h"

struct facts_link {
	int index;
	char name[NET_NAME];
	char kind[16]; /* "veth", "vxlan", "bridge"; "" a device of hardware */
	int master;    /* the bridge, bond or VRF that it is in; 0: none */
	uint32_t mtu;
	uint32_t group;
	uint8_t mac[6];
	struct addr far, near; /* the fixed ends of an IPIP device; family 0: none */
	bool up, running, loopback;
	bool no_forward; /* forwards no IPv4 packets, although the host does */
	bool strict;	 /* IPv4 packets must come from where answers would go (rp_filter 1) */
};

struct facts_addr {
	int link;
	bool usable;	  /* global scope, not tentative, not deprecated */
	struct cidr addr; /* with its subnet's length */
};

/* A default route, or one that the administrator or DHCP made. */
struct facts_route {
	struct cidr dst;
	struct addr via; /* family 0: through the device itself */
	int link;
};
#define FACTS_ROUTES 64 /* what is beyond is left out */

/* Heap arrays, sorted by index; free with facts_done(). The addresses of one link are in the order
 * in which one would take them: primary ones first, those of a subnet before /32 and /128. */
struct facts {
	struct facts_link *links;
	size_t n_links;
	struct facts_addr *addrs;
	size_t n_addrs;
	struct facts_route defaults[FAMILIES];	 /* that the kernel takes; link 0: none */
	struct facts_route routes[FACTS_ROUTES]; /* by destination, one of each */
	size_t n_routes;
	bool forwards[FAMILIES];
};
void facts_done(struct facts *f); /* takes a zeroed one */
bool facts_equal(const struct facts *a, const struct facts *b);

const struct facts_link *facts_link(const struct facts *f, int index);	       /* NULL */
const struct facts_link *facts_named(const struct facts *f, const char *name); /* NULL */
