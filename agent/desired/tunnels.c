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

enum asked { WANT_VXLAN, WANT_IPIP };

/* Whether a pool of the family asks for it, always or across subnets. */
static bool asks(const struct desiring *g, uint8_t family, enum asked what)
{
	for (size_t i = 0; i < g->n_pools; i++) {
		const struct resource_pool *p = g->pools[i].spec;
		if (p->pool.cidr.addr.family == family &&
			(what == WANT_VXLAN ? p->vxlan : p->ipip) != ENCAP_NEVER)
			return true;
	}
	return false;
}

static bool has_mac(const uint8_t mac[6])
{
	static const uint8_t none[6];
	return memcmp(mac, none, sizeof(none)) != 0;
}

static void make_vxlan_peers(struct desiring *g, uint8_t family, struct vxlan_want *w)
{
	struct vxlan_peer *peers = desired_memory(g->out, g->r->n_nodes, sizeof(*peers));
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct replica_node *n = &g->r->nodes[i];
		struct addr vtep = n->spec.vxlan[family_of(family)];
		const uint8_t *mac = n->spec.vxlan_mac[family_of(family)];
		struct addr node = desired_node_addr(&n->spec, family);
		if (!vtep.family || !node.family || !has_mac(mac) ||
			strcmp(n->name, g->conf->node) == 0)
			continue;
		struct vxlan_peer *p = &peers[w->n_peers++];
		p->node = node;
		if (family == AF_INET)
			p->vtep4 = vtep;
		else
			p->vtep6 = vtep_link_local(mac);
		memcpy(p->mac, mac, sizeof(p->mac));
	}
	w->peers = peers;
}

/* One device per family of addresses; its packets go between node addresses of the same family. */
static void make_vxlan(struct desiring *g, uint8_t family, struct vxlan_want *w, bool *wants)
{
	const struct cidr *own = desired_own(g, family);
	struct addr vtep = family == AF_INET ? g->self->vxlan4 : g->self->vxlan6;
	(void)snprintf(w->device, sizeof(w->device), "%s%s", g->conf->vxlan_device,
		family == AF_INET ? "" : "6");
	w->mtu = desired_vxlan_mtu(g, family);
	*wants = own->addr.family && w->mtu && asks(g, family, WANT_VXLAN);
	w->keep = *wants || (vtep.family && w->mtu);
	if (!*wants || !vtep.family)
		return;
	w->on = true;
	w->local = own->addr;
	w->parent = family == AF_INET ? g->self->link4 : g->self->link6;
	w->vni = g->conf->vxlan_vni;
	w->port = g->conf->vxlan_port;
	w->offload = g->conf->vxlan_offload;
	vtep_mac(g->conf->node, family, w->mac);
	*(family == AF_INET ? &w->vtep4 : &w->vtep6) = vtep;
	make_vxlan_peers(g, family, w);
}

static void make_ipip(struct desiring *g, struct ipip_want *w, bool *wants)
{
	*wants = g->self->addr4.addr.family && asks(g, AF_INET, WANT_IPIP);
	w->keep = *wants || g->self->ipip4.family;
	if (!*wants || !g->self->ipip4.family)
		return;
	w->on = true;
	w->addr = g->self->ipip4;
	w->mtu = desired_ipip_mtu(g);
}

/* The ends of IPIP devices that are not ours: the far one, or ours where that is not fixed. */
static void list_others(struct desiring *g, struct tunnel_filter_want *w)
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

static void make_tunnel_filter(struct desiring *g)
{
	const struct kernel_want *k = &g->out->kernel;
	struct tunnel_filter_want *w = &g->out->tunnel_filter;
	struct addr *peers = desired_memory(g->out, 2 * g->r->n_nodes, sizeof(*peers));
	*w = (struct tunnel_filter_want){
		.ipip = (k->ipip.on || k->ipip.keep) && !g->self->ipip_is_theirs,
		.vxlan4 = k->vxlan[0].on || k->vxlan[0].keep,
		.vxlan6 = k->vxlan[1].on || k->vxlan[1].keep,
		.port = g->conf->vxlan_port,
		.vni = g->conf->vxlan_vni,
	};
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct resource_node *n = &g->r->nodes[i].spec;
		if (strcmp(g->r->nodes[i].name, g->conf->node) == 0)
			continue;
		peers[w->peers.n++] = desired_node_addr(n, AF_INET);
		peers[w->peers.n++] = desired_node_addr(n, AF_INET6);
	}
	w->peers.v = peers;
	list_others(g, w);
}

void desired_tunnels(struct desiring *g)
{
	struct kernel_want *k = &g->out->kernel;
	make_vxlan(g, AF_INET, &k->vxlan[0], &g->out->wants_vxlan4);
	make_vxlan(g, AF_INET6, &k->vxlan[1], &g->out->wants_vxlan6);
	make_ipip(g, &k->ipip, &g->out->wants_ipip);
	make_tunnel_filter(g);
}
