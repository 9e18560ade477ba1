/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection to BIRD, as a small state machine that never waits:
 *
 *	AWAY      not connected; the timer says when to try again
 *	GREETING  connected; BIRD owes us its greeting (code 0001)
 *	READY     may be asked
 *	ASKED     a command is on its way out or its reply on its way in; the timer bounds both
 *
 * One descriptor stands for the socket and the timer (lib/wait.h), so that the agent's loop watches
 * one number for ever. bird_ctl_next() does what can be done and comes back.
 *
 * A socket nobody listens at is tried each second at the latest: that costs nothing, and a BIRD
 * that starts shall not wait for us. One that accepts but says nothing (BIRD stopped, or another
 * program) is tried up to 10 s apart, as each attempt takes a place in its queue until it wakes
 * up. After a reply that did not come in time or was none, the connection is closed: whatever
 * arrived later could not be told from the reply to the next command.
 */
#include "agent/bird/ctl.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/bird/reply.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/wait.h"

#define COMMAND_MAX 1024   /* BIRD reads lines of 4096 bytes at most */
#define GREETING_MS 5000   /* BIRD greets at once, unless it is busy with a large configuration */
#define RETRY_MIN_MS 100   /* the first attempt again; doubled each time */
#define RETRY_GONE_MS 1000 /* nobody listens: at most so far apart */
#define RETRY_MUTE_MS 10000

enum state { AWAY, GREETING, READY, ASKED };

struct bird_ctl {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct wait wait;
	int sock; /* -1: none */
	enum state state;
	int64_t until_ms; /* READY: WAIT_NEVER; AWAY: next attempt; GREETING, ASKED: deadline */
	unsigned int retry_ms;
	unsigned int timeout_ms; /* of the command under way */
	char command[COMMAND_MAX];
	size_t unsent; /* bytes of it, from its end */
	bool wants_out;
	char input[16384];
	size_t in_at, in_len; /* what of it is not read yet */
	struct bird_reply reply;
	char why[256]; /* the connection ended */
};

static void set_time(struct bird_ctl *b, int64_t until_ms)
{
	b->until_ms = until_ms;
	wait_at(&b->wait, until_ms);
}

static bool is_late(const struct bird_ctl *b)
{
	return boot_now_ms() >= b->until_ms;
}

int bird_ctl_open(struct bird_ctl **out, const char *socket_path, struct err *e)
{
	struct bird_ctl *b = mem_new(1, sizeof(*b));
	b->wait = (struct wait)WAIT_CLOSED;
	b->sock = -1;
	b->retry_ms = RETRY_MIN_MS;
	bird_reply_init(&b->reply);
	int r = wait_open(&b->wait, e);
	if (r == 0 && (*socket_path == '\0' || !text_copy(b->path, sizeof(b->path), socket_path)))
		r = err_set(e, ENAMETOOLONG,
			"\"%.150s\" is not a usable path of a socket (%zu bytes at most)",
			socket_path, sizeof(b->path) - 1);
	if (r < 0) {
		bird_ctl_close(b);
		return r;
	}
	set_time(b, 0);
	*out = b;
	return 0;
}

void bird_ctl_close(struct bird_ctl *b)
{
	if (!b)
		return;
	mem_cleanup_fd(&b->sock);
	wait_close(&b->wait);
	bird_reply_done(&b->reply);
	free(b);
}

int bird_ctl_fd(const struct bird_ctl *b)
{
	return wait_fd(&b->wait);
}

bool bird_ctl_is_busy(const struct bird_ctl *b)
{
	return b->state == ASKED;
}

/* Ends the connection, says why, and plans the next attempt. */
__attribute__((format(printf, 4, 5))) static bool disconnect(struct bird_ctl *b,
	unsigned int longest_ms, struct bird_ctl_event *out, const char *why, ...)
{
	va_list args;
	va_start(args, why);
	(void)vsnprintf(b->why, sizeof(b->why), why, args);
	va_end(args);
	mem_cleanup_fd(&b->sock); /* which takes it out of the set */
	b->sock = -1;
	b->state = AWAY;
	b->unsent = 0;
	b->in_at = b->in_len = 0;
	bird_reply_done(&b->reply);
	if (b->retry_ms > longest_ms)
		b->retry_ms = longest_ms;
	set_time(b, boot_now_ms() + b->retry_ms);
	b->retry_ms *= 2;
	*out = (struct bird_ctl_event){.kind = BIRD_CTL_DOWN, .text = b->why};
	return true;
}

static bool connect_socket(struct bird_ctl *b, struct bird_ctl_event *out)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	(void)text_copy(addr.sun_path, sizeof(addr.sun_path), b->path);
	b->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (b->sock < 0 || connect(b->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		wait_add(&b->wait, b->sock, EPOLLIN, 0, &(struct err){0}) < 0) {
		int error = errno;
		/* The queue of a unix socket is full: nobody accepts. */
		return disconnect(b, error == EAGAIN ? RETRY_MUTE_MS : RETRY_GONE_MS, out,
			"cannot reach BIRD at %s: %s", b->path,
			error == EAGAIN ? "it does not answer" : strerror(error));
	}
	b->state = GREETING;
	b->wants_out = false;
	set_time(b, boot_now_ms() + GREETING_MS);
	return false;
}

/* Waits for room in the socket only while there is something to send. */
static void watch_out(struct bird_ctl *b)
{
	bool wants = b->unsent > 0;
	if (wants == b->wants_out)
		return;
	b->wants_out = wants;
	wait_change(&b->wait, b->sock, EPOLLIN | (wants ? EPOLLOUT : 0), 0);
}

/* An error shows up as the end of the input, too, and is handled there. */
static void send_more(struct bird_ctl *b)
{
	size_t len = strlen(b->command);
	while (b->unsent > 0) {
		ssize_t n = send(b->sock, b->command + len - b->unsent, b->unsent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		b->unsent -= (size_t)n;
	}
	watch_out(b);
}

void bird_ctl_send(struct bird_ctl *b, const char *command, unsigned int timeout_ms)
{
	assert(b->state == READY);
	int len = snprintf(b->command, sizeof(b->command), "%s\n", command);
	assert(len > 1 && (size_t)len < sizeof(b->command));
	b->unsent = (size_t)len;
	b->state = ASKED;
	b->timeout_ms = timeout_ms;
	set_time(b, boot_now_ms() + timeout_ms);
	send_more(b);
}

/* r is of bird_reply_feed(): a whole reply, of what was waited for or of nothing that BIRD would
 * say. */
static bool hand_out_reply(struct bird_ctl *b, int r, struct bird_ctl_event *out)
{
	bool greets = b->state == GREETING && b->reply.code == 1;
	if (r < 0 || (!greets && (b->state != ASKED || b->unsent > 0)))
		return disconnect(b, RETRY_MUTE_MS, out, "%s does not speak as BIRD does", b->path);
	*out = (struct bird_ctl_event){
		.kind = greets ? BIRD_CTL_UP : BIRD_CTL_REPLY,
		.code = b->reply.code,
		.text = b->reply.text,
	};
	b->state = READY;
	if (!greets) /* a greeting alone proves little: one may greet and hang up */
		b->retry_ms = RETRY_MIN_MS;
	set_time(b, WAIT_NEVER);
	return true;
}

/* What is in the buffer, up to a whole reply. */
static bool read_buffered(struct bird_ctl *b, struct bird_ctl_event *out)
{
	while (b->in_at < b->in_len) {
		size_t used = 0;
		int r = bird_reply_feed(
			&b->reply, b->input + b->in_at, b->in_len - b->in_at, &used);
		b->in_at += used;
		if (r != 0)
			return hand_out_reply(b, r, out);
	}
	return false;
}

/* Rounds are bounded, so that one who sends for ever does not keep the agent: the descriptor stays
 * readable. */
static bool read_socket(struct bird_ctl *b, struct bird_ctl_event *out)
{
	if (read_buffered(b, out))
		return true;
	for (int rounds = 0; rounds < 64; rounds++) {
		ssize_t n = recv(b->sock, b->input, sizeof(b->input), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			return disconnect(b, b->state == GREETING ? RETRY_MUTE_MS : RETRY_GONE_MS,
				out, "BIRD at %s closed the connection%s%s", b->path,
				n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
		b->in_at = 0;
		b->in_len = (size_t)n;
		if (read_buffered(b, out))
			return true;
	}
	return false;
}

static bool time_out(struct bird_ctl *b, struct bird_ctl_event *out)
{
	if (b->state == GREETING)
		return disconnect(
			b, RETRY_MUTE_MS, out, "BIRD at %s accepts but says nothing", b->path);
	return disconnect(b, RETRY_MUTE_MS, out, "BIRD at %s gave no answer to \"%.*s\" in %u ms",
		b->path, (int)strcspn(b->command, "\n"), b->command, b->timeout_ms);
}

bool bird_ctl_next(struct bird_ctl *b, struct bird_ctl_event *out)
{
	if (b->state == AWAY) {
		if (!is_late(b)) {
			wait_at(&b->wait, b->until_ms);
			return false;
		}
		if (connect_socket(b, out))
			return true;
	}
	send_more(b);
	if (read_socket(b, out))
		return true;
	if ((b->state == GREETING || b->state == ASKED) && is_late(b))
		return time_out(b, out);
	return false;
}
