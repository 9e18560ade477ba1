/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How other nodes' blocks are reached. An encapsulation is nothing but the content of a next-hop
 * table: which entry leads to a node's address. The pools of one family may ask for different
 * encapsulations. The first pool's is that of table 0, through which BGP resolves; blocks of pools
 * with another one are fed to BIRD as static routes through the table of theirs. So are all
 * blocks when there is no BGP, and blocks of pools that are not to be announced. Blocks that BGP has
 * brought are static routes a second time, behind BGP's: while BIRDs restart, ours or others', BGP may
 * lose routes whose nodes are well, and these carry the packets until it has them again.
 *
 * A gateway may be in no subnet of its link: machines of clouds have /32 addresses, and a route to the
 * gateway through the device, or one that says onlink. BIRD knows a neighbour by subnets alone, so
 * such hops are onlink there, and the kernel gets routes that say so. The gateway has an entry of
 * its own, as a connected router has its subnet's.
 *
 * A table always has the routes to connected subnets, so that the removal of a node's tunnel entry
 * falls back to the direct route at once. Without a tunnel the host's other routes that lead to nodes
 * and the default route are there too: the network between the nodes is expected to know the blocks.
 * With one it is not: a node that is not known is unreachable rather than reached in the clear.
 *
 * A tunnel is used when both its ends are there, which the Node documents say: ours, too, so that
 * the device is there long before BIRD hears of it. While an encapsulation changes, nodes that
 * have no end of the new tunnel yet are reached by the previous one; theirs and ours stand for a
 * while longer (agent/tunnel_addresses.h). So no packet is lost.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/desired/base.h"
#include "lib/search.h"
#include "lib/text.h"

/* One family's work. */
struct routing {
	struct desired_work *g;
	enum family family;
	struct bird_family *out;
	int table[ENCAPSULATIONS]; /* its table, -1: none */
	size_t n_tables;
};

static enum encapsulation encapsulation_of(const struct resource_pool *p)
{
	if (p->ipip != ENCAP_NEVER)
		return p->ipip == ENCAP_ALWAYS ? ENCAPSULATION_IPIP : ENCAPSULATION_IPIP_CROSS;
	if (p->vxlan != ENCAP_NEVER)
		return p->vxlan == ENCAP_ALWAYS ? ENCAPSULATION_VXLAN : ENCAPSULATION_VXLAN_CROSS;
	return ENCAPSULATION_NONE;
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

/* Pools, and which table each encapsulation has. */
static void collect_pools(struct routing *r)
{
	struct desired_work *g = r->g;
	struct bird_pool *pools = desired_memory(g->out, g->n_pools, sizeof(*pools));
	for (int w = 0; w < ENCAPSULATIONS; w++)
		r->table[w] = -1;
	for (size_t i = 0; i < g->n_pools; i++) {
		const struct resource_pool *spec = g->pools[i].spec;
		if (g->pools[i].family != r->family || g->pools[i].has_node)
			continue;
		enum encapsulation how = encapsulation_of(spec);
		if (r->table[how] < 0)
			r->table[how] = (int)r->n_tables++;
		if (r->table[how] == 0)
			g->out->encapsulation[r->family] = how;
		pools[r->out->n_pools++] = (struct bird_pool){
			.cidr = spec->pool.cidr,
			.block_len = spec->pool.block_len,
			.exported = !spec->no_bgp_export,
			.by_bgp = g->bgp && !spec->no_bgp_export && r->table[how] == 0,
		};
	}
	r->out->pools = pools;
	if (r->n_tables == 0) /* BGP sessions resolve through table 0 whatever pools there are */
		r->table[ENCAPSULATION_NONE] = (int)r->n_tables++;
}

static void collect_own_blocks(struct routing *r)
{
	const struct desired_self *s = r->g->self;
	struct cidr *own = desired_memory(r->g->out, s->n_announced, sizeof(*own));
	for (size_t i = 0; i < s->n_announced; i++)
		if (s->announced[i].addr.family == family_af(r->family))
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
		if (!a->usable || a->addr.addr.family != family_af(r->family) || !l ||
			l->loopback || !l->up || a->addr.len == addr_bits(&a->addr.addr) ||
			is_tunnel_device(r, l) || !is_plain_name(l->name))
			continue;
		struct cidr subnet = cidr_masked(&a->addr.addr, a->addr.len);
		(void)text_copy(add_hop(hops, n, &subnet)->dev, NET_NAME, l->name);
	}
}

static bool leads_to_node(const struct routing *r, const struct cidr *dst)
{
	const struct replica *rep = r->g->r;
	for (size_t i = 0; i < rep->n_nodes; i++) {
		const struct addr *a = &rep->nodes[i].spec.addr[r->family].addr;
		if (a->family && cidr_contains(dst, a) && !addr_equal(a, &r->out->node))
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

/* Whether BIRD finds the gateway by the link's addresses. One of the link itself is on any link. */
static bool is_in_subnet(const struct routing *r, const struct addr *via, int link)
{
	static const struct cidr link_local = {
		.addr = {.family = AF_INET6, .bytes = {0xfe, 0x80}}, .len = 10};
	for (size_t i = 0; i < r->g->f->n_addrs; i++) {
		const struct facts_addr *a = &r->g->f->addrs[i];
		if (a->link == link && cidr_contains(&a->addr, via))
			return true;
	}
	return cidr_contains(&link_local, via);
}

/* false: such a link is not for BIRD. */
static bool make_hop(const struct routing *r, const struct cidr *dst, const struct addr *via,
	int link, struct bird_hop *h)
{
	const struct facts_link *l = facts_link(r->g->f, link);
	if (!l || is_tunnel_device(r, l) || !is_plain_name(l->name))
		return false;
	*h = (struct bird_hop){
		.dst = *dst, .via = *via, .onlink = via->family && !is_in_subnet(r, via, link)};
	return text_copy(h->dev, NET_NAME, l->name);
}

/* The host's own routes; a subnet's own goes first, as in the kernel. */
static void add_routes(const struct routing *r, struct bird_hop *hops, size_t *n)
{
	const struct facts *f = r->g->f;
	for (size_t i = 0; i < f->n_routes; i++) {
		const struct facts_route *route = &f->routes[i];
		if (route->dst.addr.family == family_af(r->family) &&
			!has_hop(hops, *n, &route->dst) && leads_to_node(r, &route->dst))
			*n += make_hop(r, &route->dst, &route->via, route->link, &hops[*n]);
	}
}

/* Gateways in no subnet, once each. */
static void add_gateway(
	const struct routing *r, const struct facts_route *route, struct bird_hop *hops, size_t *n)
{
	if (route->via.family != family_af(r->family))
		return;
	struct cidr dst = cidr_of_host(&route->via);
	struct bird_hop h;
	if (!has_hop(hops, *n, &dst) && make_hop(r, &dst, &route->via, route->link, &h) && h.onlink)
		hops[(*n)++] = h;
}

static void add_gateways(const struct routing *r, struct bird_hop *hops, size_t *n)
{
	add_gateway(r, &r->g->f->defaults[r->family], hops, n);
	for (size_t i = 0; i < r->g->f->n_routes; i++)
		add_gateway(r, &r->g->f->routes[i], hops, n);
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
	const struct facts_route *d = &r->g->f->defaults[r->family];
	return make_hop(r, &d->dst, &d->via, d->link, h);
}

static bool is_vxlan(enum encapsulation how)
{
	return how == ENCAPSULATION_VXLAN || how == ENCAPSULATION_VXLAN_CROSS;
}

/* Whether a node has an end of this tunnel. */
static bool has_end(const struct routing *r, enum encapsulation how, const struct resource_node *n)
{
	if (is_vxlan(how))
		return desired_vtep(n, r->family).family != 0;
	return r->family == IPV4 && n->ipip.family;
}

/* How a node is reached: the subnet's route suffices, its own entry (*h), or not yet. */
enum reach { REACH_NOT, REACH_NEAR, REACH_HOP };

static enum reach find_reach(const struct routing *r, enum encapsulation how,
	const struct resource_node *spec, struct bird_hop *h)
{
	const struct addr *node = &spec->addr[r->family].addr;
	bool cross = how == ENCAPSULATION_IPIP_CROSS || how == ENCAPSULATION_VXLAN_CROSS;
	if ((cross || how == ENCAPSULATION_NONE) && desired_is_near(r->g, node))
		return REACH_NEAR;
	if (how == ENCAPSULATION_NONE) {
		if (!find_route(r, node, h) && !find_default(r, h))
			return REACH_NOT;
	} else {
		if (!has_end(r, how, spec) || !r->g->node || !has_end(r, how, r->g->node))
			return REACH_NOT;
		bool vxlan = is_vxlan(how);
		*h = (struct bird_hop){
			.via = vxlan ? desired_vtep(spec, r->family) : *node,
			.onlink = !vxlan || r->family == IPV4,
		};
		(void)text_copy(h->dev, NET_NAME,
			vxlan ? r->g->out->kernel.vxlan[r->family].device : IPIP_DEVICE);
	}
	h->dst = cidr_of_host(node);
	return REACH_HOP;
}

static void add_nodes(
	const struct routing *r, enum encapsulation how, struct bird_hop *hops, size_t *n)
{
	const struct replica *rep = r->g->r;
	enum encapsulation previous =
		r->table[how] ? ENCAPSULATION_UNSET : r->g->self->previous[r->family];
	for (size_t i = 0; i < rep->n_nodes; i++) {
		struct addr node = desired_other_addr(r->g, &rep->nodes[i], r->family);
		if (!node.family || addr_equal(&node, &r->out->node))
			continue;
		enum reach found = find_reach(r, how, &rep->nodes[i].spec, &hops[*n]);
		if (found == REACH_NOT && previous != ENCAPSULATION_UNSET)
			found = find_reach(r, previous, &rep->nodes[i].spec, &hops[*n]);
		*n += found == REACH_HOP;
	}
}

static void make_hop_table(struct routing *r, enum encapsulation how)
{
	struct desired_work *g = r->g;
	int table = r->table[how];
	if (table < 0)
		return;
	struct bird_hop *hops = desired_memory(
		g->out, g->f->n_addrs + 2 * g->f->n_routes + g->r->n_nodes + 2, sizeof(*hops));
	size_t n = 0;
	add_subnets(r, hops, &n);
	if (how == ENCAPSULATION_NONE) {
		add_routes(r, hops, &n);
		n += find_default(r, &hops[n]);
	} else {
		add_nodes(r, how, hops, &n);
	}
	add_gateways(r, hops, &n);
	if (n)
		qsort(hops, n, sizeof(*hops), cidr_compare_first);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!kept || !cidr_equal(&hops[kept - 1].dst, &hops[i].dst))
			hops[kept++] = hops[i];
	r->out->hops[table] = hops;
	r->out->n_hops[table] = kept;
}

static bool is_by_bgp(const struct routing *r, const struct desired_pool *p)
{
	return r->g->bgp && !p->spec->no_bgp_export && r->table[encapsulation_of(p->spec)] == 0;
}

static bool is_learned(const struct desired_self *s, const struct cidr *block)
{
	return search_find(s->learned, s->n_learned, sizeof(*block), block, cidr_compare_first);
}

static const struct desired_pool *pool_around(const struct routing *r, const struct addr *a)
{
	for (size_t i = 0; i < r->g->n_pools; i++)
		if (cidr_contains(&r->g->pools[i].spec->pool.cidr, a))
			return r->g->pools[i].has_node ? NULL : &r->g->pools[i];
	return NULL;
}

/* What another node has: false when it cannot be reached, or is no node that we know. p: its pool, or NULL. */
static bool make_remote(const struct routing *r, const struct cidr *what,
	const struct desired_pool *p, const char *name, struct bird_remote *out)
{
	const struct replica_node *node = p ? replica_node(r->g->r, name) : NULL;
	struct addr a = node ? desired_other_addr(r->g, node, r->family) : (struct addr){0};
	if (!a.family || addr_equal(&a, &r->out->node))
		return false;
	*out = (struct bird_remote){
		.block = *what,
		.node = a,
		.table = (uint8_t)r->table[encapsulation_of(p->spec)],
	};
	return true;
}

/* Other nodes' blocks: BGP's that it has brought, which are kept for when it loses them, and those that
 * it does not carry. */
static void collect_remote_blocks(
	struct routing *r, struct bird_remote *remote, struct bird_remote *kept)
{
	const struct replica *rep = r->g->r;
	for (size_t i = 0; i < rep->n_blocks; i++) {
		const struct replica_block *b = &rep->blocks[i];
		struct bird_remote one;
		if (b->cidr.addr.family != family_af(r->family) || !b->node ||
			b->state != BLOCK_OWNED)
			continue;
		const struct desired_pool *p = pool_of(r, &b->cidr);
		if (!make_remote(r, &b->cidr, p, b->node, &one))
			continue;
		if (!is_by_bgp(r, p))
			remote[r->out->n_remote++] = one;
		else if (is_learned(r->g->self, &b->cidr))
			kept[r->out->n_kept++] = one;
		else
			r->g->out->missing++;
	}
}

/* Single addresses that are lent come from the store alone: no neighbour is believed about one. */
static void collect_loans(struct routing *r, struct bird_remote *remote)
{
	const struct replica *rep = r->g->r;
	for (size_t i = 0; i < rep->n_loans; i++) {
		const struct loan *l = &rep->loans[i].doc;
		struct bird_remote one;
		if (l->addr.addr.family == family_af(r->family) && l->state == LOAN_USED &&
			make_remote(r, &l->addr, pool_around(r, &l->addr.addr), l->borrower, &one))
			remote[r->out->n_remote++] = one;
	}
}

static void collect_remote(struct routing *r)
{
	const struct replica *rep = r->g->r;
	struct bird_remote *remote =
		desired_memory(r->g->out, rep->n_blocks + rep->n_loans, sizeof(*remote));
	struct bird_remote *kept = desired_memory(r->g->out, rep->n_blocks, sizeof(*kept));
	collect_remote_blocks(r, remote, kept);
	collect_loans(r, remote);
	r->out->remote = remote;
	r->out->kept = kept;
}

void desired_routes(struct desired_work *g)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct routing r = {.g = g, .family = f, .out = &g->out->bird.family[f]};
		if (!g->self->addr[f].addr.family)
			continue;
		r.out->node = g->self->addr[f].addr;
		collect_pools(&r);
		collect_own_blocks(&r);
		for (enum encapsulation how = ENCAPSULATION_NONE; how < ENCAPSULATIONS; how++)
			make_hop_table(&r, how);
		collect_remote(&r);
	}
}
