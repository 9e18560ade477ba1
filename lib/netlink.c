/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket. It is never bound: the kernel gives it an address with the first message, and whatever is
 * sent without an address goes to the kernel. Only what comes from the kernel (port 0) is read, since any
 * process with CAP_NET_ADMIN may send to our address.
 *
 * Extended acknowledgements (NETLINK_EXT_ACK) bring the kernel's sentence with an error; capped ones
 * (NETLINK_CAP_ACK) leave out the copy of the message that was refused, which may be large. Where the
 * kernel knows neither the sentences are missing, nothing else.
 */
#include "lib/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void netlink_option(int fd, int option)
{
	const int on = 1;
	(void)setsockopt(fd, SOL_NETLINK, option, &on, sizeof(on));
}

int netlink_open(int protocol, int *out, struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return err_set(e, errno, "cannot open a netlink socket: %s", strerror(errno));
	netlink_option(fd, NETLINK_EXT_ACK);
	netlink_option(fd, NETLINK_CAP_ACK);
	*out = fd;
	return 0;
}

int netlink_send(int fd, const void *messages, size_t size, struct err *e)
{
	if (send(fd, messages, size, 0) < 0)
		return err_set(e, errno, "cannot talk to the kernel: %s", strerror(errno));
	return 0;
}

int netlink_receive(int fd, char *buf, size_t size, struct err *e)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		struct iovec into = {.iov_base = buf, .iov_len = size};
		struct msghdr datagram = {.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &into,
			.msg_iovlen = 1};
		ssize_t len = recvmsg(fd, &datagram, 0);
		int error = len < 0 ? errno : datagram.msg_flags & MSG_TRUNC ? ENOSPC : 0;
		if (error == EINTR || (!error && from.nl_pid != 0))
			continue;
		if (error)
			return err_set(
				e, error, "cannot read the kernel's answer: %s", strerror(error));
		return (int)len;
	}
}
