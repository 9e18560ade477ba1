/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor: what one pod costs the kernel, and nothing else.
 *
 *	floor add NETNS IFNAME HOSTIF ADDR4 [ADDR6]
 *	floor del HOSTIF [ADDR4 [ADDR6]]
 *
 * A pod wired by this program looks like one wired by roost (docs/ROUTES.md): the same veth pair,
 * settings, addresses, routes and neighbour. What is missing is everything a network plugin adds
 * to that: no JSON, no allocator, no record of who owns what, no check whether something stands in
 * the way, no undoing. So its time is a bound for any plugin that makes the same pod with a
 * process per request, and the benchmark states roost's time as a multiple of it.
 *
 * It speaks rtnetlink with nothing but libc. Messages are queued in one buffer per namespace and
 * sent with one system call; the kernel handles them in order and acknowledges each. The host's
 * side needs two rounds: the pair is made and set up first, then come the two IPv6 settings that
 * exist only as files, and only then may the link go up, because a link that is up already listens
 * to router advertisements. The first round also asks for the new link's index and that of its
 * peer, so the pod's side needs no question. The last message of all asks for the pod's end, without
 * which its first packets may be lost (plugins/wire.c).
 *
 * Any refusal ends the program with the number of the message and the kernel's errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROTO_ROOST 82
#define LO_INDEX 1
#define MTU 1500
#define METRIC_NEAR6 256

static const uint8_t host_mac[6] = {0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
static const uint8_t pod_mac[6] = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01};
static const char gateway4[] = "169.254.1.1";
static const char gateway6[] = "fe80::ecee:eeff:feee:eeee"; /* host_mac as an interface id */

struct address {
	uint8_t family; /* 0: none */
	uint8_t size;	/* bytes */
	uint8_t bytes[16];
};

/* Messages for one namespace, and what the kernel told about a link it was asked for. */
struct batch {
	int fd;
	uint32_t count;
	uint32_t len;
	int index, peer;
	struct nlmsghdr *now; /* the message being written */
	uint8_t buf[4096] __attribute__((aligned(NLMSG_ALIGNTO)));
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void batch_open(struct batch *b)
{
	*b = (struct batch){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
	const int on = 1;
	if (b->fd < 0 || setsockopt(b->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
		die("netlink socket");
}

/* Writing messages: a header, then attributes, some of them nested. */

static void *reserve(struct batch *b, size_t size)
{
	size_t room = NLMSG_ALIGN(size);
	if (b->len + room > sizeof(b->buf)) {
		errno = EMSGSIZE;
		die("batch");
	}
	void *at = b->buf + b->len; /* zero since batch_open() or commit() */
	b->len += (uint32_t)room;
	if (b->now)
		b->now->nlmsg_len = (uint32_t)(b->buf + b->len - (uint8_t *)b->now);
	return at;
}

static void message(struct batch *b, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	b->now = NULL;
	struct nlmsghdr *h = reserve(b, sizeof(*h));
	*h = (struct nlmsghdr){
		.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++b->count};
	b->now = h;
	memcpy(reserve(b, size), body, size);
}

static void put(struct batch *b, uint16_t type, const void *data, size_t size)
{
	struct rtattr *a = reserve(b, RTA_LENGTH(size));
	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size > 0)
		memcpy(RTA_DATA(a), data, size);
}

static void put_u32(struct batch *b, uint16_t type, uint32_t value)
{
	put(b, type, &value, sizeof(value));
}

static void put_text(struct batch *b, uint16_t type, const char *text)
{
	put(b, type, text, strlen(text) + 1);
}

static struct rtattr *nest(struct batch *b, uint16_t type)
{
	struct rtattr *a = (void *)(b->buf + b->len);
	put(b, type | NLA_F_NESTED, NULL, 0);
	return a;
}

static void nest_end(struct batch *b, struct rtattr *a)
{
	a->rta_len = (uint16_t)(b->buf + b->len - (uint8_t *)a);
}

/* Sending them, and reading one acknowledgement for each. */

static void read_link(struct batch *b, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	b->index = link->ifi_index;
	int left = (int)IFLA_PAYLOAD(h);
	for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_LINK)
			memcpy(&b->peer, RTA_DATA(a), sizeof(b->peer));
}

static void acknowledge(const struct nlmsghdr *h, const char *what)
{
	const struct nlmsgerr *ack = NLMSG_DATA(h);
	if (ack->error == 0)
		return;
	errno = -ack->error;
	fprintf(stderr, "floor: message %u: ", h->nlmsg_seq);
	die(what);
}

static void commit(struct batch *b, const char *what)
{
	if (send(b->fd, b->buf, b->len, 0) < 0)
		die(what);
	uint32_t last = b->count, seen = 0;
	while (seen < last) {
		uint8_t reply[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
		ssize_t got = recv(b->fd, reply, sizeof(reply), 0);
		if (got < 0)
			die(what);
		size_t left = (size_t)got;
		const struct nlmsghdr *h = (const void *)reply;
		for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == RTM_NEWLINK)
				read_link(b, h);
			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			acknowledge(h, what);
			seen = h->nlmsg_seq;
		}
	}
	memset(b->buf, 0, b->len);
	b->len = 0;
}

/* What is said: one function for each kind of object. */

static void add_veth(struct batch *b, const char *host, const char *pod, int netns)
{
	const struct ifinfomsg none = {0};
	message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &none, sizeof(none));
	put_text(b, IFLA_IFNAME, host);
	put(b, IFLA_ADDRESS, host_mac, sizeof(host_mac));
	put_u32(b, IFLA_MTU, MTU);
	put_u32(b, IFLA_GROUP, 1);
	put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	put_u32(b, IFLA_NUM_RX_QUEUES, 1);
	struct rtattr *info = nest(b, IFLA_LINKINFO);
	put_text(b, IFLA_INFO_KIND, "veth");
	struct rtattr *data = nest(b, IFLA_INFO_DATA);
	struct rtattr *peer = nest(b, VETH_INFO_PEER);
	memcpy(reserve(b, sizeof(none)), &none, sizeof(none));
	put_text(b, IFLA_IFNAME, pod);
	put(b, IFLA_ADDRESS, pod_mac, sizeof(pod_mac));
	put_u32(b, IFLA_MTU, MTU);
	put_u32(b, IFLA_NET_NS_FD, (uint32_t)netns);
	put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	put_u32(b, IFLA_NUM_RX_QUEUES, 1);
	nest_end(b, peer);
	nest_end(b, data);
	nest_end(b, info);
}

static void put_no_auto_link_local(struct batch *b)
{
	struct rtattr *inet6 = nest(b, AF_INET6);
	const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	put(b, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nest_end(b, inet6);
}

/* The alias and everything netlink can set, in one message; the creating one takes neither. */
static void set_up_host_end(struct batch *b, const char *host, const char *alias)
{
	static const struct {
		uint16_t id;
		uint32_t value;
	} conf[] = {{IPV4_DEVCONF_PROXY_ARP, 1}, {IPV4_DEVCONF_FORWARDING, 1},
		{IPV4_DEVCONF_RP_FILTER, 1}, {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0},
		{IPV4_DEVCONF_SEND_REDIRECTS, 0}};
	const struct ifinfomsg by_name = {0};
	message(b, RTM_SETLINK, NLM_F_ACK, &by_name, sizeof(by_name));
	put_text(b, IFLA_IFNAME, host);
	put_text(b, IFLA_IFALIAS, alias);
	put_u32(b, IFLA_GROUP, 0);
	struct rtattr *spec = nest(b, IFLA_AF_SPEC);
	struct rtattr *inet = nest(b, AF_INET);
	struct rtattr *all = nest(b, IFLA_INET_CONF);
	for (size_t i = 0; i < sizeof(conf) / sizeof(conf[0]); i++)
		put_u32(b, conf[i].id, conf[i].value);
	nest_end(b, all);
	nest_end(b, inet);
	put_no_auto_link_local(b);
	nest_end(b, spec);
}

/* Without IPv6 the pod has no link-local address. */
static void set_no_auto_link_local(struct batch *b, int index)
{
	const struct ifinfomsg link = {.ifi_index = index};
	message(b, RTM_SETLINK, NLM_F_ACK, &link, sizeof(link));
	struct rtattr *spec = nest(b, IFLA_AF_SPEC);
	put_no_auto_link_local(b);
	nest_end(b, spec);
}

/* Proxied ARP is answered at once. */
static void set_no_proxy_delay(struct batch *b, int index)
{
	const struct ndtmsg table = {.ndtm_family = AF_INET};
	const uint64_t none = 0;
	message(b, RTM_SETNEIGHTBL, NLM_F_ACK, &table, sizeof(table));
	put_text(b, NDTA_NAME, "arp_cache");
	struct rtattr *parms = nest(b, NDTA_PARMS);
	put_u32(b, NDTPA_IFINDEX, (uint32_t)index);
	put(b, NDTPA_PROXY_DELAY, &none, sizeof(none));
	nest_end(b, parms);
}

/* By name, or by index when that is not 0. */
static void ask_link(struct batch *b, const char *name, int index)
{
	const struct ifinfomsg link = {.ifi_index = index};
	message(b, RTM_GETLINK, NLM_F_ACK, &link, sizeof(link));
	put_u32(b, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (!index)
		put_text(b, IFLA_IFNAME, name);
}

static void set_up(struct batch *b, int index)
{
	const struct ifinfomsg up = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	message(b, RTM_NEWLINK, NLM_F_ACK, &up, sizeof(up));
}

static void add_address(struct batch *b, int index, const struct address *a, uint8_t prefix)
{
	const struct ifaddrmsg body = {.ifa_family = a->family,
		.ifa_prefixlen = prefix,
		.ifa_flags = IFA_F_NODAD,
		.ifa_index = (uint32_t)index};
	message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &body, sizeof(body));
	put(b, IFA_LOCAL, a->bytes, a->size);
	put(b, IFA_ADDRESS, a->bytes, a->size);
}

/* dst NULL: the default route. via NULL: dst is on the link. */
static void route(struct batch *b, uint16_t type, int index, const struct address *dst,
	const struct address *via)
{
	const struct rtmsg body = {.rtm_family = dst ? dst->family : via->family,
		.rtm_dst_len = dst ? (uint8_t)(8 * dst->size) : 0,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = PROTO_ROOST,
		.rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST};
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	message(b, type, flags | NLM_F_ACK, &body, sizeof(body));
	if (dst)
		put(b, RTA_DST, dst->bytes, dst->size);
	if (via)
		put(b, RTA_GATEWAY, via->bytes, via->size);
	if (index)
		put_u32(b, RTA_OIF, (uint32_t)index);
}

/* The prefix of the IPv6 gateway, which has itself an address without one (ROUTES.md says why). */
static void add_near6(struct batch *b, int index, const struct address *gateway)
{
	const struct rtmsg body = {.rtm_family = AF_INET6,
		.rtm_dst_len = 64,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_KERNEL,
		.rtm_type = RTN_UNICAST};
	struct address prefix = *gateway;
	memset(prefix.bytes + 8, 0, 8);
	message(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, &body, sizeof(body));
	put(b, RTA_DST, prefix.bytes, prefix.size);
	put_u32(b, RTA_OIF, (uint32_t)index);
	put_u32(b, RTA_PRIORITY, METRIC_NEAR6);
}

static void add_neighbour(struct batch *b, int index, const struct address *a)
{
	const struct ndmsg body = {
		.ndm_family = a->family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
	message(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &body, sizeof(body));
	put(b, NDA_DST, a->bytes, a->size);
	put(b, NDA_LLADDR, host_mac, sizeof(host_mac));
}

/* The two settings netlink does not offer. */
static void write_zero(const char *link, const char *setting)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", link, setting);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(path);
	(void)close(fd);
}

static struct address parse(const char *text)
{
	struct address a = {.family = AF_INET, .size = 4};
	if (strchr(text, ':'))
		a = (struct address){.family = AF_INET6, .size = 16};
	errno = EINVAL;
	if (inet_pton(a.family, text, a.bytes) != 1)
		die(text);
	return a;
}

struct pod {
	int netns;
	const char *ifname, *host;
	struct address addr4, addr6, gateway4, gateway6;
};

/* Returns the index of the pod's end, in the pod's namespace. */
static int wire_host(const struct pod *p)
{
	struct batch b;
	batch_open(&b);
	char alias[64];
	(void)snprintf(alias, sizeof(alias), "floor %s", p->ifname);
	add_veth(&b, p->host, p->ifname, p->netns);
	set_up_host_end(&b, p->host, alias);
	ask_link(&b, p->host, 0);
	commit(&b, "making the pair");
	write_zero(p->host, "accept_ra");
	write_zero(p->host, "accept_redirects");
	set_no_proxy_delay(&b, b.index);
	if (p->addr6.family)
		add_address(&b, b.index, &p->gateway6, 128);
	set_up(&b, b.index);
	if (p->addr6.family)
		add_near6(&b, b.index, &p->gateway6);
	route(&b, RTM_NEWROUTE, b.index, &p->addr4, NULL);
	if (p->addr6.family)
		route(&b, RTM_NEWROUTE, b.index, &p->addr6, NULL);
	commit(&b, "host's side");
	(void)close(b.fd);
	return b.peer;
}

static void wire_pod(const struct pod *p, int index)
{
	if (setns(p->netns, CLONE_NEWNET) < 0)
		die("setns");
	struct batch b;
	batch_open(&b);
	set_up(&b, LO_INDEX);
	add_address(&b, index, &p->addr4, 32);
	if (p->addr6.family)
		add_address(&b, index, &p->addr6, 128);
	else
		set_no_auto_link_local(&b, index);
	set_up(&b, index);
	route(&b, RTM_NEWROUTE, index, &p->gateway4, NULL);
	route(&b, RTM_NEWROUTE, index, NULL, &p->gateway4);
	add_neighbour(&b, index, &p->gateway4);
	if (p->addr6.family)
		route(&b, RTM_NEWROUTE, index, NULL, &p->gateway6);
	ask_link(&b, p->ifname, index);
	commit(&b, "pod's side");
	(void)close(b.fd);
}

static void add(int n, char **args)
{
	struct pod p = {.netns = open(args[0], O_RDONLY | O_CLOEXEC),
		.ifname = args[1],
		.host = args[2],
		.addr4 = parse(args[3]),
		.gateway4 = parse(gateway4),
		.gateway6 = parse(gateway6)};
	if (p.netns < 0)
		die(args[0]);
	if (n > 4)
		p.addr6 = parse(args[4]);
	wire_pod(&p, wire_host(&p));
}

static void del(int n, char **args)
{
	struct batch b;
	batch_open(&b);
	for (int i = 1; i < n; i++) {
		const struct address a = parse(args[i]);
		route(&b, RTM_DELROUTE, 0, &a, NULL);
	}
	const struct ifinfomsg by_name = {0};
	message(&b, RTM_DELLINK, NLM_F_ACK, &by_name, sizeof(by_name));
	put_text(&b, IFLA_IFNAME, args[0]);
	commit(&b, "removing");
}

int main(int argc, char **argv)
{
	if (argc >= 6 && argc <= 7 && strcmp(argv[1], "add") == 0) {
		add(argc - 2, argv + 2);
	} else if (argc >= 3 && argc <= 5 && strcmp(argv[1], "del") == 0) {
		del(argc - 2, argv + 2);
	} else {
		fputs("usage: floor add NETNS IFNAME HOSTIF ADDR4 [ADDR6]\n"
		      "       floor del HOSTIF [ADDR4 [ADDR6]]\n",
			stderr);
		return 2;
	}
	return 0;
}
