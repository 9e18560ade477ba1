/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What hangs on a VXLAN device of ours: a forwarding entry and neighbours for each peer. Made
 * equal by difference, never by flushing: an entry that is right is not touched, one that is wrong is
 * replaced in one step, so packets of other peers never notice.
 */
#include <stddef.h>

#include "agent/kernel/vxlan.h"
#include "lib/err.h"
#include "lib/net.h"

/* How many entries were put or deleted, or the first error (the others were still tried). Of two
 * peers with one MAC, or one VTEP address, the first counts. */
int vxlan_peers_sync(
	struct net *n, int device, const struct vxlan_peer *peers, size_t n_peers, struct err *e);
