/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of progress. It is redrawn ten times a second at most, since a terminal at the other end of
 * a slow line is read by the person who waits.
 */
#include "cli/conform/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/boot.h"

#define PERIOD_NS 100000000u

void conform_progress_open(struct conform_progress *p)
{
	*p = (struct conform_progress){.on = isatty(STDERR_FILENO) == 1};
}

static void show(struct conform_progress *p)
{
	if (!p->on)
		return;
	p->shown_ns = boot_now_ns();
	(void)fprintf(stderr, "\r\033[K%s: %zu of %zu", p->what, p->done, p->all);
	(void)fflush(stderr);
}

void conform_progress_begin(struct conform_progress *p, const char *what, size_t all)
{
	p->what = what;
	p->done = 0;
	p->all = all;
	show(p);
}

void conform_progress_step(struct conform_progress *p)
{
	p->done++;
	if (p->on && boot_now_ns() - p->shown_ns > PERIOD_NS)
		show(p);
}

void conform_progress_clear(struct conform_progress *p)
{
	if (!p->on || !p->shown_ns)
		return;
	(void)fprintf(stderr, "\r\033[K");
	(void)fflush(stderr);
	p->shown_ns = 0;
}
