/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every netlink socket of ours needs, whatever it speaks: opened with the kernel's own sentences
 * switched on, read past signals, answers taken apart. For lib/net (rtnetlink) and lib/nft_batch
 * (nf_tables).
 */
#include <libmnl/libmnl.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"

/* A socket of a protocol (NETLINK_ROUTE, NETLINK_NETFILTER), for mnl_socket_close(). */
int netlink_open(int protocol, struct mnl_socket **out, struct err *e);

/* One datagram: its length. */
int netlink_receive(struct mnl_socket *s, char *buf, size_t size, struct err *e);

/* The kernel's own sentence in an NLMSG_ERROR as " (SENTENCE)", or "". */
void netlink_sentence(const struct nlmsghdr *reply, char *out, size_t size);

/* A string attribute that is copied with a bound. */
void netlink_copy_text(char *dst, size_t size, const struct nlattr *attr);

/* An attribute that is an address, of the family that its length says; any other changes nothing. */
void netlink_copy_addr(struct addr *dst, const struct nlattr *attr);

/* libmnl's loops with the conversions that our warnings ask for. */
#define NETLINK_EACH_ATTR(attr, message, skip)                                                     \
	for ((attr) = mnl_nlmsg_get_payload_offset(message, skip);                                 \
		mnl_attr_ok(attr, (int)((const char *)mnl_nlmsg_get_payload_tail(message) -        \
					  (const char *)(attr)));                                  \
		(attr) = mnl_attr_next(attr))

#define NETLINK_EACH_NESTED(attr, nest)                                                            \
	for ((attr) = mnl_attr_get_payload(nest);                                                  \
		mnl_attr_ok(attr, (int)((const char *)mnl_attr_get_payload(nest) +                 \
					  mnl_attr_get_payload_len(nest) - (const char *)(attr))); \
		(attr) = mnl_attr_next(attr))
