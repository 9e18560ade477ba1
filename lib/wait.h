/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One descriptor that stands for many: a set of descriptors and a timer. A module that never blocks
 * gives it to its owner, who waits for it among others (a wait may lie in another wait) and then lets
 * the module look what is due. Nothing calls back. The timer only wakes: compare your deadlines with
 * boot_now_ms() whenever you are woken.
 */
#include <stdint.h>
#include <sys/epoll.h> /* EPOLLIN, EPOLLOUT */

#include "lib/err.h"

struct wait {
	int set, timer;
};
#define WAIT_CLOSED                                                                                \
	{                                                                                          \
		.set = -1, .timer = -1                                                             \
	}

int wait_open(struct wait *out, struct err *e);
void wait_close(struct wait *w); /* takes WAIT_CLOSED, and leaves it */

/* Readable when a descriptor of the set is ready or the time has come. */
int wait_fd(const struct wait *w);

/* token is for wait_ready(), any but UINT64_MAX. Closing fd takes it out of the set, unless somebody
 * holds a copy of it. */
int wait_add(const struct wait *w, int fd, uint32_t events, uint64_t token, struct err *e);
void wait_change(
	const struct wait *w, int fd, uint32_t events, uint64_t token); /* 0: errors only */
void wait_remove(const struct wait *w, int fd);

/* When to wake (CLOCK_BOOTTIME, as boot_now_ms()); past: at once; WAIT_NEVER. Forgets an older
 * time and that it has come. */
#define WAIT_NEVER INT64_MAX
void wait_at(const struct wait *w, int64_t at_ms);

/* What is ready now: at most max events, data.u64 is the token. Never blocks. Forgets that the time
 * has come, which is no event. */
int wait_ready(const struct wait *w, struct epoll_event *out, int max);

/* Blocks until wait_fd() is readable or a signal came. Set a time before. */
void wait_block(const struct wait *w);
