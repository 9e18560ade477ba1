/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts by single packets: ICMP echo and UDP. Both sockets are connected, so that the kernel
 * gives us the packets and the ICMP errors of that peer alone, and knows the path's MTU for us.
 *
 * ICMP goes through a raw socket: the unprivileged one is forbidden in a new namespace. A raw socket
 * sees the answers, and the errors, of everybody who asks the same peer; the id tells ours.
 *
 * Who sends with an address that is not ours gets it by IP_TRANSPARENT, which lets bind() and
 * routing pass; whether the packet gets further is what is to be found out.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/epoll.h>

#include "cli/probe/socket.h"
#include "cli/probe/try.h"
#include "lib/mem.h"

#define ECHO_HEADER 8
#define UDP_HEADER 8
#define ECHO_TEXT 56
#define PACKETS 64 /* that one event reads */

static size_t ip_header(const struct probe_try *t)
{
	return t->to.family == AF_INET ? 20 : 40;
}

/* The size of the IP packet: as asked, but at least header and least. Returns the payload's. */
static size_t settle_size(struct probe_try *t, size_t header, size_t least)
{
	size_t around = ip_header(t) + header;
	if (t->size < around + least)
		t->size = around + least;
	return t->size - around;
}

static int connect_to(struct probe_try *t, uint16_t port, struct err *e)
{
	struct sockaddr_storage name;
	socklen_t len = probe_socket_name(&t->to, port, &name);
	probe_socket_set_df(t->watch.fd, t->to.family, t->df);
	probe_socket_want_errors(t->watch.fd, t->to.family);
	if (connect(t->watch.fd, (struct sockaddr *)&name, len) == 0)
		return 0;
	/* No route is a finding, not a fault of the request. */
	(void)e;
	probe_try_failed(t, errno, 0, NULL);
	t->done = true;
	return 0;
}

static void send_bytes(struct probe_try *t, const void *bytes, size_t len)
{
	int pending = 0;
	socklen_t size = sizeof(pending);
	/* An old error would be told instead of sending. */
	(void)getsockopt(t->watch.fd, SOL_SOCKET, SO_ERROR, &pending, &size);
	if (t->done || send(t->watch.fd, bytes, len, MSG_NOSIGNAL) >= 0)
		return;
	probe_try_failed(t, errno, 0, NULL);
}

/* ---- ICMP ---- */

/* Answers alone; errors come otherwise. */
static void set_filter(int fd, int family)
{
	if (family == AF_INET) {
		uint32_t others = ~(1U << ICMP_ECHOREPLY);
		(void)setsockopt(
			fd, SOL_RAW, 1 /* ICMP_FILTER, linux/icmp.h */, &others, sizeof(others));
		return;
	}
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	(void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
}

static int open_icmp(struct probe_try *t, const struct ns *ns, struct err *e)
{
	int family = t->to.family;
	int protocol = family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
	t->watch.fd = probe_socket(ns, family, SOCK_RAW, protocol, e);
	if (t->watch.fd < 0)
		return t->watch.fd;
	set_filter(t->watch.fd, family);
	return connect_to(t, 0, e);
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void send_icmp(struct probe_try *t)
{
	size_t text = t->size ? 0 : ECHO_TEXT;
	size_t len = ECHO_HEADER + settle_size(t, ECHO_HEADER, text);
	CLEANUP_FREE uint8_t *packet = mem_new(len, 1);
	packet[0] = t->to.family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	put16(packet + 4, t->echo_id);
	put16(packet + 6, (uint16_t)t->sent);
	for (size_t i = ECHO_HEADER; i < len; i++)
		packet[i] = (uint8_t)i;
	if (t->to.family == AF_INET) /* the kernel does it for ICMPv6 */
		put16(packet + 2, checksum(packet, len));
	send_bytes(t, packet, len);
}

static void take_echo(struct probe_try *t, const uint8_t *packet, size_t len)
{
	size_t skip = 0;
	if (t->to.family == AF_INET && len > 0)
		skip = (size_t)(packet[0] & 15) * 4;
	if (len < skip + ECHO_HEADER)
		return;
	packet += skip;
	uint8_t wanted = t->to.family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	if (packet[0] == wanted && get16(packet + 4) == t->echo_id && get16(packet + 6) < t->sent)
		probe_try_answered(t, get16(packet + 6), NULL);
}

static void receive_icmp(struct probe_try *t)
{
	uint8_t packet[256]; /* the rest says nothing */
	struct probe_socket_error error;
	for (int i = 0; i < PACKETS; i++) {
		ssize_t n = recv(t->watch.fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n >= 0 && !t->done)
			take_echo(t, packet, (size_t)n);
	}
	while (probe_socket_next_error(t->watch.fd, &error)) {
		bool ours = !error.from.family ||
			    (error.head_len >= ECHO_HEADER && get16(error.head + 4) == t->echo_id);
		if (ours && !t->done && error.error)
			probe_try_failed(t, error.error, error.mtu, &error.from);
	}
}

const struct probe_try_kind probe_try_icmp = {
	.name = "icmp",
	.resends = true,
	.open = open_icmp,
	.send = send_icmp,
	.receive = receive_icmp,
	.events = EPOLLIN,
};

/* ---- UDP ---- */

static int pretend(const struct probe_try *t, struct err *e)
{
	int on = 1;
	bool four = t->to.family == AF_INET;
	struct sockaddr_storage name;
	socklen_t len = probe_socket_name(&t->source, 0, &name);
	int r = four ? setsockopt(t->watch.fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on))
		     : setsockopt(t->watch.fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on));
	if (r == 0)
		r = bind(t->watch.fd, (struct sockaddr *)&name, len);
	if (r < 0)
		return err_set(e, errno, "cannot take another's address: %s", strerror(errno));
	return 0;
}

static int open_udp(struct probe_try *t, const struct ns *ns, struct err *e)
{
	t->watch.fd = probe_socket(ns, t->to.family, SOCK_DGRAM, 0, e);
	if (t->watch.fd < 0)
		return t->watch.fd;
	int r = t->source.family ? pretend(t, e) : 0;
	return r < 0 ? r : connect_to(t, t->port, e);
}

static void send_udp(struct probe_try *t)
{
	size_t len = settle_size(t, UDP_HEADER, PROBE_MESSAGE_MIN);
	CLEANUP_FREE char *text = mem_new(len, 1);
	struct probe_message m = {.df = t->df, .seq = (uint32_t)t->sent};
	memcpy(m.nonce, t->nonce, sizeof(m.nonce));
	probe_message_format(&m, text, len);
	send_bytes(t, text, len);
}

static void receive_udp(struct probe_try *t)
{
	const size_t size = PROBE_MESSAGE_MAX + 1;
	CLEANUP_FREE char *text = mem_new(size, 1);
	struct probe_socket_error error;
	struct probe_message m;
	while (probe_socket_next_error(t->watch.fd, &error))
		if (!t->done && error.error)
			probe_try_failed(t, error.error, error.mtu, &error.from);
	for (int i = 0; i < PACKETS; i++) {
		ssize_t n = recv(t->watch.fd, text, size, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && !t->done && !t->error)
			probe_try_failed(t, errno, 0, NULL);
		if (n >= 0 && !t->done && probe_message_parse(text, (size_t)n, &m) && m.is_answer &&
			strcmp(m.nonce, t->nonce) == 0)
			probe_try_answered(t, m.seq, &m.source);
	}
}

const struct probe_try_kind probe_try_udp = {
	.name = "udp",
	.resends = true,
	.has_port = true,
	.open = open_udp,
	.send = send_udp,
	.receive = receive_udp,
	.events = EPOLLIN,
};
