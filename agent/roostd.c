/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostd, the node agent: one process, one event loop (sd-event), no threads. The loop knows when
 * to look: some descriptors, a time, signals; agent/agent.c knows what to do. SIGTERM and SIGINT
 * end it, which changes nothing on the node; SIGHUP reads the configuration again. The service
 * manager hears that it is ready as soon as it answers ADDs, whatever the cluster store does, and is
 * prodded by the loop as long as it turns.
 *
 * Exit status: 0 stopped, 1 it cannot run (said on stderr), 2 wrong usage or settings: trying again
 * would not help, so the service manager does not.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "agent/agent.h"
#include "agent/arguments.h"
#include "lib/log.h"
#include "lib/text.h"

#define TEXT_S 10 /* the service manager's text is renewed so often */

struct loop {
	sd_event *event;
	sd_event_source *timer;
	struct agent *agent;
	struct agent_conf conf;
	int argc;
	char **argv;
	uint64_t text_at; /* CLOCK_BOOTTIME, us */
	struct err failure;
	bool failed;
};

static uint64_t now_us(const struct loop *l)
{
	uint64_t now = 0;
	(void)sd_event_now(l->event, CLOCK_BOOTTIME, &now);
	return now;
}

static void tell_manager(struct loop *l)
{
	char text[200];
	if (now_us(l) < l->text_at)
		return;
	l->text_at = now_us(l) + TEXT_S * UINT64_C(1000000);
	agent_describe(l->agent, text, sizeof(text));
	(void)sd_notifyf(0, "STATUS=%s", text);
}

static void loop_step(struct loop *l)
{
	unsigned int wait_ms;
	if (agent_step(l->agent, &wait_ms, &l->failure) < 0) {
		l->failed = true;
		(void)sd_event_exit(l->event, 1);
		return;
	}
	(void)sd_event_source_set_time_relative(l->timer, wait_ms * UINT64_C(1000));
	(void)sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
	tell_manager(l);
}

static int on_ready(sd_event_source *s, int fd, uint32_t events, void *data)
{
	(void)s;
	(void)fd;
	(void)events;
	loop_step(data);
	return 0;
}

static int on_time(sd_event_source *s, uint64_t at, void *data)
{
	(void)s;
	(void)at;
	loop_step(data);
	return 0;
}

static int on_stop(sd_event_source *s, const struct signalfd_siginfo *info, void *data)
{
	struct loop *l = data;
	(void)s;
	log_info("stopping: signal %u; pods, routes and BIRD stay as they are", info->ssi_signo);
	return sd_event_exit(l->event, 0);
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *info, void *data)
{
	struct loop *l = data;
	struct agent_conf fresh;
	char late[AGENT_CONF_LATE];
	struct err e;
	(void)s;
	(void)info;
	(void)sd_notify(0, "RELOADING=1");
	if (arguments_read(l->argc, l->argv, &fresh, &e) < 0) {
		log_error("the configuration is not read again: %s", e.text);
	} else {
		log_info("configuration read again");
		log_set_level(fresh.log_level);
		agent_conf_compare(&l->conf, &fresh, late);
		agent_reload(l->agent, &fresh, late);
	}
	(void)sd_notify(0, "READY=1");
	loop_step(l);
	return 0;
}

/* libsystemd's calls return -errno; the first error counts. */
static int add_sources(struct loop *l)
{
	int fds[AGENT_FDS];
	agent_fds(l->agent, fds);
	int r = sd_event_add_time_relative(
		l->event, &l->timer, CLOCK_BOOTTIME, 0, 1000, on_time, l);
	for (int i = 0; i < AGENT_FDS && r >= 0; i++)
		if (fds[i] >= 0)
			r = sd_event_add_io(l->event, NULL, fds[i], EPOLLIN, on_ready, l);
	if (r >= 0)
		r = sd_event_add_signal(l->event, NULL, SIGTERM, on_stop, l);
	if (r >= 0)
		r = sd_event_add_signal(l->event, NULL, SIGINT, on_stop, l);
	if (r >= 0)
		r = sd_event_add_signal(l->event, NULL, SIGHUP, on_reload, l);
	if (r >= 0)
		r = sd_event_set_watchdog(l->event, true);
	return r;
}

static int loop_run(struct loop *l, struct err *e)
{
	int r = sd_event_default(&l->event);
	if (r >= 0)
		r = add_sources(l);
	if (r < 0)
		return err_set(e, -r, "cannot begin the event loop: %s", strerror(-r));
	(void)sd_notify(0, "READY=1");
	r = sd_event_loop(l->event);
	(void)sd_notify(0, "STOPPING=1");
	if (l->failed) {
		*e = l->failure;
		return -EEXIST;
	}
	return r < 0 ? err_set(e, -r, "the event loop ended: %s", strerror(-r)) : 0;
}

/* Signals wait for the loop; a write to a peer that is gone is an error code, not a signal. */
static void prepare_signals(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static int start_agent(struct loop *l, struct err *e)
{
	if (*l->conf.log_file) {
		int r = log_open_file(l->conf.log_file, 0, e);
		if (r < 0)
			return r;
	}
	log_set_level(l->conf.log_level);
	prepare_signals();
	int r = agent_open(&l->agent, &l->conf, e);
	if (r < 0)
		return r;
	r = loop_run(l, e);
	agent_close(l->agent);
	sd_event_source_unref(l->timer);
	sd_event_unref(l->event);
	return r;
}

int main(int argc, char **argv)
{
	struct loop l = {.argc = argc, .argv = argv};
	struct err e = {0};
	log_init("roostd");
	int r = arguments_read(argc, argv, &l.conf, &e);
	if (r == 1)
		return 0;
	bool refused = r < 0;
	if (r >= 0)
		r = start_agent(&l, &e);
	if (r < 0)
		log_error("%s%s%s", e.text, *e.details ? "; " : "", e.details);
	return r < 0 ? (refused ? 2 : 1) : 0;
}
