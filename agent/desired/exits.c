/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits of this node, family by family: whether it is one, whom it has sessions with, and what
 * its pods use. A node that is an exit has a session with each node that is none; two of one kind
 * have none. So an exit never sends packets on to another exit, and nothing can go round in
 * circles. Its own pods leave by its own default route.
 *
 * Both ends come to the same sessions from the same documents. An exit that drains keeps its
 * sessions, announces nothing, and is asked for nothing: whichever side acts first, the others take
 * over. An exit without a default route of its own has none to offer.
 *
 * Without a tunnel a packet for an exit in another subnet would be handed to the router between,
 * which sends it its own way: such exits are not used.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/desired/base.h"
#include "lib/json.h"
#include "lib/selector.h"
#include "lib/text.h"

#define CIDRS ((size_t)RESOURCE_EXITS * RESOURCE_EXIT_CIDRS)

/* One family's work. */
struct family_exits {
	struct desired_work *g;
	const struct resource_exits *x;
	enum family family;
	bool tunnel;
	bool is_exit;	     /* this node */
	const char *too_far; /* an exit that cannot be used from here */
	size_t n_exits;	     /* those that we have a session with, draining ones too */
	struct bird_exits *out;
	struct bird_exit_peer *peers; /* out's */
};

/* What is inside a pool is its pods', whoever wrote otherwise into the store. */
static const struct desired_pool *pool_around(const struct desired_work *g, const struct cidr *c)
{
	for (size_t i = 0; i < g->n_pools; i++) {
		const struct cidr *p = &g->pools[i].spec->pool.cidr;
		if (p->addr.family == c->addr.family && p->len <= c->len &&
			cidr_contains(p, &c->addr))
			return &g->pools[i];
	}
	return NULL;
}

static void add_cidrs(const struct family_exits *w, const struct cidr *from, size_t n_from,
	struct cidr *out, size_t *n)
{
	for (size_t i = 0; i < n_from; i++)
		if (family_of(from[i].addr.family) == w->family && !pool_around(w->g, &from[i]) &&
			!cidr_is_among(out, *n, &from[i]) && *n < CIDRS)
			out[(*n)++] = from[i];
}

/* Where a node with these labels is an exit to; 0: it is none. */
static size_t exit_cidrs(const struct family_exits *w, const json_t *labels, struct cidr out[CIDRS])
{
	size_t n = 0;
	for (size_t i = 0; i < w->x->n; i++)
		if (selector_matches(w->x->list[i].selector, labels))
			add_cidrs(w, w->x->list[i].cidrs, w->x->list[i].n_cidrs, out, &n);
	return n;
}

static const struct cidr *copy_cidrs(
	const struct family_exits *w, const struct cidr *cidrs, size_t n)
{
	struct cidr *kept = desired_memory(w->g->out, n, sizeof(*kept));
	memcpy(kept, cidrs, n * sizeof(*kept));
	return kept;
}

/* BGP resolves in the table of the family's first pool. */
static bool has_tunnel(const struct desired_work *g, enum family f)
{
	for (size_t i = 0; i < g->n_pools; i++)
		if (g->pools[i].family == f && !g->pools[i].has_node)
			return desired_is_tunnel(g->pools[i].spec);
	return false;
}

static void add_exit_peer(struct family_exits *w, const struct replica_node *node)
{
	struct cidr cidrs[CIDRS];
	struct addr a = desired_other_addr(w->g, node, w->family);
	const struct addr *own = &w->g->self->addr[w->family].addr;
	if (!a.family || addr_equal(&a, own))
		return;
	CLEANUP_JSON json_t *labels = node->labels ? json_loads(node->labels, 0, NULL) : NULL;
	size_t n = exit_cidrs(w, labels, cidrs);
	if ((n > 0) == w->is_exit)
		return;
	if (!w->tunnel && !desired_is_near(w->g, &a)) {
		w->too_far = node->name;
		return;
	}
	struct bird_exit_peer *p = &w->peers[w->out->n_peers++];
	*p = (struct bird_exit_peer){.addr = a, .local = *own, .is_exit = n > 0};
	w->n_exits += n > 0;
	if (n == 0 || node->spec.drain)
		return;
	p->cidrs = copy_cidrs(w, cidrs, n);
	p->n_cidrs = n;
}

/* What outside routers may give this node. */
static size_t router_exits(const struct family_exits *w, struct cidr out[CIDRS])
{
	const struct bird_want *b = &w->g->out->bird;
	size_t n = 0;
	for (size_t i = 0; i < b->n_peers; i++)
		add_cidrs(w, b->peers[i].exits, b->peers[i].n_exits, out, &n);
	return n;
}

static void announce_exits(
	struct family_exits *w, const struct cidr *cidrs, size_t n, struct cidr *own)
{
	struct cidr ignored[CIDRS];
	bool leads_out = w->g->f->defaults[w->family].link || router_exits(w, ignored) > 0;
	for (size_t i = 0; i < n && !w->g->drain; i++) {
		if (cidrs[i].len > 0 || leads_out)
			own[w->out->n_own++] = cidrs[i];
		else
			problems_add(&w->g->out->problems,
				"this node is an exit to %s and has no default route of its own: "
				"it is not announced",
				CIDR_STRING(&cidrs[i]));
	}
}

/* What pods must not reach but by an exit. */
static void block_exits(struct family_exits *w, struct cidr *blocked)
{
	struct cidr all[CIDRS];
	size_t n = router_exits(w, all);
	for (size_t i = 0; i < w->x->n && !w->is_exit; i++)
		add_cidrs(w, w->x->list[i].cidrs, w->x->list[i].n_cidrs, all, &n);
	for (size_t i = 0; i < n && w->x->required; i++)
		blocked[w->out->n_blocked++] = all[i];
	w->out->used[w->family] =
		router_exits(w, all) > 0 || w->n_exits > 0 || (w->x->required && n > 0);
}

static void make_family_exits(struct family_exits *w, struct cidr *own, struct cidr *blocked)
{
	struct desired_work *g = w->g;
	struct cidr cidrs[CIDRS];
	if (!g->self->addr[w->family].addr.family)
		return;
	size_t n = exit_cidrs(w, g->labels, cidrs);
	w->is_exit = n > 0;
	w->tunnel = has_tunnel(g, w->family);
	for (size_t i = 0; i < g->r->n_nodes && w->x->n > 0; i++)
		add_exit_peer(w, &g->r->nodes[i]);
	announce_exits(w, cidrs, n, own);
	block_exits(w, blocked);
	if (w->too_far && !w->is_exit && w->n_exits == 0)
		problems_add_as(&g->out->problems,
			w->family == IPV4 ? "no IPv4 exit" : "no IPv6 exit",
			"no %s exit can be used from here: node %s is in another subnet, and no "
			"tunnel leads to it",
			family_name(w->family), w->too_far);
}

static void check_cidrs(struct desired_work *g, const struct resource_exits *x)
{
	for (size_t i = 0; i < x->n; i++)
		for (size_t k = 0; k < x->list[i].n_cidrs; k++) {
			const struct cidr *c = &x->list[i].cidrs[k];
			const struct desired_pool *p = pool_around(g, c);
			if (p)
				problems_add(&g->out->problems,
					"the exit %s is inside pool %s and is left out",
					CIDR_STRING(c), p->name);
		}
}

static void make_exit_rules(struct desired_work *g)
{
	struct exits_want *k = &g->out->kernel.exits;
	struct cidr *pools = desired_memory(g->out, g->n_pools, sizeof(*pools));
	k->table = g->conf->exits_table;
	memcpy(k->used, g->out->bird.exits.used, sizeof(k->used));
	for (size_t i = 0; i < g->n_pools; i++)
		if (!g->pools[i].has_node)
			pools[k->n_pools++] = g->pools[i].spec->pool.cidr;
	k->pools = pools;
}

void desired_exits(struct desired_work *g)
{
	static const struct resource_exits none;
	const struct replica_item *i = replica_item(g->r, RESOURCE_BGPCONFIGURATION, "default");
	const struct resource_exits *x = i ? &i->resource.bgp.exits : &none;
	struct bird_exits *out = &g->out->bird.exits;
	struct bird_exit_peer *peers =
		desired_memory(g->out, x->n ? FAMILIES * g->r->n_nodes : 0, sizeof(*peers));
	struct cidr *own = desired_memory(g->out, FAMILIES * CIDRS, sizeof(*own));
	struct cidr *blocked = desired_memory(g->out, FAMILIES * CIDRS, sizeof(*blocked));
	*out = (struct bird_exits){
		.port = x->port ? x->port : EXITS_PORT,
		.as_number = g->settings.as_number,
		.restart_s = g->settings.restart_s,
		.bfd = !x->no_bfd,
		.interval_ms = x->bfd_interval_ms ? x->bfd_interval_ms : EXITS_BFD_MS,
		.multiplier = x->bfd_multiplier ? x->bfd_multiplier : EXITS_BFD_MULTIPLIER,
		.table = g->conf->exits_table,
		.peers = peers,
		.own = own,
		.blocked = blocked,
	};
	(void)text_copy(out->password, sizeof(out->password), g->settings.password);
	check_cidrs(g, x);
	for (enum family f = IPV4; f < FAMILIES; f++)
		make_family_exits(
			&(struct family_exits){
				.g = g, .x = x, .family = f, .out = out, .peers = peers},
			own, blocked);
	make_exit_rules(g);
}
