/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The op look: what the node has, as the kernel and the node state say it at this moment. Facts
 * only; what is right and wrong of them is the asker's to judge. Parts that this machine does not
 * have (no node state, no agent's file, no IPv6) are empty, not errors.
 *
 * Reading the node state has a deadline of its own that ends the process (cli/state.h): a
 * stopped process that holds its lock for ten seconds ends the probe, too. What it made is then in
 * its journal.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cli/probe/probe_impl.h"
#include "cli/state.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net_detail.h"
#include "lib/net_route.h"

struct query {
	struct net *net;
	struct net_detail_link *links;
	size_t n_links;
	const struct net_link *uplink; /* NULL: none */
	json_t *answer;
};

static const struct net_detail_link *find_link(const struct query *q, int index)
{
	for (size_t i = 0; i < q->n_links; i++)
		if (q->links[i].link.index == index)
			return &q->links[i];
	return NULL;
}

static json_t *name_of_link(const struct query *q, int index)
{
	const struct net_detail_link *link = index ? find_link(q, index) : NULL;
	return json_of_text(link ? link->link.name : "");
}

/* ---- Links and addresses ---- */

static void put_links(struct query *q)
{
	json_t *links = json_array(), *tunnels = json_array();
	for (size_t i = 0; i < q->n_links; i++) {
		const struct net_detail_link *d = &q->links[i];
		json_t *o = json_object();
		json_put(o, "name", json_of_text(d->link.name));
		json_put(o, "kind", json_of_text(d->kind));
		json_put(o, "mtu", json_integer(d->link.mtu));
		json_put(o, "alias", json_of_text(d->link.alias));
		json_put(o, "up", json_boolean(d->link.up));
		json_append(links, json_copy(o));
		if (strcmp(d->kind, "ipip") == 0 || strcmp(d->kind, "vxlan") == 0) {
			json_put(o, "local", json_of_addr(&d->local));
			json_put(o, "vni", json_integer(d->vni));
			json_put(o, "port", json_integer(d->port));
			json_append(tunnels, json_incref(o));
		}
		json_decref(o);
	}
	json_put(q->answer, "links", links);
	json_put(q->answer, "tunnels", tunnels);
}

static int put_addresses(struct query *q, struct err *e)
{
	CLEANUP_FREE struct net_addr *addrs = NULL;
	size_t n = 0;
	json_t *list = json_array();
	json_put(q->answer, "addresses", list);
	int r = net_list_addrs(q->net, &addrs, &n, e);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		const struct net_detail_link *link = find_link(q, addrs[i].dev);
		json_t *o = json_object();
		json_put(o, "addr", json_of_cidr(&addrs[i].address));
		json_put(o, "dev", json_of_text(link ? link->link.name : ""));
		json_put(o, "mtu", json_integer(link ? link->link.mtu : 0));
		json_append(list, o);
	}
	return r;
}

static json_t *setting(const char *family, const char *dev, const char *name)
{
	char path[128];
	long value = 0;
	struct err ignored;
	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s/%s%s%s", family, *dev ? "conf/" : "",
		dev, *dev ? "/" : "");
	size_t len = strlen(path);
	(void)snprintf(path + len, sizeof(path) - len, "%s", name);
	return file_get_number(path, &value, &ignored) < 0 ? json_null() : json_integer(value);
}

static int put_uplink(struct query *q, struct net_host *look, struct err *e)
{
	int r = net_get_host(q->net, look, e);
	if (r < 0)
		return r;
	if (!look->uplink.index) {
		json_put(q->answer, "uplink", json_null());
		return 0;
	}
	q->uplink = &look->uplink;
	json_t *o = json_object();
	json_put(o, "dev", json_of_text(look->uplink.name));
	json_put(o, "mtu", json_integer(look->uplink.mtu));
	json_put(o, "mtu4", json_integer(look->uplink.mtu));
	json_put(o, "mtu6", setting("ipv6", look->uplink.name, "mtu"));
	json_put(q->answer, "uplink", o);
	return 0;
}

static void put_settings(const struct query *q)
{
	json_t *o = json_object();
	const char *dev = q->uplink ? q->uplink->name : "all";
	json_put(o, "ip_forward", setting("ipv4", "", "ip_forward"));
	json_put(o, "rp_filter_all", setting("ipv4", "all", "rp_filter"));
	json_put(o, "rp_filter_uplink", setting("ipv4", dev, "rp_filter"));
	json_put(o, "ipv6_forwarding", setting("ipv6", "all", "forwarding"));
	json_put(o, "fib_multipath_hash_policy", setting("ipv4", "", "fib_multipath_hash_policy"));
	json_put(o, "fib_multipath_hash_policy6", setting("ipv6", "", "fib_multipath_hash_policy"));
	json_put(q->answer, "sysctls", o);
}

/* ---- Routes and rules ---- */

static json_t *hop_json(const struct query *q, const struct net_detail_hop *h, json_t *o)
{
	json_put(o, "dev", name_of_link(q, h->dev));
	json_put(o, "via", json_of_addr(&h->via));
	json_put(o, "onlink", json_boolean(h->on_link));
	return o;
}

static json_t *route_json(const struct query *q, const struct net_detail_route *r)
{
	static const struct net_detail_hop none;
	json_t *o = json_object(), *hops = json_array();
	json_put(o, "dst", json_of_cidr(&r->dst));
	json_put(o, "type", json_of_text(net_detail_type(r->type)));
	json_put(o, "protocol", json_integer(r->protocol));
	json_put(o, "scope", json_integer(r->scope));
	json_put(o, "metric", json_integer(r->metric));
	json_put(o, "table", json_integer(r->table));
	json_put(o, "mtu", json_integer(r->mtu));
	json_put(o, "source", json_of_addr(&r->prefsrc));
	(void)hop_json(q, r->n_hops ? &r->hops[0] : &none, o);
	for (size_t i = 0; i < r->n_hops; i++)
		json_append(hops, hop_json(q, &r->hops[i], json_object()));
	json_put(o, "hops", hops);
	return o;
}

static json_t *rule_json(const struct net_detail_rule *r, int family)
{
	json_t *o = json_object();
	json_put(o, "family", json_integer(family == AF_INET ? 4 : 6));
	json_put(o, "priority", json_integer(r->priority));
	json_put(o, "from", r->from.addr.family ? json_of_cidr(&r->from) : json_string("all"));
	json_put(o, "to", r->to.addr.family ? json_of_cidr(&r->to) : json_string("all"));
	json_put(o, "table", json_integer(r->table));
	json_put(o, "mark", json_integer(r->mark));
	json_put(o, "protocol", json_integer(r->protocol));
	json_put(o, "iif", json_of_text(r->in));
	return o;
}

static int put_routes(struct query *q, struct err *e)
{
	static const int families[] = {AF_INET, AF_INET6};
	json_t *routes = json_array(), *rules = json_array();
	json_put(q->answer, "routes", routes);
	json_put(q->answer, "rules", rules);
	for (size_t f = 0; f < 2; f++) {
		CLEANUP_FREE struct net_detail_route *route = NULL;
		CLEANUP_FREE struct net_detail_rule *rule = NULL;
		size_t n_routes = 0, n_rules = 0;
		int r = net_detail_routes(q->net, families[f], RT_TABLE_MAIN, &route, &n_routes, e);
		if (r >= 0)
			r = net_detail_rules(q->net, families[f], &rule, &n_rules, e);
		if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
			continue; /* a kernel without IPv6, or without policy rules */
		if (r < 0)
			return r;
		for (size_t i = 0; i < n_routes; i++)
			json_append(routes, route_json(q, &route[i]));
		for (size_t i = 0; i < n_rules; i++)
			json_append(rules, rule_json(&rule[i], families[f]));
	}
	return 0;
}

/* ---- The node state and the configuration ---- */

static json_t *record_json(const struct node_entry *n)
{
	json_t *o = json_object();
	json_put(o, "address", json_of_addr(&n->addr));
	json_put(o, "state", json_of_text(node_state_text(n->state)));
	json_put(o, "container", json_of_text(n->owner.container ? n->owner.container : ""));
	json_put(o, "ifname", json_of_text(n->owner.ifname ? n->owner.ifname : ""));
	json_put(o, "network", json_of_text(n->owner.network ? n->owner.network : ""));
	return o;
}

static int put_folder(const char *dir, const struct query *q, struct err *e)
{
	struct node_view v = {0};
	json_t *pools = json_object_get(q->answer, "pools");
	json_t *blocks = json_object_get(q->answer, "blocks");
	json_t *records = json_object_get(q->answer, "records");
	int r = state_read(dir, &v, e);
	if (r <= 0)
		return r;
	for (size_t i = 0; i < v.n_pools; i++) {
		json_t *o = json_object();
		json_put(o, "cidr", json_of_cidr(&v.pools[i].pool.cidr));
		json_put(o, "blockSize", json_integer(v.pools[i].pool.block_len));
		json_append(pools, o);
	}
	for (size_t i = 0; i < v.n_blocks; i++)
		json_append(blocks, json_of_cidr(&v.blocks[i].cidr));
	for (size_t i = 0; i < v.n_entries; i++)
		json_append(records, record_json(v.entries[i]));
	node_view_done(&v);
	return 0;
}

static int put_state(const struct probe *p, const struct query *q, struct err *e)
{
	int r = 0;
	json_put(q->answer, "pools", json_array());
	json_put(q->answer, "blocks", json_array());
	json_put(q->answer, "records", json_array());
	for (size_t i = 0; r >= 0 && i < p->dirs.n; i++)
		r = put_folder(p->dirs.list[i], q, e);
	return r;
}

static int put_name(const struct probe *p, const struct query *q, struct err *e)
{
	struct config c;
	int r = config_read(p->options, &c, e);
	if (r >= 0)
		json_put(q->answer, "node", json_of_text(c.conf.node));
	return r;
}

int probe_facts(struct probe *p, const struct probe_request *call, struct err *e)
{
	CLEANUP_NET struct net *net = NULL;
	struct query q = {.answer = call->answer};
	struct net_host look = {0};
	int r = net_open(&net, e);
	if (r < 0)
		return r;
	q.net = net;
	r = net_detail_links(net, &q.links, &q.n_links, e);
	if (r >= 0) {
		put_links(&q);
		r = put_addresses(&q, e);
	}
	if (r >= 0)
		r = put_uplink(&q, &look, e);
	if (r >= 0) {
		put_settings(&q);
		r = put_routes(&q, e);
	}
	if (r >= 0)
		r = put_state(p, &q, e);
	if (r >= 0)
		r = put_name(p, &q, e);
	free(q.links);
	return r < 0 ? r : 0;
}
