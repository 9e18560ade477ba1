/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy rules. The kernel deletes the first rule that has every property named, so a rule is
 * deleted by all that it was added with, protocol included: one of another program that is like
 * it stays.
 */
#include "lib/net_rule.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "lib/net_queue.h"

static struct nlmsghdr *queue_rule(
	struct net *n, uint16_t type, uint16_t flags, int family, uint32_t table)
{
	struct nlmsghdr *m = net_queue(n, type, flags, "%s a rule for table %u",
		type == RTM_NEWRULE ? "add" : "delete", table);
	struct fib_rule_hdr *info = netlink_put_header(m, sizeof(*info));
	info->family = (uint8_t)family;
	info->action = FR_ACT_TO_TBL;
	netlink_put_u32(m, FRA_TABLE, table);
	netlink_put_u8(m, FRA_PROTOCOL, NET_PROTO_ROOST);
	return m;
}

static struct net_pending *queue_whole(
	struct net *n, uint16_t type, uint16_t flags, const struct net_rule *r)
{
	struct nlmsghdr *m = queue_rule(n, type, flags, r->from.addr.family, r->table);
	struct fib_rule_hdr *info = NLMSG_DATA(m);
	info->src_len = r->from.len;
	if (r->from.len)
		net_put_addr(m, FRA_SRC, &r->from.addr);
	netlink_put_u32(m, FRA_PRIORITY, r->priority);
	if (r->not_default)
		netlink_put_u32(m, FRA_SUPPRESS_PREFIXLEN, 0);
	return net_queue_end(n, m);
}

void net_add_rule(struct net *n, const struct net_rule *r)
{
	(void)queue_whole(n, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, r);
}

void net_del_rule(struct net *n, const struct net_rule *r, enum net_tolerance tolerance)
{
	queue_whole(n, RTM_DELRULE, 0, r)->tolerance = tolerance;
}

void net_del_rule_of(struct net *n, int family, uint32_t table, enum net_tolerance tolerance)
{
	net_queue_end(n, queue_rule(n, RTM_DELRULE, 0, family, table))->tolerance = tolerance;
}
