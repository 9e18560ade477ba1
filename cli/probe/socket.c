/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket options that differ by family, in one place (ip(7), ipv6(7)). Setting an option that fails
 * shows in what the probe measures, so nobody looks at the results here.
 */
#include "cli/probe/socket.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>

int probe_socket(const struct ns *ns, int family, int type, int protocol, struct err *e)
{
	int r = ns ? ns_enter(ns, e) : 0;
	if (r < 0)
		return r;
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	int error = errno;
	if (ns)
		ns_leave(ns);
	if (fd < 0)
		return err_set(e, error, "cannot open a socket: %s", strerror(error));
	return fd;
}

socklen_t probe_socket_name(const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
	*out = (struct sockaddr_storage){0};
	if (a->family == AF_INET) {
		struct sockaddr_in *in = (void *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, a->bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in = (void *)out;
	in->sin6_family = AF_INET6;
	in->sin6_port = htons(port);
	memcpy(&in->sin6_addr, a->bytes, 16);
	return sizeof(*in);
}

void probe_socket_addr(const struct sockaddr_storage *name, struct addr *out)
{
	*out = (struct addr){0};
	const struct sockaddr_in6 *in6 = (const void *)name;
	if (name->ss_family == AF_INET) {
		out->family = AF_INET;
		memcpy(out->bytes, &((const struct sockaddr_in *)name)->sin_addr, 4);
	} else if (name->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		out->family = AF_INET;
		memcpy(out->bytes, in6->sin6_addr.s6_addr + 12, 4);
	} else if (name->ss_family == AF_INET6) {
		out->family = AF_INET6;
		memcpy(out->bytes, &in6->sin6_addr, 16);
	}
}

uint16_t probe_socket_port(int fd)
{
	struct sockaddr_in6 name = {0}; /* the port is at the same place in both families */
	socklen_t len = sizeof(name);
	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return 0;
	return ntohs(name.sin6_port);
}

static void set(int fd, int level, int option, int value)
{
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

void probe_socket_set_df(int fd, int family, bool df)
{
	if (family == AF_INET)
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, df ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT);
	else
		set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
			df ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_DONT);
}

void probe_socket_want_errors(int fd, int family)
{
	if (family == AF_INET)
		set(fd, IPPROTO_IP, IP_RECVERR, 1);
	else
		set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

uint32_t probe_socket_path_mtu(int fd, int family)
{
	int mtu = 0;
	socklen_t len = sizeof(mtu);
	int r = family == AF_INET ? getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len)
				  : getsockopt(fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len);
	return r < 0 || mtu < 0 ? 0 : (uint32_t)mtu;
}

static void take_error(const struct cmsghdr *c, struct probe_socket_error *out)
{
	struct sock_extended_err ee;
	struct sockaddr_storage from = {0};
	size_t len = c->cmsg_len - CMSG_LEN(0);
	if (len < sizeof(ee))
		return;
	memcpy(&ee, CMSG_DATA(c), sizeof(ee));
	len -= sizeof(ee);
	memcpy(&from, CMSG_DATA(c) + sizeof(ee), len < sizeof(from) ? len : sizeof(from));
	out->error = (int)ee.ee_errno;
	out->mtu = ee.ee_errno == EMSGSIZE ? ee.ee_info : 0;
	if (ee.ee_origin == SO_EE_ORIGIN_ICMP || ee.ee_origin == SO_EE_ORIGIN_ICMP6)
		probe_socket_addr(&from, &out->from);
}

bool probe_socket_next_error(int fd, struct probe_socket_error *out)
{
	*out = (struct probe_socket_error){0};
	_Alignas(struct cmsghdr) char control[512];
	struct iovec vector = {out->head, sizeof(out->head)};
	struct msghdr m = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &m, MSG_ERRQUEUE);
	if (n < 0)
		return false;
	out->head_len = (size_t)n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		bool of4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
		bool of6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
		if (of4 || of6)
			take_error(c, out);
	}
	return true;
}
