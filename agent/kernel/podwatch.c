/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sockets. rtnetlink's has a filter in classic BPF, which reads the first bytes of a message; numbers are
 * loaded in network order there, and netlink's are the machine's:
 *
 *	struct nlmsghdr  16 bytes: type at 4
 *	struct rtmsg     at 16: family +0, protocol +5
 *	struct ifaddrmsg at 16: family +0
 *
 * A route passes when it went and is of protocol 82, or an IPv6 one that goes with an address. An IPv4 route that
 * goes with its link is not announced; the link is. Of queues and their filters, which few links have, all passes
 * but a filter that is made. nf_tables says all changes of a commit in few datagrams, so there is nothing to
 * filter: one change is as good as many.
 */
#include "agent/kernel/podwatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/net.h"

struct podwatch {
	int fds[PODWATCH_SOCKETS];
};

#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (at))
#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (at))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define PASS BPF_STMT(BPF_RET | BPF_K, 0xffffffff)
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)

static int podwatch_filter(int fd, struct err *e)
{
	struct sock_filter code[] = {
		/* 0 */ LOAD_HALF(offsetof(struct nlmsghdr, nlmsg_type)),
		/* 1 */ IF(htons(RTM_NEWLINK), 11, 0),
		/* 2 */ IF(htons(RTM_NEWNETCONF), 10, 0),
		/* 3 */ IF(htons(RTM_NEWQDISC), 9, 0),
		/* 4 */ IF(htons(RTM_DELQDISC), 8, 0),
		/* 5 */ IF(htons(RTM_DELTFILTER), 7, 0),
		/* 6 */ IF(htons(RTM_DELADDR), 3, 0),
		/* 7 */ IF(htons(RTM_DELROUTE), 0, 4),
		/* 8: a route */ LOAD_BYTE(NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_protocol)),
		/* 9 */ IF(NET_PROTO_ROOST, 3, 0),
		/* 10: an address, too */
		LOAD_BYTE(NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_family)),
		/* 11 */ IF(AF_INET6, 1, 0),
		/* 12 */ DROP,
		/* 13 */ PASS,
	};
	_Static_assert(offsetof(struct rtmsg, rtm_family) == offsetof(struct ifaddrmsg, ifa_family),
		"one load for both");
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(*code),
		.filter = code,
	};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return err_set(
			e, errno, "cannot filter notifications of links: %s", strerror(errno));
	return 0;
}

static int podwatch_join(int fd, const int *groups, size_t n, struct err *e)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		return err_set(e, errno, "cannot bind a netlink socket: %s", strerror(errno));
	for (size_t i = 0; i < n; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) < 0)
			return err_set(e, errno,
				"cannot subscribe to notifications of the kernel: %s",
				strerror(errno));
	return 0;
}

static int podwatch_socket(struct podwatch *w, int which, int protocol, struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (fd < 0)
		return err_set(e, errno, "cannot open a netlink socket: %s", strerror(errno));
	w->fds[which] = fd;
	return 0;
}

int podwatch_open(struct podwatch **out, struct err *e)
{
	static const int route[] = {RTNLGRP_LINK, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_TC};
	static const int tables[] = {NFNLGRP_NFTABLES};
	struct podwatch *w = mem_new(1, sizeof(*w));
	w->fds[PODWATCH_ROUTE] = w->fds[PODWATCH_TABLES] = -1;
	int r = podwatch_socket(w, PODWATCH_ROUTE, NETLINK_ROUTE, e);
	if (r >= 0)
		r = podwatch_filter(w->fds[PODWATCH_ROUTE], e); /* before the first notification */
	if (r >= 0)
		r = podwatch_join(w->fds[PODWATCH_ROUTE], route, sizeof(route) / sizeof(*route), e);
	if (r >= 0)
		r = podwatch_socket(w, PODWATCH_TABLES, NETLINK_NETFILTER, e);
	if (r >= 0)
		r = podwatch_join(w->fds[PODWATCH_TABLES], tables, 1, e);
	if (r == -EPERM)
		r = 0; /* who may not change tables is not told either; then nothing comes here */
	if (r < 0) {
		podwatch_close(w);
		return r;
	}
	*out = w;
	return 0;
}

void podwatch_close(struct podwatch *w)
{
	for (size_t i = 0; w && i < PODWATCH_SOCKETS; i++)
		if (w->fds[i] >= 0)
			(void)close(w->fds[i]);
	free(w);
}

int podwatch_fd(const struct podwatch *w, int which)
{
	return w->fds[which];
}

int podwatch_read(struct podwatch *w, bool out[PODWATCH_SOCKETS], struct err *e)
{
	for (size_t i = 0; i < PODWATCH_SOCKETS; i++) {
		out[i] = false;
		for (;;) {
			char nothing[1]; /* the rest of the datagram is dropped */
			ssize_t n = recv(w->fds[i], nothing, sizeof(nothing), 0);
			if (n >= 0 || errno == ENOBUFS)
				out[i] = true;
			else if (errno == EAGAIN)
				break;
			else if (errno != EINTR)
				return err_set(e, errno,
					"cannot read notifications of the kernel: %s",
					strerror(errno));
		}
	}
	return 0;
}
