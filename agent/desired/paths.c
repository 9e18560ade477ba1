/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asymmetric ways. With rp_filter 1 the kernel drops an IPv4 packet that came through another link
 * than the one an answer would take. Tunnels of ours are loose, links of pods strict on purpose;
 * the uplink is the administrator's, so all that can be done is to say when it will drop what comes
 * from another node:
 *
 *  - everything, as packets to that node leave through another link than that of our address;
 *  - what its pods send, as it takes us for its neighbour and sends in the clear, while by our own
 *    prefix length it is none and gets its answers through the tunnel;
 *  - what its pods send to this node's own address: that is never tunnelled, but the answer is. With
 *    outgoing NAT it comes from the other node's address, and all is well.
 *
 * Its forwarding switch is the administrator's, too.
 */
#include "agent/desired/base.h"

static void prefer_longer(
	const struct cidr *dst, const struct addr *a, int link, int *len, int *best)
{
	if (!cidr_contains(dst, a) || dst->len <= *len)
		return;
	*len = dst->len;
	*best = link;
}

/* The link through which the host sends to an address; 0: none is known. */
static int link_to(const struct facts *f, const struct addr *a)
{
	int len = -1;
	int best = 0;
	for (size_t i = 0; i < f->n_addrs; i++)
		if (f->addrs[i].usable)
			prefer_longer(&f->addrs[i].addr, a, f->addrs[i].link, &len, &best);
	for (size_t i = 0; i < f->n_routes; i++)
		prefer_longer(&f->routes[i].dst, a, f->routes[i].link, &len, &best);
	return len < 0 ? f->defaults[family_of(a->family)].link : best;
}

enum drop { DROP_NOTHING, DROP_OTHER_LINK, DROP_IN_CLEAR, DROP_TO_NODE };

static enum drop find_drop(const struct desired_work *g, const struct cidr *theirs, int link)
{
	bool near = desired_is_near(g, &theirs->addr);
	if (link && link != g->self->link[IPV4])
		return DROP_OTHER_LINK;
	for (size_t i = 0; i < g->n_pools; i++) {
		const struct resource_pool *p = g->pools[i].spec;
		bool cross = p->ipip == ENCAP_CROSS_SUBNET || p->vxlan == ENCAP_CROSS_SUBNET;
		if (g->pools[i].family != IPV4 || !desired_is_tunnel(p) || (cross && near))
			continue;
		if (cross && cidr_contains(theirs, &g->self->addr[IPV4].addr))
			return DROP_IN_CLEAR;
		if (!p->nat_outgoing)
			return DROP_TO_NODE;
	}
	return DROP_NOTHING;
}

/* IPv4 forwards by the switch of the device that a packet arrives on; IPv6 has one for all. */
static void check_forwarding(struct desired_work *g, int index)
{
	const struct facts_link *l = facts_link(g->f, index);
	if (l && l->no_forward)
		problems_add(&g->out->problems,
			"%s forwards no IPv4 packets, so pods get nothing that arrives there: "
			"sysctl -w net.ipv4.conf.%s.forwarding=1",
			l->name, l->name);
}

static void check_uplinks(struct desired_work *g)
{
	int own = g->self->link[IPV4];
	int way = g->f->defaults[IPV4].link;
	check_forwarding(g, own);
	if (way != own)
		check_forwarding(g, way);
}

void desired_check_paths(struct desired_work *g)
{
	check_uplinks(g);
	static const char *const what[] = {
		[DROP_OTHER_LINK] = "packets from",
		[DROP_IN_CLEAR] = "packets from pods of",
		[DROP_TO_NODE] = "packets to this node's own address from pods of",
	};
	const struct facts_link *l = facts_link(g->f, g->self->link[IPV4]);
	if (!g->self->addr[IPV4].addr.family || !l || !l->strict)
		return;
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct replica_node *n = &g->r->nodes[i];
		const struct cidr *theirs = &n->spec.addr[IPV4];
		if (!desired_other_addr(g, n, IPV4).family)
			continue;
		int link = link_to(g->f, &theirs->addr);
		const struct facts_link *out = facts_link(g->f, link);
		enum drop d = find_drop(g, theirs, link);
		if (d == DROP_NOTHING)
			continue;
		problems_add_as(&g->out->problems, "rp_filter",
			"%s node %.64s are dropped by %s, whose rp_filter is 1 (strict), as "
			"answers go through %s: sysctl -w net.ipv4.conf.%s.rp_filter=2",
			what[d], n->name, l->name,
			d != DROP_OTHER_LINK ? "the tunnel"
			: out		     ? out->name
					     : "another link",
			l->name);
		return; /* one is enough: the remedy is the same */
	}
}
