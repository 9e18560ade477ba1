/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoll set with a timerfd in it. Both are level-triggered: what is not dealt with wakes again. The
 * timer is quiet after wait_at() and after wait_ready(), so an owner that plans its next time on every
 * turn never reads it.
 *
 * Changing and removing fail for descriptors that are not in the set, which is a mistake of the
 * caller; adding may also fail for want of kernel memory (fs.epoll.max_user_watches).
 */
#include "lib/wait.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"

#define TIMER UINT64_MAX

int wait_open(struct wait *out, struct err *e)
{
	struct wait w = {
		.set = epoll_create1(EPOLL_CLOEXEC),
		.timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK),
	};
	int r = w.set < 0 || w.timer < 0
			? err_set(e, errno, "cannot make an epoll set: %s", strerror(errno))
			: wait_add(&w, w.timer, EPOLLIN, TIMER, e);
	if (r < 0)
		wait_close(&w);
	else
		*out = w;
	return r;
}

void wait_close(struct wait *w)
{
	mem_cleanup_fd(&w->timer);
	mem_cleanup_fd(&w->set);
	*w = (struct wait)WAIT_CLOSED;
}

int wait_fd(const struct wait *w)
{
	return w->set;
}

static int wait_control(const struct wait *w, int op, int fd, uint32_t events, uint64_t token)
{
	struct epoll_event event = {.events = events, .data.u64 = token};
	return epoll_ctl(w->set, op, fd, &event);
}

int wait_add(const struct wait *w, int fd, uint32_t events, uint64_t token, struct err *e)
{
	if (wait_control(w, EPOLL_CTL_ADD, fd, events, token) < 0)
		return err_set(e, errno, "cannot watch a descriptor: %s", strerror(errno));
	return 0;
}

void wait_change(const struct wait *w, int fd, uint32_t events, uint64_t token)
{
	int r = wait_control(w, EPOLL_CTL_MOD, fd, events, token);
	assert(r == 0);
	(void)r;
}

void wait_remove(const struct wait *w, int fd)
{
	int r = wait_control(w, EPOLL_CTL_DEL, fd, 0, 0);
	assert(r == 0);
	(void)r;
}

void wait_at(const struct wait *w, int64_t at_ms)
{
	struct itimerspec when = {0}; /* never */
	if (at_ms != WAIT_NEVER) {
		when.it_value.tv_sec = at_ms > 0 ? at_ms / 1000 : 0;
		when.it_value.tv_nsec = at_ms > 0 ? at_ms % 1000 * 1000000 : 1;
	}
	(void)timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

int wait_ready(const struct wait *w, struct epoll_event *out, int max)
{
	int n = epoll_wait(w->set, out, max, 0);
	for (int i = 0; i < n; i++) {
		uint64_t expirations;
		if (out[i].data.u64 != TIMER)
			continue;
		(void)!read(w->timer, &expirations, sizeof(expirations));
		out[i--] = out[--n];
	}
	return n < 0 ? 0 : n;
}

void wait_block(const struct wait *w)
{
	struct pollfd p = {.fd = w->set, .events = POLLIN};
	(void)poll(&p, 1, -1);
}
