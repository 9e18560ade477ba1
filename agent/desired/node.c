/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node says of itself and what it keeps for ADD: its Node document in the store, with its
 * addresses and its ends of tunnels, and the copy of pools and reservations in the node state.
 *
 * The document is ours and the operator's: fields that are not ours stay as they are. It is not
 * written while another node says that it has our address.
 */
#include <string.h>

#include "agent/desired/base.h"
#include "agent/kernel/vtep.h"
#include "lib/json.h"
#include "lib/text.h"

#define NAME_LABEL "kubernetes.io/hostname" /* what selectors for one node are written with */

/* What the node state gets. */

static int64_t cooldown(const struct desiring *g)
{
	const struct replica_item *i = replica_item(g->r, RESOURCE_IPAMCONFIGURATION, "default");
	return i ? i->resource.ipam.cooldown_s : -1;
}

static void make_reserved(struct desiring *g, struct mirror *m)
{
	for (size_t i = 0; i < g->r->n_items; i++) {
		const struct resource *res = &g->r->items[i]->resource;
		if (res->kind != RESOURCE_IPRESERVATION)
			continue;
		for (size_t j = 0; j < res->reservation.n; j++) {
			if (m->n_reserved == MIRROR_RESERVED) {
				problems_add(&g->out->problems,
					"there are more than %d reserved prefixes: %s is not "
					"complete",
					MIRROR_RESERVED, res->name);
				return;
			}
			m->reserved[m->n_reserved++] = res->reservation.cidrs[j];
		}
	}
}

static void make_mirror(struct desiring *g)
{
	struct mirror *m = &g->out->mirror;
	int64_t seconds = cooldown(g);
	(void)text_copy(m->node, sizeof(m->node), g->conf->node);
	(void)text_copy(m->socket, sizeof(m->socket), g->conf->socket);
	m->mtu4 = desired_pod_mtu(g, AF_INET);
	m->mtu6 = desired_pod_mtu(g, AF_INET6);
	for (size_t i = 0; i < g->n_pools; i++) {
		struct mirror_pool *p = &m->pools[m->n_pools++];
		p->pool = g->pools[i].spec->pool;
		if (seconds >= 0)
			p->pool.cooldown_s = (uint32_t)seconds;
		(void)text_copy(p->name, sizeof(p->name), g->pools[i].name);
		p->assigns = g->pools[i].assigns;
	}
	make_reserved(g, m);
}

/* Our Node document. */

/* The object under a key, made when it is absent or none; borrowed. */
static json_t *object_in(json_t *parent, const char *key)
{
	json_t *o = json_object_get(parent, key);
	if (!json_is_object(o)) {
		o = json_object();
		(void)json_object_set_new(parent, key, o);
	}
	return o;
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (*text)
		(void)json_object_set_new(object, key, json_string(text));
	else
		(void)json_object_del(object, key);
}

static void set_cidr(json_t *object, const char *key, const struct cidr *c)
{
	char text[CIDR_TEXT] = "";
	if (c->addr.family)
		cidr_format(c, text);
	set_text(object, key, text);
}

static void set_addr(json_t *object, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT] = "";
	if (a->family)
		addr_format(a, text);
	set_text(object, key, text);
}

static void set_vtep(json_t *spec, const struct desiring *g, uint8_t family)
{
	struct addr vtep = family == AF_INET ? g->self->vxlan4 : g->self->vxlan6;
	char mac[MAC_TEXT] = "";
	if (vtep.family) {
		uint8_t bytes[6];
		vtep_mac(g->conf->node, family, bytes);
		mac_format(bytes, mac);
	}
	set_addr(spec, family == AF_INET ? "ipv4VXLANTunnelAddr" : "ipv6VXLANTunnelAddr", &vtep);
	set_text(spec, family == AF_INET ? "vxlanTunnelMACAddr" : "vxlanTunnelMACAddrV6", mac);
}

/* Another node that says it has our address. */
static const char *twin(const struct desiring *g, uint8_t family)
{
	const struct cidr *own = desired_own(g, family);
	for (size_t i = 0; own->addr.family && i < g->r->n_nodes; i++) {
		struct addr a = desired_node_addr(&g->r->nodes[i].spec, family);
		if (a.family && addr_equal(&a, &own->addr) &&
			strcmp(g->r->nodes[i].name, g->conf->node) != 0)
			return g->r->nodes[i].name;
	}
	return NULL;
}

static bool has_twin(struct desiring *g)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	for (int i = 0; i < 2; i++) {
		const char *other = twin(g, families[i]);
		char text[ADDR_TEXT];
		if (!other)
			continue;
		addr_format(&desired_own(g, families[i])->addr, text);
		problems_add(&g->out->problems,
			"node %s has the address %s too: this node is not registered with it; "
			"mend one of them, or remove the other node",
			other, text);
		return true;
	}
	return false;
}

static void make_document(struct desiring *g)
{
	if (has_twin(g))
		return;
	json_t *doc = json_is_object(g->r->self) ? json_deep_copy(g->r->self) : json_object();
	set_text(doc, "kind", "Node");
	set_text(doc, "apiVersion", "projectcalico.org/v3");
	json_t *metadata = object_in(doc, "metadata");
	set_text(metadata, "name", g->conf->node);
	json_t *labels = object_in(metadata, "labels");
	if (!json_object_get(labels, NAME_LABEL))
		set_text(labels, NAME_LABEL, g->conf->node);
	json_t *spec = object_in(doc, "spec");
	json_t *bgp = object_in(spec, "bgp");
	set_cidr(bgp, "ipv4Address", &g->self->addr4);
	set_cidr(bgp, "ipv6Address", &g->self->addr6);
	set_addr(bgp, "ipv4IPIPTunnelAddr", &g->self->ipip4);
	set_vtep(spec, g, AF_INET);
	set_vtep(spec, g, AF_INET6);
	if (json_equal(doc, g->r->self))
		json_decref(doc);
	else
		g->out->node = doc;
}

void desired_node(struct desiring *g)
{
	make_mirror(g);
	make_document(g);
}
