/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The IPIP device of the node, tunl0: the kernel's own device for packets of protocol 4 that no more
 * particular tunnel takes (RFC 2003; net/ipv4/ipip.c). One device reaches all peers: where a packet
 * goes is said by the next hop of its route. Used by agent/kernel/kernel.c.
 */
#include "agent/kernel/want.h"
#include "lib/err.h"
#include "lib/net.h"

/* Returns how many changes it took; 0: all was so already. -EEXIST: somebody else uses the device,
 * which is not touched. -EOPNOTSUPP: the kernel has no IPIP (the sentence names the module). */
int ipip_sync(struct net *n, const struct ipip_want *w, struct err *e);

/* Whether there is one that somebody else uses. */
bool ipip_is_foreign(struct net *n);

/* The address that tunnelled packets to a node come from: the kernel's choice, as tunl0 cannot have
 * an end of its own. Nothing is sent. */
int ipip_source(const struct addr *to, struct addr *out, struct err *e);
