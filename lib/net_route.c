/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of the main table, and the host-wide forwarding switch. A route is named by what the
 * kernel looks at when it deletes one: destination, device, protocol and metric. IPv6 routes get
 * metric 1024 from the kernel when none is said.
 */
#include "lib/net_route.h"

#include <errno.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/net_queue.h"

#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000
#endif

static struct nlmsghdr *queue_route(
	struct net *n, uint16_t type, uint16_t flags, const struct net_route *r, const char *what)
{
	char dst[CIDR_TEXT];
	cidr_format(&r->dst, dst);
	struct nlmsghdr *m = net_queue(n, type, flags, "%s route %s", what, dst);
	struct rtmsg *info = netlink_put_header(m, sizeof(*info));
	info->rtm_family = r->dst.addr.family;
	info->rtm_dst_len = r->dst.len;
	info->rtm_table = r->table ? RT_TABLE_UNSPEC : RT_TABLE_MAIN;
	info->rtm_protocol = r->protocol;
	info->rtm_scope = r->on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	info->rtm_type = r->blackhole ? RTN_BLACKHOLE : RTN_UNICAST;
	if (r->unreachable)
		info->rtm_type = RTN_UNREACHABLE;
	if (r->local) {
		info->rtm_type = RTN_LOCAL;
		info->rtm_table = RT_TABLE_LOCAL;
	}
	info->rtm_flags = r->via_is_near ? RTNH_F_ONLINK : 0;
	net_put_addr(m, RTA_DST, &r->dst.addr);
	if (r->via.family)
		net_put_addr(m, RTA_GATEWAY, &r->via);
	if (r->dev)
		netlink_put_u32(m, RTA_OIF, (uint32_t)r->dev);
	if (r->metric)
		netlink_put_u32(m, RTA_PRIORITY, r->metric);
	if (r->table)
		netlink_put_u32(m, RTA_TABLE, r->table);
	return m;
}

void net_add_route(struct net *n, const struct net_route *r, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = queue_route(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, r, "add");
	net_queue_end(n, m)->tolerance = tolerance;
}

void net_replace_route(struct net *n, const struct net_route *r)
{
	(void)net_queue_end(
		n, queue_route(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, r, "replace"));
}

void net_append_route(struct net *n, const struct net_route *r)
{
	(void)net_queue_end(n, queue_route(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, r, "add"));
}

void net_del_route(struct net *n, const struct net_route *r, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = queue_route(n, RTM_DELROUTE, 0, r, "delete");
	if (!r->blackhole && !r->on_link) {
		struct rtmsg *info = NLMSG_DATA(m);
		info->rtm_scope = RT_SCOPE_NOWHERE; /* any */
	}
	net_queue_end(n, m)->tolerance = tolerance;
}

static void take_hop(const struct rtnexthop *hop, struct net_route *r)
{
	r->dev = hop->rtnh_ifindex;
	const struct nlattr *attr;
	NETLINK_EACH_AMONG(attr, RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop))
	if (netlink_type(attr) == RTA_GATEWAY)
		netlink_copy_addr(&r->via, attr);
}

/* Of a multipath route the first next hop that lives. */
static void take_first_hop(const struct nlattr *multipath, struct net_route *r)
{
	const struct rtnexthop *hop = netlink_data(multipath);
	size_t left = netlink_size(multipath);
	while (left >= sizeof(*hop) && hop->rtnh_len >= sizeof(*hop) && hop->rtnh_len <= left) {
		if (!(hop->rtnh_flags & RTNH_F_DEAD)) {
			take_hop(hop, r);
			return;
		}
		size_t step = RTNH_ALIGN(hop->rtnh_len);
		left -= step < left ? step : left;
		hop = (const struct rtnexthop *)((const char *)hop + step);
	}
}

/* Returns false for a route of another table. */
static bool read_route(const struct nlmsghdr *reply, struct net_route *out)
{
	const struct rtmsg *info = netlink_header(reply, sizeof(*info));
	struct net_route r = {
		.dst = {.addr.family = info->rtm_family, .len = info->rtm_dst_len},
		.protocol = info->rtm_protocol,
		.blackhole = info->rtm_type == RTN_BLACKHOLE,
		.on_link = info->rtm_scope == RT_SCOPE_LINK,
	};
	uint32_t table = info->rtm_table;
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(*info)) {
		uint16_t type = netlink_type(attr);
		if (type == RTA_DST)
			netlink_copy_addr(&r.dst.addr, attr);
		else if (type == RTA_GATEWAY)
			netlink_copy_addr(&r.via, attr);
		else if (type == RTA_OIF)
			r.dev = (int)netlink_u32(attr);
		else if (type == RTA_MULTIPATH)
			take_first_hop(attr, &r);
		else if (type == RTA_PRIORITY)
			r.metric = netlink_u32(attr);
		else if (type == RTA_TABLE)
			table = netlink_u32(attr);
	}
	bool wanted = info->rtm_type == RTN_BLACKHOLE || info->rtm_type == RTN_UNICAST;
	if (table != RT_TABLE_MAIN || !wanted)
		return false;
	*out = r;
	return true;
}

static void one_route(const struct nlmsghdr *reply, void *arg)
{
	(void)read_route(reply, arg);
}

static void queue_route_question(
	struct net *n, const struct addr *to, struct net_route *out, enum net_tolerance tolerance)
{
	char text[ADDR_TEXT];
	addr_format(to, text);
	struct nlmsghdr *m = net_queue(n, RTM_GETROUTE, 0, "find a route to %s", text);
	struct rtmsg *info = netlink_put_header(m, sizeof(*info));
	info->rtm_family = to->family;
	info->rtm_dst_len = addr_bits(to);
	info->rtm_flags = RTM_F_FIB_MATCH;
	net_put_addr(m, RTA_DST, to);
	struct net_pending *p = net_queue_end(n, m);
	p->tolerance = tolerance;
	p->on_reply = one_route;
	p->arg = out;
}

int net_find_route(struct net *n, const struct addr *to, struct net_route *out, struct err *e)
{
	char text[ADDR_TEXT];
	addr_format(to, text);
	struct net_route route = {0};
	queue_route_question(n, to, &route, NET_STRICT);
	int r = net_commit(n, NULL, e);
	if (r < 0)
		return r;
	if (!route.dst.addr.family)
		return err_set(e, ENETUNREACH, "no route to %s", text);
	*out = route;
	return 0;
}

void net_ask_route(struct net *n, const struct addr *to, struct net_route *out)
{
	queue_route_question(n, to, out, NET_MAY_FAIL);
}

static void take_local(const struct nlmsghdr *reply, void *arg)
{
	const struct rtmsg *info = netlink_header(reply, sizeof(*info));
	*(bool *)arg = info->rtm_type == RTN_LOCAL;
}

void net_ask_local(struct net *n, int dev, const struct addr *to, bool *out)
{
	char text[ADDR_TEXT];
	addr_format(to, text);
	struct nlmsghdr *m = net_queue(n, RTM_GETROUTE, 0, "ask whose %s is by link %d", text, dev);
	struct rtmsg *info = netlink_put_header(m, sizeof(*info));
	info->rtm_family = to->family;
	info->rtm_dst_len = addr_bits(to);
	net_put_addr(m, RTA_DST, to);
	netlink_put_u32(m, RTA_IIF, (uint32_t)dev);
	struct net_pending *p = net_queue_end(n, m);
	p->tolerance = NET_MAY_FAIL;
	p->on_reply = take_local;
	p->arg = out;
	*out = false;
}

/* The default route is found by asking for an address that only it should lead to, one of the
 * documentation prefixes (RFC 5737, RFC 3849). A dump of the table would grow with the pods. */
void net_ask_default(struct net *n, int family, struct net_route *out)
{
	static const struct addr probes[FAMILIES] = {
		[IPV4] = {.family = AF_INET, .bytes = {203, 0, 113, 1}},
		[IPV6] = {.family = AF_INET6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}},
	};
	queue_route_question(n, &probes[family_of(family)], out, NET_MAY_FAIL);
}

static void take_forwarding(const struct nlmsghdr *reply, void *arg)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct netconfmsg)) {
		if (netlink_type(attr) == NETCONFA_FORWARDING)
			*(bool *)arg = netlink_u32(attr) != 0;
	}
}

void net_ask_forwarding(struct net *n, enum family f, int dev, bool *out)
{
	struct nlmsghdr *m =
		net_queue(n, RTM_GETNETCONF, 0, "read the forwarding switch of %s", family_name(f));
	struct netconfmsg *info = netlink_put_header(m, sizeof(*info));
	info->ncm_family = family_af(f);
	netlink_put_u32(m, NETCONFA_IFINDEX, (uint32_t)dev);
	struct net_pending *p = net_queue_end(n, m);
	p->on_reply = take_forwarding;
	p->arg = out;
	/* A kernel without IPv6 does not know the question. */
	p->tolerance = f == IPV6 ? NET_MAY_FAIL : NET_STRICT;
}

static void take_reverse_path(const struct nlmsghdr *reply, void *arg)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct netconfmsg)) {
		if (netlink_type(attr) == NETCONFA_RP_FILTER)
			*(uint32_t *)arg = netlink_u32(attr);
	}
}

void net_ask_reverse_path(struct net *n, int dev, uint32_t *out)
{
	struct nlmsghdr *m =
		net_queue(n, RTM_GETNETCONF, 0, "read the reverse path check of link %d", dev);
	struct netconfmsg *info = netlink_put_header(m, sizeof(*info));
	info->ncm_family = AF_INET;
	netlink_put_u32(m, NETCONFA_IFINDEX, dev ? (uint32_t)dev : (uint32_t)NETCONFA_IFINDEX_ALL);
	struct net_pending *p = net_queue_end(n, m);
	p->on_reply = take_reverse_path;
	p->arg = out;
	p->tolerance = NET_MAY_FAIL;
}

static int take_uplink(
	struct net *n, const struct net_route *route, struct net_link *out, struct err *e)
{
	struct net_link l = {0};
	if (!route->dev || out->index)
		return 0;
	int r = net_find_link(n, (struct net_dev){.index = route->dev}, &l, e);
	if (r == 0 && !l.is_loopback)
		*out = l;
	return r == -ENODEV ? 0 : r;
}

int net_get_host(struct net *n, struct net_host *out, struct err *e)
{
	struct net_host host = {0};
	struct net_route routes[FAMILIES] = {0};
	for (enum family f = IPV4; f < FAMILIES; f++) {
		net_ask_forwarding(n, f, NET_CONF_ALL, &host.forwards[f]);
		net_ask_default(n, family_af(f), &routes[f]);
	}
	int r = net_commit(n, NULL, e);
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++)
		r = take_uplink(n, &routes[f], &host.uplink, e);
	if (r < 0)
		return r;
	*out = host;
	return 0;
}

struct route_dump {
	struct net_dump dump;
	uint8_t protocol;
};

static void list_route(const struct nlmsghdr *reply, void *arg)
{
	struct route_dump *d = arg;
	struct net_route r;
	if (read_route(reply, &r) && (!d->protocol || r.protocol == d->protocol))
		*(struct net_route *)net_dump_add(&d->dump) = r;
}

static int list_routes(struct net *n, const struct rtmsg *filter, int dev, struct net_route **out,
	size_t *count, struct err *e)
{
	struct route_dump d = {.protocol = filter->rtm_protocol};
	struct nlmsghdr *m = net_dump_init(&d.dump, RTM_GETROUTE, sizeof(*filter), sizeof(**out));
	*(struct rtmsg *)NLMSG_DATA(m) = *filter;
	if (dev)
		netlink_put_u32(m, RTA_OIF, (uint32_t)dev);
	return net_dump(n, &d.dump, list_route, (void **)out, count, e);
}

int net_list_routes(struct net *n, int family, uint8_t protocol, struct net_route **out,
	size_t *count, struct err *e)
{
	const struct rtmsg filter = {.rtm_family = (uint8_t)family,
		.rtm_protocol = protocol,
		.rtm_table = RT_TABLE_MAIN};
	return list_routes(n, &filter, 0, out, count, e);
}

int net_list_routes_through(
	struct net *n, int family, int dev, struct net_route **out, size_t *count, struct err *e)
{
	const struct rtmsg filter = {.rtm_family = (uint8_t)family, .rtm_table = RT_TABLE_MAIN};
	return list_routes(n, &filter, dev, out, count, e);
}
