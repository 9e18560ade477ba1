/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer whose signal writes a line that was prepared before: so the word comes whatever the wait is
 * blocked in, and what waits need not know of it. The handler calls write() alone. It uses SIGALRM, as
 * the deadline of a node state does (lib/deadline.h): no command waits for both at once.
 */
#include "cli/patience.h"

#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/output.h"
#include "lib/text.h"

#define FIRST_WORD_S 2

static char line[640]; /* "" from when it was written, or when it would come too late */

static void on_alarm(int signal)
{
	(void)signal;
	(void)!write(STDERR_FILENO, line, strlen(line));
	line[0] = '\0';
}

void patience_about(const char *what, unsigned int max_ms)
{
	char raw[sizeof(line)];
	struct text t = TEXT_ON(raw);
	line[0] = '\0';
	if (max_ms <= FIRST_WORD_S * 1000)
		return;
	text_add(&t, "roostctl: waiting for %.400s, %u s at most (--timeout)", what, max_ms / 1000);
	output_clean(line, sizeof(line) - 1, raw);
	struct text all = {.buf = line, .size = sizeof(line), .len = strlen(line)};
	text_add_char(&all, '\n');
}

static void set_timer(time_t seconds)
{
	const struct itimerval timer = {.it_value.tv_sec = seconds};
	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

void patience_begin(void)
{
	const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	(void)sigaction(SIGALRM, &action, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	set_timer(FIRST_WORD_S);
}

void patience_end(void)
{
	set_timer(0);
}
