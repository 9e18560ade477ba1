/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what is there is filtered by protocol in the kernel, so its length is that of our own
 * blocks and pods, whatever BIRD has installed. A blackhole with another metric than that of
 * owned_blackhole() was not made by us as it shall be, and goes. Missing ones are added before
 * superfluous ones are deleted: where blocks were split or merged no packet finds a gap.
 */
#include "agent/kernel/blackholes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/kernel/batch.h"
#include "lib/family.h"
#include "lib/mem.h"
#include "lib/net_route.h"
#include "lib/owned.h"
#include "lib/search.h"

static bool has_block(const struct cidr *sorted, size_t n, const struct cidr *c)
{
	return search_find(sorted, n, sizeof(*c), c, cidr_compare_first) != NULL;
}

/* A blackhole as it is made here. */
static bool is_right(const struct net_route *r)
{
	return r->blackhole && r->metric == owned_blackhole(&r->dst).metric;
}

static void add_missing(struct batch *b, const struct cidr *want, size_t n_want,
	const struct cidr *have, size_t n_have)
{
	for (size_t i = 0; i < n_want; i++) {
		const struct net_route r = owned_blackhole(&want[i]);
		if (has_block(have, n_have, &want[i]))
			continue;
		net_add_route(b->net, &r, NET_STRICT);
		batch_add(b);
	}
}

static void delete_superfluous(struct batch *b, const struct cidr *want, size_t n_want,
	const struct net_route *routes, size_t n_routes)
{
	for (size_t i = 0; i < n_routes; i++) {
		struct net_route r = routes[i];
		if (!r.blackhole || (is_right(&r) && has_block(want, n_want, &r.dst)))
			continue;
		r.dev = 0; /* IPv6 lists the loopback device */
		net_del_route(b->net, &r, NET_MAY_LACK);
		batch_add(b);
	}
}

static void sync_family(struct batch *b, enum family f, const struct cidr *want, size_t n_want)
{
	CLEANUP_FREE struct net_route *routes = NULL;
	size_t n = 0, n_have = 0;
	struct err e;
	int r = net_list_routes(b->net, family_af(f), OWNED_PROTOCOL, &routes, &n, &e);
	if (r < 0) {
		batch_fail(b, r, &e);
		return;
	}
	CLEANUP_FREE struct cidr *have = mem_new(n + 1, sizeof(*have));
	for (size_t i = 0; i < n; i++)
		if (is_right(&routes[i]))
			have[n_have++] = routes[i].dst;
	qsort(have, n_have, sizeof(*have), cidr_compare_first);
	add_missing(b, want, n_want, have, n_have);
	batch_commit(b);
	delete_superfluous(b, want, n_want, routes, n);
	batch_commit(b);
}

int blackholes_sync(struct net *n, const struct cidr *blocks, size_t n_blocks, struct err *e)
{
	struct batch b = {.net = n, .e = e};
	CLEANUP_FREE struct cidr *want = mem_new(n_blocks + 1, sizeof(*want));
	if (n_blocks)
		memcpy(want, blocks, n_blocks * sizeof(*want));
	qsort(want, n_blocks, sizeof(*want), cidr_compare_first);
	/* Sorted, the IPv4 ones are in front. */
	size_t n4 = 0;
	while (n4 < n_blocks && want[n4].addr.family == AF_INET)
		n4++;
	sync_family(&b, IPV4, want, n4);
	sync_family(&b, IPV6, want + n4, n_blocks - n4);
	if (b.changes == -EEXIST)
		err_add(e, "somebody else's route has the place of a block's blackhole");
	return b.changes;
}
