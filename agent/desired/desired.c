/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desired state of this node: pools, the kernel and NAT; what is left is in the other sources of
 * the room, all over base.c. One pass over the documents, in their sorted order, so that equal inputs
 * give equal values: what is generated from them changes only when it has to.
 *
 * What contradicts itself is a problem with a sentence and is left out; everything else goes on.
 * Of two pools that overlap the older one counts (cluster/pools.h). A pool that contains addresses
 * of nodes gives nothing, unless it is in use already: then those nodes count as without address,
 * so that one wrong document of a node does not take the routes of all others away.
 */
#include "agent/desired/desired.h"

#include <stdlib.h>
#include <string.h>

#include "agent/desired/base.h"
#include "cluster/pools.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/selector.h"

/* Pools. */

bool desired_is_in_use(const struct replica *r, const struct cidr *pool)
{
	size_t i = search_lower_bound(
		r->blocks, r->n_blocks, sizeof(*r->blocks), &pool->addr, addr_compare_first);
	return i < r->n_blocks && cidr_contains(pool, &r->blocks[i].cidr.addr);
}

/* Other nodes lose their address inside this pool. view becomes a copy when one does. */
static void leave_out_nodes(
	struct desired_work *g, const struct resource *pool, struct replica *view)
{
	const struct cidr *cidr = &pool->pool.pool.cidr;
	enum family f = family_of(cidr->addr.family);
	for (size_t i = 0; i < view->n_nodes; i++) {
		const struct replica_node *n = &view->nodes[i];
		struct addr a = desired_other_addr(g, n, f);
		if (!a.family || !cidr_contains(cidr, &a))
			continue;
		if (view->nodes == g->r->nodes) {
			view->nodes = desired_memory(g->out, view->n_nodes, sizeof(*n));
			memcpy(view->nodes, g->r->nodes, view->n_nodes * sizeof(*n));
		}
		view->nodes[i].spec.addr[f] = (struct cidr){0};
		problems_add(&g->out->problems,
			"the address of node %s is inside pool %s: nothing is sent to that node",
			n->name, pool->name);
	}
}

static void read_nodes(struct desired_work *g, struct replica *view)
{
	*view = *g->r;
	for (size_t i = 0; i < g->r->n_items; i++) {
		const struct resource *res = &g->r->items[i]->resource;
		if (res->kind == RESOURCE_IPPOOL && desired_is_in_use(g->r, &res->pool.pool.cidr))
			leave_out_nodes(g, res, view);
	}
	g->r = view;
}

/* A node whose address is in the pool: its name. */
static const char *node_inside(const struct desired_work *g, const struct cidr *pool)
{
	enum family f = family_of(pool->addr.family);
	const struct addr *own = &g->self->addr[f].addr;
	if (own->family && cidr_contains(pool, own))
		return g->conf->node;
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct addr *a = &g->r->nodes[i].spec.addr[f].addr;
		if (a->family && cidr_contains(pool, a))
			return g->r->nodes[i].name;
	}
	return NULL;
}

/* over: an older pool that it overlaps; NULL: none. */
static void read_pool(
	struct desired_work *g, const struct resource *res, const struct resource *over)
{
	const struct resource_pool *spec = &res->pool;
	if (over) {
		problems_add(&g->out->problems,
			"pool %s overlaps pool %s, which is older, and is left out: delete it, or "
			"apply it with another cidr",
			res->name, over->name);
		return;
	}
	if (g->n_pools == POOL_MAX) {
		problems_add(&g->out->problems, "there are more than %d pools: %s is left out",
			POOL_MAX, res->name);
		return;
	}
	const char *node = node_inside(g, &spec->pool.cidr);
	if (node)
		problems_add(&g->out->problems,
			"pool %s contains the address of node %s: no addresses are given from it",
			res->name, node);
	enum family f = family_of(spec->pool.cidr.addr.family);
	g->out->kernel.forward[f] = true;
	g->pools[g->n_pools++] = (struct desired_pool){
		.name = res->name,
		.spec = spec,
		.family = f,
		.has_node = node != NULL,
		.assigns = !spec->disabled && !g->drain && !node &&
			   selector_matches(spec->selector, g->labels),
	};
}

static void read_pools(struct desired_work *g)
{
	size_t n = 0;
	CLEANUP_FREE const struct resource **pools =
		mem_new(g->r->n_items + 1, sizeof(const struct resource *));
	CLEANUP_FREE const struct resource **over =
		mem_new(g->r->n_items + 1, sizeof(const struct resource *));
	for (size_t i = 0; i < g->r->n_items; i++)
		if (g->r->items[i]->resource.kind == RESOURCE_IPPOOL)
			pools[n++] = &g->r->items[i]->resource;
	pools_judge(pools, n, over);
	for (size_t i = 0; i < n; i++)
		if (!pools[i]->pool.balancer)
			read_pool(g, pools[i], over[i]);
	if (g->n_pools == 0)
		problems_add(&g->out->problems, "there is no IPPool: no pod can get an address");
}

/* The kernel and NAT. */

static void make_blackholes(struct desired_work *g)
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

static void make_nat(struct desired_work *g)
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

static void check_addresses(struct desired_work *g)
{
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (g->out->kernel.forward[f] && !g->self->addr[f].addr.family)
			problems_add(&g->out->problems,
				"this node has no %s address (%s): its %s pods cannot "
				"be reached from other nodes",
				family_name(f), g->conf->detect[f].text, family_name(f));
}

void desired_make(const struct agent_conf *c, const struct replica *r, const struct facts *f,
	const struct desired_self *self, struct desired *out)
{
	*out = (struct desired){0};
	const struct replica_node *node = replica_node(r, c->node);
	struct replica view;
	struct desired_work g = {
		.conf = c,
		.r = r,
		.f = f,
		.self = self,
		.out = out,
		.node = node ? &node->spec : NULL,
		.labels = json_object_get(json_object_get(r->self, "metadata"), "labels"),
		.drain = node && node->spec.drain,
	};
	read_nodes(&g, &view);
	read_pools(&g);
	check_addresses(&g);
	desired_check_mtu(&g);
	desired_check_paths(&g);
	make_blackholes(&g);
	desired_tunnels(&g);
	make_nat(&g);
	desired_node(&g);
	desired_peers(&g);
	desired_routes(&g);
	desired_services(&g);
	desired_exits(&g);
	desired_sessions(&g);
}

void desired_done(struct desired *d)
{
	for (size_t i = 0; i < d->n_memory; i++)
		free(d->memory[i]);
	free(d->memory);
	json_decref(d->node);
	*d = (struct desired){0};
}
