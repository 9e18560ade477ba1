/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of flows is asked for first, with a filter for UDP that kernels of before 5.8 pass over, and each flow
 * that matches is deleted by its own tuple and id afterwards: one that ended meanwhile is missing then, and one
 * that began anew has another id. Both are fine.
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

struct flows {
	conntrack_match_fn *match;
	const void *arg;
	struct conntrack_entry *v;
	size_t n, room;
};

static void take_flow(const struct nlmsghdr *m, struct flows *flows)
{
	struct conntrack_entry x;
	if (!conntrack_entry_read(m, &x) || x.proto != IPPROTO_UDP)
		return;
	const struct conntrack_flow flow = {x.destination, x.dport, x.answers};
	if (!flows->match(&flow, flows->arg))
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

int conntrack_forget_udp(conntrack_match_fn *match, const void *arg, struct err *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	CLEANUP_FD int fd = -1;
	struct flows f = {.match = match, .arg = arg};
	int forgotten = 0;
	int r = netlink_open(NETLINK_NETFILTER, &fd, e);
	for (size_t i = 0; r >= 0 && i < 2; i++) {
		r = list_flows(fd, families[i], true, &f, e);
		if (r == -EINVAL || r == -EOPNOTSUPP)
			r = list_flows(fd, families[i], false, &f, e);
	}
	for (size_t i = 0; r >= 0 && i < f.n; i++) {
		r = delete_flow(fd, &f.v[i], 100 + (unsigned int)i, e);
		forgotten += r > 0;
	}
	free(f.v);
	return r < 0 ? r : forgotten;
}
