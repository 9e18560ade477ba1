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

#define OVERHEAD_IPIP 20   /* bytes: an IPv4 header */
#define OVERHEAD_VXLAN4 50 /* Ethernet, IPv4, UDP, VXLAN (RFC 7348 section 5) */
#define OVERHEAD_VXLAN6 70
#define MTU_DEFAULT 1500
#define MTU_IPV6 1280

static uint32_t overhead(const struct desired_pool *p)
{
	if (p->spec->ipip != ENCAP_NEVER)
		return OVERHEAD_IPIP;
	if (p->spec->vxlan != ENCAP_NEVER)
		return p->spec->pool.cidr.addr.family == AF_INET ? OVERHEAD_VXLAN4
								 : OVERHEAD_VXLAN6;
	return 0;
}

/* A link too small for IPv6 has no IPv6 address: then it is the other family's. */
static const struct facts_link *uplink(const struct desiring *g, uint8_t family)
{
	int own = family == AF_INET ? g->self->link4 : g->self->link6;
	int other = family == AF_INET ? g->self->link6 : g->self->link4;
	return facts_link(g->f, own ? own : other);
}

uint32_t desired_uplink_mtu(const struct desiring *g, uint8_t family)
{
	const struct facts_link *l = uplink(g, family);
	return l && l->mtu && !l->loopback ? l->mtu : MTU_DEFAULT;
}

uint32_t desired_vxlan_mtu(const struct desiring *g, uint8_t family)
{
	uint32_t mtu = desired_uplink_mtu(g, family);
	if (family == AF_INET)
		return mtu - OVERHEAD_VXLAN4;
	return mtu >= MTU_IPV6 + OVERHEAD_VXLAN6 ? mtu - OVERHEAD_VXLAN6 : 0;
}

uint32_t desired_ipip_mtu(const struct desiring *g)
{
	return desired_uplink_mtu(g, AF_INET) - OVERHEAD_IPIP;
}

uint32_t desired_pod_mtu(const struct desiring *g, uint8_t family)
{
	uint32_t most = 0;
	bool any = false;
	for (size_t i = 0; i < g->n_pools; i++) {
		if (g->pools[i].spec->pool.cidr.addr.family != family)
			continue;
		uint32_t o = overhead(&g->pools[i]);
		most = o > most ? o : most;
		any = true;
	}
	return any ? desired_uplink_mtu(g, family) - most : 0;
}

static bool gives(const struct desiring *g, uint8_t family)
{
	for (size_t i = 0; i < g->n_pools; i++)
		if (g->pools[i].assigns && g->pools[i].spec->pool.cidr.addr.family == family)
			return true;
	return false;
}

void desired_check_mtu(struct desiring *g)
{
	const struct facts_link *l = uplink(g, AF_INET6);
	uint32_t mtu4 = desired_pod_mtu(g, AF_INET);
	uint32_t mtu6 = desired_pod_mtu(g, AF_INET6);
	uint32_t mtu = mtu4 && mtu4 < mtu6 ? mtu4 : mtu6;
	if (!l || !gives(g, AF_INET6) || mtu >= MTU_IPV6)
		return;
	bool other = gives(g, AF_INET);
	for (size_t i = 0; i < g->n_pools && other; i++)
		g->pools[i].assigns &= g->pools[i].spec->pool.cidr.addr.family == AF_INET;
	problems_add(&g->out->problems,
		"the MTU of %s is %u, which leaves %u for pods, and IPv6 needs %d: %s", l->name,
		l->mtu, mtu, MTU_IPV6,
		other ? "new pods of this node get IPv4 addresses alone" : "no pod can start");
}
