/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Netlink, whatever is spoken over it: sockets with the kernel's own sentences switched on, messages
 * written attribute by attribute, answers taken apart. For lib/net (rtnetlink) and lib/nft_batch
 * (nf_tables).
 *
 * Writing: the caller gives the room; a message begins with netlink_begin(), then come its header and
 * attributes, and nlmsg_len is right after each. Reading: nothing is read outside of the datagram,
 * whatever lengths it claims, and a value that is too short reads as if zeros followed.
 */
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

/* A socket of a protocol (NETLINK_ROUTE, NETLINK_NETFILTER): a descriptor for close(). */
int netlink_open(int protocol, int *out, struct err *e);

/* Switches an option on (NETLINK_GET_STRICT_CHK, ...) where the kernel knows it. */
void netlink_option(int fd, int option);

/* Messages, one behind the other, to the kernel. */
int netlink_send(int fd, const void *messages, size_t size, struct err *e);

/* One datagram of the kernel: its length. -ENOSPC: it is larger than size. */
int netlink_receive(int fd, char *buf, size_t size, struct err *e);

/*
 * Writing.
 */

/* A request without header or attributes. */
struct nlmsghdr *netlink_begin(void *at, uint16_t type, uint16_t flags);

/* The protocol's header (struct ifinfomsg, ...), zeroed; it comes before all attributes. */
void *netlink_put_header(struct nlmsghdr *m, size_t size);

/* text goes with its zero. be32: in network order, as nf_tables wants all numbers. */
void netlink_put(struct nlmsghdr *m, uint16_t type, const void *data, size_t size);
void netlink_put_u8(struct nlmsghdr *m, uint16_t type, uint8_t value);
void netlink_put_u32(struct nlmsghdr *m, uint16_t type, uint32_t value);
void netlink_put_be32(struct nlmsghdr *m, uint16_t type, uint32_t value);
void netlink_put_u64(struct nlmsghdr *m, uint16_t type, uint64_t value);
void netlink_put_text(struct nlmsghdr *m, uint16_t type, const char *text);

/* What is put between the two is inside of the attribute. */
struct nlattr *netlink_nest(struct nlmsghdr *m, uint16_t type);
void netlink_nest_end(struct nlmsghdr *m, struct nlattr *nest);

/*
 * Reading.
 */

/* The whole message, or attribute, after the previous one (NULL: the first); NULL: there is none. For
 * the loops below. */
const struct nlmsghdr *netlink_next(
	const void *datagram, size_t size, const struct nlmsghdr *previous);
const struct nlattr *netlink_next_attr(
	const void *attrs, size_t size, const struct nlattr *previous);
const struct nlattr *netlink_next_of(
	const struct nlmsghdr *m, size_t header, const struct nlattr *previous);
const struct nlattr *netlink_next_in(const struct nlattr *nest, const struct nlattr *previous);

/* Messages of a datagram; attributes behind a message's header of so many bytes; attributes inside of
 * another; attributes in so many bytes. */
#define NETLINK_EACH(m, datagram, size) for ((m) = NULL; ((m) = netlink_next(datagram, size, m));)
#define NETLINK_EACH_ATTR(attr, m, header)                                                         \
	for ((attr) = NULL; ((attr) = netlink_next_of(m, header, attr));)
#define NETLINK_EACH_NESTED(attr, nest) for ((attr) = NULL; ((attr) = netlink_next_in(nest, attr));)
#define NETLINK_EACH_AMONG(attr, attrs, size)                                                      \
	for ((attr) = NULL; ((attr) = netlink_next_attr(attrs, size, attr));)

/* The protocol's header; of a message that is too short for it: zeros (size is at most 64). */
const void *netlink_header(const struct nlmsghdr *m, size_t size);

uint16_t netlink_type(const struct nlattr *attr);
const void *netlink_data(const struct nlattr *attr);
size_t netlink_size(const struct nlattr *attr); /* bytes of data */
uint8_t netlink_u8(const struct nlattr *attr);
uint16_t netlink_u16(const struct nlattr *attr);
uint32_t netlink_u32(const struct nlattr *attr);
uint32_t netlink_be32(const struct nlattr *attr); /* in our order */

/* A string attribute that is copied with a bound. */
void netlink_copy_text(char *dst, size_t size, const struct nlattr *attr);

/* An attribute that is an address, of the family that its length says; any other changes nothing. */
void netlink_copy_addr(struct addr *dst, const struct nlattr *attr);

/* Of an NLMSG_ERROR: the errno, 0 for an acknowledgement; the kernel's own sentence as " (SENTENCE)",
 * or "". */
int netlink_error(const struct nlmsghdr *reply);
void netlink_sentence(const struct nlmsghdr *reply, char *out, size_t size);
