/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the agent's socket as a state machine. The input is a script: who connects, sends what
 * piece, stops sending, leaves, reads, and when the agent looks, answers or refuses. Whatever the
 * order, a request has a new id and one client, an answer goes to who asked and to nobody else, in
 * whole lines, and no client gets more lines than it sent.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/server.h"
#include "lib/json.h"
#include "lib/mem.h"

#define CLIENTS 8
#define OPEN_MAX_IDS SERVER_CONNECTIONS

struct client {
	int fd; /* -1: not there */
	bool stopped;
	size_t lines_sent, lines_got;
	bool in_line; /* sent something since the last end of a line */
	bool got_part;
};

struct run {
	struct server *server;
	char path[64];
	struct client clients[CLIENTS];
	uint64_t open[OPEN_MAX_IDS];
	size_t n_open;
	uint64_t last_id;
	const uint8_t *at, *end;
};

static uint8_t next_byte(struct run *r)
{
	return r->at < r->end ? *r->at++ : 0;
}

static void client_connect(struct run *r, struct client *c)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (c->fd >= 0)
		return;
	CHECK(strlen(r->path) < sizeof(to.sun_path));
	memcpy(to.sun_path, r->path, strlen(r->path) + 1);
	*c = (struct client){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
	CHECK(c->fd >= 0);
	if (connect(c->fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return;
	CHECK(errno == EAGAIN); /* the queue is full until the agent looks */
	(void)close(c->fd);
	c->fd = -1;
}

/* The next byte says how many of those behind it. A repeated one is a long line. */
static void client_send(struct run *r, struct client *c)
{
	size_t len = next_byte(r);
	if (len > (size_t)(r->end - r->at))
		len = (size_t)(r->end - r->at);
	const uint8_t *bytes = r->at;
	r->at += len;
	if (c->fd < 0 || c->stopped || !len)
		return;
	ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
	for (ssize_t i = 0; i < n; i++) {
		c->in_line = bytes[i] != '\n';
		c->lines_sent += bytes[i] == '\n';
	}
}

static void client_flood(struct client *c)
{
	static char spaces[SERVER_REQUEST_MAX / 2];
	memset(spaces, ' ', sizeof(spaces));
	if (c->fd < 0 || c->stopped)
		return;
	if (send(c->fd, spaces, sizeof(spaces), MSG_NOSIGNAL) > 0)
		c->in_line = true;
}

static void client_stop(struct client *c)
{
	if (c->fd >= 0 && !c->stopped)
		(void)shutdown(c->fd, SHUT_WR);
	c->stopped = true;
}

static void client_read(struct client *c)
{
	char buf[4096];
	ssize_t n = c->fd < 0 ? -1 : recv(c->fd, buf, sizeof(buf), 0);
	for (ssize_t i = 0; i < n; i++) {
		CHECK(buf[i]);
		c->got_part = buf[i] != '\n';
		c->lines_got += buf[i] == '\n';
	}
	/* A line that was begun by what it sent, too long or ended by its leaving, has an answer. */
	CHECK(c->lines_got <= c->lines_sent + (c->in_line ? 1 : 0));
	CHECK(n != 0 || !c->got_part);
}

static void client_leave(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

static void agent_look(struct run *r)
{
	uint64_t id = 0;
	const json_t *request = NULL;
	if (!server_next(r->server, &id, &request))
		return;
	CHECK(id > r->last_id && r->n_open < OPEN_MAX_IDS);
	CHECK(json_is_string(json_object_get(request, "op")));
	r->last_id = id;
	r->open[r->n_open++] = id;
}

static void agent_answer(struct run *r, size_t which, bool refuse)
{
	const struct err e = {.text = "no"};
	uint64_t id = r->last_id + 1 + which; /* nobody's */
	if (r->n_open) {
		which %= r->n_open;
		id = r->open[which];
		r->open[which] = r->open[--r->n_open];
	}
	if (refuse)
		server_refuse(r->server, id, EINVAL, &e);
	else
		server_answer(r->server, id, json_pack("{s:b}", "ok", 1));
}

static void step(struct run *r)
{
	uint8_t what = next_byte(r);
	struct client *c = &r->clients[what >> 4 & (CLIENTS - 1)];
	switch (what & 7) {
	case 0:
		client_connect(r, c);
		break;
	case 1:
		client_send(r, c);
		break;
	case 2:
		client_stop(c);
		break;
	case 3:
		client_leave(c);
		break;
	case 4:
		agent_look(r);
		break;
	case 5:
		agent_answer(r, what >> 4, what & 8);
		break;
	case 6:
		client_read(c);
		break;
	default:
		client_flood(c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.at = data, .end = data + size};
	char folder[] = "/tmp/roost-fuzz-XXXXXX";
	struct err e;
	CHECK(mkdtemp(folder));
	(void)snprintf(r.path, sizeof(r.path), "%s/s", folder);
	for (size_t i = 0; i < CLIENTS; i++)
		r.clients[i].fd = -1;
	CHECK(server_open(&r.server, r.path, "", &e) == 0);
	while (r.at < r.end)
		step(&r);
	for (size_t i = 0; i < CLIENTS; i++) {
		client_read(&r.clients[i]);
		client_leave(&r.clients[i]);
	}
	server_close(r.server);
	CHECK(rmdir(folder) == 0);
	return 0;
}
