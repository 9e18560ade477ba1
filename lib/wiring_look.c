/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look. A list of the kernel's costs a fixed part and one for each object, so of many pods each list is
 * asked for once; where a packet to an address goes is asked for each, as only the kernel knows all routes and
 * rules. Neighbours that the kernel keeps by itself are of no interest.
 */
#include "lib/wiring.h"

#include <string.h>
#include <sys/socket.h>

#include "lib/antispoof.h"
#include "lib/gateway.h"
#include "lib/hostport.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

#define AT_ONCE 40
#define LIMITS_AT_ONCE 10 /* four questions each */

int wiring_find(struct net *n, struct wiring_pod **out, size_t *count, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	size_t n_links = 0, kept = 0;
	int r = net_list_links(n, &links, &n_links, e);
	if (r < 0)
		return r;
	struct wiring_pod *v = NULL;
	size_t room = 0;
	for (size_t i = 0; i < n_links; i++) {
		struct owned_label label;
		if (!links[i].is_veth || owned_is_marked(&links[i]) ||
			!owned_label_parse(links[i].alias, &label))
			continue;
		v = mem_grow(v, &room, kept, sizeof(*v));
		v[kept++] = (struct wiring_pod){.owner = label.owner, .link = links[i]};
	}
	*out = v;
	*count = kept;
	return 0;
}

static int compare_index(const void *a, const void *b)
{
	int x = ((const struct wiring_pod *)a)->link.index;
	int y = ((const struct wiring_pod *)b)->link.index;
	return (x > y) - (x < y);
}

/* Pods sorted by their link. */
struct look {
	struct net *net;
	struct wiring_pod *pods;
	size_t n;
	bool has[FAMILIES];
};

static struct wiring_pod *pod_of(const struct look *l, int dev)
{
	const struct wiring_pod key = {.link.index = dev};
	return search_find(l->pods, l->n, sizeof(key), &key, compare_index);
}

/* Of a single pod the kernel lists what is on its link. */
static int only_link(const struct look *l)
{
	return l->n == 1 ? l->pods[0].link.index : 0;
}

static int look_gateways(const struct look *l, struct err *e)
{
	CLEANUP_FREE struct net_addr *addrs = NULL;
	CLEANUP_FREE struct net_route *routes = NULL;
	size_t n_addrs = 0, n_routes = 0;
	const struct addr gateway = gateway_of(AF_INET6);
	const struct cidr near = cidr_masked(&gateway, 64);
	int only = only_link(l);
	int r = net_list_addrs_of(l->net, only, &addrs, &n_addrs, e);
	if (r >= 0)
		r = only ? net_list_routes_through(l->net, AF_INET6, only, &routes, &n_routes, e)
			 : net_list_routes(
				   l->net, AF_INET6, NET_PROTO_KERNEL, &routes, &n_routes, e);
	for (size_t i = 0; i < n_addrs && r >= 0; i++) {
		struct wiring_pod *p = pod_of(l, addrs[i].dev);
		if (p && addr_equal(&addrs[i].address.addr, &gateway))
			p->has_gateway6 = true;
	}
	for (size_t i = 0; i < n_routes && r >= 0; i++) {
		struct wiring_pod *p = pod_of(l, routes[i].dev);
		if (p && cidr_equal(&routes[i].dst, &near))
			p->has_near6 = true;
	}
	return r;
}

static int look_routes(const struct look *l, struct err *e)
{
	size_t queued = 0;
	int r = 0;
	for (size_t i = 0; i < l->n && r >= 0; i++) {
		struct wiring_pod *p = &l->pods[i];
		for (size_t j = 0; j < p->n_addrs && r >= 0; j++) {
			net_ask_route(l->net, &p->addrs[j], &p->routes[j]);
			if (++queued % AT_ONCE == 0)
				r = net_commit(l->net, NULL, e);
		}
	}
	return r < 0 ? r : net_commit(l->net, NULL, e);
}

static int look_local6(const struct look *l, struct err *e)
{
	static const struct addr loopback = {.family = AF_INET6, .bytes = {[15] = 1}};
	size_t queued = 0;
	int r = 0;
	for (size_t i = 0; i < l->n && r >= 0; i++) {
		struct wiring_pod *p = &l->pods[i];
		if (!wiring_needs_local(p->ports, p->n_ports, IPV6))
			continue;
		net_ask_local(l->net, p->link.index, &loopback, &p->has_local6);
		if (++queued % AT_ONCE == 0)
			r = net_commit(l->net, NULL, e);
	}
	return r < 0 || !queued ? r : net_commit(l->net, NULL, e);
}

static void take_neighbour(const struct look *l, const struct net_neigh *n)
{
	struct wiring_pod *p = n->permanent || n->silent ? pod_of(l, n->dev) : NULL;
	struct net_link peer;
	struct err ignored; /* its namespace dies */
	for (size_t i = 0; p && i < p->n_addrs; i++) {
		if (!addr_equal(&p->addrs[i], &n->dst))
			continue;
		p->neighs[i] = *n;
		if (p->has_peer || net_find_peer(l->net, &p->link, &peer, &ignored) < 0)
			continue;
		p->has_peer = peer.up;
		memcpy(p->peer_mac, peer.mac, sizeof(p->peer_mac));
	}
}

static int look_neighbours(const struct look *l, struct err *e)
{
	int only = only_link(l);
	int r = 0;
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++) {
		CLEANUP_FREE struct net_neigh *list = NULL;
		size_t n = 0;
		if (l->has[f])
			r = net_list_neighs(l->net, only, family_af(f), &list, &n, e);
		for (size_t i = 0; i < n && r >= 0; i++)
			take_neighbour(l, &list[i]);
	}
	return r;
}

static void add_prefix(struct wiring_host *h, const struct wiring_pod *p)
{
	char prefix[OWNED_PREFIX_MAX + 1];
	size_t i = 0;
	if (!owned_prefix_of(p->link.name, prefix))
		return; /* renamed by somebody */
	while (i < h->n_prefixes && strcmp(h->prefixes[i].text, prefix) != 0)
		i++;
	if (i == WIRING_PREFIXES)
		return;
	(void)text_copy(h->prefixes[i].text, sizeof(h->prefixes[i].text), prefix);
	h->n_prefixes += i == h->n_prefixes;
	h->prefixes[i].needs_ports |= p->n_ports > 0;
}

/* Nobody asks unless there are pods with ports. */
static int look_ports(const struct look *l, struct err *e)
{
	struct hostport_list list = {0};
	bool any = false;
	for (size_t i = 0; i < l->n; i++)
		any |= l->pods[i].n_ports > 0;
	int r = any ? hostport_list_read(&list, e) : 0;
	for (size_t i = 0; i < l->n && r >= 0; i++) {
		struct wiring_pod *p = &l->pods[i];
		const struct hostport_pod must = {.owner = p->owner,
			.name = "",
			.addrs = p->addrs,
			.n_addrs = p->n_addrs,
			.ports = p->ports,
			.n_ports = p->n_ports};
		if (p->n_ports)
			p->lacks_ports = hostport_lacking(&list, &must, &p->lacks);
	}
	hostport_list_done(&list);
	return r < 0 ? r : 0;
}

static bool is_limited(const struct wiring_pod *p)
{
	return p->limits.ingress.rate || p->limits.egress.rate;
}

static int look_limits(const struct look *l, struct err *e)
{
	size_t queued = 0;
	int r = 0;
	for (int step = 0; step < 2 && r >= 0; step++) {
		for (size_t i = 0; i < l->n && r >= 0; i++) {
			struct wiring_pod *p = &l->pods[i];
			if (!is_limited(p))
				continue;
			if (step == 0)
				shape_ask(l->net, p->link.index, &p->owner, &p->shape);
			else
				shape_ask_ifb(l->net, &p->shape);
			if (++queued % LIMITS_AT_ONCE == 0)
				r = net_commit(l->net, NULL, e);
		}
		if (r >= 0)
			r = net_commit(l->net, NULL, e);
	}
	return r;
}

static int look_host(const struct look *l, struct wiring_host *out, struct err *e)
{
	struct wiring_host h = {0};
	memcpy(h.has, l->has, sizeof(h.has));
	for (enum family f = IPV4; f < FAMILIES; f++)
		net_ask_forwarding(l->net, f, NET_CONF_ALL, &h.forwards[f]);
	int r = net_commit(l->net, NULL, e);
	for (size_t i = 0; i < l->n; i++)
		add_prefix(&h, &l->pods[i]);
	for (size_t i = 0; i < h.n_prefixes && r >= 0; i++) {
		r = antispoof_has(h.prefixes[i].text, e);
		h.prefixes[i].has_rule = r > 0;
		if (r >= 0 && h.prefixes[i].needs_ports)
			r = hostport_has_table(h.prefixes[i].text, e);
		h.prefixes[i].has_ports = r > 0;
	}
	if (r >= 0)
		*out = h;
	return r;
}

int wiring_look(struct net *n, struct wiring_pod *pods, size_t count, struct wiring_host *host,
	struct err *e)
{
	struct look l = {.net = n, .pods = pods, .n = count};
	if (count)
		qsort(pods, count, sizeof(*pods), compare_index);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < pods[i].n_addrs; j++)
			l.has[family_of(pods[i].addrs[j].family)] = true;
	int r = l.has[IPV6] ? look_gateways(&l, e) : 0;
	if (r >= 0 && l.has[IPV6])
		r = look_local6(&l, e);
	if (r >= 0)
		r = look_routes(&l, e);
	if (r >= 0)
		r = look_neighbours(&l, e);
	if (r >= 0)
		r = look_ports(&l, e);
	if (r >= 0)
		r = look_limits(&l, e);
	if (r >= 0)
		r = look_host(&l, host, e);
	return r < 0 ? r : 0;
}
