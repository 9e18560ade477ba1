/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pure: the kernel's routes come in as values, the sentences are the result. The moment in which a
 * route was first seen without next hop is kept from one look to the next.
 */
#include "agent/poolroutes.h"

#include <stdlib.h>

#include "lib/mem.h"

void poolroutes_done(struct poolroutes *p)
{
	free(p->dead);
	*p = (struct poolroutes){0};
}

/* The node of a block that a route is about: the route's prefix, or what it is inside of. */
static const struct replica_node *node_of(const struct replica *r, const struct cidr *dst)
{
	for (size_t i = 0; i < r->n_blocks; i++) {
		const struct replica_block *b = &r->blocks[i];
		if (b->node && b->cidr.len <= dst->len && cidr_contains(&b->cidr, &dst->addr))
			return replica_node(r, b->node);
	}
	return NULL;
}

static const char *device_name(const struct facts *f, const struct net_detail_route *r)
{
	const struct facts_link *l = r->n_hops == 1 ? facts_link(f, r->hops[0].dev) : NULL;
	return l ? l->name : "";
}

static void say_hidden(
	struct problems *out, const struct poolroutes_input *in, const struct poolroute *p)
{
	const struct replica_node *node = node_of(in->replica, &p->route.dst);
	const char *route = POOLROUTE_STRING(&p->route, device_name(in->facts, &p->route));
	if (p->rule)
		problems_add(out,
			"a route of others, in a table that rule %u asks before the main one, "
			"takes "
			"packets to pods: ip route del %s",
			p->rule, route);
	else
		problems_add(out, "a route of others hides the way to pods%s%.64s: ip route del %s",
			node ? " of node " : "", node ? node->name : "", route);
}

static void say_dead(
	struct problems *out, const struct poolroutes_input *in, const struct cidr *dst)
{
	const struct replica_node *node = node_of(in->replica, dst);
	enum family f = family_of(dst->addr.family);
	const struct addr *a = node ? &node->spec.addr[f].addr : NULL;
	problems_add(out,
		"%s%s%.64s is unreachable: BIRD knows no next hop for it (%s%s: a tunnel without "
		"an "
		"end there, or a route of this host that BIRD cannot use)",
		CIDR_STRING(dst), node ? " of node " : "", node ? node->name : "",
		a && a->family ? "roostctl node list; ip route get " : "birdc show route all",
		a && a->family ? ADDR_STRING(a) : "");
}

static int64_t dead_since(const struct poolroutes *p, const struct cidr *dst, int64_t now_ms)
{
	for (size_t i = 0; i < p->n_dead; i++)
		if (cidr_equal(&p->dead[i].dst, dst))
			return p->dead[i].since_ms;
	return now_ms;
}

void poolroutes_judge(struct poolroutes *p, const struct poolroutes_input *in)
{
	struct poolroutes_dead *dead = mem_new(in->n_seen + 1, sizeof(*dead));
	size_t n = 0;
	p->problems = (struct problems){0};
	p->again_ms = 0;
	for (size_t i = 0; i < in->n_seen; i++) {
		const struct poolroute *s = &in->seen[i];
		if (s->kind == POOLROUTE_HIDES)
			say_hidden(&p->problems, in, s);
		if (s->kind != POOLROUTE_UNREACHABLE)
			continue;
		int64_t since = dead_since(p, &s->route.dst, in->now_ms);
		dead[n++] = (struct poolroutes_dead){.dst = s->route.dst, .since_ms = since};
		int64_t due = since + POOLROUTES_MOMENT_MS;
		if (due <= in->now_ms)
			say_dead(&p->problems, in, &s->route.dst);
		else if (!p->again_ms || due < p->again_ms)
			p->again_ms = due;
	}
	free(p->dead);
	p->dead = dead;
	p->n_dead = n;
}
