/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock() alone would let a stream of sharers starve whoever wants to be alone: it grants a shared lock
 * whenever the present ones are shared, whoever waits. So who has to wait closes a gate: he locks one
 * byte of the file, far behind the slots, and gives the file a size of one byte, which says so. Who wants
 * to share looks at the size, which the look at what was opened tells anyway, so it costs nothing while
 * nobody waits; only when it is not 0 he asks for the byte, shared, and gets it when the gate opens.
 *
 * A process that is killed at the gate drops its lock of the byte and leaves the size: the next one who
 * has the byte knows that nobody waits, and clears it. Nothing else is ever in the file.
 *
 * The lock file is never removed: whoever waits for the lock of an unlinked file would wait for a lock
 * that nobody else can see.
 *
 * A wait with the gate closed has an end, by a timer whose signal does nothing but interrupt. It
 * repeats, as the first one may come just before the wait.
 */
#include "lib/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/file.h"

#define SLOTS (UINT64_MAX >> 2)
#define GATE ((off_t)SLOTS + 1)
#define TICK_MS 100
#define NEVER INT64_MAX

static int lock_fail(const char *path, struct err *e)
{
	return err_set(e, errno, "cannot lock %s: %s", path, strerror(errno));
}

/* One byte; F_UNLCK gives it back. how: F_OFD_SETLKW, or F_OFD_SETLK, which does not wait. */
static int try_byte(int fd, off_t at, short type, int how)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
	while (fcntl(fd, how, &l) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

static int lock_byte(int fd, off_t at, short type)
{
	return try_byte(fd, at, type, F_OFD_SETLKW);
}

/* Best effort: without the size the one who waits is only not preferred. */
static void set_closed(int fd, bool closed)
{
	(void)!ftruncate(fd, closed);
}

static void on_tick(int signal)
{
	(void)signal;
}

struct ticks {
	struct sigaction old;
	timer_t timer;
	bool running;
};

static void ticks_begin(struct ticks *t)
{
	const struct sigaction action = {.sa_handler = on_tick};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	const struct itimerspec when = {
		.it_value.tv_nsec = TICK_MS * 1000000L,
		.it_interval.tv_nsec = TICK_MS * 1000000L,
	};
	sigset_t set;
	(void)sigaction(SIGRTMIN, &action, &t->old);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGRTMIN);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	t->running = timer_create(CLOCK_MONOTONIC, &event, &t->timer) == 0 &&
		     timer_settime(t->timer, 0, &when, NULL) == 0;
}

static void ticks_end(struct ticks *t)
{
	if (t->running)
		(void)timer_delete(t->timer);
	(void)sigaction(SIGRTMIN, &t->old, NULL);
}

/* 0, -ETIMEDOUT or an error. Without a timer it waits as long as it takes. */
static int flock_until(int fd, int how, int64_t end_ms)
{
	struct ticks ticks = {0};
	int r = 0;
	if (end_ms != NEVER)
		ticks_begin(&ticks);
	while (flock(fd, how) < 0) {
		r = -errno;
		if (r != -EINTR)
			break;
		r = -ETIMEDOUT;
		if (boot_now_ms() >= end_ms)
			break;
		r = 0;
	}
	if (end_ms != NEVER)
		ticks_end(&ticks);
	return r;
}

/* With the gate closed: those who have the lock end, and nobody follows them. */
static int wait_behind_gate(int fd)
{
	if (lock_byte(fd, GATE, F_WRLCK) < 0)
		return -errno;
	set_closed(fd, true);
	int r = flock_until(fd, LOCK_EX, boot_now_ms() + LOCK_GATE_MS);
	set_closed(fd, false);
	return lock_byte(fd, GATE, F_UNLCK) < 0 && r == 0 ? -errno : r;
}

static int take_alone(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	(void)flock(fd, LOCK_UN); /* nobody waits at the gate for somebody who waits for him */
	int r = -ETIMEDOUT;
	while (r == -ETIMEDOUT) {
		r = wait_behind_gate(fd);
		if (r == -ETIMEDOUT)
			r = flock_until(fd, LOCK_EX, boot_now_ms() + LOCK_GATE_MS);
	}
	return r;
}

/* Who has the byte, even shared, knows that nobody waits. */
static int pass_gate(int fd)
{
	if (lock_byte(fd, GATE, F_RDLCK) < 0)
		return -errno;
	set_closed(fd, false);
	return lock_byte(fd, GATE, F_UNLCK) < 0 ? -errno : 0;
}

static int lock_finish(int r, const char *path, struct err *e)
{
	errno = -r;
	return r < 0 ? lock_fail(path, e) : 0;
}

int lock_change(int fd, const char *path, enum lock_kind kind, struct err *e)
{
	return lock_finish(
		kind == LOCK_ALONE ? take_alone(fd) : flock_until(fd, LOCK_SH, NEVER), path, e);
}

int lock_take(const char *path, enum lock_kind kind, struct err *e)
{
	struct stat st;
	int fd = file_open(path, O_RDWR | O_CREAT, &st, e);
	if (fd < 0)
		return fd;
	int r = 0;
	if (kind == LOCK_SHARED && st.st_size != 0)
		r = lock_finish(pass_gate(fd), path, e);
	if (r == 0)
		r = lock_change(fd, path, kind, e);
	if (r == 0)
		return fd;
	(void)close(fd);
	return r;
}

int lock_slot(int fd, uint64_t slot, struct err *e)
{
	if (lock_byte(fd, (off_t)(slot & SLOTS), F_WRLCK) < 0)
		return err_set(e, errno, "cannot lock a slot: %s", strerror(errno));
	return 0;
}

int lock_try_slot(int fd, uint64_t slot, struct err *e)
{
	if (try_byte(fd, (off_t)(slot & SLOTS), F_WRLCK, F_OFD_SETLK) == 0)
		return 1;
	if (errno == EAGAIN || errno == EACCES)
		return 0;
	return err_set(e, errno, "cannot lock a slot: %s", strerror(errno));
}
