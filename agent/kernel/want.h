/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What shall be in the kernel, as plain values: computed by agent/desired, made so by
 * agent/kernel/kernel.h. All pointers are borrowed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/family.h"
#include "lib/net_sizes.h"

/* The VXLAN device of one family of node addresses. */
struct vxlan_peer {
	struct addr node;	    /* outer destination */
	struct addr vtep[FAMILIES]; /* inner next hops; family 0: none */
	uint8_t mac[6];
};

struct vxlan_want {
	bool on;   /* false: our device goes, if it is there */
	bool keep; /* when it is not on: it stays as it is */
	char device[NET_NAME];
	struct addr local; /* outer source */
	int parent;	   /* link of local */
	uint32_t vni;
	uint16_t port;
	uint8_t mac[6];
	struct addr vtep[FAMILIES]; /* addresses of the device; family 0: none */
	uint32_t mtu;		    /* bytes */
	bool offload;		    /* the network card makes the checksums inside, if the kernel can */
	const struct vxlan_peer *peers;
	size_t n_peers;
};

#define IPIP_DEVICE "tunl0"

struct ipip_want {
	bool on;	  /* false: our device is given back, if it is ours */
	bool keep;	  /* when it is not on: it stays as it is */
	struct addr addr; /* IPv4: the node's end, from its own blocks */
	uint32_t mtu;	  /* bytes */
};

/* The rules of exits. */
struct exits_want {
	uint32_t table;
	bool used[FAMILIES];
	const struct cidr *pools; /* whose pods use exits */
	size_t n_pools;
};

struct kernel_want {
	const struct cidr *blackholes; /* own blocks (protocol 82) */
	size_t n_blackholes;
	bool forward[FAMILIES];
	struct vxlan_want vxlan[FAMILIES];
	struct ipip_want ipip;
	struct exits_want exits;
};
