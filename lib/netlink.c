/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended acknowledgements (NETLINK_EXT_ACK) bring the kernel's sentence with an error; capped ones
 * (NETLINK_CAP_ACK) leave out the copy of the message that was refused, which may be large. Where the
 * kernel knows neither the sentences are missing, nothing else.
 */
#include "lib/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int netlink_open(int protocol, struct mnl_socket **out, struct err *e)
{
	struct mnl_socket *s = mnl_socket_open2(protocol, SOCK_CLOEXEC);
	if (!s)
		return err_set(e, errno, "cannot open a netlink socket: %s", strerror(errno));
	int on = 1;
	(void)mnl_socket_setsockopt(s, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &on, sizeof(on));
	*out = s;
	return 0;
}

int netlink_receive(struct mnl_socket *s, char *buf, size_t size, struct err *e)
{
	for (;;) {
		ssize_t len = mnl_socket_recvfrom(s, buf, size);
		if (len >= 0)
			return (int)len;
		if (errno != EINTR)
			return err_set(
				e, errno, "cannot read the kernel's answer: %s", strerror(errno));
	}
}

void netlink_copy_text(char *dst, size_t size, const struct nlattr *attr)
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));
	if (len >= size)
		len = size - 1;
	memcpy(dst, mnl_attr_get_payload(attr), len);
	dst[len] = '\0';
}

void netlink_copy_addr(struct addr *dst, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);
	if (len != 4 && len != 16)
		return;
	*dst = (struct addr){.family = len == 4 ? AF_INET : AF_INET6};
	memcpy(dst->bytes, mnl_attr_get_payload(attr), len);
}

/* Source: struct nlmsgerr in linux/netlink.h. */
void netlink_sentence(const struct nlmsghdr *reply, char *out, size_t size)
{
	out[0] = '\0';
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(reply);
	size_t skip = sizeof(*error);
	if (!(reply->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(reply->nlmsg_flags & NLM_F_CAPPED))
		skip += error->msg.nlmsg_len - sizeof(error->msg);
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG) {
			char text[160];
			netlink_copy_text(text, sizeof(text), attr);
			(void)snprintf(out, size, " (%s)", text);
		}
}
