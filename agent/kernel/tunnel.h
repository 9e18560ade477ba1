/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every tunnel device of ours needs, whatever its kind: its addresses, and a reverse path check
 * that lets answers come another way. Used by agent/kernel/vxlan.c and agent/kernel/ipip.c.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net.h"

/* Adds up what the steps of a sync changed: false when one failed, then *total is its error. */
bool tunnel_add_changes(int *total, int changes);

/* Makes the addresses of one family (0: of both) of a device equal to the wanted ones; entries of
 * family 0 among them are none. Returns how many changes it took. */
int tunnel_sync_addresses(struct net *n, int index, uint8_t family, const struct cidr *want,
	size_t n_want, struct err *e);

/* Queues rp_filter=2 (loose) for the device where it is not so: across subnets an answer may come
 * directly although the question went through the tunnel, and the other way round; with
 * net.ipv4.conf.all.rp_filter=1 it would be dropped (the larger value counts). Pods' own links stay
 * strict, so nobody can forge. 1: something was queued. */
int tunnel_set_rp_filter(struct net *n, struct net_dev d, struct err *e);
