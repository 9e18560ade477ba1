/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: HTTP as a server on etcd's port may frame it. The input is what that server writes
 * before it closes, behind a first byte that says whether the call is a stream, and in how many
 * pieces the bytes come. Whatever it is, the call ends by itself, within its bounds, and a good
 * server afterwards is understood.
 */
#include "tests/fuzz/fuzz.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/mem.h"
#include "store/etcd_http.h"

#define TIMEOUT_MS 20000 /* nothing here may take so long: a server that closes is seen at once */

struct peer {
	int listener;
	int fd; /* of the connection; -1: none yet */
	char url[64];
	const uint8_t *bytes;
	size_t len, done, piece;
};

static void peer_listen(struct peer *p)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	p->fd = -1;
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(p->listener >= 0);
	CHECK(bind(p->listener, (const struct sockaddr *)&at, len) == 0);
	CHECK(listen(p->listener, 4) == 0);
	CHECK(getsockname(p->listener, (struct sockaddr *)&at, &len) == 0);
	(void)snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%d", ntohs(at.sin_port));
}

static void peer_hang_up(struct peer *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
}

/* Takes whoever comes and the request, writes the next piece, and closes behind the last. */
static void peer_step(struct peer *p)
{
	char request[4096];
	if (p->fd < 0) {
		p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		p->done = 0;
	}
	if (p->fd < 0)
		return;
	if (recv(p->fd, request, sizeof(request), 0) < 0 && p->done == 0)
		return; /* nothing was asked yet */
	size_t left = p->len - p->done;
	size_t n = left < p->piece ? left : p->piece;
	ssize_t sent = send(p->fd, p->bytes + p->done, n, MSG_NOSIGNAL);
	if (sent > 0)
		p->done += (size_t)sent;
	if (p->done == p->len)
		peer_hang_up(p);
}

static void take_lines(struct http_call *c)
{
	size_t len;
	for (char *line = http_call_line(c, &len); line; line = http_call_line(c, &len)) {
		CHECK(len <= HTTP_ANSWER_MAX && line[len] == '\n' && !memchr(line, '\n', len));
		http_call_taken(c);
	}
}

/* Until the call has ended. */
static void talk(struct etcd_http *h, struct peer *p, struct http_call *c, bool stream)
{
	int64_t end = boot_now_ms() + TIMEOUT_MS;
	while (c->state == HTTP_RUNNING) {
		struct pollfd wait[] = {
			{.fd = http_fd(h->http), .events = POLLIN},
			{.fd = p->fd >= 0 ? p->fd : p->listener,
				.events = p->fd >= 0 && p->done ? POLLIN | POLLOUT : POLLIN},
		};
		int64_t now = boot_now_ms();
		int64_t due = http_deadline_ms(h->http);
		CHECK(now < end);
		(void)poll(wait, 2, due <= now ? 0 : due - now < 100 ? (int)(due - now) : 100);
		peer_step(p);
		http_pump(h->http);
		if (stream)
			take_lines(c);
	}
	if (stream)
		take_lines(c);
}

static void check_end(const struct http_call *c)
{
	CHECK(!c->timed_out);
	CHECK(c->body.len <= HTTP_ANSWER_MAX);
	CHECK(!c->body.buf || c->body.buf[c->body.len] == '\0');
	CHECK(memchr(c->why, '\0', sizeof(c->why)));
	if (c->state == HTTP_LOST)
		CHECK(c->sent && *c->why);
	if (c->state == HTTP_ANSWERED)
		CHECK(c->status >= 0 && c->status <= 999);
}

static void call(struct etcd_http *h, struct peer *p, bool stream)
{
	char text[] = "{}";
	const struct text body = {.buf = text, .size = sizeof(text), .len = 2};
	struct http_call *c = etcd_http_post(h, p->url, "/v3/kv/range", NULL, &body, stream);
	talk(h, p, c, stream);
	check_end(c);
	http_call_free(c);
	peer_hang_up(p);
}

/* Whether it was answered. The first one may be lost, on a kept connection whose end libcurl has not
 * seen: nothing is sent twice. */
static bool call_good(struct etcd_http *h, struct peer *p)
{
	static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}\n";
	char text[] = "{}";
	const struct text body = {.buf = text, .size = sizeof(text), .len = 2};
	p->bytes = (const uint8_t *)good;
	p->len = p->piece = sizeof(good) - 1;
	struct http_call *c = etcd_http_post(h, p->url, "/v3/kv/range", NULL, &body, false);
	talk(h, p, c, false);
	check_end(c);
	bool answered = c->state == HTTP_ANSWERED;
	CHECK(!answered || (c->status == 200 && strcmp(c->body.buf, "{}\n") == 0));
	http_call_free(c);
	peer_hang_up(p);
	return answered;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct store_options o = {.timeout_ms = TIMEOUT_MS};
	struct etcd_http h;
	struct err e;
	if (size == 0)
		return 0;
	struct peer p = {.bytes = data + 1, .len = size - 1};
	p.piece = data[0] & 2 ? 1 + size / 64 : size;
	peer_listen(&p);
	CHECK(etcd_http_init(&h, &o, &e) == 0);
	call(&h, &p, data[0] & 1);
	CHECK(call_good(&h, &p) || call_good(&h, &p));
	etcd_http_done(&h);
	(void)close(p.listener);
	return 0;
}
