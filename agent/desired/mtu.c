/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How large packets may be. A pod's link has the MTU of the node's uplink less what the largest
 * tunnel of its families adds, so that what a pod sends fits whichever way it goes.
 *
 * IPv6 wants 1280 bytes of every link (RFC 8200 section 5): the kernel takes IPv6 away from a smaller
 * one, a tunnel's as well as a pod's. A pod has one link for both families; where that would be
 * too small its pods get IPv4 alone, rather than none at all, and there is no IPv6 tunnel.
 */
#include "agent/desired/base.h"

#define OVERHEAD_IPIP 20 /* bytes: an IPv4 header */
#define MTU_DEFAULT 1500
#define MTU_IPV6 1280

/* Ethernet, IP, UDP, VXLAN (RFC 7348 section 5). */
static const uint32_t overhead_vxlan[FAMILIES] = {50, 70};

static uint32_t pool_overhead(const struct desired_pool *p)
{
	if (p->spec->ipip != ENCAP_NEVER)
		return OVERHEAD_IPIP;
	return p->spec->vxlan != ENCAP_NEVER ? overhead_vxlan[p->family] : 0;
}

/* A link too small for IPv6 has no IPv6 address: then it is the other family's. */
static const struct facts_link *uplink(const struct desired_work *g, enum family f)
{
	int own = g->self->link[f];
	return facts_link(g->f, own ? own : g->self->link[!f]);
}

static uint32_t uplink_mtu(const struct desired_work *g, enum family f)
{
	const struct facts_link *l = uplink(g, f);
	return l && l->mtu && !l->loopback ? l->mtu : MTU_DEFAULT;
}

uint32_t desired_vxlan_mtu(const struct desired_work *g, enum family f)
{
	uint32_t mtu = uplink_mtu(g, f);
	return f == IPV4 || mtu >= MTU_IPV6 + overhead_vxlan[f] ? mtu - overhead_vxlan[f] : 0;
}

uint32_t desired_ipip_mtu(const struct desired_work *g)
{
	return uplink_mtu(g, IPV4) - OVERHEAD_IPIP;
}

uint32_t desired_pod_mtu(const struct desired_work *g, enum family f)
{
	uint32_t most = 0;
	for (size_t i = 0; i < g->n_pools; i++)
		if (g->pools[i].family == f && pool_overhead(&g->pools[i]) > most)
			most = pool_overhead(&g->pools[i]);
	return g->out->kernel.forward[f] ? uplink_mtu(g, f) - most : 0;
}

static bool assigns_family(const struct desired_work *g, enum family f)
{
	for (size_t i = 0; i < g->n_pools; i++)
		if (g->pools[i].assigns && g->pools[i].family == f)
			return true;
	return false;
}

void desired_check_mtu(struct desired_work *g)
{
	const struct facts_link *l = uplink(g, IPV6);
	uint32_t mtu4 = desired_pod_mtu(g, IPV4);
	uint32_t mtu6 = desired_pod_mtu(g, IPV6);
	uint32_t mtu = mtu4 && mtu4 < mtu6 ? mtu4 : mtu6;
	if (!l || !assigns_family(g, IPV6) || mtu >= MTU_IPV6)
		return;
	bool other = assigns_family(g, IPV4);
	for (size_t i = 0; i < g->n_pools && other; i++)
		g->pools[i].assigns &= g->pools[i].family == IPV4;
	problems_add_as(&g->out->problems, "mtu",
		"the MTU of %s is %u, which leaves %u for pods, and IPv6 needs %d: %s", l->name,
		l->mtu, mtu, MTU_IPV6,
		other ? "new pods of this node get IPv4 addresses alone" : "no pod can start");
}
