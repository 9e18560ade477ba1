/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The VXLAN device of one family of node addresses: one device, no learning; for each peer node a
 * permanent forwarding entry (MAC to node address) and a permanent neighbour (VTEP to MAC). Used by
 * agent/kernel/kernel.c.
 */
#include <stdbool.h>

#include "agent/kernel/want.h"
#include "lib/err.h"
#include "lib/net.h"

struct vxlan; /* libnl handles and what was seen last */
int vxlan_open(struct vxlan **out, struct err *e);
void vxlan_close(struct vxlan *v); /* takes NULL */

/* Whether a kernel (uname -r) gets checksums right that it leaves to the network card: from 5.8 on. Where it
 * does not, no want turns that on. */
bool vxlan_can_offload(const char *release);

/* Returns how many changes it took; 0: all was so already. A device of ours (its alias says so) with
 * other parameters is made anew; somebody else's of this name, or with this VNI and port: -EEXIST.
 * -EOPNOTSUPP: the kernel has no VXLAN (the sentence names the module). */
int vxlan_sync(struct vxlan *v, const struct vxlan_want *w, struct err *e);
