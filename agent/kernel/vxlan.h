/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The VXLAN device of one family of node addresses: one device, no learning; for each peer node a
 * permanent forwarding entry (MAC to node address) and a permanent neighbour (VTEP to MAC). Used by
 * agent/kernel/kernel.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net.h"

struct vxlan_peer {
	struct addr node;	  /* outer destination */
	struct addr vtep4, vtep6; /* inner next hops; family 0: none */
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
	struct addr vtep4, vtep6; /* addresses of the device; family 0: none */
	uint32_t mtu;		  /* bytes */
	bool offload;		  /* the network card makes the checksums of what is inside */
	const struct vxlan_peer *peers;
	size_t n_peers;
};

struct vxlan; /* libnl handles and what was seen last */
int vxlan_open(struct vxlan **out, struct err *e);
void vxlan_close(struct vxlan *v); /* takes NULL */

/* Returns how many changes it took; 0: all was so already. A device of ours (its alias says so) with
 * other parameters is made anew; somebody else's of this name, or with this VNI and port: -EEXIST.
 * -EOPNOTSUPP: the kernel has no VXLAN (the sentence names the module). */
int vxlan_sync(struct vxlan *v, const struct vxlan_want *w, struct err *e);

/* A locally administered address that is the same for a node's name at all times. */
void vxlan_mac(const char *node, uint8_t family, uint8_t out[6]);

/* The link-local address of a VTEP, from its MAC (RFC 4291 appendix A): the next hop of IPv6 routes,
 * as the kernel refuses an onlink gateway that lies in a prefix it reaches another way, and a VTEP's
 * own address lies in the very block that the route is for. */
struct addr vxlan_link_local(const uint8_t mac[6]);
