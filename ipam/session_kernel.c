/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look at the kernel that a new state needs.
 */
#include "ipam/session.h"

#include "lib/hostport.h"
#include "lib/mem.h"
#include "lib/shape.h"

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

static int adopt_limits(struct node *n, struct net *net, const struct owned *kernel, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < kernel->n_links && r >= 0; i++) {
		const struct hash *owner = &kernel->links[i].label.owner;
		struct node_leases leases;
		struct shape shape;
		r = node_find(n, owner, &leases, e);
		if (r <= 0)
			continue;
		shape_ask(net, kernel->links[i].link.index, owner, &shape);
		r = net_commit(net, NULL, e);
		if (r < 0)
			return r;
		shape_ask_ifb(net, &shape);
		r = net_commit(net, NULL, e);
		const struct bandwidths limits = shape_limits(&shape);
		if (r >= 0 && (limits.ingress.rate || limits.egress.rate))
			r = node_put_limits(n, owner, &limits, e);
	}
	return r;
}

int session_adopt(struct node *n, struct net **net, struct err *e)
{
	struct owned kernel;
	int r = node_needs_adoption(n, true) ? session_kernel(net, &kernel, e) : 1;
	if (r != 0)
		return r < 0 ? r : 0;
	r = node_adopt(n, &kernel, e);
	if (r >= 0)
		r = adopt_ports(n, e);
	if (r >= 0)
		r = adopt_limits(n, *net, &kernel, e);
	owned_done(&kernel);
	return r < 0 ? r : 0;
}
