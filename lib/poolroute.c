/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of two routes for one packet the longer one wins, of one length that with the lower metric, and
 * before both the table that a rule asks first. So inside a pool of the main table these are in
 * the way:
 *
 *  - a route to a block with a metric that is not behind BIRD's (another node's block) or behind our
 *    blackhole (a block of this host);
 *  - any longer one, as it takes a part of a block.
 *
 * Shorter ones hide nothing, as each block in use has a route. BIRD's are those with its protocol and
 * the metric that we tell it; with another metric they are left over from somebody's earlier BIRD.
 * roost-ipam serves other main plugins: in a block of this host the route that the kernel made with
 * a bridge's address is right, and routes to single addresses, which ptp makes.
 *
 * Rules with a selector are for packets that somebody chose, and not looked at. A table behind a rule
 * without one takes everything that its routes cover, the shorter ones too. The search ends at the
 * first rule for the main table.
 */
#include "lib/poolroute.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/family.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/text.h"

#define TABLES 16 /* behind rules, of one family; what is beyond is left out */

static bool contains(const struct cidr *c, const struct cidr *inner)
{
	return c->len <= inner->len && cidr_contains(c, &inner->addr);
}

static const struct poolroute_pool *pool_around(
	const struct poolroute_query *q, const struct cidr *dst)
{
	for (size_t i = 0; i < q->n_pools; i++)
		if (contains(&q->pools[i].cidr, dst))
			return &q->pools[i];
	return NULL;
}

static bool overlaps_pool(const struct poolroute_query *q, const struct cidr *dst)
{
	for (size_t i = 0; i < q->n_pools; i++)
		if (cidr_overlaps(&q->pools[i].cidr, dst))
			return true;
	return false;
}

static bool is_in_own_block(const struct poolroute_query *q, const struct cidr *dst)
{
	for (size_t i = 0; i < q->n_own; i++)
		if (contains(&q->own[i], dst))
			return true;
	return false;
}

static bool is_of_plugin(const struct net_detail_route *r)
{
	bool host = r->dst.len == addr_bits(&r->dst.addr);
	return r->type == RTN_UNICAST &&
	       (r->protocol == NET_PROTO_KERNEL || (host && r->protocol != POOLROUTE_PROTO_BIRD));
}

static enum poolroute_kind judge_main(
	const struct net_detail_route *r, const struct poolroute_query *q)
{
	const struct poolroute_pool *pool = pool_around(q, &r->dst);
	if (!pool)
		return POOLROUTE_FINE;
	if (r->protocol == POOLROUTE_PROTO_BIRD && r->metric == POOLROUTE_METRIC_BIRD)
		return r->type == RTN_UNREACHABLE ? POOLROUTE_UNREACHABLE : POOLROUTE_FINE;
	bool own = is_in_own_block(q, &r->dst);
	if (r->dst.len < pool->block_len || (own && is_of_plugin(r)))
		return POOLROUTE_FINE;
	uint32_t last = own ? owned_blackhole(&r->dst).metric : POOLROUTE_METRIC_BIRD;
	return r->dst.len > pool->block_len || r->metric <= last ? POOLROUTE_HIDES : POOLROUTE_FINE;
}

enum poolroute_kind poolroute_judge(
	const struct net_detail_route *r, uint32_t rule, const struct poolroute_query *q)
{
	if (r->protocol == OWNED_PROTOCOL)
		return POOLROUTE_FINE;
	if (!rule)
		return judge_main(r, q);
	return r->type != RTN_THROW && overlaps_pool(q, &r->dst) ? POOLROUTE_HIDES : POOLROUTE_FINE;
}

/* ---- Listing ---- */

struct listing {
	const struct poolroute_query *q;
	const struct net_detail_rule *rule; /* NULL: the main table */
	struct poolroute *v;
	size_t n, room;
};

static uint32_t rule_of(const struct listing *l)
{
	return l->rule ? l->rule->priority : 0;
}

static bool is_wanted(const struct net_detail_route *r, const void *arg)
{
	const struct listing *l = arg;
	if (l->rule && l->rule->not_default && !r->dst.len)
		return false;
	return poolroute_judge(r, rule_of(l), l->q) != POOLROUTE_FINE;
}

static int list_table(
	struct net *n, enum family f, uint32_t table, struct listing *l, struct err *e)
{
	const struct net_detail_query q = {
		.family = family_af(f), .table = table, .wanted = is_wanted, .arg = l};
	CLEANUP_FREE struct net_detail_route *routes = NULL;
	size_t count = 0;
	int r = net_detail_find_routes(n, &q, &routes, &count, e);
	for (size_t i = 0; i < count && r >= 0; i++) {
		l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
		l->v[l->n++] = (struct poolroute){
			.route = routes[i],
			.kind = poolroute_judge(&routes[i], rule_of(l), l->q),
			.rule = rule_of(l),
		};
	}
	return r;
}

static bool is_for_all(const struct net_detail_rule *r)
{
	return r->action == FR_ACT_TO_TBL && !r->from.len && !r->to.len && !r->mark && !*r->in &&
	       !r->more && r->protocol != OWNED_PROTOCOL;
}

static int list_earlier_tables(struct net *n, enum family f, struct listing *l, struct err *e)
{
	CLEANUP_FREE struct net_detail_rule *rules = NULL;
	size_t count = 0;
	int r = net_detail_rules(n, family_af(f), &rules, &count, e);
	for (size_t i = 0, tables = 0; i < count && r >= 0 && tables < TABLES; i++) {
		if (!is_for_all(&rules[i]) || rules[i].table == RT_TABLE_LOCAL)
			continue;
		if (rules[i].table == RT_TABLE_MAIN)
			break;
		l->rule = &rules[i];
		r = list_table(n, f, rules[i].table, l, e);
		tables++;
	}
	l->rule = NULL;
	return r;
}

int poolroute_list(struct net *n, const struct poolroute_query *q, struct poolroute **out,
	size_t *count, struct err *e)
{
	struct listing l = {.q = q};
	int r = 0;
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++) {
		bool any = false;
		for (size_t i = 0; i < q->n_pools; i++)
			any |= family_of(q->pools[i].cidr.addr.family) == f;
		if (any)
			r = list_table(n, f, RT_TABLE_MAIN, &l, e);
		if (any && r >= 0)
			r = list_earlier_tables(n, f, &l, e);
	}
	if (r < 0) {
		free(l.v);
		return r;
	}
	*out = l.v;
	*count = l.n;
	return 0;
}

/* ---- Naming ---- */

/* What ip-route(8) calls a protocol wherever it is installed. */
static const char *protocol_name(uint8_t protocol)
{
	static const char *const names[] = {
		[NET_PROTO_KERNEL] = "kernel",
		[NET_PROTO_BOOT] = "boot",
		[NET_PROTO_STATIC] = "static",
		[NET_PROTO_RA] = "ra",
		[POOLROUTE_PROTO_BIRD] = "bird",
		[NET_PROTO_DHCP] = "dhcp",
	};
	return protocol < sizeof(names) / sizeof(names[0]) ? names[protocol] : NULL;
}

char *poolroute_format(const struct net_detail_route *r, const char *dev, char out[POOLROUTE_TEXT])
{
	struct text t = {.buf = out, .size = POOLROUTE_TEXT};
	const char *name = protocol_name(r->protocol);
	if (r->type != RTN_UNICAST)
		text_add(&t, "%s ", net_detail_type(r->type));
	text_add(&t, "%s", CIDR_STRING(&r->dst));
	if (r->n_hops == 1 && r->hops[0].via.family)
		text_add(&t, " via %s", ADDR_STRING(&r->hops[0].via));
	if (r->n_hops == 1 && *dev)
		text_add(&t, " dev %s", dev);
	if (name)
		text_add(&t, " proto %s", name);
	else
		text_add(&t, " proto %u", r->protocol);
	if (r->metric)
		text_add(&t, " metric %u", r->metric);
	if (r->table != RT_TABLE_MAIN)
		text_add(&t, " table %u", r->table);
	return out;
}
