/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of flows is asked for first, with a filter for UDP that kernels of before 5.8 pass over, and each flow
 * that matches is deleted by its own tuple and id afterwards: one that ended meanwhile is missing then, and one
 * that began anew has another id. Both are fine.
 *
 * By an address the kernel itself deletes, since Linux 6.11: a filter with the message. Older ones take it for
 * a message about one entry, which lacks ports, and refuse it.
 */
#include "lib/conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/conntrack_entry.h"
#include "lib/mem.h"
#include "lib/netlink.h"

#define DUMP_BYTES 32768
#define MESSAGE CONNTRACK_MESSAGE
#define FILTER_PROTO                                                                               \
	(1u << 3) /* CTA_FILTER_FLAG(CTA_PROTO_NUM), net/netfilter/nf_conntrack_netlink.c */
#define FILTER_SOURCE (1u << 0) /* CTA_FILTER_FLAG(CTA_IP_SRC), ibid. */

typedef bool entry_match_fn(const struct conntrack_entry *x, const void *arg);

struct flows {
	entry_match_fn *match;
	const void *arg;
	struct conntrack_entry *v;
	size_t n, room;
};

static void take_flow(const struct nlmsghdr *m, struct flows *flows)
{
	struct conntrack_entry x;
	if (!conntrack_entry_read(m, &x) || !flows->match(&x, flows->arg))
		return;
	flows->v = mem_grow(flows->v, &flows->room, flows->n, sizeof(*flows->v));
	flows->v[flows->n++] = x;
}

static void put_filter(struct nlmsghdr *m)
{
	struct nlattr *filter = netlink_nest(m, CTA_FILTER);
	netlink_put_u32(m, CTA_FILTER_ORIG_FLAGS, FILTER_PROTO);
	netlink_put_u32(m, CTA_FILTER_REPLY_FLAGS, 0);
	netlink_nest_end(m, filter);
	struct nlattr *tuple = netlink_nest(m, CTA_TUPLE_ORIG);
	struct nlattr *proto = netlink_nest(m, CTA_TUPLE_PROTO);
	netlink_put_u8(m, CTA_PROTO_NUM, IPPROTO_UDP);
	netlink_nest_end(m, proto);
	netlink_nest_end(m, tuple);
}

static int refused(const char *what, int error, struct err *e)
{
	return err_set(e, error, "cannot %s tracked flows: %s", what, strerror(error));
}

/* One datagram of the list. 1: more follow. */
static int take_part(const char *buf, size_t len, unsigned int seq, struct flows *f, struct err *e)
{
	const struct nlmsghdr *reply;
	NETLINK_EACH(reply, buf, len)
	{
		if (reply->nlmsg_seq != seq)
			continue;
		if (reply->nlmsg_type == NLMSG_DONE)
			return 0;
		if (reply->nlmsg_type != NLMSG_ERROR)
			take_flow(reply, f);
		else if (netlink_error(reply))
			return refused("list", netlink_error(reply), e);
	}
	return 1;
}

static int list_flows(int fd, uint8_t family, bool filter, struct flows *f, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) char question[MESSAGE];
	CLEANUP_FREE char *buf = mem_new_raw(DUMP_BYTES);
	unsigned int seq = 1u + family * 2u + filter;
	struct nlmsghdr *m =
		conntrack_message(question, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, seq);
	if (filter)
		put_filter(m);
	int r = netlink_send(fd, m, m->nlmsg_len, e);
	for (bool more = r >= 0; more; more = r > 0) {
		r = netlink_receive(fd, buf, DUMP_BYTES, e);
		if (r >= 0)
			r = take_part(buf, (size_t)r, seq, f, e);
	}
	return r;
}

/* 1 deleted, 0 gone. */
static int delete_flow(int fd, const struct conntrack_entry *f, unsigned int seq, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) char message[MESSAGE], answer[MESSAGE];
	struct nlmsghdr *m =
		conntrack_message_about(message, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, f, seq);
	netlink_put_u32(m, CTA_ID, f->id);
	int r = netlink_send(fd, m, m->nlmsg_len, e);
	for (;;) {
		if (r >= 0)
			r = netlink_receive(fd, answer, sizeof(answer), e);
		if (r < 0)
			return r;
		const struct nlmsghdr *reply;
		NETLINK_EACH(reply, answer, (size_t)r)
		{
			if (reply->nlmsg_type != NLMSG_ERROR || reply->nlmsg_seq != seq)
				continue;
			int error = netlink_error(reply);
			return error == ENOENT ? 0 : error ? refused("forget", error, e) : 1;
		}
	}
}

/* Of both families; how many. udp: the kernel is asked for those alone. */
static int forget_listed(int fd, bool udp, struct flows *f, struct err *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	int forgotten = 0, r = 0;
	for (size_t i = 0; r >= 0 && i < 2; i++) {
		r = list_flows(fd, families[i], udp, f, e);
		if (udp && (r == -EINVAL || r == -EOPNOTSUPP))
			r = list_flows(fd, families[i], false, f, e);
	}
	for (size_t i = 0; r >= 0 && i < f->n; i++) {
		r = delete_flow(fd, &f->v[i], 100 + (unsigned int)i, e);
		forgotten += r > 0;
	}
	free(f->v);
	return r < 0 ? r : forgotten;
}

struct udp {
	conntrack_match_fn *match;
	const void *arg;
};

static bool is_udp(const struct conntrack_entry *x, const void *arg)
{
	const struct udp *u = arg;
	const struct conntrack_flow flow = {x->destination, x->dport, x->answers};
	return x->proto == IPPROTO_UDP && u->match(&flow, u->arg);
}

int conntrack_forget_udp(conntrack_match_fn *match, const void *arg, struct err *e)
{
	CLEANUP_FD int fd = -1;
	const struct udp u = {match, arg};
	struct flows f = {.match = is_udp, .arg = &u};
	int r = netlink_open(NETLINK_NETFILTER, &fd, e);
	return r < 0 ? r : forget_listed(fd, true, &f, e);
}

/* Entries of which one direction's packets come from the address. The version makes the family count. */
static int forget_from(int fd, const struct addr *a, uint16_t direction, struct err *e)
{
	static unsigned int seq;
	_Alignas(NLMSG_ALIGNTO) char message[MESSAGE], answer[MESSAGE];
	const bool first = direction == CTA_TUPLE_ORIG;
	struct nlmsghdr *m =
		conntrack_message(message, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, a->family, ++seq);
	((struct nfgenmsg *)NLMSG_DATA(m))->version = 1;
	struct nlattr *filter = netlink_nest(m, CTA_FILTER);
	netlink_put_u32(m, CTA_FILTER_ORIG_FLAGS, first ? FILTER_SOURCE : 0);
	netlink_put_u32(m, CTA_FILTER_REPLY_FLAGS, first ? 0 : FILTER_SOURCE);
	netlink_nest_end(m, filter);
	struct nlattr *tuple = netlink_nest(m, direction);
	struct nlattr *ip = netlink_nest(m, CTA_TUPLE_IP);
	netlink_put(
		m, a->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, a->bytes, addr_size(a));
	netlink_nest_end(m, ip);
	netlink_nest_end(m, tuple);
	int r = netlink_send(fd, m, m->nlmsg_len, e);
	if (r >= 0)
		r = netlink_receive(fd, answer, sizeof(answer), e);
	if (r < 0)
		return r;
	const struct nlmsghdr *reply;
	NETLINK_EACH(reply, answer, (size_t)r)
	if (reply->nlmsg_type == NLMSG_ERROR && netlink_error(reply))
		return refused("forget", netlink_error(reply), e);
	return 0;
}

struct addrs {
	const struct addr *v;
	size_t n;
};

static bool is_of_addrs(const struct conntrack_entry *x, const void *arg)
{
	const struct addrs *a = arg;
	for (size_t i = 0; i < a->n; i++)
		if (addr_equal(&x->source, &a->v[i]) || addr_equal(&x->answers, &a->v[i]))
			return true;
	return false;
}

int conntrack_forget_addrs(const struct addr *addrs, size_t n, struct err *e)
{
	CLEANUP_FD int fd = -1;
	const struct addrs a = {addrs, n};
	struct flows f = {.match = is_of_addrs, .arg = &a};
	int r = netlink_open(NETLINK_NETFILTER, &fd, e);
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = forget_from(fd, &addrs[i], CTA_TUPLE_ORIG, e);
		if (r >= 0)
			r = forget_from(fd, &addrs[i], CTA_TUPLE_REPLY, e);
	}
	if (r == -EINVAL || r == -EOPNOTSUPP)
		r = forget_listed(fd, false, &f, e);
	return r < 0 ? r : 0;
}
