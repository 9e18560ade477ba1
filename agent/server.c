/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's socket. Everything hangs in one wait: the listening socket, the connections, and the
 * earliest moment at which somebody has waited too long. Level-triggered and one
 * event at a time, so that whoever stops calling server_next() early misses nothing.
 *
 * A connection is in one of three phases: it reads a line, its request is open, or it writes an
 * answer. Nothing is read while a request is open: bytes are looked at with MSG_PEEK and taken only
 * up to the end of the line, so that what follows stays in the socket, where it is told again,
 * and there is no queue of lines here. Reading and writing have a deadline, an open request has
 * none: how long an answer takes is the agent's business.
 *
 * A client may close its sending side and still wait; it is gone when both sides are closed. Its
 * open request stays a place of the 64 until it is answered, so that nobody piles up work by asking
 * and leaving. Who is the one too many gets a sentence and is closed.
 */
#include "agent/server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/listener.h"
#include "lib/ask.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/wait.h"

#define PAUSE_MS 1000 /* no accept() for so long after descriptors were used up */
#define TURNS 64 /* events that one call looks at, so that nobody keeps the agent from its work */

enum phase { PHASE_FREE, PHASE_READS, PHASE_OPEN, PHASE_WRITES };

struct connection {
	enum phase phase;
	int fd; /* -1: the client is gone, its request is still open */
	uint64_t id;
	int64_t deadline_ms; /* READS, WRITES */
	json_t *request;     /* OPEN */
	char *bytes;	     /* READS: the line so far; WRITES: the answer. Heap */
	size_t len, room, done;
	bool last; /* close when the answer is written */
};

struct server {
	struct listener listener;
	struct wait wait;
	uint64_t last_id;
	int64_t next_ms;   /* the earliest time at which something is due */
	int64_t paused_ms; /* no accept() until then; WAIT_NEVER: it is not paused */
	struct connection connections[SERVER_CONNECTIONS];
};

/* What an event is about: a connection has its index. */
enum { TOKEN_LISTENER = SERVER_CONNECTIONS };

/* ---- What is waited for ---- */

/* Hanging up is always told. */
static void want_events(struct server *s, const struct connection *c, uint32_t events)
{
	if (c->fd >= 0)
		wait_change(&s->wait, c->fd, events, (uint64_t)(c - s->connections));
}

static bool has_deadline(const struct connection *c)
{
	return c->phase == PHASE_READS || c->phase == PHASE_WRITES;
}

static void arm_timer(struct server *s)
{
	s->next_ms = s->paused_ms;
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++) {
		const struct connection *c = &s->connections[i];
		if (has_deadline(c) && c->deadline_ms < s->next_ms)
			s->next_ms = c->deadline_ms;
	}
	wait_at(&s->wait, s->next_ms);
}

static int64_t new_deadline(void)
{
	return boot_now_ms() + (int64_t)SERVER_TIMEOUT_S * 1000;
}

/* ---- A connection's life ---- */

static void forget_bytes(struct connection *c)
{
	free(c->bytes);
	c->bytes = NULL;
	c->len = c->room = c->done = 0;
}

/* The client is gone; an open request keeps its place. */
static void hang_up(struct server *s, struct connection *c)
{
	if (c->fd >= 0)
		wait_remove(&s->wait, c->fd); /* a child may hold a copy of it */
	mem_cleanup_fd(&c->fd);
	c->fd = -1;
	forget_bytes(c);
	if (c->phase == PHASE_OPEN)
		return;
	c->phase = PHASE_FREE;
	arm_timer(s);
}

static void start_reading(struct server *s, struct connection *c)
{
	forget_bytes(c);
	c->phase = PHASE_READS;
	c->deadline_ms = new_deadline();
	want_events(s, c, EPOLLIN);
	arm_timer(s);
}

static void go_on_writing(struct server *s, struct connection *c)
{
	while (c->done < c->len) {
		ssize_t n = send(
			c->fd, c->bytes + c->done, c->len - c->done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			want_events(s, c, EPOLLOUT);
			return;
		}
		if (n < 0) {
			hang_up(s, c);
			return;
		}
		c->done += (size_t)n;
	}
	if (c->last)
		hang_up(s, c);
	else
		start_reading(s, c);
}

/* Takes answer over. The line is in c->bytes when writing begins. */
static void start_writing(struct server *s, struct connection *c, json_t *answer)
{
	forget_bytes(c);
	c->bytes = json_text(answer);
	json_decref(answer);
	c->len = strlen(c->bytes);
	c->bytes[c->len++] = '\n'; /* in the place of the terminator */
	c->phase = PHASE_WRITES;
	c->deadline_ms = new_deadline();
	arm_timer(s);
	go_on_writing(s, c);
}

int server_parse(const char *line, size_t len, json_t **out, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	const char *op = NULL;
	int r = json_parse(line, len, &doc, e);
	if (r < 0)
		return r;
	if (!json_is_object(doc))
		return err_set(e, EINVAL, "a request is a JSON object with \"op\"");
	r = json_get_string(doc, "", "op", &op, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EINVAL, "the request has no \"op\"");
	*out = json_incref(doc);
	return 0;
}

/* The line is complete. true: there is a request now. */
static bool take_line(struct server *s, struct connection *c)
{
	struct err e = {0};
	json_t *request = NULL;
	if (server_parse(c->bytes, c->len, &request, &e) < 0) {
		start_writing(s, c, ask_error_document(EINVAL, &e));
		return false;
	}
	forget_bytes(c);
	c->request = request;
	c->id = ++s->last_id;
	c->phase = PHASE_OPEN;
	want_events(s, c, 0);
	arm_timer(s);
	return true;
}

/* Takes what is there, up to the end of a line. 1: the line is complete, 0: wait, -1: the client
 * sends nothing more. */
static int read_some(struct connection *c)
{
	char buf[4096];
	ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0)
		return -1;
	const char *end = memchr(buf, '\n', (size_t)n);
	size_t len = end ? (size_t)(end - buf) : (size_t)n;
	c->bytes = mem_grow(c->bytes, &c->room, c->len + len, 1);
	n = recv(c->fd, c->bytes + c->len, len + (end ? 1 : 0), MSG_DONTWAIT);
	if (n < 0)
		return -1;
	c->len += len;
	return end ? 1 : 0;
}

static bool on_readable(struct server *s, struct connection *c)
{
	int r = read_some(c);
	if (c->len > SERVER_REQUEST_MAX) {
		struct err e = {0};
		(void)err_set(&e, EINVAL, "a request of more than %d bytes", SERVER_REQUEST_MAX);
		c->last = true;
		start_writing(s, c, ask_error_document(EINVAL, &e));
		return false;
	}
	if (r == 0)
		return false;
	if (r < 0 && c->len == 0) {
		hang_up(s, c);
		return false;
	}
	c->last = r < 0; /* the end of what is sent ends a line as well */
	return take_line(s, c);
}

static bool on_connection(struct server *s, struct connection *c, uint32_t events)
{
	switch (c->phase) {
	case PHASE_READS:
		return on_readable(s, c);
	case PHASE_OPEN: /* only hanging up is told */
		hang_up(s, c);
		return false;
	case PHASE_WRITES:
		if (events & EPOLLOUT)
			go_on_writing(s, c);
		else
			hang_up(s, c);
		return false;
	case PHASE_FREE:
		break;
	}
	return false;
}

/* ---- Newcomers ---- */

static struct connection *find_free(struct server *s)
{
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++)
		if (s->connections[i].phase == PHASE_FREE)
			return &s->connections[i];
	return NULL;
}

/* One line that fits into any socket's buffer; then the caller closes. */
static void turn_away(int fd, int error, const char *sentence)
{
	struct err e = {0};
	(void)err_set(&e, error, "%s", sentence);
	CLEANUP_JSON json_t *doc = ask_error_document(error, &e);
	CLEANUP_FREE char *text = json_text(doc);
	size_t len = strlen(text);
	text[len] = '\n';
	(void)send(fd, text, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* who does not listen, loses */
}

/* Without a descriptor the newcomer stays in the queue, and would be told of for ever. */
static void pause_accepting(struct server *s)
{
	wait_change(&s->wait, s->listener.fd, 0, TOKEN_LISTENER);
	s->paused_ms = boot_now_ms() + PAUSE_MS;
	arm_timer(s);
}

/* Whether the connection has a place now; else the caller closes it. */
static bool let_in(struct server *s, int fd)
{
	if (!listener_may_ask(&s->listener, fd)) {
		turn_away(fd, EACCES, "only root and the agent's group may ask");
		return false;
	}
	struct connection *c = find_free(s);
	if (!c) {
		turn_away(fd, EAGAIN, "the agent has 64 connections already, try again");
		return false;
	}
	struct err ignored; /* out of kernel memory: the client sees a closed connection */
	if (wait_add(&s->wait, fd, EPOLLIN, (uint64_t)(c - s->connections), &ignored) < 0)
		return false;
	*c = (struct connection){.fd = fd};
	start_reading(s, c);
	return true;
}

static void on_newcomer(struct server *s)
{
	int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0 && !let_in(s, fd))
		(void)close(fd);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		pause_accepting(s);
}

static void end_what_is_late(struct server *s)
{
	int64_t now = boot_now_ms();
	if (now < s->next_ms)
		return;
	if (s->paused_ms <= now) {
		wait_change(&s->wait, s->listener.fd, EPOLLIN, TOKEN_LISTENER);
		s->paused_ms = WAIT_NEVER;
	}
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++) {
		struct connection *c = &s->connections[i];
		if (!has_deadline(c) || c->deadline_ms > now)
			continue;
		if (c->phase == PHASE_READS)
			turn_away(c->fd, EAGAIN, "no whole request came within 10 s");
		hang_up(s, c);
	}
	arm_timer(s);
}

/* ---- The interface ---- */

static int server_prepare(struct server *s, const char *path, const char *group, struct err *e)
{
	int r = wait_open(&s->wait, e);
	if (r == 0)
		r = listener_open(&s->listener, path, group ? group : "", SERVER_CONNECTIONS, e);
	return r == 0 ? wait_add(&s->wait, s->listener.fd, EPOLLIN, TOKEN_LISTENER, e) : r;
}

int server_open(struct server **out, const char *path, const char *group, struct err *e)
{
	struct server *s = mem_new(1, sizeof(*s));
	s->wait = (struct wait)WAIT_CLOSED;
	s->listener.fd = -1;
	s->paused_ms = s->next_ms = WAIT_NEVER;
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++)
		s->connections[i].fd = -1;
	int r = server_prepare(s, path, group, e);
	if (r < 0) {
		server_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void server_close(struct server *s)
{
	if (!s)
		return;
	listener_close(&s->listener);
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++) {
		mem_cleanup_fd(&s->connections[i].fd);
		forget_bytes(&s->connections[i]);
		json_decref(s->connections[i].request);
	}
	wait_close(&s->wait);
	free(s);
}

int server_fd(const struct server *s)
{
	return wait_fd(&s->wait);
}

/* One at a time, so that all get their turn. Asked twice, as the time may take the place of one. */
static bool next_event(struct server *s, struct epoll_event *out)
{
	bool found = false;
	for (int tries = 0; tries < 2 && !found; tries++)
		found = wait_ready(&s->wait, out, 1) == 1;
	return found;
}

bool server_next(struct server *s, uint64_t *id, const json_t **request)
{
	struct epoll_event event;
	end_what_is_late(s);
	for (int turn = 0; turn < TURNS && next_event(s, &event); turn++) {
		if (event.data.u64 == TOKEN_LISTENER) {
			on_newcomer(s);
			continue;
		}
		struct connection *c = &s->connections[event.data.u64];
		if (!on_connection(s, c, event.events))
			continue;
		*id = c->id;
		*request = c->request;
		return true;
	}
	return false;
}

static struct connection *find_open(struct server *s, uint64_t id)
{
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++)
		if (s->connections[i].phase == PHASE_OPEN && s->connections[i].id == id)
			return &s->connections[i];
	return NULL;
}

/* Who gets more than it can take gets an error instead. */
static json_t *within_bounds(json_t *answer)
{
	if (json_dumpb(answer, NULL, 0, JSON_COMPACT) < ASK_MAX_BYTES)
		return answer;
	json_decref(answer);
	struct err e = {0};
	(void)err_set(&e, EFBIG, "the answer is longer than %d bytes", ASK_MAX_BYTES);
	return ask_error_document(EFBIG, &e);
}

void server_answer(struct server *s, uint64_t id, json_t *answer)
{
	struct connection *c = find_open(s, id);
	if (!c) {
		json_decref(answer);
		return;
	}
	json_decref(c->request);
	c->request = NULL;
	c->id = 0;
	if (c->fd >= 0) {
		start_writing(s, c, within_bounds(answer));
		return;
	}
	json_decref(answer);
	c->phase = PHASE_FREE;
}

void server_refuse(struct server *s, uint64_t id, int error, const struct err *e)
{
	server_answer(s, id, ask_error_document(error, e));
}
