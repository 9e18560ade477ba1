/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How other nodes' blocks are reached. An encapsulation is nothing but the content of a next-hop
 * table: which entry leads to a node's address. The pools of one family may ask for different
 * ones; the first pool's is the way of table 0, through which BGP resolves, and blocks of pools
 * that go another way are fed to BIRD as static routes through the table of their way. So are all
 * blocks when there is no BGP, and blocks of pools that are not to be announced.
 *
 * A table always has the routes to connected subnets, so that the removal of a node's tunnel entry
 * falls back to the direct way at once. Without a tunnel the host's other routes that lead to nodes
 * and the default route are there too: the network between the nodes is expected to know the blocks. With one it is not: a node that is
 * not known is unreachable rather than reached in the clear.
 *
 * A tunnel is used when both its ends are there, which the Node documents say: ours, too, so that
 * the device is there long before BIRD hears of it. While an encapsulation changes, nodes that
 * have no end of the new tunnel yet are reached in the former way; theirs and ours stand for a
 * while longer (agent/tunnel_addresses.h). So no packet is lost.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/desired/base.h"
#include "agent/kernel/vtep.h"
#include "lib/text.h"

/* One family's work. */
struct routing {
	struct desiring *g;
	uint8_t family;
	struct bird_family *out;
	int table[WAYS]; /* its table, -1: none */
	size_t n_tables;
};

static enum desired_way way_of(const struct resource_pool *p)
{
	if (p->ipip != ENCAP_NEVER)
		return p->ipip == ENCAP_ALWAYS ? WAY_IPIP : WAY_IPIP_CROSS;
	if (p->vxlan != ENCAP_NEVER)
		return p->vxlan == ENCAP_ALWAYS ? WAY_VXLAN : WAY_VXLAN_CROSS;
	return WAY_PLAIN;
}

static const struct desired_pool *pool_of(const struct routing *r, const struct cidr *block)
{
	for (size_t i = 0; i < r->g->n_pools; i++) {
		const struct pool *p = &r->g->pools[i].spec->pool;
		if (p->block_len == block->len && cidr_contains(&p->cidr, &block->addr))
			return r->g->pools[i].has_node ? NULL : &r->g->pools[i];
	}
	return NULL;
}

/* Pools, and which table each way has. */
static void make_pools(struct routing *r)
{
	struct desiring *g = r->g;
	struct bird_pool *pools = desired_memory(g->out, g->n_pools, sizeof(*pools));
	for (int w = 0; w < WAYS; w++)
		r->table[w] = -1;
	for (size_t i = 0; i < g->n_pools; i++) {
		const struct resource_pool *spec = g->pools[i].spec;
		if (spec->pool.cidr.addr.family != r->family || g->pools[i].has_node)
			continue;
		enum desired_way way = way_of(spec);
		if (r->table[way] < 0)
			r->table[way] = (int)r->n_tables++;
		if (r->table[way] == 0)
			g->out->way[r->family != AF_INET] = way;
		pools[r->out->n_pools++] = (struct bird_pool){
			.cidr = spec->pool.cidr,
			.block_len = spec->pool.block_len,
			.exported = !spec->no_bgp_export,
			.by_bgp = g->bgp && !spec->no_bgp_export && r->table[way] == 0,
		};
	}
	r->out->pools = pools;
	if (r->n_tables == 0) /* BGP sessions resolve through table 0 whatever pools there are */
		r->table[WAY_PLAIN] = (int)r->n_tables++;
}

static void make_own(struct routing *r)
{
	const struct desired_self *s = r->g->self;
	struct cidr *own = desired_memory(r->g->out, s->n_announced, sizeof(*own));
	for (size_t i = 0; i < s->n_announced; i++)
		if (s->announced[i].addr.family == r->family)
			own[r->out->n_own++] = s->announced[i];
	r->out->own = own;
}

/* Names of links come from the host's administrator; BIRD's grammar has quotes around them. */
static bool is_plain_name(const char *s)
{
	for (; *s; s++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-@:",
			    *s))
			return false;
	return true;
}

static bool is_tunnel_device(const struct routing *r, const struct facts_link *l)
{
	size_t len = strlen(r->g->conf->vxlan_device);
	return strcmp(l->name, IPIP_DEVICE) == 0 ||
	       strncmp(l->name, r->g->conf->vxlan_device, len) == 0;
}

static struct bird_hop *add_hop(struct bird_hop *hops, size_t *n, const struct cidr *dst)
{
	struct bird_hop *h = &hops[(*n)++];
	*h = (struct bird_hop){.dst = *dst};
	return h;
}

static void add_subnets(const struct routing *r, struct bird_hop *hops, size_t *n)
{
	const struct facts *f = r->g->f;
	for (size_t i = 0; i < f->n_addrs; i++) {
		const struct facts_addr *a = &f->addrs[i];
		const struct facts_link *l = facts_link(f, a->link);
		if (!a->usable || a->addr.addr.family != r->family || !l || l->loopback || !l->up ||
			a->addr.len == addr_bits(&a->addr.addr) || is_tunnel_device(r, l) ||
			!is_plain_name(l->name))
			continue;
		struct cidr subnet = cidr_masked(&a->addr.addr, a->addr.len);
		(void)text_copy(add_hop(hops, n, &subnet)->dev, NET_NAME, l->name);
	}
}

static bool leads_to_node(const struct routing *r, const struct cidr *dst)
{
	const struct replica *rep = r->g->r;
	for (size_t i = 0; i < rep->n_nodes; i++) {
		struct addr a = desired_node_addr(&rep->nodes[i].spec, r->family);
		if (a.family && cidr_contains(dst, &a) && !addr_equal(&a, &r->out->node))
			return true;
	}
	return false;
}

static bool has_hop(const struct bird_hop *hops, size_t n, const struct cidr *dst)
{
	for (size_t i = 0; i < n; i++)
		if (cidr_equal(&hops[i].dst, dst))
			return true;
	return false;
}

/* false: such a link is not for BIRD. */
static bool make_hop(const struct routing *r, const struct cidr *dst, const struct addr *via,
	int link, struct bird_hop *h)
{
	const struct facts_link *l = facts_link(r->g->f, link);
	if (!l || is_tunnel_device(r, l) || !is_plain_name(l->name))
		return false;
	*h = (struct bird_hop){.dst = *dst, .via = *via};
	return text_copy(h->dev, NET_NAME, l->name);
}

/* The host's own routes; a subnet's own goes first, as in the kernel. */
static void add_routes(const struct routing *r, struct bird_hop *hops, size_t *n)
{
	const struct facts *f = r->g->f;
	for (size_t i = 0; i < f->n_routes; i++) {
		const struct facts_route *route = &f->routes[i];
		if (route->dst.addr.family == r->family && !has_hop(hops, *n, &route->dst) &&
			leads_to_node(r, &route->dst))
			*n += make_hop(r, &route->dst, &route->via, route->link, &hops[*n]);
	}
}

/* The host's own route that leads to a node; false: none. */
static bool find_route(const struct routing *r, const struct addr *node, struct bird_hop *h)
{
	const struct facts_route *best = NULL;
	for (size_t i = 0; i < r->g->f->n_routes; i++) {
		const struct facts_route *route = &r->g->f->routes[i];
		if (cidr_contains(&route->dst, node) && (!best || route->dst.len > best->dst.len))
			best = route;
	}
	return best && make_hop(r, &best->dst, &best->via, best->link, h);
}

/* The way out of all that is not near; false: none. */
static bool find_default(const struct routing *r, struct bird_hop *h)
{
	const struct cidr all = {.addr = {.family = r->family}};
	for (size_t i = 0; i < r->g->f->n_defaults; i++) {
		const struct facts_default *d = &r->g->f->defaults[i];
		if (d->family == r->family && make_hop(r, &all, &d->via, d->link, h))
			return true;
	}
	return false;
}

/* The next hop that stands for a node's VXLAN device. */
static struct addr vtep_of(const struct resource_node *n, uint8_t family)
{
	static const uint8_t none[6];
	if (family == AF_INET)
		return n->vxlan[IPV4];
	return n->vxlan[IPV6].family && memcmp(n->vxlan_mac[IPV6], none, sizeof(none)) != 0
		       ? vtep_link_local(n->vxlan_mac[IPV6])
		       : (struct addr){0};
}

static bool is_vxlan(enum desired_way way)
{
	return way == WAY_VXLAN || way == WAY_VXLAN_CROSS;
}

/* Whether a node has an end of this tunnel. */
static bool has_end(const struct routing *r, enum desired_way way, const struct resource_node *n)
{
	if (is_vxlan(way))
		return vtep_of(n, r->family).family != 0;
	return r->family == AF_INET && n->ipip.family;
}

/* How a node is reached in a way: the subnet's route suffices, its own entry (*h), or not yet. */
enum reach { REACH_NOT, REACH_NEAR, REACH_HOP };

static enum reach reach(const struct routing *r, enum desired_way way,
	const struct resource_node *spec, struct bird_hop *h)
{
	struct addr node = desired_node_addr(spec, r->family);
	bool cross = way == WAY_IPIP_CROSS || way == WAY_VXLAN_CROSS;
	if ((cross || way == WAY_PLAIN) && desired_is_near(r->g, &node))
		return REACH_NEAR;
	if (way == WAY_PLAIN) {
		if (!find_route(r, &node, h) && !find_default(r, h))
			return REACH_NOT;
	} else {
		if (!has_end(r, way, spec) || !r->g->node || !has_end(r, way, r->g->node))
			return REACH_NOT;
		bool vxlan = is_vxlan(way);
		*h = (struct bird_hop){
			.via = vxlan ? vtep_of(spec, r->family) : node,
			.onlink = !vxlan || r->family == AF_INET,
		};
		(void)text_copy(h->dev, NET_NAME,
			vxlan ? r->g->out->kernel.vxlan[r->family != AF_INET].device : IPIP_DEVICE);
	}
	h->dst = cidr_of_host(&node);
	return REACH_HOP;
}

static void add_nodes(
	const struct routing *r, enum desired_way way, struct bird_hop *hops, size_t *n)
{
	const struct replica *rep = r->g->r;
	enum desired_way former =
		r->table[way] ? WAY_NONE : r->g->self->former[r->family != AF_INET];
	for (size_t i = 0; i < rep->n_nodes; i++) {
		const struct resource_node *spec = &rep->nodes[i].spec;
		struct addr node = desired_node_addr(spec, r->family);
		if (!node.family || strcmp(rep->nodes[i].name, r->g->conf->node) == 0 ||
			addr_equal(&node, &r->out->node))
			continue;
		enum reach how = reach(r, way, spec, &hops[*n]);
		if (how == REACH_NOT && former != WAY_NONE)
			how = reach(r, former, spec, &hops[*n]);
		*n += how == REACH_HOP;
	}
}

static int compare_hops(const void *a, const void *b)
{
	return block_compare(
		&((const struct bird_hop *)a)->dst, &((const struct bird_hop *)b)->dst);
}

static void make_hops(struct routing *r, enum desired_way way)
{
	struct desiring *g = r->g;
	int table = r->table[way];
	if (table < 0)
		return;
	struct bird_hop *hops = desired_memory(
		g->out, g->f->n_addrs + g->f->n_routes + g->r->n_nodes + 1, sizeof(*hops));
	size_t n = 0;
	add_subnets(r, hops, &n);
	if (way == WAY_PLAIN) {
		add_routes(r, hops, &n);
		n += find_default(r, &hops[n]);
	} else {
		add_nodes(r, way, hops, &n);
	}
	if (n)
		qsort(hops, n, sizeof(*hops), compare_hops);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!kept || !cidr_equal(&hops[kept - 1].dst, &hops[i].dst))
			hops[kept++] = hops[i];
	r->out->hops[table] = hops;
	r->out->n_hops[table] = kept;
}

static bool is_by_bgp(const struct routing *r, const struct desired_pool *p)
{
	return r->g->bgp && !p->spec->no_bgp_export && r->table[way_of(p->spec)] == 0;
}

static void make_remote(struct routing *r)
{
	const struct replica *rep = r->g->r;
	struct bird_remote *remote = desired_memory(r->g->out, rep->n_blocks, sizeof(*remote));
	for (size_t i = 0; i < rep->n_blocks; i++) {
		const struct replica_block *b = &rep->blocks[i];
		if (b->cidr.addr.family != r->family || !b->node || b->state != BLOCK_OWNED ||
			strcmp(b->node, r->g->conf->node) == 0)
			continue;
		const struct desired_pool *p = pool_of(r, &b->cidr);
		const struct replica_node *node =
			p && !is_by_bgp(r, p) ? replica_node(rep, b->node) : NULL;
		if (!node)
			continue;
		struct addr a = desired_node_addr(&node->spec, r->family);
		if (!a.family || addr_equal(&a, &r->out->node))
			continue;
		remote[r->out->n_remote++] = (struct bird_remote){
			.block = b->cidr,
			.node = a,
			.table = (uint8_t)r->table[way_of(p->spec)],
		};
	}
	r->out->remote = remote;
}

static void make_family(struct desiring *g, uint8_t family, struct bird_family *out)
{
	const struct cidr *own = desired_own(g, family);
	if (!own->addr.family)
		return;
	out->node = own->addr;
	struct routing r = {.g = g, .family = family, .out = out};
	make_pools(&r);
	make_own(&r);
	for (enum desired_way w = WAY_PLAIN; w < WAYS; w++)
		make_hops(&r, w);
	make_remote(&r);
}

void desired_routes(struct desiring *g)
{
	make_family(g, AF_INET, &g->out->bird.v4);
	make_family(g, AF_INET6, &g->out->bird.v6);
}
