/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Neighbours of a link, and the forwarding entries of a VXLAN device (which MAC is behind which
 * node); both are permanent where we make them. See lib/net.h for how messages are queued and sent.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net.h"

struct net_neigh {
	struct addr dst; /* neighbour's address; of a forwarding entry: the node's */
	uint8_t mac[6];	 /* zero: not resolved */
	bool permanent;	 /* else the kernel's own, learned */
	bool failed;	 /* nobody answers, or not yet; the kernel forgets it by itself */
	bool silent;	 /* failed, or asked for a second or more without an answer */
	int dev;
	bool needs_none;    /* multicast and the like: made by the kernel, needs no neighbour */
	bool is_forwarding; /* an entry of the forwarding database (bridge fdb) */
};

/* entry->is_forwarding decides which kind. An entry of that address, or MAC, is replaced in one
 * step. */
void net_put_neigh(struct net *n, int index, const struct net_neigh *entry);
void net_del_neigh(
	struct net *n, int index, const struct net_neigh *entry, enum net_tolerance tolerance);

/* What is on one link (0: on any): neighbours of a family, or the forwarding entries (AF_BRIDGE). A heap array, the
 * caller frees *out. A forwarding entry with several destinations is in it several times. */
int net_list_neighs(
	struct net *n, int index, int family, struct net_neigh **out, size_t *count, struct err *e);
