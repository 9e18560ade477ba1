/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two answers to two signals. SIGBUS says that a page of a map has no bytes any more: its place is
 * taken by a page of zeros, and the reader goes on, to its own end. So a library that holds a lock or
 * is amid a list of its own comes out of it in order; that its result is worth nothing is noted in
 * the section. SIGSEGV, and a failed assertion, say that the reader itself went astray: it is left
 * where it is, by a jump out of the section.
 *
 * A handler has no argument of ours, so the innermost section is file-scope state. The handlers
 * stay; a signal that somebody sent, and any outside of a
 * section, ends the process as it would without us. No memory is given back and no lock: that is
 * for the section's caller, who knows what he has open.
 */
#include "lib/fault.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fault_section *volatile innermost;
static uintptr_t page_bytes;

static void leave_by_jump(void)
{
	struct fault_section *s = innermost;
	innermost = s->outer;
	siglongjmp(s->back, 1);
}

/* Zeros in the place of the page: system calls alone, as a handler may make them. */
static bool put_zeros(void *at)
{
	void *page = (char *)at - (uintptr_t)at % page_bytes;
	return mmap(page, page_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page;
}

/* si_code > 0: of the kernel, not sent by a process. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	struct fault_section *s = innermost;
	if (!s || info->si_code <= 0) {
		const struct sigaction crash = {.sa_handler = SIG_DFL};
		(void)sigaction(signal, &crash, NULL);
		if (info->si_code <= 0)
			(void)raise(signal); /* else it comes again, as we return to the cause */
		return;
	}
	if (signal == SIGBUS && put_zeros(info->si_addr)) {
		s->struck = true;
		return;
	}
	leave_by_jump();
}

/* SA_NODEFER, as a jump leaves the handler for good. Unblocked, whatever we were started with. */
void fault_install(void)
{
	const struct sigaction action = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};
	sigset_t set;
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGBUS);
	(void)sigaddset(&set, SIGSEGV);
	(void)sigaction(SIGBUS, &action, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void fault_enter(struct fault_section *s)
{
	s->struck = false;
	s->outer = innermost;
	innermost = s;
}

bool fault_leave(struct fault_section *s)
{
	innermost = s->outer;
	if (s->struck && s->outer)
		s->outer->struck = true;
	return s->struck;
}

void fault_raise(void)
{
	if (innermost)
		leave_by_jump();
	abort();
}
