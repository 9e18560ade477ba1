/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for tests/bench/network_bench.py: what a path between two namespaces carries, and how long a
 * question and its answer take on it.
 *
 *	netload serve PORT
 *	netload stream ADDRESS PORT MS FORTH BACK	that many TCP connections in each direction
 *	netload ask tcp|udp ADDRESS PORT MS		one byte there and back, again and again
 *	netload burst ADDRESS PORT MS			datagrams of one flow, many at once, there and back
 *	netload dial ADDRESS PORT MS			connections opened and reset, one after another
 *
 * One thread with poll(2) on each side, so that a path of one connection and one of several differ
 * in the network and not in this program. A connection begins with a letter: 's' the server reads
 * and tells at the end how much came; 'r' it writes; 'e' it sends everything back. Bytes are
 * counted where they arrive, and the time ends when the last have: what still lies in buffers is
 * not speed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX 64		  /* connections */
#define CHUNK (256 << 10) /* bytes of one read or write */
#define ROUNDS 2000000	  /* questions that are counted */
#define BATCH 50	  /* datagrams or connections of a rate */
#define LOST_MS 1000	  /* an answer by UDP */

struct connection {
	int fd;
	char kind; /* 0: its letter has not come */
	uint64_t bytes;
};

static char chunk[CHUNK];

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "netload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);
	if (*end || n < 0) {
		errno = EINVAL;
		die(text);
	}
	return n;
}

static int new_socket(int kind)
{
	int one = 1;
	int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (kind == SOCK_STREAM)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static struct sockaddr_in place(const char *address, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port))};
	if (inet_pton(AF_INET, address, &a.sin_addr) != 1) {
		errno = EINVAL;
		die(address);
	}
	return a;
}

static int reach(int kind, const char *address, const char *port)
{
	struct sockaddr_in a = place(address, port);
	int fd = new_socket(kind);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("connect");
	return fd;
}

static void unblock(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		die("fcntl");
}

/* ---- the server ---- */

struct server {
	int tcp, udp;
	struct connection c[MAX];
	size_t n;
};

/* false: the connection is over. */
static bool serve_one(struct connection *c, short events)
{
	if (!c->kind && events & POLLIN)
		return read(c->fd, &c->kind, 1) == 1;
	if (c->kind == 'r')
		return !(events & POLLOUT) || send(c->fd, chunk, CHUNK, MSG_NOSIGNAL) >= 0 ||
		       errno == EAGAIN;
	ssize_t n = read(c->fd, chunk, CHUNK);
	if (n < 0)
		return errno == EAGAIN;
	if (n == 0 && c->kind == 's')
		(void)send(c->fd, &c->bytes, sizeof(c->bytes), MSG_NOSIGNAL);
	c->bytes += (uint64_t)n;
	if (n > 0 && c->kind == 'e')
		return send(c->fd, chunk, (size_t)n, MSG_NOSIGNAL) == n;
	return n > 0;
}

static void welcome(struct server *s)
{
	int one = 1;
	int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (s->n == MAX) {
		(void)close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->c[s->n++] = (struct connection){.fd = fd};
}

static void echo_datagram(int fd)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char bytes[2048];
	ssize_t n =
		recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n >= 0)
		(void)sendto(fd, bytes, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from, len);
}

static void turn(struct server *s)
{
	struct pollfd p[MAX + 2] = {
		{.fd = s->tcp, .events = POLLIN}, {.fd = s->udp, .events = POLLIN}};
	size_t n = s->n;
	for (size_t i = 0; i < n; i++)
		p[i + 2] = (struct pollfd){
			.fd = s->c[i].fd, .events = s->c[i].kind == 'r' ? POLLOUT : POLLIN};
	if (poll(p, n + 2, -1) < 0)
		die("poll");
	for (size_t i = n; i-- > 0;) {
		if (!p[i + 2].revents || serve_one(&s->c[i], p[i + 2].revents))
			continue;
		(void)close(s->c[i].fd);
		s->c[i] = s->c[--s->n];
	}
	if (p[1].revents)
		echo_datagram(s->udp);
	if (p[0].revents)
		welcome(s);
}

static _Noreturn void serve(const char *port)
{
	struct sockaddr_in a = place("0.0.0.0", port);
	struct server s = {.tcp = new_socket(SOCK_STREAM), .udp = new_socket(SOCK_DGRAM)};
	if (bind(s.tcp, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s.tcp, MAX) < 0 ||
		bind(s.udp, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("bind");
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;)
		turn(&s);
}

/* ---- streams ---- */

static void move(struct connection *c, short events)
{
	if (!events)
		return;
	if (c->kind == 's') {
		if (send(c->fd, chunk, CHUNK, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			die("send");
		return;
	}
	ssize_t n = read(c->fd, chunk, CHUNK);
	if (n == 0)
		errno = ECONNRESET;
	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("read");
	c->bytes += n > 0 ? (uint64_t)n : 0;
}

/* What the server counted; everything has arrived then. */
static void finish(struct connection *c)
{
	if (c->kind == 's') {
		(void)fcntl(c->fd, F_SETFL, 0);
		(void)shutdown(c->fd, SHUT_WR);
		if (recv(c->fd, &c->bytes, sizeof(c->bytes), MSG_WAITALL) != sizeof(c->bytes))
			die("the server's count");
	}
	(void)close(c->fd);
}

static int stream(const char *address, const char *port, int64_t ms, size_t forth, size_t back)
{
	struct connection c[MAX] = {0};
	struct pollfd p[MAX];
	size_t n = forth + back;
	uint64_t sums[2] = {0, 0};
	if (n == 0 || n > MAX)
		die("the number of connections");
	for (size_t i = 0; i < n; i++) {
		c[i].fd = reach(SOCK_STREAM, address, port);
		c[i].kind = i < forth ? 's' : 'r';
		if (write(c[i].fd, &c[i].kind, 1) != 1)
			die("write");
		unblock(c[i].fd);
		p[i] = (struct pollfd){.fd = c[i].fd, .events = i < forth ? POLLOUT : POLLIN};
	}
	int64_t began = now_ns();
	int64_t end = began + ms * 1000000;
	while (now_ns() < end) {
		if (poll(p, n, 100) < 0)
			die("poll");
		for (size_t i = 0; i < n; i++)
			move(&c[i], p[i].revents);
	}
	for (size_t i = n; i-- > 0;) { /* those that read first: their time is up now */
		finish(&c[i]);
		sums[i < forth ? 0 : 1] += c[i].bytes;
	}
	double s = (double)(now_ns() - began) / 1e9;
	(void)printf("{\"forth_mbit\": %.1f, \"back_mbit\": %.1f}\n", (double)sums[0] * 8e-6 / s,
		(double)sums[1] * 8e-6 / s);
	return 0;
}

/* ---- questions ---- */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The ns of one question; -1: no answer came. */
static int64_t ask_once(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte = 'x';
	int64_t began = now_ns();
	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		die("send");
	if (poll(&p, 1, LOST_MS) == 0)
		return -1;
	if (recv(fd, &byte, 1, 0) != 1)
		die("recv");
	return now_ns() - began;
}

static int ask(const char *protocol, const char *address, const char *port, int64_t ms)
{
	bool tcp = strcmp(protocol, "tcp") == 0;
	int fd = reach(tcp ? SOCK_STREAM : SOCK_DGRAM, address, port);
	uint32_t *took = calloc(ROUNDS, sizeof(*took));
	size_t n = 0;
	size_t lost = 0;
	if (!took || (tcp && write(fd, "e", 1) != 1))
		die("the first byte");
	for (int64_t end = now_ns() + ms * 1000000; now_ns() < end && n < ROUNDS;) {
		int64_t ns = ask_once(fd);
		if (ns < 0)
			lost++;
		else
			took[n++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
	}
	(void)close(fd);
	if (n == 0)
		die("no answer");
	qsort(took, n, sizeof(*took), compare);
	const size_t half = n / 2, late = n - 1 - n / 100;
	(void)printf("{\"n\": %zu, \"lost\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f}\n", n, lost,
		took[half] / 1e3, took[late] / 1e3);
	free(took);
	return 0;
}

/* ---- rates: of the quickest batch, as what else a machine does only makes batches slower ---- */

typedef bool (*batch)(int fd, const struct sockaddr_in *to); /* false: something was lost */

static bool batch_of_datagrams(int fd, const struct sockaddr_in *to)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte = 'x';
	(void)to;
	for (int i = 0; i < BATCH; i++) {
		if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
			die("send");
	}
	for (int i = 0; i < BATCH; i++) {
		if (poll(&p, 1, LOST_MS) == 0 || recv(fd, &byte, 1, 0) != 1)
			return false;
	}
	return true;
}

static bool batch_of_connections(int unused, const struct sockaddr_in *to)
{
	const struct linger reset = {.l_onoff = 1};
	(void)unused;
	for (int i = 0; i < BATCH; i++) {
		int fd = new_socket(SOCK_STREAM);
		if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
			die("connect");
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		(void)close(fd);
	}
	return true;
}

static int rate(batch once, int fd, const struct sockaddr_in *to, int64_t ms)
{
	int64_t least = INT64_MAX;
	size_t lost = 0;
	for (int64_t end = now_ns() + ms * 1000000; now_ns() < end;) {
		int64_t began = now_ns();
		bool whole = once(fd, to);
		int64_t took = now_ns() - began;
		lost += !whole;
		least = whole && took < least ? took : least;
	}
	if (least == INT64_MAX)
		die("no batch came back");
	(void)printf("{\"lost\": %zu, \"per_s\": %.0f}\n", lost, BATCH * 1e9 / (double)least);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	if (argc == 7 && strcmp(argv[1], "stream") == 0)
		return stream(argv[2], argv[3], number(argv[4]), (size_t)number(argv[5]),
			(size_t)number(argv[6]));
	if (argc == 6 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2], argv[3], argv[4], number(argv[5]));
	if (argc == 5 && strcmp(argv[1], "burst") == 0)
		return rate(batch_of_datagrams, reach(SOCK_DGRAM, argv[2], argv[3]), NULL,
			number(argv[4]));
	if (argc == 5 && strcmp(argv[1], "dial") == 0) {
		const struct sockaddr_in to = place(argv[2], argv[3]);
		return rate(batch_of_connections, -1, &to, number(argv[4]));
	}
	(void)fputs("usage: netload serve PORT | stream ADDRESS PORT MS FORTH BACK | "
		    "ask tcp|udp ADDRESS PORT MS | burst ADDRESS PORT MS | dial ADDRESS PORT MS\n",
		stderr);
	return 2;
}
