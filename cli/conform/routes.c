/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routes of every node, judged against who owns what. Inside the pools a node has
 *
 *	blackhole BLOCK protocol 82        for each of its own blocks
 *	POD/32 dev LINK protocol 82        for each of its pods
 *	BLOCK via ... protocol 12          for each block of another node, from BIRD
 *
 * and nothing else. What stands in "..." is the choice of the block's pool: the other node's address
 * or a router without a tunnel, the tunnel's device with one. Without the store that choice is not
 * known, and not looked at.
 */
#include <stdio.h>
#include <string.h>

#include "cli/conform/static.h"
#include "lib/family.h"
#include "lib/text.h"

#define OURS 82	 /* protocol roost, docs/ROUTES.md */
#define BIRDS 12 /* RTPROT_BIRD */
#define KERNELS 2

struct route_check {
	const struct conform_cluster *c;
	const struct conform_member *m;
	enum family f;
	struct text wrong; /* "; "-separated */
	char buf[300];	   /* of wrong */
	size_t right, all;
};

static bool is_of(const struct route_check *v, const struct cidr *c)
{
	return family_of(c->addr.family) == v->f;
}

/* The route that the kernel takes: of one destination it lists that with the lowest metric first.
 * alone: in a block of one address the pod's route, or that of the node's own tunnel, is passed over. */
static const struct conform_route *routes_find(
	const struct route_check *v, const struct cidr *dst, bool alone)
{
	for (size_t i = 0; i < v->m->facts.n_routes; i++) {
		const struct conform_route *r = &v->m->facts.routes[i];
		bool in_use =
			(r->protocol == OURS && strcmp(r->type, "unicast") == 0) ||
			(r->protocol == KERNELS && conform_facts_tunnel(&v->m->facts, r->dev));
		if (cidr_equal(&r->dst, dst) && !(alone && in_use))
			return r;
	}
	return NULL;
}

/* As ip-route(8) shows it. */
static void route_format(const struct conform_route *r, char out[160])
{
	struct text t = {.buf = out, .size = 160};
	text_add(&t, "%s", strcmp(r->type, "unicast") == 0 ? "" : r->type);
	if (r->via.family)
		text_add(&t, "%svia %s", t.len ? " " : "", ADDR_STRING(&r->via));
	if (*r->dev)
		text_add(&t, "%sdev %s", t.len ? " " : "", r->dev);
	text_add(&t, "%sprotocol %u", t.len ? " " : "", r->protocol);
}

/* One more route was looked at; wanted: what it should be. */
static void routes_count(struct route_check *v, bool good, const struct cidr *dst,
	const struct conform_route *r, const char *wanted)
{
	v->all++;
	v->right += good;
	if (good)
		return;
	char seen[160] = "no route";
	if (r)
		route_format(r, seen);
	text_add(&v->wrong, "%s%s: %s%s%s", v->wrong.len ? "; " : "", CIDR_STRING(dst), seen,
		*wanted ? ", not " : "", wanted);
}

/* ---- Own blocks and pods ---- */

static void check_own_blocks(struct route_check *v)
{
	for (size_t i = 0; i < v->m->facts.n_blocks; i++) {
		const struct cidr *b = &v->m->facts.blocks[i];
		if (!is_of(v, b))
			continue;
		const struct conform_route *r = routes_find(v, b, true);
		bool good = r && r->protocol == OURS && strcmp(r->type, "blackhole") == 0;
		routes_count(v, good, b, r, "blackhole protocol 82");
	}
}

static void check_own_pods(struct route_check *v)
{
	for (size_t i = 0; i < v->m->n_pods; i++) {
		const struct conform_pod *p = &v->m->pods[i];
		if (!p->ip[v->f].family || !*p->link)
			continue;
		struct cidr host = cidr_of_host(&p->ip[v->f]);
		const struct conform_route *r = routes_find(v, &host, false);
		bool good = r && r->protocol == OURS && strcmp(r->dev, p->link) == 0 &&
			    strcmp(r->type, "unicast") == 0;
		char wanted[64];
		(void)snprintf(wanted, sizeof(wanted), "dev %s protocol 82", p->link);
		routes_count(v, good, &host, r, wanted);
	}
}

/* ---- Other nodes' blocks ---- */

/* Whether the other node is in the subnet of this one. */
static bool is_near(const struct route_check *v, const struct conform_member *other)
{
	return v->m->subnet[v->f].addr.family &&
	       cidr_contains(&v->m->subnet[v->f], &other->addr[v->f]);
}

/* Whether packets for the other node go through a tunnel, by the pool's word. kind: which. */
static bool is_tunnelled(const struct route_check *v, const struct conform_member *other,
	const struct conform_pool *p, const char **kind)
{
	enum resource_encap e = p->ipip != ENCAP_NEVER ? p->ipip : p->vxlan;
	*kind = p->ipip != ENCAP_NEVER ? "ipip" : "vxlan";
	return e == ENCAP_ALWAYS || (e == ENCAP_CROSS_SUBNET && !is_near(v, other));
}

/* wanted: what is right in words. */
static bool is_right_hop(const struct route_check *v, const struct conform_member *other,
	const struct cidr *block, const struct conform_route *r, char wanted[96])
{
	const struct conform_pool *pool = conform_cluster_pool(v->c, &block->addr);
	const struct conform_link *tunnel = conform_facts_tunnel(&v->m->facts, r ? r->dev : "");
	const char *kind = "";
	(void)snprintf(wanted, 96, "a route of protocol 12");
	bool good = r && r->protocol == BIRDS && strcmp(r->type, "unicast") == 0;
	if (!pool)
		return good;
	if (is_tunnelled(v, other, pool, &kind)) {
		(void)snprintf(wanted, 96, "through %s to %.60s, protocol 12", kind, other->name);
		return good && tunnel && strcmp(tunnel->kind, kind) == 0 &&
		       conform_member_has(other, &r->via);
	}
	bool near = is_near(v, other);
	(void)snprintf(wanted, 96, "via %s without a tunnel, protocol 12",
		near ? ADDR_STRING(&other->addr[v->f]) : "a router");
	return good && !tunnel && (!near || addr_equal(&r->via, &other->addr[v->f]));
}

static bool is_exported(const struct route_check *v, const struct cidr *block)
{
	const struct conform_pool *pool = conform_cluster_pool(v->c, &block->addr);
	return !pool || !pool->no_export;
}

/* A block that is given back loses its routes first; nobody misses them when nobody is in it. */
static bool is_in_use(const struct conform_member *owner, const struct cidr *block)
{
	for (size_t i = 0; i < owner->facts.n_records; i++)
		if (cidr_contains(block, &owner->facts.records[i].addr) &&
			strcmp(owner->facts.records[i].state, "used") == 0)
			return true;
	return false;
}

static void check_other_blocks(struct route_check *v)
{
	char wanted[96];
	for (size_t i = 0; i < conform_cluster_nodes(v->c); i++) {
		const struct conform_member *other = &v->c->members[i];
		if (other == v->m || !other->alive || !other->addr[v->f].family ||
			!v->m->addr[v->f].family)
			continue;
		for (size_t b = 0; b < other->facts.n_blocks; b++) {
			const struct cidr *block = &other->facts.blocks[b];
			if (!is_of(v, block) || !is_exported(v, block))
				continue;
			const struct conform_route *r = routes_find(v, block, false);
			if (!r && !is_in_use(other, block))
				continue;
			bool good = is_right_hop(v, other, block, r, wanted);
			routes_count(v, good, block, r, wanted);
		}
	}
}

/* ---- No others ---- */

static bool is_inside_pools(const struct route_check *v, const struct cidr *dst)
{
	for (size_t i = 0; i < v->m->facts.n_pools; i++)
		if (cidr_contains(&v->m->facts.pools[i], &dst->addr) &&
			dst->len >= v->m->facts.pools[i].len)
			return true;
	return conform_cluster_pool(v->c, &dst->addr) &&
	       dst->len >= conform_cluster_pool(v->c, &dst->addr)->cidr.len;
}

/* Blocks of members are looked at above, with their next hops. */
static bool is_explained(const struct route_check *v, const struct conform_route *r)
{
	const struct conform_facts *l = &v->m->facts;
	if (r->protocol == OURS)
		return true;
	if (r->protocol == KERNELS)
		return conform_facts_tunnel(l, r->dev) != NULL;
	if (r->protocol != BIRDS)
		return false;
	for (size_t i = 0; i < v->c->n; i++)
		if (cidr_is_among(v->c->members[i].facts.blocks, v->c->members[i].facts.n_blocks,
			    &r->dst))
			return &v->c->members[i] != v->m;
	return !v->c->has_store || cidr_is_among(v->c->blocks, v->c->n_blocks, &r->dst);
}

static void check_no_others(struct route_check *v)
{
	for (size_t i = 0; i < v->m->facts.n_routes; i++) {
		const struct conform_route *r = &v->m->facts.routes[i];
		if (!is_of(v, &r->dst) || !is_inside_pools(v, &r->dst))
			continue;
		routes_count(v, is_explained(v, r), &r->dst, r, "");
	}
}

/* ---- All of them ---- */

static const struct route_rule {
	const char *note, *expected;
	const char *with_store; /* what the store adds to it */
	void (*check)(struct route_check *v);
} route_rules[] = {
	{"own blocks", "a blackhole of protocol 82 for each of its blocks", "", check_own_blocks},
	{"own pods", "a route of protocol 82 to the link of each of its pods", "", check_own_pods},
	{"other nodes", "a route of protocol 12 (bird) to each block of other nodes",
		" as its pool says", check_other_blocks},
	{"no others",
		"every route inside the pools to be roost's, or BIRD's to another node's block", "",
		check_no_others},
};

static void route_judge(
	struct route_check *v, const struct route_rule *rule, struct conform_checks *out)
{
	struct conform_check *k =
		conform_checks_add(out, CONFORM_FACT, "route", family_digit(v->f) - '0');
	(void)snprintf(k->what, sizeof(k->what), "route IPv%d %s  %.60s", k->family, rule->note,
		v->m->name);
	(void)snprintf(k->expected, sizeof(k->expected), "%s%s", rule->expected,
		v->c->has_store ? rule->with_store : "");
	v->wrong = (struct text)TEXT_ON(v->buf);
	v->right = v->all = 0;
	rule->check(v);
	if (v->wrong.len)
		conform_check_set(k, CONFORM_FAILED, "%s", v->wrong.buf);
	else if (!v->all)
		conform_check_set(k, CONFORM_OK, "none");
	else
		conform_check_set(k, CONFORM_OK, "%zu of %zu", v->right, v->all);
}

/* Nothing is said of a family in which there are neither pods nor blocks. */
static bool is_used(const struct conform_cluster *c, enum family f)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct conform_member *m = &c->members[i];
		for (size_t k = 0; k < m->n_pods; k++)
			if (m->pods[k].ip[f].family)
				return true;
		for (size_t k = 0; k < m->facts.n_blocks; k++)
			if (family_of(m->facts.blocks[k].addr.family) == f)
				return true;
	}
	return false;
}

void conform_routes(const struct conform_cluster *c, struct conform_checks *out)
{
	for (size_t i = 0; i < conform_cluster_nodes(c); i++) {
		for (enum family f = IPV4; f < FAMILIES; f++) {
			struct route_check v = {.c = c, .m = &c->members[i], .f = f};
			if (!v.m->alive || !c->families[f] || !is_used(c, f))
				continue;
			for (size_t k = 0; k < sizeof(route_rules) / sizeof(route_rules[0]); k++)
				route_judge(&v, &route_rules[k], out);
		}
	}
}
