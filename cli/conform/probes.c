/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking with the probes. A loop over poll(): requests go out as far as the window allows, answers
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

#define MS 1000000u
#define END_MS 250000	   /* a DEL of each pod takes 30 s at most */
#define EXIT_MS 5000	   /* from the end of its stdin to its end */
#define LAST_WORDS_MS 1000 /* from the end of its stdout to its end */
#define SPAN_MAX_MS 1000   /* the loop looks at the clock at least so often */

struct conform_call *conform_calls_add(
	struct conform_calls *c, size_t probe, json_t *request, int timeout_ms)
{
	c->list = mem_grow(c->list, &c->room, c->n, sizeof(*c->list));
	c->list[c->n] =
		(struct conform_call){.probe = probe, .request = request, .timeout_ms = timeout_ms};
	return &c->list[c->n++];
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

/* ---- What it says on stderr, and its end ---- */

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
		size_t room = sizeof(r->said) - 1;
		size_t over = r->said_len + (size_t)n > room ? r->said_len + (size_t)n - room : 0;
		memmove(r->said, r->said + over, r->said_len - over);
		memcpy(r->said + r->said_len - over, buf, (size_t)n);
		r->said_len += (size_t)n - over;
	}
}

/* The last lines of stderr, in one line. */
static void add_said(struct conform_probe *r, struct text *t)
{
	char clean[400];
	read_errors(r);
	while (r->said_len && strchr("\r\n ", r->said[r->said_len - 1]))
		r->said_len--;
	r->said[r->said_len] = '\0';
	if (!r->said_len)
		return;
	for (char *c = r->said; *c; c++)
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	size_t skip = r->said_len > 390 ? r->said_len - 390 : 0;
	output_clean(clean, sizeof(clean), r->said + skip);
	text_add(t, "; it said: %s%s", skip ? "..." : "", clean);
}

static void lose(struct conform_call *c, const char *problem)
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
	r->out_len = 0;
	close_fd(&r->child.in);
	close_fd(&r->child.out); /* so that one that writes without end stops, too */
	for (size_t i = 0; i < r->n_flying; i++)
		lose(r->flying[i], r->problem);
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
			lose(c, "its answer could not be read");
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
	while (r->out_len && !r->gone) {
		ssize_t n = write(r->child.in, r->out, r->out_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			r->out_len = 0; /* its stdout will end, too */
			return;
		}
		memmove(r->out, r->out + n, r->out_len - (size_t)n);
		r->out_len -= (size_t)n;
	}
}

static void send_call(
	struct conform_probes *probes, struct conform_probe *r, struct conform_call *c)
{
	c->id = probes->next_id++;
	c->end_ns = boot_now_ns() + (uint64_t)c->timeout_ms * MS;
	json_put(c->request, "id", json_integer((json_int_t)c->id));
	CLEANUP_FREE char *text = json_text(c->request);
	size_t len = strlen(text);
	r->out = mem_grow(r->out, &r->out_room, r->out_len + len + 1, 1);
	memcpy(r->out + r->out_len, text, len);
	r->out[r->out_len + len] = '\n';
	r->out_len += len + 1;
	r->flying[r->n_flying++] = c;
}

/* Fills the window of a probe. Returns whether some of its calls are not over. */
static bool feed(
	struct conform_probes *probes, size_t index, struct conform_calls *calls, size_t window)
{
	struct conform_probe *r = &probes->list[index];
	for (; r->cursor < calls->n; r->cursor++) {
		struct conform_call *c = &calls->list[r->cursor];
		if (c->probe != index || c->result != CONFORM_WAITING)
			continue;
		if (r->gone) {
			lose(c, r->problem);
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

static void check_deadlines(struct conform_probe *r, uint64_t now)
{
	for (size_t i = 0; i < r->n_flying; i++) {
		const struct conform_call *c = r->flying[i];
		if (c->end_ns > now)
			continue;
		char sentence[96];
		(void)snprintf(sentence, sizeof(sentence), "gave no answer to %.20s in %d s",
			json_string_value(json_object_get(c->request, "op")), c->timeout_ms / 1000);
		give_up(r, sentence);
		return;
	}
}

/* ---- The loop ---- */

static int span_ms(const struct conform_probes *probes, uint64_t now, uint64_t end)
{
	for (size_t i = 0; i < probes->n; i++)
		for (size_t k = 0; k < probes->list[i].n_flying; k++)
			if (probes->list[i].flying[k]->end_ns < end)
				end = probes->list[i].flying[k]->end_ns;
	if (end <= now)
		return 0;
	return end - now > (uint64_t)SPAN_MAX_MS * MS ? SPAN_MAX_MS : (int)((end - now) / MS) + 1;
}

static void take_signal(struct conform_probes *probes)
{
	struct signalfd_siginfo info;
	while (read(probes->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		probes->interrupted = true;
}

/* Waits for something to happen, until end_ns at most, and sees to it. */
static void wait_once(struct conform_probes *probes, uint64_t end_ns)
{
	CLEANUP_FREE struct pollfd *fds = mem_new(probes->n * 3 + 1, sizeof(*fds));
	uint64_t now = boot_now_ns();
	for (size_t i = 0; i < probes->n; i++) {
		const struct conform_probe *r = &probes->list[i];
		fds[3 * i] =
			(struct pollfd){.fd = r->out_len ? r->child.in : -1, .events = POLLOUT};
		fds[3 * i + 1] =
			(struct pollfd){.fd = r->gone ? -1 : r->child.out, .events = POLLIN};
		fds[3 * i + 2] = (struct pollfd){.fd = r->child.errors, .events = POLLIN};
	}
	fds[3 * probes->n] = (struct pollfd){.fd = probes->signals, .events = POLLIN};
	if (poll(fds, 3 * probes->n + 1, span_ms(probes, now, end_ns)) < 0)
		return;
	for (size_t i = 0; i < probes->n; i++) {
		struct conform_probe *r = &probes->list[i];
		if (fds[3 * i + 2].revents)
			read_errors(r);
		if (fds[3 * i].revents)
			write_requests(r);
		if (fds[3 * i + 1].revents)
			read_answers(probes, r);
	}
	if (fds[3 * probes->n].revents)
		take_signal(probes);
	now = boot_now_ns();
	for (size_t i = 0; i < probes->n; i++)
		check_deadlines(&probes->list[i], now);
}

static void drop_rest(struct conform_probes *probes, struct conform_calls *calls)
{
	for (size_t i = 0; i < probes->n; i++)
		probes->list[i].n_flying = 0;
	for (size_t i = 0; i < calls->n; i++)
		if (calls->list[i].result == CONFORM_WAITING)
			lose(&calls->list[i], "the run was interrupted");
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
			more = feed(probes, i, calls, window) || more;
		if (more)
			wait_once(probes, UINT64_MAX);
	}
	drop_rest(probes, calls);
	return probes->interrupted ? -EINTR : 0;
}

int conform_probes_pause(struct conform_probes *probes, int ms)
{
	uint64_t end = boot_now_ns() + (uint64_t)ms * MS;
	while (!probes->interrupted && boot_now_ns() < end)
		wait_once(probes, end);
	return probes->interrupted ? -EINTR : 0;
}

/* ---- Beginning and end ---- */

int conform_probes_open(
	struct conform_probes *c, size_t n, struct conform_progress *progress, struct err *e)
{
	sigset_t set;
	*c = (struct conform_probes){.signals = -1, .n = n, .next_id = 1, .progress = progress};
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	c->list = mem_new(n, sizeof(*c->list));
	for (size_t i = 0; i < n; i++)
		c->list[i].child =
			(struct exec_child){.pidfd = -1, .in = -1, .out = -1, .errors = -1};
	return c->signals < 0 ? err_set(e, errno, "cannot watch signals: %s", strerror(errno)) : 0;
}

void conform_probes_start(
	struct conform_probes *c, size_t i, const char *name, const char *const *arguments)
{
	struct conform_probe *r = &c->list[i];
	struct err e = {0};
	output_clean(r->name, sizeof(r->name), name);
	if (exec_child_start(arguments, &r->child, &e) == 0)
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
	uint64_t end = boot_now_ns() + (uint64_t)EXIT_MS * MS;
	while (!c->interrupted && !is_all_over(c) && boot_now_ns() < end)
		(void)conform_probes_pause(c, 20);
	conform_progress_clear(c->progress);
}

void conform_probes_close(struct conform_probes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct conform_probe *r = &c->list[i];
		exec_child_done(&r->child);
		line_done(&r->line);
		free(r->out);
	}
	free(c->list);
	if (c->list)
		close_fd(&c->signals);
	*c = (struct conform_probes){.signals = -1};
}
