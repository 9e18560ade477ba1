/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A VXLAN device with the parameters that are wanted. The only part of the agent's VXLAN that speaks
 * to the kernel through libnl, which parses what a device has.
 */
#include <stdbool.h>

#include "agent/kernel/vxlan.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"

struct nl_sock;

/* The two ways to the kernel that a call needs. */
struct vxlan_kernel {
	struct nl_sock *sock;
	struct net *net;
};

/* The device as it is now. */
struct vxlan_device {
	int index;
	bool up;
	bool labelled;	      /* its alias is right */
	bool auto_link_local; /* the kernel gives it an IPv6 link-local address */
};

int vxlan_device_open(struct nl_sock **out, struct err *e);
void vxlan_device_close(struct nl_sock *sock);

const char *vxlan_device_alias(const struct vxlan_want *w);

/* Makes or changes it; down and without label when it is new. Returns how many changes it took. For
 * the errors see vxlan_sync(). */
int vxlan_device_sync(const struct vxlan_kernel *k, const struct vxlan_want *w,
	struct vxlan_device *out, struct err *e);

/* Deletes it when it is ours: 1, else 0. */
int vxlan_device_remove(const struct vxlan_kernel *k, const struct vxlan_want *w, struct err *e);
