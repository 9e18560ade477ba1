/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desired state of this node, but for its routes (routes.c), BGP sessions
 * (peers.c) and MTUs (mtu.c). One pass over the documents, in their sorted order, so that equal inputs give
 * equal values: what is generated from them changes only when it has to.
 *
 * What contradicts itself is a problem with a sentence and is left out; everything else goes on.
 * Of two pools that overlap the one whose name sorts first counts. A pool that contains addresses
 * of nodes gives nothing, unless it is in use already: then those nodes count as without address,
 * so that one wrong document of a node does not take the routes of all others away.
 */
#include "agent/desired/desired.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/desired/base.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/selector.h"
#include "lib/text.h"

#define NAME_LABEL "kubernetes.io/hostname" /* what selectors for one node are written with */

void *desired_memory(struct desired *d, size_t n, size_t size)
{
	d->memory = mem_grow(d->memory, &d->memory_room, d->n_memory + 1, sizeof(*d->memory));
	return d->memory[d->n_memory++] = mem_new(n ? n : 1, size);
}

void desired_problem(struct desired *d, const char *fmt, ...)
{
	if (d->n_problems == DESIRED_PROBLEMS)
		return;
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(d->problems[d->n_problems++], sizeof(d->problems[0]), fmt, ap);
	va_end(ap);
}

const struct cidr *desired_own(const struct desiring *g, uint8_t family)
{
	return family == AF_INET ? &g->self->addr4 : &g->self->addr6;
}

struct addr desired_node_addr(const struct resource_node *n, uint8_t family)
{
	return family == AF_INET ? n->addr4.addr : n->addr6.addr;
}

bool desired_is_near(const struct desiring *g, const struct addr *node)
{
	const struct cidr *own = desired_own(g, node->family);
	return own->addr.family && cidr_contains(own, node);
}

bool desired_is_tunnel(const struct resource_pool *p)
{
	return p->ipip != ENCAP_NEVER || p->vxlan != ENCAP_NEVER;
}

/* Pools. */

bool desired_is_in_use(const struct replica *r, const struct cidr *pool)
{
	size_t low = 0, high = r->n_blocks;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (addr_compare(&r->blocks[middle].cidr.addr, &pool->addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->n_blocks && cidr_contains(pool, &r->blocks[low].cidr.addr);
}

/* Other nodes lose their address inside this pool. view becomes a copy when one does. */
static void leave_out_strays(struct desiring *g, const struct resource *pool, struct replica *view)
{
	const struct cidr *cidr = &pool->pool.pool.cidr;
	for (size_t i = 0; i < view->n_nodes; i++) {
		const struct replica_node *n = &view->nodes[i];
		struct addr a = desired_node_addr(&n->spec, cidr->addr.family);
		if (!a.family || !cidr_contains(cidr, &a) || strcmp(n->name, g->conf->node) == 0)
			continue;
		if (view->nodes == g->r->nodes) {
			view->nodes = desired_memory(g->out, view->n_nodes, sizeof(*n));
			memcpy(view->nodes, g->r->nodes, view->n_nodes * sizeof(*n));
		}
		struct resource_node *spec = &view->nodes[i].spec;
		*(a.family == AF_INET ? &spec->addr4 : &spec->addr6) = (struct cidr){0};
		desired_problem(g->out,
			"the address of node %s is inside pool %s: nothing is sent to that node",
			n->name, pool->name);
	}
}

static void take_nodes(struct desiring *g, struct replica *view)
{
	*view = *g->r;
	for (size_t i = 0; i < g->r->n_items; i++) {
		const struct resource *res = &g->r->items[i]->resource;
		if (res->kind == RESOURCE_IPPOOL && desired_is_in_use(g->r, &res->pool.pool.cidr))
			leave_out_strays(g, res, view);
	}
	g->r = view;
}

static const struct desired_pool *overlapping(const struct desiring *g, const struct cidr *c)
{
	for (size_t i = 0; i < g->n_pools; i++)
		if (cidr_overlaps(&g->pools[i].spec->pool.cidr, c))
			return &g->pools[i];
	return NULL;
}

/* A node whose address is in the pool: its name. */
static const char *node_inside(const struct desiring *g, const struct cidr *pool)
{
	const struct cidr *own = desired_own(g, pool->addr.family);
	if (own->addr.family && cidr_contains(pool, &own->addr))
		return g->conf->node;
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		struct addr a = desired_node_addr(&g->r->nodes[i].spec, pool->addr.family);
		if (a.family && cidr_contains(pool, &a))
			return g->r->nodes[i].name;
	}
	return NULL;
}

static void take_pool(struct desiring *g, const struct resource *res)
{
	const struct resource_pool *spec = &res->pool;
	const struct desired_pool *other = overlapping(g, &spec->pool.cidr);
	if (other) {
		desired_problem(
			g->out, "pool %s overlaps pool %s and is left out", res->name, other->name);
		return;
	}
	if (g->n_pools == POOL_MAX) {
		desired_problem(g->out, "there are more than %d pools: %s is left out", POOL_MAX,
			res->name);
		return;
	}
	const char *node = node_inside(g, &spec->pool.cidr);
	if (node)
		desired_problem(g->out,
			"pool %s contains the address of node %s: no addresses are given from it",
			res->name, node);
	g->pools[g->n_pools++] = (struct desired_pool){
		.name = res->name,
		.spec = spec,
		.has_node = node != NULL,
		.assigns = !spec->disabled && !g->drain && !node &&
			   selector_matches(spec->selector, g->labels),
	};
}

static void take_pools(struct desiring *g)
{
	for (size_t i = 0; i < g->r->n_items; i++)
		if (g->r->items[i]->resource.kind == RESOURCE_IPPOOL)
			take_pool(g, &g->r->items[i]->resource);
	if (g->n_pools == 0)
		desired_problem(g->out, "there is no IPPool: no pod can get an address");
}

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
				desired_problem(g->out,
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

/* The kernel. */

static void make_blackholes(struct desiring *g)
{
	const struct desired_self *s = g->self;
	struct cidr *all = desired_memory(g->out, s->n_announced + s->n_kept, sizeof(*all));
	size_t n = 0;
	for (size_t i = 0; i < s->n_announced; i++)
		all[n++] = s->announced[i];
	for (size_t i = 0; i < s->n_kept; i++)
		all[n++] = s->kept[i];
	g->out->kernel.blackholes = all;
	g->out->kernel.n_blackholes = n;
}

static void make_kernel(struct desiring *g)
{
	struct kernel_want *k = &g->out->kernel;
	make_blackholes(g);
	for (size_t i = 0; i < g->n_pools; i++)
		*(g->pools[i].spec->pool.cidr.addr.family == AF_INET ? &k->forward4
								     : &k->forward6) = true;
	desired_tunnels(g);
}

static void make_nat(struct desiring *g)
{
	struct cidr *all = desired_memory(g->out, g->n_pools, sizeof(*all));
	struct cidr *nat = desired_memory(g->out, g->n_pools, sizeof(*nat));
	struct nat_want *w = &g->out->nat;
	for (size_t i = 0; i < g->n_pools; i++) {
		all[w->n_pools++] = g->pools[i].spec->pool.cidr;
		if (g->pools[i].spec->nat_outgoing)
			nat[w->n_nat++] = g->pools[i].spec->pool.cidr;
	}
	w->pools = all;
	w->nat = nat;
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
		vxlan_mac(g->conf->node, family, bytes);
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
		desired_problem(g->out,
			"node %s has the address %s too: this node is not registered with it; "
			"mend one of them, or remove the other node",
			other, text);
		return true;
	}
	return false;
}

static void make_node(struct desiring *g)
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

static void check_addresses(struct desiring *g)
{
	bool needs4 = false;
	bool needs6 = false;
	for (size_t i = 0; i < g->n_pools; i++)
		*(g->pools[i].spec->pool.cidr.addr.family == AF_INET ? &needs4 : &needs6) = true;
	if (needs4 && !g->self->addr4.addr.family)
		desired_problem(g->out,
			"this node has no IPv4 address (%s): its IPv4 pods cannot "
			"be reached from other nodes",
			g->conf->detect4.text);
	if (needs6 && !g->self->addr6.addr.family)
		desired_problem(g->out,
			"this node has no IPv6 address (%s): its IPv6 pods cannot "
			"be reached from other nodes",
			g->conf->detect6.text);
}

void desired_make(const struct conf *c, const struct replica *r, const struct facts *f,
	const struct desired_self *self, struct desired *out)
{
	*out = (struct desired){0};
	const struct replica_node *node = replica_node(r, c->node);
	struct replica view;
	struct desiring g = {
		.conf = c,
		.r = r,
		.f = f,
		.self = self,
		.out = out,
		.node = node ? &node->spec : NULL,
		.labels = json_object_get(json_object_get(r->self, "metadata"), "labels"),
		.drain = node && node->spec.drain,
	};
	take_nodes(&g, &view);
	take_pools(&g);
	check_addresses(&g);
	desired_check_mtu(&g);
	desired_check_paths(&g);
	make_mirror(&g);
	make_kernel(&g);
	make_nat(&g);
	make_node(&g);
	desired_peers(&g);
	desired_routes(&g);
	desired_exits(&g);
}

void desired_done(struct desired *d)
{
	for (size_t i = 0; i < d->n_memory; i++)
		free(d->memory[i]);
	free(d->memory);
	json_decref(d->node);
	*d = (struct desired){0};
}
