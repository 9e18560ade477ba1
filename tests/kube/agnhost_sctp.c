/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCTP for Kubernetes' agnhost where the kernel has none: what stands in its images under its name, before it.
 *
 *   agnhost porter, with SERVE_SCTP_PORT_N in its environment     answers each INIT to port N by an INIT ACK
 *   agnhost connect HOST:PORT --protocol=sctp --timeout=3s        sends INITs until one is answered, else TIMEOUT
 *   anything else, and both where the kernel has SCTP             agnhost itself
 *
 * Packets are made here and go through raw sockets, so they are what a policy judges, a Service translates and
 * connection tracking follows. Nothing is sent behind the INIT ACK: whether the two reach each other is known then.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/crc32c.h"

#define AGNHOST "/agnhost.real"
#define PORTS "SERVE_SCTP_PORT_"
#define LEN 32 /* bytes of a packet with an INIT or INIT ACK without parameters */
#define AGAIN_MS 200
enum { INIT = 1, INIT_ACK = 2 };

extern char **environ;

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void set16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void make_packet(
	uint8_t out[LEN], uint16_t from, uint16_t to, int kind, const uint8_t tag[4])
{
	memset(out, 0, LEN);
	set16(out, from);
	set16(out + 2, to);
	if (tag)
		memcpy(out + 4, tag, 4);
	out[12] = (uint8_t)kind;
	set16(out + 14, LEN - 12);
	if (getrandom(out + 16, 4, 0) != 4)
		exit(1);
	out[16] |= 1; /* its own tag is never 0 */
	set16(out + 20, 0x8000);
	set16(out + 24, 1);
	set16(out + 26, 1);
	out[31] = 1;
	uint32_t crc = crc32c(out, LEN);
	for (int i = 0; i < 4; i++)
		out[8 + i] = (uint8_t)(crc >> 8 * i);
}

static int open_raw(int family)
{
	return socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_SCTP);
}

/* The SCTP part of what a raw socket gives: of IPv4 with the header. NULL: too short. */
static const uint8_t *part_of(int family, const uint8_t *p, ssize_t n)
{
	ssize_t head = family == AF_INET && n > 0 ? (p[0] & 15) * 4 : 0;
	return n >= head + 20 ? p + head : NULL;
}

static void answer(int fd, int family, uint16_t port)
{
	uint8_t in[2048], out[LEN];
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	ssize_t n = recvfrom(fd, in, sizeof(in), MSG_DONTWAIT, (void *)&peer, &size);
	const uint8_t *p = part_of(family, in, n);
	if (!p || get16(p + 2) != port || p[12] != INIT)
		return;
	make_packet(out, port, get16(p), INIT_ACK, p + 16);
	(void)sendto(fd, out, LEN, 0, (void *)&peer, size);
}

static int serve(uint16_t port)
{
	struct pollfd fds[] = {{.fd = open_raw(AF_INET), .events = POLLIN},
		{.fd = open_raw(AF_INET6), .events = POLLIN}};
	if (fds[0].fd < 0 && fds[1].fd < 0) {
		perror("raw sockets");
		return 1;
	}
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < 2; i++)
			if (fds[i].revents & POLLIN)
				answer(fds[i].fd, i ? AF_INET6 : AF_INET, port);
	}
}

static int64_t now_ms(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool is_answered(int fd, int family, uint16_t own, int64_t until)
{
	for (;;) {
		int64_t left = until - now_ms();
		struct pollfd at = {.fd = fd, .events = POLLIN};
		uint8_t in[2048];
		if (left <= 0 || poll(&at, 1, (int)left) <= 0)
			return false;
		const uint8_t *p = part_of(family, in, recv(fd, in, sizeof(in), 0));
		if (p && get16(p + 2) == own && p[12] == INIT_ACK)
			return true;
	}
}

static int ask(const struct addrinfo *to, uint16_t port, int64_t timeout_ms)
{
	uint16_t own = 0;
	uint8_t out[LEN];
	int fd = open_raw(to->ai_family);
	if (fd < 0 || getrandom(&own, sizeof(own), 0) != sizeof(own)) {
		(void)fprintf(stderr, "OTHER: %s\n", strerror(errno));
		return 1;
	}
	own |= 0x8000;
	make_packet(out, own, port, INIT, NULL);
	int64_t end = now_ms() + timeout_ms;
	while (now_ms() < end) {
		int64_t until = now_ms() + AGAIN_MS;
		(void)sendto(fd, out, LEN, 0, to->ai_addr,
			to->ai_addrlen); /* refused by a rule: as lost */
		if (is_answered(fd, to->ai_family, own, until < end ? until : end))
			return 0;
	}
	(void)fputs("TIMEOUT\n", stderr);
	return 1;
}

static int connect_to(char *where, const char *timeout)
{
	char *colon = strrchr(where, ':'), *unit = NULL;
	struct addrinfo hints = {.ai_socktype = SOCK_RAW, .ai_protocol = IPPROTO_SCTP},
			*found = NULL;
	double wait = strtod(timeout, &unit);
	if (!colon || (strcmp(unit, "s") != 0 && strcmp(unit, "ms") != 0)) {
		(void)fprintf(stderr, "UNKNOWN: %s, timeout %s\n", where, timeout);
		return 1;
	}
	*colon = '\0';
	if (where[0] == '[') { /* IPv6 */
		where++;
		colon[-1] = '\0';
	}
	int r = getaddrinfo(where, NULL, &hints, &found);
	if (r != 0) {
		(void)fprintf(stderr, "DNS: %s\n", gai_strerror(r));
		return 1;
	}
	return ask(found, (uint16_t)strtoul(colon + 1, NULL, 10),
		(int64_t)(wait * (unit[0] == 's' ? 1000 : 1)));
}

static bool kernel_has_sctp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/* The number behind the first such variable; 0: none. */
static uint16_t port_to_serve(void)
{
	for (char **v = environ; *v; v++)
		if (strncmp(*v, PORTS, strlen(PORTS)) == 0)
			return (uint16_t)strtoul(*v + strlen(PORTS), NULL, 10);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "", *timeout = "3s";
	char *where = NULL;
	bool is_sctp = false;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--protocol=sctp") == 0)
			is_sctp = true;
		else if (strncmp(argv[i], "--timeout=", 10) == 0)
			timeout = argv[i] + 10;
		else if (argv[i][0] != '-')
			where = argv[i];
	}
	if (!kernel_has_sctp()) {
		if (strcmp(verb, "porter") == 0 && port_to_serve())
			return serve(port_to_serve());
		if (strcmp(verb, "connect") == 0 && is_sctp && where)
			return connect_to(where, timeout);
	}
	(void)execv(AGNHOST, argv);
	perror(AGNHOST);
	return 127;
}
