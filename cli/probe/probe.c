/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl probe: runs the tests of a conformance run on one node, spoken to in lines of JSON over
 * stdin and stdout (docs/PROBE.md). This file is its loop: bytes into lines, a line to its operation, an
 * answer back into bytes.
 *
 * The protocol's stdout is a descriptor of its own; descriptor 1 becomes stderr, so that nothing
 * else can write between the lines. Events are taken one at a time, so that whoever handles one may
 * close any other. Moments that are due are looked at when no event waits (or after a number of them): an
 * answer that is here already is never called late.
 *
 * Who asks must also read: while more than OUT_MAX bytes of answers wait, no request is read. The
 * probe ends when its input ends, when nobody reads its answers, at a signal, or when its lifetime is
 * over, whatever comes first; in each case its pods are deleted.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/probe/probe_impl.h"
#include "cli/probe/journal.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define MS 1000000u
#define SECOND 1000000000u
#define TURNS 64
#define OUT_MAX (4U << 20)
#define LAST_WORDS_MS 2000 /* for writing the last answers */

/* ---- Requests ---- */

static void take_line(struct probe *p)
{
	CLEANUP_FREE char *line = NULL;
	CLEANUP_JSON json_t *request = NULL;
	const char *op = NULL;
	json_int_t id = -1;
	size_t len = 0;
	struct err e = {0};
	int r = line_next(&p->line, &line, &len, &e);
	if (r == 0)
		return;
	if (r > 0)
		r = line_parse(line, len, &request, &id, &op, &e);
	if (r >= 0 && strcmp(op, "end") == 0) {
		p->ending = true;
		p->end_id = id;
	} else if (r >= 0) {
		r = probe_request_run(p, id, op, request, &e);
	}
	if (r < 0)
		probe_refuse(p, id, r, &e);
}

static void read_input(struct probe *p)
{
	size_t room = 0;
	char *space = line_space(&p->line, &room);
	ssize_t n = read(p->in.fd, space, room);
	if (n > 0) {
		line_filled(&p->line, (size_t)n);
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	p->in_ended = true;
	if (!p->in_always)
		wait_remove(&p->wait, p->in.fd);
}

static void on_in(struct probe *p, struct probe_watch *w, uint32_t events)
{
	if (!p->in_paused) {
		read_input(p);
	} else if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) {
		p->in_hung_up = true; /* what is still in there can be read at any time */
		p->in_always = true;
		wait_remove(&p->wait, w->fd);
	}
}

static void on_signal(struct probe *p, struct probe_watch *w, uint32_t events)
{
	(void)events;
	struct signalfd_siginfo info;
	if (read(w->fd, &info, sizeof(info)) > 0)
		p->ending = true;
}

/* ---- The loop ---- */

static bool is_stalled(const struct probe *p)
{
	return p->answers.len > OUT_MAX;
}

/* One event, when there is one before something is due; NULL. */
static struct probe_watch *next_event(struct probe *p, uint32_t *events)
{
	struct epoll_event event;
	uint64_t next = p->end_ns;
	const uint64_t others[] = {probe_try_next(p), probe_server_next(p)};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		next = others[i] < next ? others[i] : next;
	wait_at(&p->wait, (int64_t)((next + MS - 1) / MS));
	if (is_stalled(p) || !(p->in_always || line_is_waiting(&p->line)))
		wait_block(&p->wait);
	if (wait_ready(&p->wait, &event, 1) < 1)
		return NULL;
	*events = event.events;
	return event.data.ptr; /* the token is the pointer to the watch, in the same union */
}

static void probe_tick(struct probe *p)
{
	uint64_t now = boot_now_ns();
	probe_try_tick(p, now);
	probe_server_tick(p, now);
	if (now >= p->end_ns) {
		(void)output_complain("the probe's lifetime is over");
		p->ending = true;
	}
}

/* Bytes are read when no request waits, and as long as answers find a reader. Who closes our input
 * without reading does not come back. */
static void pause_or_go_on(struct probe *p)
{
	bool pause = is_stalled(p) || line_is_waiting(&p->line);
	p->ending |= is_stalled(p) && p->in_hung_up;
	if (pause == p->in_paused || p->in_ended)
		return;
	p->in_paused = pause;
	if (!p->in_always)
		probe_watch_change(p, &p->in, pause ? EPOLLRDHUP : EPOLLIN);
}

static void take_request(struct probe *p)
{
	if (p->in_always && !p->in_ended && !line_is_waiting(&p->line))
		read_input(p);
	take_line(p);
	p->ending |= p->in_ended && !line_is_waiting(&p->line);
}

static void probe_loop(struct probe *p)
{
	for (int turns = 0; !p->ending;) {
		uint32_t events = 0;
		struct probe_watch *w = next_event(p, &events);
		if (w)
			w->on(p, w, events);
		if (!w || ++turns == TURNS) {
			turns = 0;
			probe_tick(p);
		}
		if (!is_stalled(p) && !p->ending)
			take_request(p);
		pause_or_go_on(p);
	}
}

/* ---- Beginning and end ---- */

/* The protocol gets descriptors of its own; they must not block. */
static int open_pipes(struct probe *p, struct err *e)
{
	p->in.fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	p->out.fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (p->in.fd < 0 || p->out.fd < 0)
		return err_set(e, errno, "stdin and stdout must be open: %s", strerror(errno));
	(void)fcntl(p->out.fd, F_SETFL, fcntl(p->out.fd, F_GETFL) | O_NONBLOCK);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	struct err ignored;
	p->in_always = probe_watch_add(p, &p->in, EPOLLIN, &ignored) == -EPERM; /* a file */
	(void)probe_watch_add(p, &p->out, 0, &ignored);
	return 0;
}

static int open_signals(struct probe *p, struct err *e)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	p->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signals.fd < 0)
		return err_set(e, errno, "cannot watch signals: %s", strerror(errno));
	return probe_watch_add(p, &p->signals, EPOLLIN, e);
}

static int probe_begin(struct probe *p, struct err *e)
{
	int r = probe_journal_id(p->id, e);
	if (r >= 0)
		r = wait_open(&p->wait, e);
	if (r >= 0)
		r = open_signals(p, e);
	if (r >= 0)
		r = open_pipes(p, e);
	return r;
}

/* Answers that nobody takes are lost. */
static void write_last_words(struct probe *p)
{
	uint64_t end = boot_now_ns() + (uint64_t)LAST_WORDS_MS * MS;
	p->ending = false; /* set again when nobody is there */
	probe_write_answers(p);
	while (p->answers.len && !p->ending) {
		uint64_t now = boot_now_ns();
		struct pollfd fd = {.fd = p->out.fd, .events = POLLOUT};
		if (now >= end || poll(&fd, 1, (int)((end - now) / MS) + 1) == 0)
			return;
		probe_write_answers(p);
	}
}

static int probe_end(struct probe *p)
{
	struct err e = {0};
	probe_tries_done(p);
	probe_captures_done(p);
	probe_server_close(p, &p->server);
	int r = probe_pods_end(p, &e);
	probe_journal_close(p->journal);
	if (r < 0)
		(void)output_error(&e);
	if (p->end_id >= 0 && r < 0)
		probe_refuse(p, p->end_id, r, &e);
	else if (p->end_id >= 0)
		probe_answer(p, p->end_id, json_object());
	write_last_words(p);
	(void)fcntl(p->out.fd, F_SETFL, fcntl(p->out.fd, F_GETFL) & ~O_NONBLOCK);
	return r < 0 ? 1 : 0;
}

int probe_run(const struct options *o)
{
	struct err e = {0};
	unsigned int lifetime = o->lifetime_s ? o->lifetime_s : PROBE_LIFETIME_S;
	struct probe p = {
		.options = o,
		.wait = WAIT_CLOSED,
		.in = {.fd = -1, .on = on_in},
		.out = {.fd = -1, .on = probe_on_out},
		.signals = {.fd = -1, .on = on_signal},
		.end_ns = boot_now_ns() + (uint64_t)lifetime * SECOND,
		.end_id = -1,
	};
	if (config_state_dirs(o, &p.dirs, &e) < 0) /* said by "facts" */
		p.dirs = (struct config_dirs){.n = 1, .list = {AGENT_CONF_STATE_DIR}};
	int r = probe_begin(&p, &e);
	if (r >= 0)
		probe_loop(&p);
	else
		(void)output_error(&e);
	int status = probe_end(&p);
	probe_watch_close(&p.in);
	probe_watch_close(&p.out);
	probe_watch_close(&p.signals);
	wait_close(&p.wait);
	line_done(&p.line);
	text_free(&p.answers);
	return r < 0 ? 1 : status;
}
