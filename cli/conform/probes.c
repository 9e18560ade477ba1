/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking with the probes. A loop over one wait: requests go out as far as the window allows, answers
 * come in any order and are matched by id, everything has a deadline.
 *
 * A probe runs on a host that may be broken in any way, at the end of a line that may be, too: that is
 * why one runs the suite. So a probe that breaks the protocol in any way (a line that is no answer,
 * an answer to nothing, silence beyond the deadline, its end) is given up as a whole: its pipes are
 * closed, which ends a sound one cleanly, its calls are LOST, the others go on. Nothing it says
 * grows without bound: lines have a limit, of stderr the end is kept.
 *
 * Ids go up over the whole run; answers to calls that were LOST by an interruption may come late
 * and are passed over.
 */
#include "cli/conform/probes.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "cli/output.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define END_MS 250000	   /* a DEL of each pod takes 30 s at most */
#define EXIT_MS 5000	   /* from the end of its stdin to its end */
#define LAST_WORDS_MS 1000 /* from the end of its stdout to its end */
#define SAID_MAX 1023	   /* bytes of its stderr that are kept */
#define EVENTS 64

/* Tokens of the wait: of the descriptors of a probe, and of the signals. */
enum fd_of { FOR_IN, FOR_OUT, FOR_ERRORS, FDS };
#define SIGNALS (UINT64_MAX - 1)

struct conform_call *conform_calls_add(
	struct conform_calls *c, size_t probe, json_t *request, int timeout_ms)
{
	c->list = mem_grow(c->list, &c->room, c->n, sizeof(*c->list));
	c->list[c->n] =
		(struct conform_call){.probe = probe, .request = request, .timeout_ms = timeout_ms};
	return &c->list[c->n++];
}

const char *conform_call_why(const struct conform_call *c, const struct err *e)
{
	return c->result == CONFORM_ANSWERED ? e->text : c->problem;
}

void conform_calls_done(struct conform_calls *c)
{
	for (size_t i = 0; i < c->n; i++) {
		json_decref(c->list[i].request);
		json_decref(c->list[i].answer);
	}
	free(c->list);
	*c = (struct conform_calls){0};
}

static uint64_t token_of(const struct conform_probe *r, enum fd_of of)
{
	return FDS * r->index + of;
}

/* ---- What it says on stderr, and its end ---- */

/* Closing takes it out of the wait. */
static void close_fd(int *fd)
{
	mem_cleanup_fd(fd);
	*fd = -1;
}

/* Keeps the end. */
static void read_errors(struct conform_probe *r)
{
	char buf[512];
	for (;;) {
		ssize_t n = r->child.errors < 0 ? 0 : read(r->child.errors, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			close_fd(&r->child.errors);
		if (n <= 0)
			return;
		text_add_bytes(&r->said, buf, (size_t)n);
		if (r->said.len > SAID_MAX)
			text_drop(&r->said, r->said.len - SAID_MAX);
	}
}

/* The last lines of stderr, in one line. */
static void add_said(struct conform_probe *r, struct text *t)
{
	char clean[400];
	read_errors(r);
	size_t len = r->said.len;
	while (len && strchr("\r\n ", r->said.buf[len - 1]))
		r->said.buf[--len] = '\0';
	if (!len)
		return;
	for (char *c = r->said.buf; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	size_t skip = len > 390 ? len - 390 : 0;
	output_clean(clean, sizeof(clean), r->said.buf + skip);
	text_add(t, "; it said: %s%s", skip ? "..." : "", clean);
}

static void call_lose(struct conform_call *c, const char *problem)
{
	c->result = CONFORM_LOST;
	(void)text_copy(c->problem, sizeof(c->problem), problem);
}

/* No more of this one; sentence is what it did: "gave no answer to look in 20 s". */
static void give_up(struct conform_probe *r, const char *sentence)
{
	struct text t = TEXT_ON(r->problem);
	text_add(&t, "the probe of %s %s", r->name, sentence);
	add_said(r, &t);
	r->gone = true;
	text_free(&r->out);
	close_fd(&r->child.in);
	close_fd(&r->child.out); /* so that one that writes without end stops, too */
	for (size_t i = 0; i < r->n_flying; i++)
		call_lose(r->flying[i], r->problem);
	r->n_flying = 0;
}

/* Its stdout has ended, so will it. */
static void hear_end(struct conform_probe *r)
{
	char sentence[96] = "closed its stdout";
	int status = 0;
	struct pollfd p = {.fd = r->child.pidfd, .events = POLLIN};
	close_fd(&r->child.out);
	(void)poll(&p, 1, LAST_WORDS_MS);
	if (exec_child_has_ended(&r->child, &status) && WIFSIGNALED(status))
		(void)snprintf(
			sentence, sizeof(sentence), "was killed by signal %d", WTERMSIG(status));
	else if (r->child.pid == 0)
		(void)snprintf(
			sentence, sizeof(sentence), "ended with status %d", WEXITSTATUS(status));
	if (!r->gone)
		give_up(r, sentence);
}

/* ---- Answers ---- */

static struct conform_call *take_flying(struct conform_probe *r, uint64_t id)
{
	for (size_t i = 0; i < r->n_flying; i++) {
		struct conform_call *c = r->flying[i];
		if (c->id != id)
			continue;
		r->flying[i] = r->flying[--r->n_flying];
		return c;
	}
	return NULL;
}

static void set_refused(struct conform_call *c, const json_t *doc)
{
	const char *error = json_string_value(json_object_get(doc, "error"));
	const char *details = json_string_value(json_object_get(doc, "details"));
	char text[300], more[240] = "";
	output_clean(text, sizeof(text), error ? error : "refused without a reason");
	if (details)
		output_clean(more, sizeof(more), details);
	c->result = CONFORM_REFUSED;
	(void)snprintf(c->problem, sizeof(c->problem), "%s%s%s%s", text, *more ? " (" : "", more,
		*more ? ")" : "");
}

/* One line of a probe. */
static void take_line(
	struct conform_probes *probes, struct conform_probe *r, const char *line, size_t len)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e = {0};
	int64_t id = -1;
	bool ok = false;
	char start[80], sentence[200];
	int found = json_parse(line, len, &doc, &e);
	if (found >= 0)
		found = json_is_object(doc) ? 0 : -EBADMSG;
	if (found >= 0)
		found = json_get_number(doc, "", "id", 0, INT64_MAX, &id, &e);
	if (found > 0 && (uint64_t)id < probes->first_id)
		return;
	struct conform_call *c = found > 0 ? take_flying(r, (uint64_t)id) : NULL;
	if (!c || json_get_bool(doc, "", "ok", &ok, &e) < 0) {
		output_clean(start, sizeof(start), line);
		(void)snprintf(sentence, sizeof(sentence), "said what is no answer: %s", start);
		if (c)
			call_lose(c, "its answer could not be read");
		give_up(r, sentence);
		return;
	}
	conform_progress_step(probes->progress);
	if (!ok) {
		set_refused(c, doc);
		return;
	}
	c->result = CONFORM_ANSWERED;
	c->answer = json_incref(doc);
}

static void take_lines(struct conform_probes *probes, struct conform_probe *r)
{
	while (!r->gone) {
		char *line = NULL;
		size_t len = 0;
		struct err e = {0};
		int found = line_next(&r->line, &line, &len, &e);
		if (found < 0)
			give_up(r, "said a line that is too long");
		if (found <= 0)
			return;
		take_line(probes, r, line, len);
		free(line);
	}
}

/* One piece, so that no probe can keep us from the others. */
static void read_answers(struct conform_probes *probes, struct conform_probe *r)
{
	size_t room = 0;
	char *space = line_space(&r->line, &room);
	ssize_t n = read(r->child.out, space, room);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		hear_end(r);
		return;
	}
	line_filled(&r->line, (size_t)n);
	take_lines(probes, r);
}

/* ---- Requests ---- */

static void write_requests(struct conform_probe *r)
{
	ssize_t n = 0;
	while (r->out.len && (n = write(r->child.in, r->out.buf, r->out.len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		text_drop(&r->out, (size_t)n);
	}
	if (n < 0 && errno != EAGAIN)
		close_fd(&r->child.in); /* its stdout will end, too */
	if (r->child.in < 0)
		text_free(&r->out);
	if ((r->out.len > 0) == r->out_waits)
		return;
	r->out_waits = r->out.len > 0;
	if (r->child.in >= 0)
		wait_change(r->wait, r->child.in, r->out_waits ? EPOLLOUT : 0, token_of(r, FOR_IN));
}

static void send_call(
	struct conform_probes *probes, struct conform_probe *r, struct conform_call *c)
{
	c->id = probes->next_id++;
	c->end_ms = boot_now_ms() + c->timeout_ms;
	json_put(c->request, "id", json_integer((json_int_t)c->id));
	CLEANUP_FREE char *text = json_text(c->request);
	text_add(&r->out, "%s\n", text);
	r->flying[r->n_flying++] = c;
}

/* Fills the window of a probe. Returns whether some of its calls are not over. */
static bool probe_feed(
	struct conform_probes *probes, size_t index, struct conform_calls *calls, size_t window)
{
	struct conform_probe *r = &probes->list[index];
	for (; r->cursor < calls->n; r->cursor++) {
		struct conform_call *c = &calls->list[r->cursor];
		if (c->probe != index || c->result != CONFORM_WAITING)
			continue;
		if (r->gone) {
			call_lose(c, r->problem);
			conform_progress_step(probes->progress);
			continue;
		}
		if (r->n_flying >= window)
			break;
		send_call(probes, r, c);
	}
	write_requests(r);
	return r->n_flying > 0 || r->cursor < calls->n;
}

static void check_deadlines(struct conform_probe *r, int64_t now)
{
	for (size_t i = 0; i < r->n_flying; i++) {
		const struct conform_call *c = r->flying[i];
		if (c->end_ms > now)
			continue;
		char sentence[96];
		(void)snprintf(sentence, sizeof(sentence), "gave no answer to %.20s in %d s",
			json_string_value(json_object_get(c->request, "op")), c->timeout_ms / 1000);
		give_up(r, sentence);
		return;
	}
}

/* ---- The loop ---- */

static void take_signal(struct conform_probes *probes)
{
	struct signalfd_siginfo info;
	while (read(probes->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		probes->interrupted = true;
}

static void take_event(struct conform_probes *probes, const struct epoll_event *event)
{
	if (event->data.u64 == SIGNALS) {
		take_signal(probes);
		return;
	}
	struct conform_probe *r = &probes->list[event->data.u64 / FDS];
	enum fd_of of = event->data.u64 % FDS;
	if (of == FOR_ERRORS)
		read_errors(r);
	else if (of == FOR_OUT && r->child.out >= 0)
		read_answers(probes, r);
	else if (of == FOR_IN && event->events & (EPOLLERR | EPOLLHUP))
		close_fd(&r->child.in);
	else if (of == FOR_IN)
		write_requests(r);
}

/* Waits for something to happen, until end_ms at most, and sees to it. */
static void wait_once(struct conform_probes *probes, int64_t end_ms)
{
	struct epoll_event events[EVENTS];
	for (size_t i = 0; i < probes->n; i++)
		for (size_t k = 0; k < probes->list[i].n_flying; k++)
			if (probes->list[i].flying[k]->end_ms < end_ms)
				end_ms = probes->list[i].flying[k]->end_ms;
	wait_at(&probes->wait, end_ms);
	wait_block(&probes->wait);
	int n = wait_ready(&probes->wait, events, EVENTS);
	for (int i = 0; i < n; i++)
		take_event(probes, &events[i]);
	for (size_t i = 0; i < probes->n; i++)
		check_deadlines(&probes->list[i], boot_now_ms());
}

static void drop_rest(struct conform_probes *probes, struct conform_calls *calls)
{
	for (size_t i = 0; i < probes->n; i++)
		probes->list[i].n_flying = 0;
	for (size_t i = 0; i < calls->n; i++)
		if (calls->list[i].result == CONFORM_WAITING)
			call_lose(&calls->list[i], "the run was interrupted");
}

int conform_probes_run(
	struct conform_probes *probes, struct conform_calls *calls, size_t window, const char *what)
{
	bool more = calls->n > 0;
	window = window < CONFORM_WINDOW ? window : CONFORM_WINDOW;
	probes->first_id = probes->next_id;
	for (size_t i = 0; i < probes->n; i++)
		probes->list[i].cursor = 0;
	conform_progress_begin(probes->progress, what, calls->n);
	while (more && !probes->interrupted) {
		more = false;
		for (size_t i = 0; i < probes->n; i++)
			more = probe_feed(probes, i, calls, window) || more;
		if (more)
			wait_once(probes, WAIT_NEVER);
	}
	drop_rest(probes, calls);
	return probes->interrupted ? -EINTR : 0;
}

int conform_probes_pause(struct conform_probes *probes, int ms)
{
	int64_t end = boot_now_ms() + ms;
	while (!probes->interrupted && boot_now_ms() < end)
		wait_once(probes, end);
	return probes->interrupted ? -EINTR : 0;
}

/* ---- Beginning and end ---- */

int conform_probes_open(
	struct conform_probes *c, size_t n, struct conform_progress *progress, struct err *e)
{
	sigset_t set;
	*c = (struct conform_probes)CONFORM_PROBES_CLOSED;
	c->n = n;
	c->next_id = 1;
	c->progress = progress;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	c->list = mem_new(n, sizeof(*c->list));
	for (size_t i = 0; i < n; i++)
		c->list[i] = (struct conform_probe){
			.wait = &c->wait,
			.index = i,
			.child = {.pidfd = -1, .in = -1, .out = -1, .errors = -1},
		};
	int r = wait_open(&c->wait, e);
	if (r < 0)
		return r;
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals < 0 ? err_set(e, errno, "cannot watch signals: %s", strerror(errno))
			      : wait_add(&c->wait, c->signals, EPOLLIN, SIGNALS, e);
}

void conform_probes_start(
	struct conform_probes *c, size_t i, const char *name, const char *const *arguments)
{
	struct conform_probe *r = &c->list[i];
	struct err e = {0};
	output_clean(r->name, sizeof(r->name), name);
	int started = exec_child_start(arguments, &r->child, &e);
	if (started == 0)
		started = wait_add(r->wait, r->child.in, 0, token_of(r, FOR_IN), &e);
	if (started == 0)
		started = wait_add(r->wait, r->child.out, EPOLLIN, token_of(r, FOR_OUT), &e);
	if (started == 0)
		started = wait_add(r->wait, r->child.errors, EPOLLIN, token_of(r, FOR_ERRORS), &e);
	if (started == 0)
		return;
	char sentence[300];
	(void)snprintf(sentence, sizeof(sentence), "cannot be started: %.250s", e.text);
	give_up(r, sentence);
}

static bool is_all_over(struct conform_probes *c)
{
	int status = 0;
	bool over = true;
	for (size_t i = 0; i < c->n; i++)
		over = exec_child_has_ended(&c->list[i].child, &status) && over;
	return over;
}

void conform_probes_end(struct conform_probes *c, struct conform_calls *calls)
{
	c->interrupted = false;
	for (size_t i = 0; i < c->n; i++)
		if (!c->list[i].gone)
			(void)conform_calls_add(calls, i, json_pack("{s:s}", "op", "end"), END_MS);
	(void)conform_probes_run(c, calls, 1, "ending the probes");
	for (size_t i = 0; i < c->n; i++)
		close_fd(&c->list[i].child.in);
	int64_t end = boot_now_ms() + EXIT_MS;
	while (!c->interrupted && !is_all_over(c) && boot_now_ms() < end)
		(void)conform_probes_pause(c, 20);
	conform_progress_clear(c->progress);
}

void conform_probes_close(struct conform_probes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct conform_probe *r = &c->list[i];
		exec_child_done(&r->child);
		line_done(&r->line);
		text_free(&r->out);
		text_free(&r->said);
	}
	free(c->list);
	mem_cleanup_fd(&c->signals);
	wait_close(&c->wait);
	*c = (struct conform_probes)CONFORM_PROBES_CLOSED;
}
