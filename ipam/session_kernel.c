/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look at the kernel that a new state needs.
 */
#include "ipam/session.h"

#include "lib/hostport.h"
#include "lib/mem.h"

int session_kernel(struct net **net, struct owned *out, struct err *e)
{
	int r = *net ? 0 : net_open(net, e);
	return r < 0 ? r : owned_list(*net, out, e);
}

/* Of owners that the state has now. */
static int adopt_ports(struct node *n, struct err *e)
{
	struct hostport_list list = {0};
	size_t count = 0;
	int r = hostport_list_read(&list, e);
	CLEANUP_FREE struct hash *owners = hostport_owners(&list, &count);
	for (size_t i = 0; i < count && r >= 0; i++) {
		struct node_leases leases;
		size_t n_ports;
		CLEANUP_FREE struct port *ports = hostport_ports(&list, &owners[i], &n_ports);
		r = node_find(n, &owners[i], &leases, e);
		if (r > 0)
			r = node_put_ports(n, &owners[i], ports, n_ports, e);
	}
	hostport_list_done(&list);
	return r < 0 ? r : 0;
}

int session_adopt(struct node *n, struct net **net, struct err *e)
{
	struct owned kernel;
	int r = node_needs_adoption(n, true) ? session_kernel(net, &kernel, e) : 1;
	if (r != 0)
		return r < 0 ? r : 0;
	r = node_adopt(n, &kernel, e);
	owned_done(&kernel);
	return r < 0 ? r : adopt_ports(n, e);
}
