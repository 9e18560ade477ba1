/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw routing socket with a classic BPF program. Netlink runs a socket's filter on each
 * notification before queueing it, with offset 0 at the message's header; a notification is one
 * message. Loads are big-endian, the header's fields are the machine's, so constants are swapped;
 * single bytes need nothing.
 *
 *	struct nlmsghdr  16 bytes: type at 4
 *	struct rtmsg     at 16: dst_len +1, table +4, protocol +5, type +7
 *	struct ndmsg     at 16: ifindex +4
 *	netconfmsg       at 16: family; first attribute is the device index: value at 24
 *
 * A route of the main table passes when it is a default route, one of the host's own (made by people,
 * DHCP or router advertisements), a blackhole of protocol 82 (those of pods, 82 too, come and go
 * all the time), or one of BIRD's that leads nowhere. So does a policy rule that somebody deleted. What passes is only counted: the
 * answer is always to look again.
 */
#include "agent/kernel/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netconf.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/net.h"
#include "lib/poolroute.h"

struct watch {
	int fd;
	int devices[FAMILIES];
};

#define AT(type, field) (NLMSG_HDRLEN + offsetof(struct type, field))
#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (at))
#define LOAD_WORD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define PASS BPF_STMT(BPF_RET | BPF_K, 0xffffffff)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)
#define NETCONF_INDEX (NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct netconfmsg)) + NLA_HDRLEN)

static int set_filter(struct watch *w, struct err *e)
{
	struct sock_filter code[] = {
		/* 0 */ LOAD_HALF(offsetof(struct nlmsghdr, nlmsg_type)),
		/* 1 */ IF(htons(RTM_NEWROUTE), 6, 0),
		/* 2 */ IF(htons(RTM_DELROUTE), 5, 0),
		/* 3 */ IF(htons(RTM_DELRULE), 22, 0),
		/* 4 */ IF(htons(RTM_DELNEIGH), 15, 0),
		/* 5 */ IF(htons(RTM_NEWNETCONF), 0, 1),
		/* 6 */ BPF_JUMP(BPF_JMP | BPF_JA, 16, 0, 0),
		/* 7 */ DROP,
		/* 8: a route */ LOAD_BYTE(AT(rtmsg, rtm_table)),
		/* 9 */ IF(RT_TABLE_MAIN, 0, 15),
		/* 10 */ LOAD_BYTE(AT(rtmsg, rtm_dst_len)),
		/* 11 */ IF(0, 14, 0),
		/* 12 */ LOAD_BYTE(AT(rtmsg, rtm_protocol)),
		/* 13 */ IF(NET_PROTO_ROOST, 13, 0),
		/* 14 */ IF(POOLROUTE_PROTO_BIRD, 16, 0),
		/* 15: the host's own */ IF(NET_PROTO_BOOT, 10, 0),
		/* 16 */ IF(NET_PROTO_STATIC, 9, 0),
		/* 17 */ IF(NET_PROTO_DHCP, 8, 0),
		/* 18 */ IF(NET_PROTO_RA, 7, 0),
		/* 19 */ DROP,
		/* 20: a neighbour */ LOAD_WORD(AT(ndmsg, ndm_ifindex)),
		/* 21 */ IF(htonl(w->devices[0]), 4, 0),
		/* 22 */ IF(htonl(w->devices[1]), 3, 2),
		/* 23: a switch */ LOAD_WORD(NETCONF_INDEX),
		/* 24 */ IF(htonl((uint32_t)NETCONFA_IFINDEX_ALL), 1, 0),
		/* 25 */ DROP,
		/* 26 */ PASS,
		/* 27: of ours */ LOAD_BYTE(AT(rtmsg, rtm_type)),
		/* 28 */ IF(RTN_BLACKHOLE, 0, 1),
		/* 29 */ PASS,
		/* 30 */ DROP,
		/* 31: of BIRD's */ LOAD_BYTE(AT(rtmsg, rtm_type)),
		/* 32 */ IF(RTN_UNICAST, 1, 0),
		/* 33 */ PASS,
		/* 34 */ DROP,
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(*code),
		.filter = code,
	};
	if (setsockopt(w->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return err_set(
			e, errno, "cannot filter routing notifications: %s", strerror(errno));
	return 0;
}

static int join(struct watch *w, struct err *e)
{
	/* A socket without a number of its own gets nothing: the kernel sends as number 0, and
	 * no one hears himself. */
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	if (bind(w->fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return err_set(e, errno, "cannot bind a netlink socket: %s", strerror(errno));
	static const int groups[] = {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH,
		RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE};
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (setsockopt(w->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) < 0)
			return err_set(e, errno, "cannot subscribe to routing notifications: %s",
				strerror(errno));
	return 0;
}

int watch_open(struct watch **out, struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return err_set(e, errno, "cannot open a netlink socket: %s", strerror(errno));
	struct watch *w = mem_new(1, sizeof(*w));
	w->fd = fd;
	int r = set_filter(w, e); /* before the first notification */
	if (r >= 0)
		r = join(w, e);
	if (r < 0) {
		watch_close(w);
		return r;
	}
	*out = w;
	return 0;
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	(void)close(w->fd);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->fd;
}

int watch_read(struct watch *w, struct err *e)
{
	int any = 0;
	for (;;) {
		char nothing[1]; /* the rest of the datagram is dropped */
		ssize_t n = recv(w->fd, nothing, sizeof(nothing), 0);
		if (n >= 0 || errno == ENOBUFS)
			any = 1;
		else if (errno == EAGAIN)
			return any;
		else if (errno != EINTR)
			return err_set(
				e, errno, "cannot read routing notifications: %s", strerror(errno));
	}
}

int watch_devices(struct watch *w, const int devices[FAMILIES], struct err *e)
{
	if (memcmp(w->devices, devices, sizeof(w->devices)) == 0)
		return 0;
	memcpy(w->devices, devices, sizeof(w->devices));
	return set_filter(w, e);
}
