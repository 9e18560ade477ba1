/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both kinds are struct ndmsg to the kernel. A neighbour has its own family and is found by
 * address; a forwarding entry has family AF_BRIDGE and the flag "self" (the device itself, not a
 * bridge it may belong to) and is found by MAC. Dumps are filtered by device in the kernel, the
 * neighbours' by an attribute, the forwarding entries' by the header's index
 * (rtnl_fdb_dump() in net/core/rtnetlink.c).
 */
#include "lib/net_neigh.h"

#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/net_queue.h"

static struct nlmsghdr *queue_entry(struct net *n, uint16_t type, uint16_t flags, int index,
	const struct net_neigh *entry, const char *verb)
{
	char dst[ADDR_TEXT] = "?";
	char mac[MAC_TEXT];
	if (entry->dst.family)
		addr_format(&entry->dst, dst);
	mac_format(entry->mac, mac);
	const char *what = entry->is_forwarding ? "forwarding entry" : "neighbour";
	struct nlmsghdr *m = net_queue(
		n, type, flags, "%s %s %s - %s of device %d", verb, what, dst, mac, index);
	struct ndmsg *info = netlink_put_header(m, sizeof(*info));
	info->ndm_family = entry->is_forwarding ? AF_BRIDGE : entry->dst.family;
	info->ndm_ifindex = index;
	info->ndm_state = NUD_PERMANENT;
	info->ndm_flags = entry->is_forwarding ? NTF_SELF : 0;
	if (entry->dst.family)
		net_put_addr(m, NDA_DST, &entry->dst);
	return m;
}

void net_put_neigh(struct net *n, int index, const struct net_neigh *entry)
{
	struct nlmsghdr *m =
		queue_entry(n, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, entry, "put");
	netlink_put(m, NDA_LLADDR, entry->mac, sizeof(entry->mac));
	(void)net_queue_end(n, m);
}

void net_del_neigh(
	struct net *n, int index, const struct net_neigh *entry, enum net_tolerance tolerance)
{
	struct nlmsghdr *m = queue_entry(n, RTM_DELNEIGH, 0, index, entry, "delete");
	if (entry->is_forwarding)
		netlink_put(m, NDA_LLADDR, entry->mac, sizeof(entry->mac));
	net_queue_end(n, m)->tolerance = tolerance;
}

/* The kernel counts from 3, the unicast probes that it leaves out, and probes each second. */
#define SILENT_PROBES 5

struct neigh_dump {
	struct net_dump dump;
	int index;
	int family;
};

/* A dump without a filter in the kernel would still be right, so device and family are compared. */
static void list_neigh(const struct nlmsghdr *reply, void *arg)
{
	struct neigh_dump *d = arg;
	const struct ndmsg *info = netlink_header(reply, sizeof(*info));
	bool forwarding = d->family == AF_BRIDGE;
	/* A forwarding entry says "no ARP" for static; it is never the kernel's own. */
	struct net_neigh entry = {
		.permanent = info->ndm_state & NUD_PERMANENT,
		.failed = !forwarding &&
			  (info->ndm_state == 0 || info->ndm_state & (NUD_FAILED | NUD_INCOMPLETE)),
		.needs_none = !forwarding && info->ndm_state & NUD_NOARP,
		.is_forwarding = forwarding,
	};
	if ((d->index && info->ndm_ifindex != d->index) || info->ndm_family != d->family)
		return;
	entry.dev = info->ndm_ifindex;
	uint32_t probes = 0;
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(*info)) {
		uint16_t type = netlink_type(attr);
		size_t len = netlink_size(attr);
		if (type == NDA_LLADDR && len == sizeof(entry.mac))
			memcpy(entry.mac, netlink_data(attr), len);
		else if (type == NDA_DST)
			netlink_copy_addr(&entry.dst, attr);
		else if (type == NDA_PROBES)
			probes = netlink_u32(attr);
	}
	entry.silent = !forwarding &&
		       (info->ndm_state & NUD_FAILED ||
			       (info->ndm_state & NUD_INCOMPLETE && probes >= SILENT_PROBES));
	*(struct net_neigh *)net_dump_add(&d->dump) = entry;
}

int net_list_neighs(
	struct net *n, int index, int family, struct net_neigh **out, size_t *count, struct err *e)
{
	struct neigh_dump d = {.index = index, .family = family};
	struct nlmsghdr *m =
		net_dump_init(&d.dump, RTM_GETNEIGH, sizeof(struct ndmsg), sizeof(**out));
	struct ndmsg *info = NLMSG_DATA(m);
	info->ndm_family = (uint8_t)family;
	if (family == AF_BRIDGE)
		info->ndm_ifindex = index;
	else if (index)
		netlink_put_u32(m, NDA_IFINDEX, (uint32_t)index);
	return net_dump(n, &d.dump, list_neigh, (void **)out, count, e);
}
