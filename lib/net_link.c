/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: veth pairs, their settings, addresses and neighbours on them. What the kernel wants
 * here is not always what one would guess; found out by trying:
 *
 *	The peer's attributes carry the descriptor of its namespace: it is created there, not moved,
 *	which is 30 times faster.
 *
 *	IFF_UP for the peer in the creating message is refused (ENOTCONN).
 *
 *	IPv6 settings in the creating message are refused (EAFNOSUPPORT), and the alias is ignored.
 *	Both go into a second message, before the link is up.
 */
#include "lib/net_link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>

#include "lib/net_queue.h"

/* One queue each way. Without it the kernel registers a queue for each possible processor and then cuts
 * them back to what is used, which waits for all processors once for each end (veth_init_queues() in
 * drivers/net/veth.c). A veth device uses more than one only with XDP. */
static void put_single_queue(struct nlmsghdr *m)
{
	netlink_put_u32(m, IFLA_NUM_TX_QUEUES, 1);
	netlink_put_u32(m, IFLA_NUM_RX_QUEUES, 1);
}

void net_add_veth(struct net *n, const struct net_veth *v)
{
	struct nlmsghdr *m = net_queue(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
		"create the pair %s - %s", v->name, v->peer);
	struct ifinfomsg *info = netlink_put_header(m, sizeof(*info));
	info->ifi_family = AF_UNSPEC;
	netlink_put_text(m, IFLA_IFNAME, v->name);
	netlink_put(m, IFLA_ADDRESS, v->mac, sizeof(v->mac));
	netlink_put_u32(m, IFLA_MTU, v->mtu);
	netlink_put_u32(m, IFLA_GROUP, v->group);
	put_single_queue(m);
	struct nlattr *link = netlink_nest(m, IFLA_LINKINFO);
	netlink_put_text(m, IFLA_INFO_KIND, "veth");
	struct nlattr *data = netlink_nest(m, IFLA_INFO_DATA);
	struct nlattr *peer = netlink_nest(m, VETH_INFO_PEER);
	(void)netlink_put_header(m, sizeof(struct ifinfomsg));
	netlink_put_text(m, IFLA_IFNAME, v->peer);
	netlink_put(m, IFLA_ADDRESS, v->peer_mac, sizeof(v->peer_mac));
	netlink_put_u32(m, IFLA_MTU, v->mtu);
	netlink_put_u32(m, IFLA_NET_NS_FD, (uint32_t)v->peer_ns);
	put_single_queue(m);
	netlink_nest_end(m, peer);
	netlink_nest_end(m, data);
	netlink_nest_end(m, link);
	(void)net_queue_end(n, m);
}

void net_add_ipip(struct net *n, const char *name)
{
	struct nlmsghdr *m =
		net_queue(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make device %s", name);
	(void)netlink_put_header(m, sizeof(struct ifinfomsg));
	netlink_put_text(m, IFLA_IFNAME, name);
	struct nlattr *link = netlink_nest(m, IFLA_LINKINFO);
	netlink_put_text(m, IFLA_INFO_KIND, "ipip");
	netlink_nest_end(m, link);
	net_queue_end(n, m)->tolerance = NET_MAY_EXIST;
}

static struct nlmsghdr *queue_link(struct net *n, uint16_t type, struct net_dev d, const char *what)
{
	struct nlmsghdr *m = d.name ? net_queue(n, type, 0, "%s %s", what, d.name)
				    : net_queue(n, type, 0, "%s device %d", what, d.index);
	struct ifinfomsg *info = netlink_put_header(m, sizeof(*info));
	info->ifi_index = d.index;
	if (!d.index)
		netlink_put_text(m, IFLA_IFNAME, d.name);
	return m;
}

void net_set_conf4(struct net *n, struct net_dev d, const struct net_conf4 *conf, size_t count)
{
	struct nlmsghdr *m = queue_link(n, RTM_NEWLINK, d, "set IPv4 settings of");
	struct nlattr *spec = netlink_nest(m, IFLA_AF_SPEC);
	struct nlattr *inet = netlink_nest(m, AF_INET);
	struct nlattr *list = netlink_nest(m, IFLA_INET_CONF);
	for (size_t i = 0; i < count; i++)
		netlink_put_u32(m, (uint16_t)conf[i].id, conf[i].value);
	netlink_nest_end(m, list);
	netlink_nest_end(m, inet);
	netlink_nest_end(m, spec);
	(void)net_queue_end(n, m);
}

void net_set_no_auto_link_local(struct net *n, struct net_dev d)
{
	struct nlmsghdr *m = queue_link(n, RTM_NEWLINK, d, "set IPv6 address generation of");
	struct nlattr *spec = netlink_nest(m, IFLA_AF_SPEC);
	struct nlattr *inet6 = netlink_nest(m, AF_INET6);
	netlink_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	netlink_nest_end(m, inet6);
	netlink_nest_end(m, spec);
	net_queue_end(n, m)->tolerance =
		NET_MAY_LACK; /* a kernel without IPv6 has nothing to set */
}

void net_set_no_proxy_delay(struct net *n, int index)
{
	struct nlmsghdr *m =
		net_queue(n, RTM_SETNEIGHTBL, 0, "set the proxy delay of device %d", index);
	struct ndtmsg *table = netlink_put_header(m, sizeof(*table));
	table->ndtm_family = AF_INET;
	netlink_put_text(m, NDTA_NAME, "arp_cache");
	struct nlattr *parms = netlink_nest(m, NDTA_PARMS);
	netlink_put_u32(m, NDTPA_IFINDEX, (uint32_t)index);
	netlink_put_u64(m, NDTPA_PROXY_DELAY, 0);
	netlink_nest_end(m, parms);
	(void)net_queue_end(n, m);
}

void net_set_alias(struct net *n, struct net_dev d, const char *alias, uint32_t group)
{
	struct nlmsghdr *m = queue_link(n, RTM_NEWLINK, d, "label");
	netlink_put(m, IFLA_IFALIAS, alias, strlen(alias));
	netlink_put_u32(m, IFLA_GROUP, group);
	(void)net_queue_end(n, m);
}

void net_set_mac(struct net *n, struct net_dev d, const uint8_t mac[6])
{
	struct nlmsghdr *m = queue_link(n, RTM_NEWLINK, d, "set the MAC of");
	netlink_put(m, IFLA_ADDRESS, mac, 6);
	(void)net_queue_end(n, m);
}

/* IFF_UP set or cleared. */
static struct nlmsghdr *queue_up(struct net *n, struct net_dev d, bool up, const char *what)
{
	struct nlmsghdr *m = queue_link(n, RTM_NEWLINK, d, what);
	struct ifinfomsg *info = NLMSG_DATA(m);
	info->ifi_flags = up ? IFF_UP : 0;
	info->ifi_change = IFF_UP;
	return m;
}

void net_set_up(struct net *n, struct net_dev d)
{
	(void)net_queue_end(n, queue_up(n, d, true, "bring up"));
}

void net_set_down(struct net *n, struct net_dev d)
{
	(void)net_queue_end(n, queue_up(n, d, false, "take down"));
}

void net_set_mtu(struct net *n, struct net_dev d, uint32_t mtu)
{
	struct nlmsghdr *m = queue_link(n, RTM_NEWLINK, d, "set the MTU of");
	netlink_put_u32(m, IFLA_MTU, mtu);
	(void)net_queue_end(n, m);
}

void net_park(struct net *n, struct net_dev d, uint32_t group)
{
	struct nlmsghdr *m = queue_up(n, d, false, "retire");
	netlink_put_u32(m, IFLA_GROUP, group);
	net_queue_end(n, m)->tolerance = NET_MAY_LACK;
}

void net_del_link(struct net *n, struct net_dev d, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = queue_link(n, RTM_DELLINK, d, "delete");
	net_queue_end(n, m)->tolerance = tolerance;
}

void net_del_group(struct net *n, uint32_t group, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = net_queue(n, RTM_DELLINK, 0, "delete links of group %u", group);
	(void)netlink_put_header(m, sizeof(struct ifinfomsg));
	netlink_put_u32(m, IFLA_GROUP, group);
	net_queue_end(n, m)->tolerance = tolerance;
}

static struct nlmsghdr *queue_addr(
	struct net *n, uint16_t type, int index, const struct cidr *address)
{
	bool adds = type == RTM_NEWADDR;
	char text[CIDR_TEXT];
	cidr_format(address, text);
	struct nlmsghdr *m = net_queue(n, type, adds ? NLM_F_CREATE | NLM_F_EXCL : 0,
		"%s address %s", adds ? "add" : "delete", text);
	struct ifaddrmsg *info = netlink_put_header(m, sizeof(*info));
	info->ifa_family = address->addr.family;
	info->ifa_prefixlen = address->len;
	info->ifa_index = (unsigned int)index;
	bool link_local = address->addr.bytes[0] == 0xfe && address->addr.family == AF_INET6;
	info->ifa_scope = link_local ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	net_put_addr(m, IFA_LOCAL, &address->addr);
	net_put_addr(m, IFA_ADDRESS, &address->addr);
	return m;
}

void net_del_addr(
	struct net *n, int index, const struct cidr *address, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = queue_addr(n, RTM_DELADDR, index, address);
	net_queue_end(n, m)->tolerance = tolerance;
}

void net_add_addr(struct net *n, int index, const struct cidr *address)
{
	struct nlmsghdr *m = queue_addr(n, RTM_NEWADDR, index, address);
	if (address->addr.family == AF_INET6)
		netlink_put_u32(m, IFA_FLAGS, IFA_F_NODAD | IFA_F_PERMANENT);
	(void)net_queue_end(n, m);
}

void net_add_neigh(struct net *n, int index, const struct addr *a, const uint8_t mac[6])
{
	char text[ADDR_TEXT];
	addr_format(a, text);
	struct nlmsghdr *m =
		net_queue(n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "add neighbour %s", text);
	struct ndmsg *info = netlink_put_header(m, sizeof(*info));
	info->ndm_family = a->family;
	info->ndm_ifindex = index;
	info->ndm_state = NUD_PERMANENT;
	net_put_addr(m, NDA_DST, a);
	netlink_put(m, NDA_LLADDR, mac, 6);
	(void)net_queue_end(n, m);
}

static void read_kind(const struct nlattr *linkinfo, struct net_link *l)
{
	const struct nlattr *attr;
	char kind[16];
	NETLINK_EACH_NESTED (attr, linkinfo) {
		if (netlink_type(attr) != IFLA_INFO_KIND)
			continue;
		netlink_copy_text(kind, sizeof(kind), attr);
		l->is_veth = strcmp(kind, "veth") == 0;
		l->is_ifb = strcmp(kind, "ifb") == 0;
	}
}

/* A field and its place in the kernel's array. */
struct conf_place {
	size_t at;
	uint32_t *out;
};

static bool read_conf(const struct nlattr *attr, const struct conf_place *places, size_t count)
{
	const uint32_t *conf = netlink_data(attr);
	size_t n = netlink_size(attr) / sizeof(*conf);
	for (size_t i = 0; i < count; i++)
		if (places[i].at >= n)
			return false;
	for (size_t i = 0; i < count; i++)
		*places[i].out = conf[places[i].at];
	return true;
}

/* IFLA_INET_CONF is an array of 32-bit values in the order of linux/ip.h, which counts from 1. */
static void read_conf4(const struct nlattr *attr, struct net_link_conf *c)
{
	const struct conf_place places[] = {
		{IPV4_DEVCONF_FORWARDING - 1, &c->forwarding},
		{IPV4_DEVCONF_PROXY_ARP - 1, &c->proxy_arp},
		{IPV4_DEVCONF_RP_FILTER - 1, &c->rp_filter},
		{IPV4_DEVCONF_ACCEPT_REDIRECTS - 1, &c->accept_redirects},
		{IPV4_DEVCONF_SEND_REDIRECTS - 1, &c->send_redirects},
		{IPV4_DEVCONF_ROUTE_LOCALNET - 1, &c->route_localnet},
	};
	c->has[IPV4] = read_conf(attr, places, sizeof(places) / sizeof(*places));
}

/* IFLA_INET6_CONF in the order of linux/ipv6.h. */
static void read_conf6(const struct nlattr *attr, struct net_link *l)
{
	uint32_t disabled = 0;
	const struct conf_place places[] = {
		{DEVCONF_FORWARDING, &l->conf.forwarding6},
		{DEVCONF_ACCEPT_RA, &l->conf.accept_ra},
		{DEVCONF_ACCEPT_REDIRECTS, &l->conf.accept_redirects6},
		{DEVCONF_DISABLE_IPV6, &disabled},
	};
	l->conf.has[IPV6] = read_conf(attr, places, sizeof(places) / sizeof(*places));
	l->ipv6_disabled = disabled != 0;
}

static void read_spec(const struct nlattr *spec, struct net_link *l)
{
	const struct nlattr *family, *attr;
	NETLINK_EACH_NESTED (family, spec) {
		uint16_t af = netlink_type(family);
		NETLINK_EACH_NESTED (attr, family) {
			if (af == AF_INET && netlink_type(attr) == IFLA_INET_CONF)
				read_conf4(attr, &l->conf);
			else if (af == AF_INET6 && netlink_type(attr) == IFLA_INET6_CONF)
				read_conf6(attr, l);
		}
	}
}

static void read_link_attr(const struct nlattr *attr, struct net_link *l)
{
	switch (netlink_type(attr)) {
	case IFLA_IFNAME:
		netlink_copy_text(l->name, sizeof(l->name), attr);
		break;
	case IFLA_IFALIAS:
		netlink_copy_text(l->alias, sizeof(l->alias), attr);
		break;
	case IFLA_ADDRESS:
		if (netlink_size(attr) == sizeof(l->mac))
			memcpy(l->mac, netlink_data(attr), sizeof(l->mac));
		break;
	case IFLA_MTU:
		l->mtu = netlink_u32(attr);
		break;
	case IFLA_GROUP:
		l->group = netlink_u32(attr);
		break;
	case IFLA_LINK:
		l->peer = (int)netlink_u32(attr);
		break;
	case IFLA_AF_SPEC:
		read_spec(attr, l);
		break;
	case IFLA_LINK_NETNSID:
		l->is_apart = true;
		l->apart = (int)netlink_u32(attr);
		break;
	case IFLA_LINKINFO:
		read_kind(attr, l);
		break;
	}
}

void net_read_link(const struct nlmsghdr *reply, void *arg)
{
	const struct ifinfomsg *info = netlink_header(reply, sizeof(*info));
	struct net_link l = {
		.index = info->ifi_index,
		.up = info->ifi_flags & IFF_UP,
		.is_loopback = info->ifi_flags & IFF_LOOPBACK,
	};
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(*info))
		read_link_attr(attr, &l);
	*(struct net_link *)arg = l;
}

static void queue_question(
	struct net *n, struct net_dev d, struct net_link *out, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = queue_link(n, RTM_GETLINK, d, "find");
	netlink_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	struct net_pending *p = net_queue_end(n, m);
	p->tolerance = tolerance;
	p->on_reply = net_read_link;
	p->arg = out;
}

void net_ask_link(struct net *n, const char *name, struct net_link *out)
{
	queue_question(n, (struct net_dev){.name = name}, out, NET_MAY_LACK);
}

int net_find_link(struct net *n, struct net_dev d, struct net_link *out, struct err *e)
{
	struct net_link l = {0};
	queue_question(n, d, &l, NET_STRICT);
	int r = net_commit(n, NULL, e);
	if (r < 0)
		return r;
	*out = l;
	return 0;
}

int net_find_peer(struct net *n, const struct net_link *l, struct net_link *out, struct err *e)
{
	struct net_link found = {0};
	if (!l->peer)
		return err_set(e, ENODEV, "%s has no other end", l->name);
	struct nlmsghdr *m =
		queue_link(n, RTM_GETLINK, (struct net_dev){.index = l->peer}, "find the peer,");
	netlink_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (l->is_apart)
		netlink_put_u32(m, IFLA_TARGET_NETNSID, (uint32_t)l->apart);
	struct net_pending *p = net_queue_end(n, m);
	p->on_reply = net_read_link;
	p->arg = &found;
	int r = net_commit(n, NULL, e);
	if (r < 0)
		return r;
	*out = found;
	return 0;
}

static void list_link(const struct nlmsghdr *reply, void *arg)
{
	net_read_link(reply, net_dump_add(arg));
}

int net_list_links(struct net *n, struct net_link **out, size_t *count, struct err *e)
{
	struct net_dump d;
	struct nlmsghdr *m =
		net_dump_init(&d, RTM_GETLINK, sizeof(struct ifinfomsg), sizeof(**out));
	netlink_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return net_dump(n, &d, list_link, (void **)out, count, e);
}

static void list_addr(const struct nlmsghdr *reply, void *arg)
{
	const struct ifaddrmsg *info = netlink_header(reply, sizeof(*info));
	struct net_addr *a = net_dump_add(arg);
	a->dev = (int)info->ifa_index;
	a->address.len = info->ifa_prefixlen;
	bool has_local = false;
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(*info)) {
		uint16_t type = netlink_type(attr);
		if (type != IFA_LOCAL && (type != IFA_ADDRESS || has_local))
			continue;
		has_local = type == IFA_LOCAL;
		netlink_copy_addr(&a->address.addr, attr);
	}
}

int net_list_addrs(struct net *n, struct net_addr **out, size_t *count, struct err *e)
{
	return net_list_addrs_of(n, 0, out, count, e);
}

int net_list_addrs_of(struct net *n, int dev, struct net_addr **out, size_t *count, struct err *e)
{
	struct net_dump d;
	struct ifaddrmsg *info =
		NLMSG_DATA(net_dump_init(&d, RTM_GETADDR, sizeof(struct ifaddrmsg), sizeof(**out)));
	info->ifa_index = (uint32_t)dev; /* the kernel looks at no other */
	return net_dump(n, &d, list_addr, (void **)out, count, e);
}
