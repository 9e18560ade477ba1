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

#include "lib/mem.h"
#include "lib/netlink.h"

#define DUMP_BYTES 32768
#define MESSAGE 512
#define FILTER_PROTO                                                                               \
	(1u << 3) /* CTA_FILTER_FLAG(CTA_PROTO_NUM), net/netfilter/nf_conntrack_netlink.c */

/* A flow as it is needed for deleting it. */
struct found {
	char tuple[128]; /* CTA_TUPLE_ORIG with its head */
	size_t tuple_size;
	uint8_t family;
	uint32_t id;
	uint16_t zone; /* in network order; 0: none */
};

struct flows {
	conntrack_match_fn *match;
	const void *arg;
	struct found *v;
	size_t n, room;
};

static struct nlmsghdr *flow_message(
	char *at, unsigned int type, uint16_t flags, uint8_t family, unsigned int seq)
{
	struct nlmsghdr *m =
		netlink_begin(at, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags);
	struct nfgenmsg *info = netlink_put_header(m, sizeof(*info));
	info->nfgen_family = family;
	info->version = NFNETLINK_V0;
	m->nlmsg_seq = seq;
	return m;
}

struct tuple {
	struct addr from, to;
	uint16_t to_port;
	uint8_t proto;
};

static void read_tuple(const struct nlattr *nest, struct tuple *t)
{
	const struct nlattr *part, *attr;
	NETLINK_EACH_NESTED (part, nest) {
		bool is_ip = netlink_type(part) == CTA_TUPLE_IP;
		NETLINK_EACH_NESTED (attr, part) {
			uint16_t type = netlink_type(attr);
			if (is_ip && (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC))
				netlink_copy_addr(&t->from, attr);
			else if (is_ip && (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST))
				netlink_copy_addr(&t->to, attr);
			else if (!is_ip && type == CTA_PROTO_NUM)
				t->proto = netlink_u8(attr);
			else if (!is_ip && type == CTA_PROTO_DST_PORT)
				t->to_port = ntohs(netlink_u16(attr));
		}
	}
}

static void take_flow(const struct nlmsghdr *m, struct flows *flows)
{
	const struct nfgenmsg *info = netlink_header(m, sizeof(*info));
	struct tuple sent = {0}, answer = {0};
	struct found f = {.family = info->nfgen_family};
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, m, sizeof(*info)) {
		uint16_t type = netlink_type(attr);
		if (type == CTA_TUPLE_ORIG && attr->nla_len <= sizeof(f.tuple)) {
			read_tuple(attr, &sent);
			memcpy(f.tuple, netlink_data(attr), netlink_size(attr));
			f.tuple_size = netlink_size(attr);
		} else if (type == CTA_TUPLE_REPLY) {
			read_tuple(attr, &answer);
		} else if (type == CTA_ID) {
			f.id = netlink_u32(attr);
		} else if (type == CTA_ZONE) {
			f.zone = netlink_u16(attr);
		}
	}
	const struct conntrack_flow flow = {sent.to, sent.to_port, answer.from};
	if (sent.proto != IPPROTO_UDP || !f.tuple_size || !flows->match(&flow, flows->arg))
		return;
	flows->v = mem_grow(flows->v, &flows->room, flows->n, sizeof(*flows->v));
	flows->v[flows->n++] = f;
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
	struct nlmsghdr *m = flow_message(question, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family, seq);
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
static int delete_flow(int fd, const struct found *f, unsigned int seq, struct err *e)
{
	_Alignas(NLMSG_ALIGNTO) char message[MESSAGE], answer[MESSAGE];
	struct nlmsghdr *m = flow_message(message, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, f->family, seq);
	netlink_put(m, CTA_TUPLE_ORIG | NLA_F_NESTED, f->tuple, f->tuple_size);
	netlink_put_u32(m, CTA_ID, f->id);
	if (f->zone)
		netlink_put(m, CTA_ZONE, &f->zone, sizeof(f->zone));
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
