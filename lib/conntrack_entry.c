/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry has two tuples: of the first packet, and of an answer to it. Where addresses were translated, the
 * second says what became of them.
 */
#include "lib/conntrack_entry.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

#include "lib/netlink.h"

struct tuple {
	struct addr from, to;
	uint16_t from_port, to_port;
	int16_t type, code;
	uint8_t proto;
};

static void read_addresses(const struct nlattr *nest, struct tuple *t)
{
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, nest) {
		uint16_t type = netlink_type(attr);
		if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC)
			netlink_copy_addr(&t->from, attr);
		else if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST)
			netlink_copy_addr(&t->to, attr);
	}
}

static void read_protocol(const struct nlattr *nest, struct tuple *t)
{
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, nest) {
		uint16_t type = netlink_type(attr);
		if (type == CTA_PROTO_NUM)
			t->proto = netlink_u8(attr);
		else if (type == CTA_PROTO_SRC_PORT)
			t->from_port = ntohs(netlink_u16(attr));
		else if (type == CTA_PROTO_DST_PORT)
			t->to_port = ntohs(netlink_u16(attr));
		else if (type == CTA_PROTO_ICMP_TYPE || type == CTA_PROTO_ICMPV6_TYPE)
			t->type = netlink_u8(attr);
		else if (type == CTA_PROTO_ICMP_CODE || type == CTA_PROTO_ICMPV6_CODE)
			t->code = netlink_u8(attr);
	}
}

static struct tuple read_tuple(const struct nlattr *nest)
{
	struct tuple t = {.type = -1, .code = -1};
	const struct nlattr *part;
	NETLINK_EACH_NESTED (part, nest) {
		if (netlink_type(part) == CTA_TUPLE_IP)
			read_addresses(part, &t);
		else if (netlink_type(part) == CTA_TUPLE_PROTO)
			read_protocol(part, &t);
	}
	return t;
}

static void take_first(const struct nlattr *attr, struct conntrack_entry *out)
{
	struct tuple t = read_tuple(attr);
	if (netlink_size(attr) > sizeof(out->tuple))
		return;
	out->source = t.from;
	out->destination = t.to;
	out->sport = t.from_port;
	out->dport = t.to_port;
	out->icmp_type = t.type;
	out->icmp_code = t.code;
	out->proto = t.proto;
	memcpy(out->tuple, netlink_data(attr), netlink_size(attr));
	out->tuple_size = netlink_size(attr);
}

static void take_attribute(const struct nlattr *attr, struct conntrack_entry *out)
{
	switch (netlink_type(attr)) {
	case CTA_TUPLE_ORIG:
		take_first(attr, out);
		return;
	case CTA_TUPLE_REPLY: {
		struct tuple t = read_tuple(attr);
		out->answers = t.from;
		out->answers_port = t.from_port;
		return;
	}
	case CTA_STATUS:
		out->expected = netlink_be32(attr) & IPS_EXPECTED;
		return;
	case CTA_MARK:
		out->mark = netlink_be32(attr);
		return;
	case CTA_ID:
		out->id = netlink_u32(attr);
		return;
	case CTA_ZONE:
		out->zone = netlink_u16(attr);
		return;
	default:
		return;
	}
}

bool conntrack_entry_read(const struct nlmsghdr *m, struct conntrack_entry *out)
{
	const struct nfgenmsg *info = netlink_header(m, sizeof(*info));
	const struct nlattr *attr;
	*out = (struct conntrack_entry){
		.family = info->nfgen_family, .icmp_type = -1, .icmp_code = -1};
	NETLINK_EACH_ATTR (attr, m, sizeof(*info))
		take_attribute(attr, out);
	return out->tuple_size > 0 && out->source.family && out->destination.family &&
	       out->answers.family;
}

struct nlmsghdr *conntrack_message(
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

struct nlmsghdr *conntrack_message_about(char *at, unsigned int type, uint16_t flags,
	const struct conntrack_entry *x, unsigned int seq)
{
	struct nlmsghdr *m = conntrack_message(at, type, flags, x->family, seq);
	netlink_put(m, CTA_TUPLE_ORIG | NLA_F_NESTED, x->tuple, x->tuple_size);
	if (x->zone)
		netlink_put(m, CTA_ZONE, &x->zone, sizeof(x->zone));
	return m;
}
