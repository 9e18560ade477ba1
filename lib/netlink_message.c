/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages as bytes (linux/netlink.h). A datagram is a train of messages, a message is struct nlmsghdr,
 * the protocol's header and a train of attributes, and an attribute may hold a train of attributes.
 * Everything begins at a multiple of four bytes and has its own length, without the padding behind it,
 * in its first field.
 *
 * All four trains are walked by one function, train_next(), which alone decides whether a length can be
 * trusted: it must cover the head of the element and end inside of the train.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/netlink.h"

#define HEADER_MOST 64

/*
 * Writing.
 */

/* More bytes at the end of the message, zeroed with their padding. */
static void *message_grow(struct nlmsghdr *m, size_t size)
{
	char *at = (char *)m + NLMSG_ALIGN(m->nlmsg_len);
	size_t room = NLMSG_ALIGN(size);
	memset(at, 0, room);
	m->nlmsg_len = (uint32_t)(at + room - (char *)m);
	return at;
}

struct nlmsghdr *netlink_begin(void *at, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *m = at;
	*m = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN,
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
	};
	return m;
}

void *netlink_put_header(struct nlmsghdr *m, size_t size)
{
	return message_grow(m, size);
}

void netlink_put(struct nlmsghdr *m, uint16_t type, const void *data, size_t size)
{
	assert(size <= UINT16_MAX - NLA_HDRLEN);
	struct nlattr *attr = message_grow(m, NLA_HDRLEN + size);
	attr->nla_type = type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size)
		memcpy((char *)attr + NLA_HDRLEN, data, size);
}

void netlink_put_u8(struct nlmsghdr *m, uint16_t type, uint8_t value)
{
	netlink_put(m, type, &value, sizeof(value));
}

void netlink_put_u32(struct nlmsghdr *m, uint16_t type, uint32_t value)
{
	netlink_put(m, type, &value, sizeof(value));
}

void netlink_put_be32(struct nlmsghdr *m, uint16_t type, uint32_t value)
{
	netlink_put_u32(m, type, htonl(value));
}

void netlink_put_u64(struct nlmsghdr *m, uint16_t type, uint64_t value)
{
	netlink_put(m, type, &value, sizeof(value));
}

void netlink_put_text(struct nlmsghdr *m, uint16_t type, const char *text)
{
	netlink_put(m, type, text, strlen(text) + 1);
}

struct nlattr *netlink_nest(struct nlmsghdr *m, uint16_t type)
{
	struct nlattr *nest = (void *)((char *)m + NLMSG_ALIGN(m->nlmsg_len));
	netlink_put(m, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

void netlink_nest_end(struct nlmsghdr *m, struct nlattr *nest)
{
	size_t len = (size_t)((char *)m + m->nlmsg_len - (char *)nest);
	assert(len <= UINT16_MAX);
	nest->nla_len = (uint16_t)len;
}

/*
 * Reading.
 */

/* A train of elements. */
struct train {
	const char *first;
	size_t size; /* bytes */
	size_t head; /* bytes of an element's head, its length among them */
};

static size_t train_len(const struct train *t, const char *element)
{
	uint32_t wide;
	uint16_t narrow;
	memcpy(&wide, element, sizeof(wide));
	memcpy(&narrow, element, sizeof(narrow));
	return t->head == NLMSG_HDRLEN ? wide : narrow;
}

static const void *train_next(const struct train *t, const void *previous)
{
	const char *at = previous;
	at = previous ? at + NLMSG_ALIGN(train_len(t, at)) : t->first;
	size_t past = (size_t)(at - t->first);
	if (past >= t->size || t->size - past < t->head)
		return NULL;
	size_t len = train_len(t, at);
	return len >= t->head && len <= t->size - past ? at : NULL;
}

const struct nlmsghdr *netlink_next(
	const void *datagram, size_t size, const struct nlmsghdr *previous)
{
	const struct train t = {.first = datagram, .size = size, .head = NLMSG_HDRLEN};
	return train_next(&t, previous);
}

const struct nlattr *netlink_next_attr(
	const void *attrs, size_t size, const struct nlattr *previous)
{
	const struct train t = {.first = attrs, .size = size, .head = NLA_HDRLEN};
	return train_next(&t, previous);
}

const struct nlattr *netlink_next_of(
	const struct nlmsghdr *m, size_t header, const struct nlattr *previous)
{
	if (header > m->nlmsg_len || m->nlmsg_len < NLMSG_HDRLEN + NLMSG_ALIGN(header))
		return NULL;
	size_t before = NLMSG_HDRLEN + NLMSG_ALIGN(header);
	return netlink_next_attr((const char *)m + before, m->nlmsg_len - before, previous);
}

const struct nlattr *netlink_next_in(const struct nlattr *nest, const struct nlattr *previous)
{
	return netlink_next_attr(netlink_data(nest), netlink_size(nest), previous);
}

const void *netlink_header(const struct nlmsghdr *m, size_t size)
{
	static const uint64_t zeros[HEADER_MOST / sizeof(uint64_t)];
	assert(size <= HEADER_MOST);
	return m->nlmsg_len >= NLMSG_HDRLEN + size ? (const char *)m + NLMSG_HDRLEN
						   : (const void *)zeros;
}

uint16_t netlink_type(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

const void *netlink_data(const struct nlattr *attr)
{
	return (const char *)attr + NLA_HDRLEN;
}

size_t netlink_size(const struct nlattr *attr)
{
	return attr->nla_len - (size_t)NLA_HDRLEN;
}

static void attr_read(const struct nlattr *attr, void *out, size_t size)
{
	size_t has = netlink_size(attr);
	memcpy(out, netlink_data(attr), has < size ? has : size);
}

uint8_t netlink_u8(const struct nlattr *attr)
{
	uint8_t value = 0;
	attr_read(attr, &value, sizeof(value));
	return value;
}

uint16_t netlink_u16(const struct nlattr *attr)
{
	uint16_t value = 0;
	attr_read(attr, &value, sizeof(value));
	return value;
}

uint32_t netlink_u32(const struct nlattr *attr)
{
	uint32_t value = 0;
	attr_read(attr, &value, sizeof(value));
	return value;
}

uint32_t netlink_be32(const struct nlattr *attr)
{
	return ntohl(netlink_u32(attr));
}

void netlink_copy_text(char *dst, size_t size, const struct nlattr *attr)
{
	size_t len = strnlen(netlink_data(attr), netlink_size(attr));
	if (len >= size)
		len = size - 1;
	memcpy(dst, netlink_data(attr), len);
	dst[len] = '\0';
}

void netlink_copy_addr(struct addr *dst, const struct nlattr *attr)
{
	size_t len = netlink_size(attr);
	if (len != 4 && len != 16)
		return;
	*dst = (struct addr){.family = len == 4 ? AF_INET : AF_INET6};
	memcpy(dst->bytes, netlink_data(attr), len);
}

int netlink_error(const struct nlmsghdr *reply)
{
	const struct nlmsgerr *status = netlink_header(reply, sizeof(*status));
	return -status->error;
}

/* Source: struct nlmsgerr in linux/netlink.h. The copy of a message that is not capped comes before
 * the attributes. */
void netlink_sentence(const struct nlmsghdr *reply, char *out, size_t size)
{
	out[0] = '\0';
	const struct nlmsgerr *status = netlink_header(reply, sizeof(*status));
	size_t skip = sizeof(*status);
	if (!(reply->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(reply->nlmsg_flags & NLM_F_CAPPED) && status->msg.nlmsg_len > sizeof(status->msg))
		skip += status->msg.nlmsg_len - sizeof(status->msg);
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, skip)
		if (netlink_type(attr) == NLMSGERR_ATTR_MSG) {
			char text[160];
			netlink_copy_text(text, sizeof(text), attr);
			(void)snprintf(out, size, " (%s)", text);
		}
}
