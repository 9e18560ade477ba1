/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGP sessions of this node: to every other node (the mesh, while nodeToNodeMeshEnabled), and those
 * that BGPPeer resources ask for. Two nodes have one session, which carries both families: over
 * IPv4 where both have an address of it, else over IPv6. A BGPPeer for a node's address takes the
 * place of the mesh's session with that node, and carries both families, too; unless there is one
 * for each of that node's addresses, then each carries its own. Route reflectors (a node with a
 * cluster id) are outside the mesh, as in Calico. Of two nodes the one with the lower address
 * connects; the other waits, so that a graceful restart is never undone by a second connection.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/desired/base.h"
#include "lib/hash.h"
#include "lib/selector.h"
#include "lib/text.h"

#define AS_DEFAULT 64512
#define PORT_BGP 179

/* What is absent in the node's own BGPConfiguration comes from the default one. */
static void add_settings(struct resource_bgp *s, const struct resource_bgp *more)
{
	if (!s->has_as && more->has_as) {
		s->has_as = true;
		s->as_number = more->as_number;
	}
	if (!s->has_mesh && more->has_mesh) {
		s->has_mesh = true;
		s->mesh = more->mesh;
	}
	if (!s->has_port && more->has_port) {
		s->has_port = true;
		s->port = more->port;
	}
	if (!s->has_log && more->has_log) {
		s->has_log = true;
		s->log = more->log;
	}
	if (!s->has_password && more->has_password) {
		s->has_password = true;
		(void)text_copy(s->password, sizeof(s->password), more->password);
	}
	if (!s->restart_s)
		s->restart_s = more->restart_s;
}

static struct resource_bgp settings_of(const struct replica *r, const char *node)
{
	static const struct resource_bgp defaults = {
		.has_as = true,
		.has_mesh = true,
		.has_port = true,
		.has_log = true,
		.as_number = AS_DEFAULT,
		.mesh = true,
		.port = PORT_BGP,
		.log = LOGS_INFO,
	};
	struct resource_bgp s = {0};
	char own[RESOURCE_NAME + 8];
	struct text t = TEXT_ON(own);
	text_add(&t, "node.%s", node);
	const struct replica_item *i = replica_item(r, RESOURCE_BGPCONFIGURATION, own);
	if (i)
		add_settings(&s, &i->resource.bgp);
	i = replica_item(r, RESOURCE_BGPCONFIGURATION, "default");
	if (i)
		add_settings(&s, &i->resource.bgp);
	add_settings(&s, &defaults);
	return s;
}

static uint32_t as_of(const struct desired_work *g, const struct resource_node *n)
{
	return n && n->as_number ? n->as_number : g->settings.as_number;
}

static bool is_reflector(const struct resource_node *n)
{
	return n && n->rr_cluster.family;
}

/* The node that has this address. Peers are few. */
static const struct resource_node *node_at(const struct desired_work *g, const struct addr *a)
{
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct resource_node *n = &g->r->nodes[i].spec;
		if (addr_equal(&n->addr[family_of(a->family)].addr, a))
			return n;
	}
	return NULL;
}

static bool is_for_us(const struct desired_work *g, const struct resource_peer *p)
{
	if (*p->node)
		return strcmp(p->node, g->conf->node) == 0;
	return selector_matches(p->selector, g->labels);
}

static void add_filters(struct desired_work *g, const char *name, const struct resource_peer *p,
	struct bird_peer *out)
{
	const struct resource_filter **list =
		p->n_filters ? desired_memory(
				       g->out, p->n_filters, sizeof(const struct resource_filter *))
			     : NULL;
	for (size_t i = 0; i < p->n_filters; i++) {
		const struct replica_item *f =
			replica_item(g->r, RESOURCE_BGPFILTER, p->filters[i]);
		if (f)
			list[out->n_filters++] = &f->resource.filter;
		else
			problems_add(&g->out->problems,
				"BGPPeer %s names BGPFilter %s, which is not there: the peer is "
				"left out",
				name, p->filters[i]);
	}
	out->filters = list;
	if (out->n_filters != p->n_filters)
		out->addr.family = 0;
}

static bool same_cluster(const struct resource_node *a, const struct resource_node *b)
{
	return is_reflector(a) && is_reflector(b) && addr_equal(&a->rr_cluster, &b->rr_cluster);
}

static bool has_peer(const struct bird_peer *peers, size_t n, const struct addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (addr_equal(&peers[i].addr, a))
			return true;
	return false;
}

static void add_peer(
	struct desired_work *g, const struct resource *res, struct bird_peer *peers, size_t *n)
{
	const struct resource_peer *p = &res->peer;
	const struct addr *own = &g->self->addr[family_of(p->addr.family)].addr;
	if (!is_for_us(g, p) || !own->family || addr_equal(own, &p->addr))
		return;
	if (has_peer(peers, *n, &p->addr)) {
		problems_add(&g->out->problems,
			"BGPPeer %s has the address of another one and is left out", res->name);
		return;
	}
	const struct resource_node *node = node_at(g, &p->addr);
	struct bird_peer *out = &peers[*n];
	*out = (struct bird_peer){
		.addr = p->addr,
		.local = *own,
		.port = p->port ? p->port : PORT_BGP,
		.as_number = p->as_number,
		.local_as = as_of(g, g->node),
		.both = node != NULL,
		.passive = node && addr_compare(&p->addr, own) > 0,
		.keep_next_hop = p->keep_next_hop,
		.ttl = p->ttl,
		.exits = p->exits,
		.n_exits = p->n_exits,
		.bfd = p->bfd,
		.direct = p->bfd && p->ttl <= 1 && desired_is_near(g, &p->addr),
		.keepalive_s = p->keepalive_s,
		.restart_s = p->restart_s,
	};
	out->rr_client = is_reflector(g->node) && p->as_number == out->local_as &&
			 !same_cluster(g->node, node);
	if (out->rr_client)
		out->rr_cluster = g->node->rr_cluster;
	(void)text_copy(out->password, sizeof(out->password), p->password);
	add_filters(g, res->name, p, out);
	*n += out->addr.family != 0;
}

/* Whether one of the sessions is with this node. */
static bool has_node(const struct bird_peer *peers, size_t n, const struct resource_node *node)
{
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (node->addr[f].addr.family && has_peer(peers, n, &node->addr[f].addr))
			return true;
	return false;
}

/* A node that has a BGPPeer for each of its addresses: each carries its own family. */
static void split_pairs(const struct desired_work *g, struct bird_peer *peers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct resource_node *node = node_at(g, &peers[i].addr);
		enum family other = !family_of(peers[i].addr.family);
		if (node && node->addr[other].addr.family &&
			has_peer(peers, n, &node->addr[other].addr))
			peers[i].both = false;
	}
}

/* The family over which we speak with a node: the first that both have; FAMILIES: none. */
static enum family common_family(const struct desired_work *g, const struct replica_node *node)
{
	enum family f = IPV4;
	while (f < FAMILIES &&
		(!g->self->addr[f].addr.family || !desired_other_addr(g, node, f).family))
		f++;
	return f;
}

static void add_mesh(struct desired_work *g, struct bird_peer *peers, size_t *n)
{
	size_t others = *n; /* sessions that BGPPeers ask for */
	for (size_t i = 0; i < g->r->n_nodes; i++) {
		const struct replica_node *node = &g->r->nodes[i];
		enum family f = common_family(g, node);
		if (f == FAMILIES || is_reflector(&node->spec) ||
			has_node(peers, others, &node->spec))
			continue;
		const struct addr *own = &g->self->addr[f].addr;
		const struct addr *a = &node->spec.addr[f].addr;
		if (addr_equal(a, own))
			continue;
		struct bird_peer *p = &peers[(*n)++];
		*p = (struct bird_peer){
			.addr = *a,
			.local = *own,
			.port = settings_of(g->r, node->name).port,
			.as_number = as_of(g, &node->spec),
			.local_as = as_of(g, g->node),
			.mesh = true,
			.both = true,
			.passive = addr_compare(a, own) > 0,
			.restart_s = g->settings.restart_s,
		};
		(void)text_copy(p->password, sizeof(p->password), g->settings.password);
	}
}

/* Two nodes with one address: a session for the first of them. */
static size_t drop_twins(struct bird_peer *peers, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (!kept || !addr_equal(&peers[kept - 1].addr, &peers[i].addr))
			peers[kept++] = peers[i];
	return kept;
}

/* Of all nodes but us, whether a session uses the address or not: routes do. */
static void report_twins(struct desired_work *g)
{
	struct addr *all = desired_memory(g->out, FAMILIES * g->r->n_nodes, sizeof(*all));
	size_t n = 0;
	for (size_t i = 0; i < g->r->n_nodes; i++)
		for (enum family f = IPV4; f < FAMILIES; f++) {
			all[n] = desired_other_addr(g, &g->r->nodes[i], f);
			n += all[n].family != 0;
		}
	qsort(all, n, sizeof(*all), addr_compare_first);
	for (size_t i = 1; i < n; i++)
		if (addr_equal(&all[i - 1], &all[i]))
			problems_add(&g->out->problems, "two nodes have the address %s",
				ADDR_STRING(&all[i]));
}

static struct addr router_id(const struct desired_work *g)
{
	if (g->self->addr[IPV4].addr.family)
		return g->self->addr[IPV4].addr;
	struct hash h = hash_of(g->conf->node, strlen(g->conf->node));
	struct addr a = {.family = AF_INET};
	memcpy(a.bytes, h.bytes, 4);
	a.bytes[0] |= 1; /* 0.0.0.0 is no router id */
	return a;
}

void desired_peers(struct desired_work *g)
{
	struct bird_want *b = &g->out->bird;
	size_t n = 0;
	g->settings = settings_of(g->r, g->conf->node);
	b->router_id = router_id(g);
	b->listen_port = g->settings.port;
	b->log = g->settings.log;
	if (g->conf->routes_static)
		return;
	struct bird_peer *peers =
		desired_memory(g->out, g->r->n_items + g->r->n_nodes, sizeof(*peers));
	for (size_t i = 0; i < g->r->n_items; i++)
		if (g->r->items[i]->resource.kind == RESOURCE_BGPPEER)
			add_peer(g, &g->r->items[i]->resource, peers, &n);
	split_pairs(g, peers, n);
	g->bgp = n > 0 || g->settings.mesh;
	if (g->settings.mesh && !is_reflector(g->node)) {
		report_twins(g);
		add_mesh(g, peers, &n);
	}
	qsort(peers, n, sizeof(*peers), addr_compare_first);
	b->peers = peers;
	b->n_peers = drop_twins(peers, n);
}
