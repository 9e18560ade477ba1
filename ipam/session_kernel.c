/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look at the kernel that a new state needs.
 */
#include "ipam/session.h"

int session_kernel(struct net **net, struct owned *out, struct err *e)
{
	int r = *net ? 0 : net_open(net, e);
	return r < 0 ? r : owned_list(*net, out, e);
}

int session_adopt(struct node *n, struct net **net, struct err *e)
{
	struct owned kernel;
	int r = node_needs_adoption(n, true) ? session_kernel(net, &kernel, e) : 1;
	if (r != 0)
		return r < 0 ? r : 0;
	r = node_adopt(n, &kernel, e);
	owned_done(&kernel);
	return r;
}
