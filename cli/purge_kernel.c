/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's part of a purge. Everything of ours carries a mark: labels of links (lib/owned.h), protocol 82
 * of routes and rules, names of tables, aliases of tunnels. BIRD's routes are those that our configuration
 * made: its metric in the main table, anything in the table of exits.
 *
 * Links go first, as their routes go with them. Settings under /proc/sys stay: what they were before nobody
 * knows, and others need forwarding too.
 */
#include "cli/purge_kernel.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "lib/family.h"
#include "lib/mem.h"
#include "lib/net_detail.h"
#include "lib/net_rule.h"
#include "lib/nft_own.h"
#include "lib/owned.h"
#include "lib/poolroute.h"
#include "lib/text.h"

#define AT_ONCE 256 /* routes in one batch */
#define ROUNDS 4    /* a list of routes is asked for again, as somebody may have added some */

int purge_count_pods(size_t *count, char *names, size_t size, struct err *e)
{
	CLEANUP_NET struct net *n = NULL;
	struct owned o;
	struct text t = {.buf = names, .size = size};
	names[0] = '\0';
	int r = net_open(&n, e);
	if (r >= 0)
		r = owned_list(n, &o, e);
	if (r < 0)
		return r;
	*count = o.n_links;
	for (size_t i = 0; i < o.n_links && i < 3; i++) {
		const struct owned_label *l = &o.links[i].label;
		text_add(&t, "%s%s", i ? ", " : "", *l->pod ? l->pod : o.links[i].link.name);
	}
	owned_done(&o);
	return 0;
}

/* ---- Links of pods ---- */

static void remove_pods(struct purge *p, struct net *n)
{
	struct owned o;
	struct err e;
	size_t count = 0;
	if (owned_list(n, &o, &e) < 0) {
		purge_failed(p, &e);
		return;
	}
	CLEANUP_FREE int *indexes = mem_new(o.n_links + o.n_newborns + 1, sizeof(*indexes));
	for (size_t i = 0; i < o.n_links; i++)
		if (purge_takes(p, "link %s of %s", o.links[i].link.name,
			    (output_label(&o.links[i].label, (char[OUTPUT_OWNER]){0}))))
			indexes[count++] = o.links[i].link.index;
	for (size_t i = 0; i < o.n_newborns; i++)
		if (purge_takes(p, "link %s, which a killed ADD left", o.newborns[i].name))
			indexes[count++] = o.newborns[i].index;
	if (!p->dry_run && owned_remove(n, indexes, count, &e) < 0)
		purge_failed(p, &e);
	owned_done(&o);
}

/* ---- Rules and routes ---- */

static void remove_rules(struct purge *p, struct net *n, enum family f)
{
	CLEANUP_FREE struct net_detail_rule *all = NULL;
	size_t count = 0;
	struct err e;
	int r = net_detail_rules(n, family_af(f), &all, &count, &e);
	for (size_t i = 0; i < count && r >= 0; i++)
		if (all[i].protocol == NET_PROTO_ROOST &&
			purge_takes(p, "rule %u of table %u (IPv%d)", all[i].priority, all[i].table,
				f == IPV4 ? 4 : 6))
			net_del_rule_of(n, family_af(f), all[i].table, NET_MAY_LACK);
	if (r >= 0)
		r = net_commit(n, NULL, &e);
	if (r < 0)
		purge_failed(p, &e);
}

static bool is_ours(const struct net_detail_route *r, const void *arg)
{
	bool exits = *(const bool *)arg;
	return r->protocol == NET_PROTO_ROOST ||
	       (r->protocol == POOLROUTE_PROTO_BIRD &&
		       (exits || r->metric == POOLROUTE_METRIC_BIRD));
}

static void queue_route(struct net *n, const struct net_detail_route *r)
{
	const struct net_route route = {
		.dst = r->dst,
		.protocol = r->protocol,
		.blackhole = r->type == RTN_BLACKHOLE,
		.unreachable = r->type == RTN_UNREACHABLE,
		.metric = r->metric,
		.table = r->table,
	};
	net_del_route(n, &route, NET_MAY_LACK);
}

/* How many there were; told only once. */
static int remove_some(
	struct purge *p, struct net *n, const struct net_detail_query *q, bool tell, struct err *e)
{
	CLEANUP_FREE struct net_detail_route *all = NULL;
	size_t count = 0;
	int r = net_detail_find_routes(n, q, &all, &count, e);
	for (size_t i = 0; i < count && r >= 0; i++) {
		if (tell && !purge_takes(p, "route %s%s of table %u, protocol %s",
				    all[i].type == RTN_UNICAST ? "" : "without a next hop to ",
				    CIDR_STRING(&all[i].dst), q->table,
				    all[i].protocol == NET_PROTO_ROOST ? "roost" : "bird"))
			continue;
		queue_route(n, &all[i]);
		if (i % AT_ONCE == AT_ONCE - 1)
			r = net_commit(n, NULL, e);
	}
	if (r >= 0)
		r = net_commit(n, NULL, e);
	return r < 0 ? r : (int)count;
}

static void remove_routes(struct purge *p, struct net *n, enum family f, uint32_t table)
{
	const bool exits = table != RT_TABLE_MAIN;
	const struct net_detail_query q = {
		.family = family_af(f), .table = table, .wanted = is_ours, .arg = &exits};
	struct err e = {0};
	int r = remove_some(p, n, &q, true, &e);
	for (int round = 1; r > 0 && round < ROUNDS && !p->dry_run; round++)
		r = remove_some(p, n, &q, false, &e);
	if (r > 0 && !p->dry_run)
		r = err_set(
			&e, EBUSY, "somebody adds routes to table %u again: %d are left", table, r);
	if (r < 0)
		purge_failed(p, &e);
}

/* ---- Tables and devices ---- */

static void remove_tables(struct purge *p)
{
	char names[NFT_OWN_TABLES][NFT_OWN_NAME];
	struct err e;
	int count = nft_own_list(names, &e);
	if (count < 0)
		purge_failed(p, &e);
	for (int i = 0; i < count; i++)
		if (purge_takes(p, "nf_tables table inet %s", names[i]) &&
			nft_own_delete(names[i], &e) < 0)
			purge_failed(p, &e);
}

/* As the agent found it (agent/kernel/ipip.c): nobody can delete it. */
static void give_back_ipip(struct net *n, const struct net_link *l, struct err *e)
{
	CLEANUP_FREE struct net_addr *list = NULL;
	const struct net_dev dev = {.index = l->index, .name = l->name};
	size_t count = 0;
	if (net_list_addrs_of(n, l->index, &list, &count, e) < 0)
		return;
	net_set_down(n, dev);
	for (size_t i = 0; i < count; i++)
		if (list[i].address.addr.family == AF_INET)
			net_del_addr(n, l->index, &list[i].address, NET_MAY_LACK);
	net_set_alias(n, dev, "", 0);
}

/* An intermediate device of a pod's bandwidth that is left without its pod. */
static bool is_ifb(const struct net_detail_link *d)
{
	struct hash h;
	return strcmp(d->kind, "ifb") == 0 && strncmp(d->link.name, "ifb-", 4) == 0 &&
	       hash_parse(d->link.alias, &h);
}

static void remove_device(struct purge *p, struct net *n, const struct net_detail_link *d)
{
	const struct net_dev dev = {.index = d->link.index, .name = d->link.name};
	struct err e = {0};
	if (owned_is_tunnel(&d->link, "vxlan") || is_ifb(d)) {
		if (purge_takes(p, "device %s", d->link.name))
			net_del_link(n, dev, NET_MAY_LACK);
	} else if (owned_is_tunnel(&d->link, "ipip")) {
		if (purge_takes(p, "addresses and alias of device %s, which is the kernel's own",
			    d->link.name))
			give_back_ipip(n, &d->link, &e);
	}
	if (net_commit(n, NULL, &e) < 0 || *e.text)
		purge_failed(p, &e);
}

static void remove_devices(struct purge *p, struct net *n)
{
	CLEANUP_FREE struct net_detail_link *all = NULL;
	size_t count = 0;
	struct err e;
	if (net_detail_links(n, &all, &count, &e) < 0)
		purge_failed(p, &e);
	for (size_t i = 0; i < count; i++)
		remove_device(p, n, &all[i]);
}

static void leave_settings(struct purge *p, struct net *n)
{
	struct net_host host;
	struct err ignored;
	if (net_get_host(n, &host, &ignored) < 0)
		return;
	if (host.forwards[IPV4])
		purge_leaves(p, "net.ipv4.ip_forward=1: others may need it, and nobody knows what "
				"it was before");
	if (host.forwards[IPV6])
		purge_leaves(p, "net.ipv6.conf.all.forwarding=1, for the same reason");
}

void purge_kernel(struct purge *p)
{
	CLEANUP_NET struct net *n = NULL;
	struct err e;
	if (net_open(&n, &e) < 0) {
		purge_failed(p, &e);
		return;
	}
	remove_pods(p, n);
	for (enum family f = IPV4; f < FAMILIES; f++) {
		remove_rules(p, n, f);
		remove_routes(p, n, f, RT_TABLE_MAIN);
		remove_routes(p, n, f, p->conf->exits_table);
	}
	remove_tables(p);
	remove_devices(p, n);
	leave_settings(p, n);
}
