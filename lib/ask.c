/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asking side of the agent's socket. One deadline spans connecting, sending and waiting for the
 * answer; every wait is a poll() for what is left of it, so neither an agent that is stopped nor
 * one that answers a byte a second holds us longer than that.
 *
 * An agent that refuses a connection says so in a line and closes, perhaps before it has read
 * anything: when sending meets a closed connection the answer is looked for all the same.
 *
 * The agent is root's, but its answer crosses a socket whose path came from a configuration, so it
 * is read as any stranger's document: bounded, and cleaned where it becomes a sentence.
 */
#include "lib/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define PART 4096   /* bytes of an answer that are read at once */
#define RETRY_MS 20 /* the agent's queue of new connections is full */

struct asking {
	const char *path;
	int fd;
	unsigned int timeout_ms;
	int64_t end_ms;
};

static int timed_out(const struct asking *a, struct err *e)
{
	return err_set(e, ETIMEDOUT, "the agent at %.200s did not answer within %u ms", a->path,
		a->timeout_ms);
}

/* Waits for events; the descriptor of nothing (-1) just waits. limit_ms bounds one wait. */
static int wait_for(const struct asking *a, int fd, short events, int64_t limit_ms, struct err *e)
{
	int64_t left_ms = a->end_ms - boot_now_ms();
	if (left_ms <= 0)
		return timed_out(a, e);
	left_ms = left_ms > limit_ms ? limit_ms : left_ms;
	struct pollfd p = {.fd = fd, .events = events};
	if (poll(&p, 1, (int)left_ms) < 0 && errno != EINTR)
		return err_set(e, errno, "cannot wait for the agent: %s", strerror(errno));
	return 0;
}

static int explain_connect(const struct asking *a, int error, struct err *e)
{
	if (error == ENOENT || error == ECONNREFUSED)
		return err_set(e, ECONNREFUSED, "no agent listens at %.200s", a->path);
	return err_set(e, error, "cannot ask the agent at %.200s: %s", a->path, strerror(error));
}

static int connect_to(struct asking *a, struct err *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (*a->path == '\0' || !text_copy(address.sun_path, sizeof(address.sun_path), a->path))
		return err_set(e, EINVAL, "\"%.200s\" is no path of a socket: %s", a->path,
			*a->path ? "longer than 107 bytes" : "empty");
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return err_set(e, errno, "cannot make a socket: %s", strerror(errno));
	while (connect(a->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return explain_connect(a, errno, e);
		int r = wait_for(a, -1, 0, RETRY_MS, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_all(const struct asking *a, const char *bytes, size_t len, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(a->fd, bytes + done, len - done, MSG_NOSIGNAL);
		if (n >= 0) {
			done += (size_t)n;
			continue;
		}
		if (errno == EPIPE || errno == ECONNRESET)
			return 0; /* it may have said why */
		if (errno != EAGAIN && errno != EINTR)
			return err_set(e, errno, "cannot send to the agent: %s", strerror(errno));
		int r = wait_for(a, a->fd, POLLOUT, INT32_MAX, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int send_request(const struct asking *a, const json_t *request, struct err *e)
{
	CLEANUP_FREE char *text = json_text(request);
	size_t len = strlen(text);
	text[len] = '\n'; /* in the place of the terminator */
	return send_all(a, text, len + 1, e);
}

/* One line, without its end, in heap memory. */
static int read_line(const struct asking *a, char **out, size_t *len, struct err *e)
{
	CLEANUP_TEXT struct text t = {0};
	for (const char *end = NULL; !end;) {
		char *at = text_reserve(&t, PART);
		ssize_t n = recv(a->fd, at, PART, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			int r = wait_for(a, a->fd, POLLIN, INT32_MAX, e);
			if (r < 0)
				return r;
			continue;
		}
		if (n <= 0)
			return err_set(e, ECONNREFUSED,
				"the agent at %.200s closed the connection without an answer",
				a->path);
		end = memchr(at, '\n', (size_t)n);
		t.len += end ? (size_t)(end - at) : (size_t)n;
		if (t.len > ASK_MAX_BYTES)
			return err_set(e, EPROTO, "the answer of the agent is longer than %d bytes",
				ASK_MAX_BYTES);
	}
	*len = t.len;
	*out = text_take(&t);
	return 0;
}

/* What an error document can name; all else is EPROTO. */
static const struct {
	const char *name;
	int number;
} errors[] = {
	{"EAGAIN", EAGAIN},
	{"EINVAL", EINVAL},
	{"EBUSY", EBUSY},
	{"ENOENT", ENOENT},
	{"EACCES", EACCES},
};

static int errno_of(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(name, errors[i].name) == 0)
			return errors[i].number;
	return EPROTO;
}

json_t *ask_error_document(int error, const struct err *e)
{
	const char *name = "EPROTO";
	char text[sizeof(e->text)], details[sizeof(e->details)];
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].number == error || errors[i].number == -error)
			name = errors[i].name;
	(void)json_clean(text, sizeof(text), e->text);
	(void)json_clean(details, sizeof(details), e->details);
	return json_pack("{ssssss}", "error", text, "errno", name, "details", details);
}

/* The error that a document is; 0 when it is an answer. */
static int read_error(const json_t *doc, struct err *e)
{
	const json_t *error = json_object_get(doc, "error");
	if (!json_is_string(error))
		return error ? err_set(e, EPROTO,
				       "the agent answered with an error of no known form")
			     : 0;
	const char *name = json_string_value(json_object_get(doc, "errno"));
	const char *details = json_string_value(json_object_get(doc, "details"));
	char text[sizeof(e->text)];
	(void)json_clean(text, sizeof(text), json_string_value(error));
	int r = err_set(e, errno_of(name ? name : ""), "%s", text);
	if (details)
		(void)json_clean(e->details, sizeof(e->details), details);
	return r;
}

static int read_answer(const struct asking *a, json_t **answer, struct err *e)
{
	CLEANUP_FREE char *line = NULL;
	size_t len = 0;
	int r = read_line(a, &line, &len, e);
	if (r < 0)
		return r;
	CLEANUP_JSON json_t *doc = NULL;
	if (json_parse(line, len, &doc, e) < 0 || !json_is_object(doc)) {
		(void)err_set(e, EPROTO,
			"the agent at %.200s answered with something else than a "
			"JSON object",
			a->path);
		return -EPROTO;
	}
	r = read_error(doc, e);
	if (r == 0)
		*answer = json_incref(doc);
	return r;
}

int ask(const char *socket_path, const json_t *request, unsigned int timeout_ms, json_t **answer,
	struct err *e)
{
	struct asking a = {
		.path = socket_path,
		.fd = -1,
		.timeout_ms = timeout_ms,
		.end_ms = boot_now_ms() + timeout_ms,
	};
	int r = connect_to(&a, e);
	if (r == 0)
		r = send_request(&a, request, e);
	if (r == 0)
		r = read_answer(&a, answer, e);
	mem_cleanup_fd(&a.fd);
	return r;
}
