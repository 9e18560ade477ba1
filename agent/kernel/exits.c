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

#include "agent/kernel/batch.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/net_detail.h"
#include "lib/net_route.h"
#include "lib/net_rule.h"
#include "lib/owned.h"

#define PRIORITY 8266
#define PROTO_BIRD 12 /* RTPROT_BIRD */

static bool is_same_rule(const struct net_detail_rule *have, const struct net_rule *want)
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
static size_t wanted_rules(const struct exits_want *w, enum family f, struct net_rule *out)
{
	size_t n = 0;
	for (int second = 0; second < 2 && w->used[f]; second++)
		for (size_t i = 0; i < w->n_pools; i++)
			if (family_of(w->pools[i].addr.family) == f)
				out[n++] = (struct net_rule){
					.from = w->pools[i],
					.table = second ? w->table : NET_TABLE_MAIN,
					.priority = PRIORITY + (uint32_t)second,
					.not_default = !second,
				};
	return n;
}

static void add_rules(struct batch *b, const struct net_rule *want, size_t n,
	const struct net_detail_rule *have, size_t n_have)
{
	for (size_t i = 0; i < n; i++) {
		bool there = false;
		for (size_t k = 0; k < n_have; k++)
			there |= is_ours(&have[k]) && is_same_rule(&have[k], &want[i]);
		if (there)
			continue;
		net_add_rule(b->net, &want[i]);
		batch_add(b);
	}
	batch_commit(b);
}

/* The kernel lists them by priority: the last ones are those of the table of exits. Returns how many
 * went. */
static size_t delete_rules(struct batch *b, const struct net_rule *want, size_t n,
	const struct net_detail_rule *have, size_t n_have)
{
	size_t deleted = 0;
	for (size_t i = n_have; i-- > 0;) {
		bool wanted = false;
		for (size_t k = 0; k < n; k++)
			wanted |= is_same_rule(&have[i], &want[k]);
		if (wanted || !is_ours(&have[i]))
			continue;
		const struct net_rule rule = {.from = have[i].from,
			.table = have[i].table,
			.priority = have[i].priority,
			.not_default = have[i].not_default};
		net_del_rule(b->net, &rule, NET_MAY_LACK);
		batch_add(b);
		deleted++;
	}
	batch_commit(b);
	return deleted;
}

/* BIRD leaves routes behind when it no longer keeps the table (persist). */
static void flush_table(struct batch *b, enum family f, uint32_t table)
{
	CLEANUP_FREE struct net_detail_route *routes = NULL;
	size_t n = 0;
	struct err e;
	int r = net_detail_routes(b->net, family_af(f), table, &routes, &n, &e);
	if (r < 0)
		batch_fail(b, r, &e);
	for (size_t i = 0; i < n; i++) {
		const struct net_route route = {.dst = routes[i].dst,
			.table = routes[i].table,
			.protocol = PROTO_BIRD,
			.metric = routes[i].metric,
			.unreachable = routes[i].type == RTN_UNREACHABLE};
		if (routes[i].protocol != PROTO_BIRD)
			continue;
		net_del_route(b->net, &route, NET_MAY_LACK);
		batch_add(b);
	}
	batch_commit(b);
}

static void sync_rules(struct batch *b, const struct exits_want *w, enum family f)
{
	CLEANUP_FREE struct net_rule *want = mem_new(2 * w->n_pools + 1, sizeof(*want));
	CLEANUP_FREE struct net_detail_rule *have = NULL;
	size_t n_have = 0;
	struct err e;
	size_t n = wanted_rules(w, f, want);
	int r = net_detail_rules(b->net, family_af(f), &have, &n_have, &e);
	if (r == -EAFNOSUPPORT || r == -EOPNOTSUPP) /* no IPv6 */
		return;
	if (r < 0)
		batch_fail(b, r, &e);
	for (size_t i = 0; i < n_have; i++)
		have[i].from.addr.family = family_af(f); /* 0 for a source that is anything */
	if (r >= 0)
		add_rules(b, want, n, have, n_have);
	size_t deleted = b->changes < 0 ? 0 : delete_rules(b, want, n, have, n_have);
	if (deleted > 0 && n == 0 && b->changes >= 0)
		flush_table(b, f, w->table);
}

static void set_hash_policy(struct batch *b, enum family f)
{
	static const char *const paths[FAMILIES] = {"/proc/sys/net/ipv4/fib_multipath_hash_policy",
		"/proc/sys/net/ipv6/fib_multipath_hash_policy"};
	long value = 0;
	struct err e;
	int r = file_get_number(paths[f], &value, &e);
	if (r == -ENOENT) /* a kernel without multipath routes */
		return;
	if (r >= 0 && value == 0) {
		r = file_put_number(paths[f], 1, &e);
		b->changes += r >= 0;
	}
	if (r < 0)
		batch_fail(b, r, &e);
}

int exits_sync(struct net *n, const struct exits_want *w, struct err *e)
{
	struct batch all = {.net = n, .e = e};
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct err error;
		struct batch b = {.net = n, .e = &error};
		sync_rules(&b, w, f);
		if (b.changes >= 0 && w->used[f])
			set_hash_policy(&b, f);
		if (b.changes < 0)
			batch_fail(&all, b.changes, &error);
		else if (all.changes >= 0)
			all.changes += b.changes;
	}
	if (all.changes < 0)
		err_add(e, "exits");
	return all.changes;
}

int exits_list(struct net *n, uint32_t table, struct exits_route out[EXITS_ROUTES], size_t *found,
	struct err *e)
{
	*found = 0;
	for (enum family f = IPV4; f < FAMILIES; f++) {
		CLEANUP_FREE struct net_detail_route *routes = NULL;
		size_t listed = 0;
		int r = net_detail_routes(n, family_af(f), table, &routes, &listed, e);
		if (r < 0 && r != -EAFNOSUPPORT && r != -EOPNOTSUPP)
			return r;
		for (size_t i = 0; i < listed && *found < EXITS_ROUTES; i++)
			if (routes[i].protocol == PROTO_BIRD)
				out[(*found)++] = (struct exits_route){
					.dst = routes[i].dst, .paths = (uint16_t)routes[i].n_hops};
	}
	return 0;
}
