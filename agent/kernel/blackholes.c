/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what is there is filtered by protocol in the kernel, so its length is that of our own
 * blocks and pods, whatever BIRD has installed. A blackhole of ours has the metric that its family
 * gives when none is named (0, IPv6 1024); one with another metric was not made by us as it shall
 * be, and goes. Missing ones are added before superfluous ones are deleted: where blocks were split or
 * merged no packet finds a gap.
 */
#include "agent/kernel/blackholes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "lib/net_route.h"
#include "lib/owned.h"

#define AT_ONCE 40

struct work {
	struct net *net;
	size_t queued;
	int changes; /* or the first error */
	struct err *e;
};

static void commit(struct work *w)
{
	struct err e;
	int r = net_commit(w->net, NULL, &e);
	if (r < 0 && w->changes >= 0) {
		if (r == -EEXIST)
			err_add(&e, "somebody else's route has the place of a block's blackhole");
		w->changes = r;
		*w->e = e;
	}
	w->queued = 0;
}

static void count(struct work *w)
{
	if (w->changes >= 0)
		w->changes++;
	if (++w->queued == AT_ONCE)
		commit(w);
}

static int compare(const void *a, const void *b)
{
	const struct cidr *x = a;
	const struct cidr *y = b;
	int r = addr_compare(&x->addr, &y->addr);
	return r ? r : (x->len > y->len) - (x->len < y->len);
}

static bool has(const struct cidr *sorted, size_t n, const struct cidr *c)
{
	return n && bsearch(c, sorted, n, sizeof(*c), compare);
}

static bool is_right(const struct net_route *r)
{
	return r->metric == (r->dst.addr.family == AF_INET ? 0 : 1024);
}

static void add_missing(struct work *w, const struct cidr *want, size_t n_want,
	const struct cidr *have, size_t n_have)
{
	for (size_t i = 0; i < n_want; i++) {
		if (want[i].len == addr_bits(&want[i].addr) || has(have, n_have, &want[i]))
			continue;
		const struct net_route r = {
			.dst = want[i], .protocol = OWNED_PROTOCOL, .blackhole = true};
		net_add_route(w->net, &r, NET_STRICT);
		count(w);
	}
}

static void del_superfluous(struct work *w, const struct cidr *want, size_t n_want,
	const struct net_route *routes, size_t n_routes)
{
	for (size_t i = 0; i < n_routes; i++) {
		struct net_route r = routes[i];
		bool is_host = r.dst.len == addr_bits(&r.dst.addr);
		if (!r.blackhole || (is_right(&r) && !is_host && has(want, n_want, &r.dst)))
			continue;
		r.dev = 0; /* IPv6 lists the loopback device */
		net_del_route(w->net, &r, NET_MAY_LACK);
		count(w);
	}
}

static void sync_family(struct work *w, int family, const struct cidr *want, size_t n_want)
{
	CLEANUP_FREE struct net_route *routes = NULL;
	size_t n = 0, n_have = 0;
	int r = net_list_routes(w->net, family, OWNED_PROTOCOL, &routes, &n, w->e);
	if (r < 0) {
		w->changes = r;
		return;
	}
	CLEANUP_FREE struct cidr *have = mem_new(n, sizeof(*have));
	for (size_t i = 0; i < n; i++)
		if (routes[i].blackhole && is_right(&routes[i]))
			have[n_have++] = routes[i].dst;
	if (n_have)
		qsort(have, n_have, sizeof(*have), compare);
	add_missing(w, want, n_want, have, n_have);
	if (w->queued)
		commit(w);
	del_superfluous(w, want, n_want, routes, n);
	if (w->queued)
		commit(w);
}

int blackholes_sync(struct net *n, const struct cidr *blocks, size_t n_blocks, struct err *e)
{
	struct work w = {.net = n, .e = e};
	CLEANUP_FREE struct cidr *want = mem_new(n_blocks, sizeof(*want));
	if (n_blocks) {
		memcpy(want, blocks, n_blocks * sizeof(*want));
		qsort(want, n_blocks, sizeof(*want), compare);
	}
	/* Sorted, the IPv4 ones are in front. */
	size_t n4 = 0;
	while (n4 < n_blocks && want[n4].addr.family == AF_INET)
		n4++;
	sync_family(&w, AF_INET, want, n4);
	sync_family(&w, AF_INET6, want + n4, n_blocks - n4);
	return w.changes;
}
