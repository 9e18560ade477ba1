/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two rules for each pool:
 *
 *	8266: from POOL lookup main suppress_prefixlength 0
 *	8267: from POOL lookup TABLE
 *
 * The first one lets every route of the main table win but a default route, so that pods, nodes
 * and all that the node knows better stay where they are; the second one is for the rest. When
 * the table has nothing, the search goes on to the main table's own rule, and with it to the
 * node's default route. A rule is ours by protocol 82 and one of these numbers.
 *
 * New rules are made in this order, and deleted in the other one: at no moment is a table of
 * exits asked before the main one.
 *
 * The hash policy is a setting of the namespace: by ports and not by addresses alone (1), or all
 * connections of two hosts take one exit. Another value than 0 is somebody's choice and stays.
 */
#include "agent/kernel/exits.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/net_detail.h"
#include "lib/net_route.h"
#include "lib/net_rule.h"
#include "lib/owned.h"

#define PRIORITY 8266
#define PROTO_BIRD 12 /* RTPROT_BIRD */
#define AT_ONCE 40

struct sync {
	struct net *net;
	const struct exits_want *want;
	struct err *e;
	size_t queued;
	int changes;
	bool ended; /* the last rule of a family went */
};

static int commit(struct sync *s)
{
	s->queued = 0;
	return net_commit(s->net, NULL, s->e);
}

static int count(struct sync *s)
{
	s->changes++;
	return ++s->queued == AT_ONCE ? commit(s) : 0;
}

static bool is_that(const struct net_detail_rule *have, const struct net_rule *want)
{
	return have->action == FR_ACT_TO_TBL && !have->more && !have->mark && !*have->in &&
	       !have->to.addr.family && cidr_equal(&have->from, &want->from) &&
	       have->table == want->table && have->priority == want->priority &&
	       have->not_default == want->not_default;
}

static bool is_ours(const struct net_detail_rule *r)
{
	return r->protocol == OWNED_PROTOCOL &&
	       (r->priority == PRIORITY || r->priority == PRIORITY + 1);
}

/* The list of a family, first all of the first kind. Returns how many. */
static size_t wanted_rules(const struct exits_want *w, uint8_t family, struct net_rule *out)
{
	size_t n = 0;
	for (int second = 0; second < 2 && w->used[family != AF_INET]; second++)
		for (size_t i = 0; i < w->n_pools; i++)
			if (w->pools[i].addr.family == family)
				out[n++] = (struct net_rule){
					.from = w->pools[i],
					.table = second ? w->table : NET_TABLE_MAIN,
					.priority = PRIORITY + (uint32_t)second,
					.not_default = !second,
				};
	return n;
}

static int add_rules(struct sync *s, const struct net_rule *want, size_t n,
	const struct net_detail_rule *have, size_t n_have)
{
	int r = 0;
	for (size_t i = 0; i < n && r >= 0; i++) {
		bool there = false;
		for (size_t k = 0; k < n_have; k++)
			there |= is_ours(&have[k]) && is_that(&have[k], &want[i]);
		if (there)
			continue;
		net_add_rule(s->net, &want[i]);
		r = count(s);
	}
	return r < 0 ? r : commit(s);
}

/* The kernel lists them by priority: the last ones are those of the table of exits. */
static int del_rules(struct sync *s, const struct net_rule *want, size_t n,
	const struct net_detail_rule *have, size_t n_have)
{
	int r = 0;
	for (size_t i = n_have; i-- > 0 && r >= 0;) {
		bool wanted = false;
		for (size_t k = 0; k < n; k++)
			wanted |= is_that(&have[i], &want[k]);
		if (wanted || !is_ours(&have[i]))
			continue;
		const struct net_rule rule = {.from = have[i].from,
			.table = have[i].table,
			.priority = have[i].priority,
			.not_default = have[i].not_default};
		net_del_rule(s->net, &rule, NET_MAY_LACK);
		s->ended = n == 0;
		r = count(s);
	}
	return r < 0 ? r : commit(s);
}

static int sync_rules(struct sync *s, uint8_t family)
{
	CLEANUP_FREE struct net_rule *want = mem_new(2 * s->want->n_pools + 1, sizeof(*want));
	CLEANUP_FREE struct net_detail_rule *have = NULL;
	size_t n_have = 0;
	size_t n = wanted_rules(s->want, family, want);
	int r = net_detail_rules(s->net, family, &have, &n_have, s->e);
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP) /* no IPv6 */
		return 0;
	for (size_t i = 0; i < n_have && r >= 0; i++)
		have[i].from.addr.family = family; /* 0 for a source that is anything */
	if (r >= 0)
		r = add_rules(s, want, n, have, n_have);
	return r < 0 ? r : del_rules(s, want, n, have, n_have);
}

/* BIRD leaves routes behind when it no longer keeps the table (persist). */
static int flush(struct sync *s, uint8_t family)
{
	CLEANUP_FREE struct net_detail_route *routes = NULL;
	size_t n = 0;
	int r = net_detail_routes(s->net, family, s->want->table, &routes, &n, s->e);
	for (size_t i = 0; i < n && r >= 0; i++) {
		const struct net_route route = {.dst = routes[i].dst,
			.table = routes[i].table,
			.protocol = PROTO_BIRD,
			.metric = routes[i].metric,
			.unreachable = routes[i].type == RTN_UNREACHABLE};
		if (routes[i].protocol != PROTO_BIRD)
			continue;
		net_del_route(s->net, &route, NET_MAY_LACK);
		r = count(s);
	}
	return r < 0 ? r : commit(s);
}

static int set_hash(struct sync *s, uint8_t family)
{
	const char *path = family == AF_INET ? "/proc/sys/net/ipv4/fib_multipath_hash_policy"
					     : "/proc/sys/net/ipv6/fib_multipath_hash_policy";
	long value = 0;
	int r = file_get_number(path, &value, s->e);
	if (r == -ENOENT) /* a kernel without multipath routes */
		return 0;
	if (r < 0 || value != 0)
		return r;
	s->changes++;
	return file_put_number(path, 1, s->e);
}

static int sync_family(struct sync *s, uint8_t family)
{
	s->ended = false;
	int r = sync_rules(s, family);
	if (r >= 0 && s->ended)
		r = flush(s, family);
	if (r >= 0 && s->want->used[family != AF_INET])
		r = set_hash(s, family);
	if (r < 0)
		err_add(s->e, "exits");
	return r;
}

int exits_sync(struct net *n, const struct exits_want *w, struct err *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct err error;
	struct sync s = {.net = n, .want = w, .e = &error};
	int first = 0;
	for (size_t i = 0; i < 2; i++) {
		int r = sync_family(&s, families[i]);
		if (r < 0 && first == 0) {
			first = r;
			*e = error;
		}
	}
	return first < 0 ? first : s.changes;
}

int exits_list(struct net *n, uint32_t table, struct exits_route out[EXITS_ROUTES], size_t *found,
	struct err *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	*found = 0;
	for (size_t f = 0; f < 2; f++) {
		CLEANUP_FREE struct net_detail_route *routes = NULL;
		size_t listed = 0;
		int r = net_detail_routes(n, families[f], table, &routes, &listed, e);
		if (r < 0 && r != -EAFNOSUPPORT && r != -EOPNOTSUPP)
			return r;
		for (size_t i = 0; i < listed && *found < EXITS_ROUTES; i++)
			if (routes[i].protocol == PROTO_BIRD)
				out[(*found)++] = (struct exits_route){
					.dst = routes[i].dst, .paths = (uint16_t)routes[i].n_hops};
	}
	return 0;
}
