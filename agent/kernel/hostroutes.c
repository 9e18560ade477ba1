/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes are asked for by their protocol, which the kernel filters: those of BIRD, of pods and of the
 * kernel itself are never handed out. Those of another routing daemon of the host are not looked at
 * either: there may be a hundred thousand of them.
 */
#include "agent/kernel/hostroutes.h"

#include <stdlib.h>
#include <string.h>

#include "lib/family.h"
#include "lib/mem.h"
#include "lib/net_route.h"

#define STRICT 1
#define AT_ONCE 20 /* links; the queue takes twice as many questions, and a few */

struct listing {
	struct net_route *v;
	size_t n, room;
};

/* By destination, then as the kernel prefers them. */
static int compare_routes(const void *a, const void *b)
{
	const struct net_route *x = a;
	const struct net_route *y = b;
	int r = cidr_compare(&x->dst, &y->dst);
	if (r == 0)
		r = (x->metric > y->metric) - (x->metric < y->metric);
	return r ? r : addr_compare(&x->via, &y->via);
}

static int add_routes(
	struct net *n, enum family f, uint8_t protocol, struct listing *l, struct err *e)
{
	CLEANUP_FREE struct net_route *found = NULL;
	size_t count = 0;
	int r = net_list_routes(n, family_af(f), protocol, &found, &count, e);
	for (size_t i = 0; i < count && r >= 0; i++) {
		if (found[i].blackhole || !found[i].dev || !found[i].dst.len)
			continue;
		l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
		l->v[l->n++] = found[i];
	}
	return r;
}

int hostroutes_list(struct net *n, struct facts *f, struct err *e)
{
	static const uint8_t protocols[] = {
		NET_PROTO_BOOT, NET_PROTO_STATIC, NET_PROTO_RA, NET_PROTO_DHCP};
	struct listing l = {0};
	int r = 0;
	for (size_t i = 0; i < sizeof(protocols); i++)
		for (enum family family = IPV4; family < FAMILIES && r >= 0; family++)
			r = add_routes(n, family, protocols[i], &l, e);
	f->n_routes = 0;
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), compare_routes);
	for (size_t i = 0; i < l.n && r >= 0 && f->n_routes < FACTS_ROUTES; i++)
		if (!i || !cidr_equal(&l.v[i - 1].dst, &l.v[i].dst))
			f->routes[f->n_routes++] = (struct facts_route){
				.dst = l.v[i].dst, .via = l.v[i].via, .link = l.v[i].dev};
	free(l.v);
	return r;
}

static bool has_ipv4(const struct facts *f, const struct facts_link *l)
{
	for (size_t i = 0; i < f->n_addrs && !l->loopback; i++)
		if (f->addrs[i].link == l->index && f->addrs[i].addr.addr.family == AF_INET)
			return true;
	return false;
}

/* What the two settings are of a link, and of all (index 0). */
struct settings {
	uint32_t reverse_path;
	bool forwards;
};

static bool has_settings(const struct facts *f, const struct facts_link *l)
{
	return has_ipv4(f, l) || strcmp(l->kind, "vxlan") == 0 || strcmp(l->kind, "ipip") == 0;
}

int hostroutes_settings(struct net *n, struct facts *f, struct err *e)
{
	struct settings all = {0};
	CLEANUP_FREE struct settings *own = mem_new(f->n_links + 1, sizeof(*own));
	size_t queued = 0;
	int r = 0;
	net_ask_reverse_path(n, 0, &all.reverse_path);
	net_ask_forwarding(n, IPV4, NET_CONF_ALL, &all.forwards);
	for (size_t i = 0; i < f->n_links && r >= 0; i++) {
		if (!has_settings(f, &f->links[i]))
			continue;
		net_ask_reverse_path(n, f->links[i].index, &own[i].reverse_path);
		net_ask_forwarding(n, IPV4, f->links[i].index, &own[i].forwards);
		if (++queued % AT_ONCE == 0)
			r = net_commit(n, NULL, e);
	}
	if (r >= 0)
		r = net_commit(n, NULL, e);
	for (size_t i = 0; i < f->n_links && r >= 0; i++) {
		struct facts_link *l = &f->links[i];
		uint32_t reverse_path = own[i].reverse_path > all.reverse_path ? own[i].reverse_path
									       : all.reverse_path;
		l->strict = has_ipv4(f, l) && reverse_path == STRICT;
		l->no_forward = has_settings(f, l) && all.forwards && !own[i].forwards;
	}
	return r;
}
