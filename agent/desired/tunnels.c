/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnels of this node: a VXLAN device for each family of node addresses, the IPIP device, and
 * who may send through them. A device is wanted as soon as a pool asks for its encapsulation; it is
 * made when it has an address of the node's own blocks, and until then one that is there stays. So
 * does one that is not wanted any more, as long as its address is held.
 */
#include <stdio.h>
#include <string.h>

#include "agent/desired/base.h"
#include "agent/kernel/vtep.h"

static bool wants_vxlan(const struct resource_pool *p)
{
	return p->vxlan != ENCAP_NEVER;
}

static bool wants_ipip(const struct resource_pool *p)
{
	return p->ipip != ENCAP_NEVER;
}

static bool any_pool(
	const struct desired_work *g, enum family f, bool (*wants)(const struct resource_pool *p))
{
	for (size_t i = 0; i < g->n_pools; i++)
		if (g->pools[i].family == f && wants(g->pools[i].spec))
			return true;
	return false;
}

static void make_vxlan_peers(struct desired_work *g, enum family f, struct vxlan_want *w)
{
	struct vxlan_peer *peers = desired_memory(g->out, g->r->n_nodes, sizeof(*peers));
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct resource_node *n = &g->r->nodes[i].spec;
		struct addr node = desired_other_addr(g, &g->r->nodes[i], f);
		struct addr vtep = desired_vtep(n, f);
		if (!vtep.family || !node.family || !desired_has_mac(n->vxlan_mac[f]))
			continue;
		struct vxlan_peer *p = &peers[w->n_peers++];
		p->node = node;
		p->vtep[f] = vtep;
		memcpy(p->mac, n->vxlan_mac[f], sizeof(p->mac));
	}
	w->peers = peers;
}

/* One device per family of addresses; its packets go between node addresses of the same family. */
static void make_vxlan(struct desired_work *g, enum family f)
{
	struct vxlan_want *w = &g->out->kernel.vxlan[f];
	const struct addr *own = &g->self->addr[f].addr;
	const struct addr *vtep = &g->self->vxlan[f];
	(void)snprintf(
		w->device, sizeof(w->device), "%s%s", g->conf->vxlan_device, f == IPV4 ? "" : "6");
	w->mtu = desired_vxlan_mtu(g, f);
	bool wants = own->family && w->mtu && any_pool(g, f, wants_vxlan);
	g->out->wants_vxlan[f] = wants;
	w->keep = wants || (vtep->family && w->mtu);
	if (!wants || !vtep->family)
		return;
	w->on = true;
	w->local = *own;
	w->parent = g->self->link[f];
	w->vni = g->conf->vxlan_vni;
	w->port = g->conf->vxlan_port;
	w->offload = g->conf->vxlan_offload;
	vtep_mac(g->conf->node, f, w->mac);
	w->vtep[f] = *vtep;
	make_vxlan_peers(g, f, w);
}

static void make_ipip(struct desired_work *g)
{
	struct ipip_want *w = &g->out->kernel.ipip;
	const struct addr *end = &g->self->ipip;
	bool wants = g->self->addr[IPV4].addr.family && any_pool(g, IPV4, wants_ipip);
	g->out->wants_ipip = wants;
	w->keep = wants || end->family;
	if (!wants || !end->family)
		return;
	w->on = true;
	w->addr = *end;
	w->mtu = desired_ipip_mtu(g);
}

/* The ends of IPIP devices that are not ours: the far one, or ours where that is not fixed. */
static void list_others(struct desired_work *g, struct tunnel_filter_want *w)
{
	struct addr *others = desired_memory(g->out, g->f->n_links, sizeof(*others));
	struct addr *theirs = desired_memory(g->out, g->f->n_links, sizeof(*theirs));
	for (size_t i = 0; i < g->f->n_links; i++) {
		const struct facts_link *l = &g->f->links[i];
		if (l->far.family)
			others[w->others.n++] = l->far;
		else if (l->near.family)
			theirs[w->theirs.n++] = l->near;
	}
	w->others.v = others;
	w->theirs.v = theirs;
}

static void make_tunnel_filter(struct desired_work *g)
{
	const struct kernel_want *k = &g->out->kernel;
	struct tunnel_filter_want *w = &g->out->tunnel_filter;
	struct addr *peers = desired_memory(g->out, FAMILIES * g->r->n_nodes, sizeof(*peers));
	*w = (struct tunnel_filter_want){
		.ipip = (k->ipip.on || k->ipip.keep) && !g->self->ipip_is_foreign,
		.port = g->conf->vxlan_port,
		.vni = g->conf->vxlan_vni,
	};
	for (enum family f = IPV4; f < FAMILIES; f++)
		w->vxlan[f] = k->vxlan[f].on || k->vxlan[f].keep;
	for (size_t i = 0; i < g->r->n_nodes; i++)
		for (enum family f = IPV4; f < FAMILIES; f++) {
			struct addr a = desired_other_addr(g, &g->r->nodes[i], f);
			if (a.family)
				peers[w->peers.n++] = a;
		}
	w->peers.v = peers;
	list_others(g, w);
}

void desired_tunnels(struct desired_work *g)
{
	for (enum family f = IPV4; f < FAMILIES; f++)
		make_vxlan(g, f);
	make_ipip(g);
	make_tunnel_filter(g);
}
