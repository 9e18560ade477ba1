/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dumps of links, routes and rules, read as fully as roostctl shows them. Attributes that are not
 * known are passed over, and so is what a message lacks. A route with one next hop says it in
 * its own attributes, one with several in RTA_MULTIPATH; here both are hops.
 */
#include "lib/net_detail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "lib/net_queue.h"

struct route_dump {
	struct net_dump dump;
	const struct net_detail_query *query;
};

/* Tunnels say 0.0.0.0 and :: for "none". */
static void take_tunnel_addr(const struct nlattr *attr, struct addr *out)
{
	static const uint8_t zero[16];
	struct addr a = {0};
	netlink_copy_addr(&a, attr);
	if (memcmp(a.bytes, zero, sizeof(zero)) != 0)
		*out = a;
}

static void take_vxlan(const struct nlattr *data, struct net_detail_link *out)
{
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, data) {
		switch (netlink_type(attr)) {
		case IFLA_VXLAN_ID:
			out->vni = netlink_u32(attr);
			break;
		case IFLA_VXLAN_PORT:
			out->port = ntohs(netlink_u16(attr));
			break;
		case IFLA_VXLAN_LOCAL:
		case IFLA_VXLAN_LOCAL6:
			take_tunnel_addr(attr, &out->local);
			break;
		case IFLA_VXLAN_GROUP:
		case IFLA_VXLAN_GROUP6:
			take_tunnel_addr(attr, &out->remote);
			break;
		}
	}
}

static void take_ip_tunnel(const struct nlattr *data, struct net_detail_link *out)
{
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, data) {
		if (netlink_type(attr) == IFLA_IPTUN_LOCAL)
			take_tunnel_addr(attr, &out->local);
		else if (netlink_type(attr) == IFLA_IPTUN_REMOTE)
			take_tunnel_addr(attr, &out->remote);
	}
}

static void take_kind(const struct nlattr *info, struct net_detail_link *out)
{
	const struct nlattr *attr, *data = NULL;
	NETLINK_EACH_NESTED (attr, info) {
		if (netlink_type(attr) == IFLA_INFO_KIND)
			netlink_copy_text(out->kind, sizeof(out->kind), attr);
		else if (netlink_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (data && strcmp(out->kind, "vxlan") == 0)
		take_vxlan(data, out);
	else if (data && (strcmp(out->kind, "ipip") == 0 || strcmp(out->kind, "ip6tnl") == 0))
		take_ip_tunnel(data, out);
}

static void list_link(const struct nlmsghdr *reply, void *arg)
{
	struct net_detail_link *l = net_dump_add(arg);
	net_read_link(reply, &l->link);
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct ifinfomsg))
		if (netlink_type(attr) == IFLA_LINKINFO)
			take_kind(attr, l);
}

int net_detail_links(struct net *n, struct net_detail_link **out, size_t *count, struct err *e)
{
	struct net_dump d;
	struct nlmsghdr *m =
		net_dump_init(&d, RTM_GETLINK, sizeof(struct ifinfomsg), sizeof(**out));
	netlink_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return net_dump(n, &d, list_link, (void **)out, count, e);
}

/* ---- Routes ---- */

static void take_via(const struct nlattr *attr, struct addr *out)
{
	const struct rtvia *via = netlink_data(attr);
	size_t len = netlink_size(attr);
	struct addr a = {.family = (uint8_t)via->rtvia_family};
	if (len < sizeof(*via) || (a.family != AF_INET && a.family != AF_INET6) ||
		len - sizeof(*via) != addr_size(&a))
		return;
	memcpy(a.bytes, via->rtvia_addr, addr_size(&a));
	*out = a;
}

static void take_gateway(const struct nlattr *attr, struct net_detail_hop *out)
{
	if (netlink_type(attr) == RTA_GATEWAY)
		netlink_copy_addr(&out->via, attr);
	else if (netlink_type(attr) == RTA_VIA)
		take_via(attr, &out->via);
}

static void take_hops(const struct nlattr *multipath, struct net_detail_route *out)
{
	const char *at = netlink_data(multipath);
	size_t left = netlink_size(multipath);
	while (left >= sizeof(struct rtnexthop) && out->n_hops < NET_DETAIL_HOPS) {
		const struct rtnexthop *hop = (const void *)at;
		size_t len = hop->rtnh_len;
		if (len < sizeof(*hop) || len > left)
			return;
		struct net_detail_hop *h = &out->hops[out->n_hops++];
		h->dev = hop->rtnh_ifindex;
		h->on_link = hop->rtnh_flags & RTNH_F_ONLINK;
		const struct nlattr *attr;
		NETLINK_EACH_AMONG(attr, at + sizeof(*hop), len - sizeof(*hop))
		take_gateway(attr, h);
		len = RTNH_ALIGN(len);
		at += len;
		left -= len < left ? len : left;
	}
}

static void take_metrics(const struct nlattr *metrics, struct net_detail_route *out)
{
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, metrics)
		if (netlink_type(attr) == RTAX_MTU)
			out->mtu = netlink_u32(attr);
}

static void take_route_attr(
	const struct nlattr *attr, struct net_detail_route *r, struct net_detail_hop *only)
{
	switch (netlink_type(attr)) {
	case RTA_DST:
		netlink_copy_addr(&r->dst.addr, attr);
		break;
	case RTA_GATEWAY:
	case RTA_VIA:
		take_gateway(attr, only);
		break;
	case RTA_OIF:
		only->dev = (int)netlink_u32(attr);
		break;
	case RTA_MULTIPATH:
		take_hops(attr, r);
		break;
	case RTA_PRIORITY:
		r->metric = netlink_u32(attr);
		break;
	case RTA_TABLE:
		r->table = netlink_u32(attr);
		break;
	case RTA_PREFSRC:
		netlink_copy_addr(&r->prefsrc, attr);
		break;
	case RTA_METRICS:
		take_metrics(attr, r);
		break;
	}
}

static void list_route(const struct nlmsghdr *reply, void *arg)
{
	struct route_dump *d = arg;
	const struct rtmsg *info = netlink_header(reply, sizeof(*info));
	struct net_detail_route r = {
		.dst = {.addr.family = info->rtm_family, .len = info->rtm_dst_len},
		.type = info->rtm_type,
		.protocol = info->rtm_protocol,
		.scope = info->rtm_scope,
		.table = info->rtm_table,
	};
	struct net_detail_hop only = {.on_link = info->rtm_flags & RTNH_F_ONLINK};
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(*info))
		take_route_attr(attr, &r, &only);
	if (r.table != d->query->table || info->rtm_flags & RTM_F_CLONED)
		return;
	/* The kernel names the loopback as device of IPv6 routes that lead nowhere. */
	if (r.n_hops == 0 && r.type == RTN_UNICAST)
		r.hops[r.n_hops++] = only;
	if (!d->query->wanted || d->query->wanted(&r, d->query->arg))
		*(struct net_detail_route *)net_dump_add(&d->dump) = r;
}

int net_detail_find_routes(struct net *n, const struct net_detail_query *q,
	struct net_detail_route **out, size_t *count, struct err *e)
{
	struct route_dump d = {.query = q};
	struct nlmsghdr *m =
		net_dump_init(&d.dump, RTM_GETROUTE, sizeof(struct rtmsg), sizeof(**out));
	struct rtmsg *info = NLMSG_DATA(m);
	info->rtm_family = (uint8_t)q->family;
	netlink_put_u32(m, RTA_TABLE, q->table);
	int r = net_dump(n, &d.dump, list_route, (void **)out, count, e);
	if (r != -ENOENT)
		return r;
	*out = NULL; /* no route was ever put into that table */
	*count = 0;
	return 0;
}

int net_detail_routes(struct net *n, int family, uint32_t table, struct net_detail_route **out,
	size_t *count, struct err *e)
{
	const struct net_detail_query all = {.family = family, .table = table};
	return net_detail_find_routes(n, &all, out, count, e);
}

const char *net_detail_type(uint8_t type)
{
	static const char *const names[] = {
		[RTN_UNICAST] = "unicast",
		[RTN_LOCAL] = "local",
		[RTN_BROADCAST] = "broadcast",
		[RTN_ANYCAST] = "anycast",
		[RTN_MULTICAST] = "multicast",
		[RTN_BLACKHOLE] = "blackhole",
		[RTN_UNREACHABLE] = "unreachable",
		[RTN_PROHIBIT] = "prohibit",
		[RTN_THROW] = "throw",
		[RTN_NAT] = "nat",
	};
	bool known = type < sizeof(names) / sizeof(names[0]) && names[type];
	return known ? names[type] : "other";
}

/* ---- Rules ---- */

static void take_rule_attr(const struct nlattr *attr, struct net_detail_rule *r)
{
	switch (netlink_type(attr)) {
	case FRA_SRC:
		netlink_copy_addr(&r->from.addr, attr);
		break;
	case FRA_DST:
		netlink_copy_addr(&r->to.addr, attr);
		break;
	case FRA_PRIORITY:
		r->priority = netlink_u32(attr);
		break;
	case FRA_TABLE:
		r->table = netlink_u32(attr);
		break;
	case FRA_FWMARK:
		r->mark = netlink_u32(attr);
		break;
	case FRA_PROTOCOL:
		r->protocol = netlink_u8(attr);
		break;
	case FRA_IIFNAME:
		netlink_copy_text(r->in, sizeof(r->in), attr);
		break;
	case FRA_SUPPRESS_PREFIXLEN:
		r->not_default = netlink_u32(attr) == 0;
		r->more |= netlink_u32(attr) != 0 && netlink_u32(attr) != UINT32_MAX;
		break;
	case FRA_SUPPRESS_IFGROUP:
		r->more |= netlink_u32(attr) != UINT32_MAX;
		break;
	case FRA_PAD:
		break;
	default:
		r->more = true;
	}
}

static void list_rule(const struct nlmsghdr *reply, void *arg)
{
	const struct fib_rule_hdr *info = netlink_header(reply, sizeof(*info));
	struct net_detail_rule *r = net_dump_add(arg);
	r->from.len = info->src_len;
	r->to.len = info->dst_len;
	r->table = info->table;
	r->action = info->action;
	r->more = info->tos || info->flags;
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(*info))
		take_rule_attr(attr, r);
}

int net_detail_rules(
	struct net *n, int family, struct net_detail_rule **out, size_t *count, struct err *e)
{
	struct net_dump d;
	struct fib_rule_hdr *info =
		NLMSG_DATA(net_dump_init(&d, RTM_GETRULE, sizeof(*info), sizeof(**out)));
	info->family = (uint8_t)family;
	return net_dump(n, &d, list_rule, (void **)out, count, e);
}
