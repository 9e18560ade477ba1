/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of tc(8). A bucket's rate is counted in bytes, with the Ethernet header. Its queue holds what
 * the rate sends within 25 ms beyond a burst; the rest is dropped, which slows senders down.
 *
 * The filter is u32's "match everything", which every kernel with traffic control has; matchall came later.
 * The kernel asks for the head of the real device's headers at the other side of an ifb, so nothing but the
 * delay changes for a packet that took the way through it.
 */
#include "lib/net_shape.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#include "lib/net_queue.h"

#define WAIT_PER_S 40 /* of the queue: 25 ms */
#define TICK_NS 64    /* PSCHED_SHIFT of the kernel */
#define NS_PER_S 1000000000.0
#define INGRESS_HANDLE (TC_H_MAJ(TC_H_INGRESS))
#define PRIORITY 1
#define FIRST_FILTER 0x80000800u /* the handle that u32 gives the first one of a new queue */

void net_add_ifb(struct net *n, const char *name, uint32_t mtu, uint32_t group)
{
	struct nlmsghdr *m =
		net_queue(n, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make device %s", name);
	(void)netlink_put_header(m, sizeof(struct ifinfomsg));
	netlink_put_text(m, IFLA_IFNAME, name);
	netlink_put_u32(m, IFLA_MTU, mtu);
	netlink_put_u32(m, IFLA_GROUP, group);
	struct nlattr *link = netlink_nest(m, IFLA_LINKINFO);
	netlink_put_text(m, IFLA_INFO_KIND, "ifb");
	netlink_nest_end(m, link);
	(void)net_queue_end(n, m);
}

static uint32_t most32(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static struct nlmsghdr *queue_tc(
	struct net *n, uint16_t type, uint16_t flags, int link, uint32_t parent)
{
	bool asks = type == RTM_GETQDISC || type == RTM_GETTFILTER;
	struct nlmsghdr *m = net_queue(n, type, flags, "%s device %d",
		asks ? "look at the queue of" : "shape what goes through", link);
	struct tcmsg *info = netlink_put_header(m, sizeof(*info));
	info->tcm_ifindex = link;
	info->tcm_parent = parent;
	return m;
}

void net_shape(struct net *n, int link, const struct net_rate *r)
{
	struct nlmsghdr *m =
		queue_tc(n, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, link, TC_H_ROOT);
	const struct tc_tbf_qopt options = {
		.rate = {.rate = most32(r->rate), .linklayer = TC_LINKLAYER_ETHERNET},
		.limit = most32(r->rate / WAIT_PER_S + r->burst),
		.buffer = r->burst,
	};
	netlink_put_text(m, TCA_KIND, "tbf");
	struct nlattr *nest = netlink_nest(m, TCA_OPTIONS);
	netlink_put(m, TCA_TBF_PARMS, &options, sizeof(options));
	netlink_put_u32(m, TCA_TBF_BURST, r->burst);
	if (r->rate > UINT32_MAX)
		netlink_put_u64(m, TCA_TBF_RATE64, r->rate);
	netlink_nest_end(m, nest);
	(void)net_queue_end(n, m);
}

static uint32_t filter_info(void)
{
	return TC_H_MAKE((uint32_t)PRIORITY << 16, htons(ETH_P_ALL));
}

static void put_mirred(struct nlmsghdr *m, int to)
{
	const struct tc_mirred mirred = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)to,
	};
	struct nlattr *actions = netlink_nest(m, TCA_U32_ACT);
	struct nlattr *first = netlink_nest(m, 1);
	netlink_put_text(m, TCA_ACT_KIND, "mirred");
	struct nlattr *options = netlink_nest(m, TCA_ACT_OPTIONS);
	netlink_put(m, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	netlink_nest_end(m, options);
	netlink_nest_end(m, first);
	netlink_nest_end(m, actions);
}

void net_redirect(struct net *n, int link, int to)
{
	struct nlmsghdr *m =
		queue_tc(n, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, link, TC_H_INGRESS);
	struct tcmsg *info = NLMSG_DATA(m);
	info->tcm_handle = INGRESS_HANDLE;
	netlink_put_text(m, TCA_KIND, "ingress");
	(void)net_queue_end(n, m);

	m = queue_tc(n, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, link, INGRESS_HANDLE);
	info = NLMSG_DATA(m);
	info->tcm_info = filter_info();
	/* One key behind it, of no bits at no place: everything. */
	const struct tc_u32_sel head = {.flags = TC_U32_TERMINAL, .nkeys = 1};
	unsigned char selector[sizeof(head) + sizeof(struct tc_u32_key)] = {0};
	memcpy(selector, &head, sizeof(head));
	netlink_put_text(m, TCA_KIND, "u32");
	struct nlattr *options = netlink_nest(m, TCA_OPTIONS);
	netlink_put(m, TCA_U32_SEL, selector, sizeof(selector));
	netlink_put_u32(m, TCA_U32_CLASSID, 1);
	put_mirred(m, to);
	netlink_nest_end(m, options);
	(void)net_queue_end(n, m);
}

void net_del_redirect(struct net *n, int link)
{
	struct nlmsghdr *m = queue_tc(n, RTM_DELQDISC, 0, link, TC_H_INGRESS);
	netlink_put_text(m, TCA_KIND, "ingress");
	(void)net_queue_end(n, m);
}

/* The kernel has a burst as the time that it takes. */
static uint32_t burst_of(uint64_t rate, uint32_t ticks)
{
	double bytes = (double)rate * TICK_NS * ticks / NS_PER_S;
	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

static void take_rate(const struct nlattr *options, struct net_rate *out)
{
	const struct nlattr *attr;
	struct tc_tbf_qopt o = {0};
	uint64_t rate64 = 0;
	NETLINK_EACH_NESTED (attr, options) {
		if (netlink_type(attr) == TCA_TBF_PARMS && netlink_size(attr) >= sizeof(o))
			memcpy(&o, netlink_data(attr), sizeof(o));
		else if (netlink_type(attr) == TCA_TBF_RATE64 &&
			 netlink_size(attr) == sizeof(rate64))
			memcpy(&rate64, netlink_data(attr), sizeof(rate64));
	}
	out->rate = rate64 ? rate64 : o.rate.rate;
	out->burst = burst_of(out->rate, o.buffer);
}

static void take_shape(const struct nlmsghdr *reply, void *arg)
{
	const struct nlattr *attr;
	char kind[16] = "";
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct tcmsg)) {
		if (netlink_type(attr) == TCA_KIND)
			netlink_copy_text(kind, sizeof(kind), attr);
		else if (netlink_type(attr) == TCA_OPTIONS && strcmp(kind, "tbf") == 0)
			take_rate(attr, arg);
	}
}

static void ask_qdisc(struct net *n, int link, uint32_t parent, net_reply_fn *fn, void *out)
{
	/* The answer is a notification, which whoever asked gets with this flag alone. */
	struct nlmsghdr *m = queue_tc(n, RTM_GETQDISC, NLM_F_ECHO, link, parent);
	struct net_pending *p = net_queue_end(n, m);
	p->tolerance = NET_MAY_FAIL; /* none, or the kernel's own, which it does not show */
	p->on_reply = fn;
	p->arg = out;
}

void net_ask_shape(struct net *n, int link, struct net_rate *out)
{
	*out = (struct net_rate){0};
	ask_qdisc(n, link, TC_H_ROOT, take_shape, out);
}

static void take_queue(const struct nlmsghdr *reply, void *arg)
{
	(void)reply;
	((struct net_redirect *)arg)->has_queue = true;
}

/* The attribute of a type within another one; NULL, which NULL has, too. */
static const struct nlattr *nested(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;
	if (nest)
		NETLINK_EACH_NESTED (attr, nest)
			if (netlink_type(attr) == type)
				return attr;
	return NULL;
}

static void take_filter(const struct nlmsghdr *reply, void *arg)
{
	struct net_redirect *out = arg;
	const struct nlattr *attr;
	struct tc_mirred mirred;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct tcmsg)) {
		const struct nlattr *found = attr;
		if (netlink_type(attr) != TCA_OPTIONS)
			continue;
		static const uint16_t path[] = {TCA_U32_ACT, 1, TCA_ACT_OPTIONS, TCA_MIRRED_PARMS};
		for (size_t i = 0; i < sizeof(path) / sizeof(*path); i++)
			found = nested(found, path[i]);
		if (!found || netlink_size(found) < sizeof(mirred))
			continue;
		memcpy(&mirred, netlink_data(found), sizeof(mirred));
		out->to = (int)mirred.ifindex;
	}
}

static void ask_filter(struct net *n, int link, struct net_redirect *out)
{
	struct nlmsghdr *m = queue_tc(n, RTM_GETTFILTER, NLM_F_ECHO, link, INGRESS_HANDLE);
	struct tcmsg *info = NLMSG_DATA(m);
	info->tcm_info = filter_info();
	info->tcm_handle = FIRST_FILTER;
	struct net_pending *p = net_queue_end(n, m);
	p->tolerance = NET_MAY_FAIL; /* none, or of another kind */
	p->on_reply = take_filter;
	p->arg = out;
}

void net_ask_redirect(struct net *n, int link, struct net_redirect *out)
{
	*out = (struct net_redirect){0};
	ask_qdisc(n, link, TC_H_INGRESS, take_queue, out);
	ask_filter(n, link, out);
}
