/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last resort of a CNI executable. Two signal handlers write an answer that was prepared
 * beforehand and end the process:
 *
 *   SIGALRM                    our own time is up; a runtime would soon kill us without a word
 *   SIGBUS, SIGSEGV, SIGABRT   a fault while mapped state is read (guarded sections only)
 *
 * A handler has no argument of ours, so what it needs is file-scope state: with the log the only
 * mutable globals of the project. They follow one rule: a buffer is filled first and published
 * afterwards by one atomic store, so that a handler sees a whole answer or the one before.
 *
 * Handlers call only async-signal-safe functions and _exit(). Each is installed with
 * SA_RESETHAND, so a fault inside one ends the process. The signals are unblocked: a runtime may
 * have left them blocked in us. A timer started here is not inherited by children (fork(2)).
 */
#include "lib/deadline.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/text.h"

#define ANSWER_MAX 4096

struct answer {
	char text[ANSWER_MAX];
	size_t len;
	size_t doing; /* where deadline_doing()'s words go; len: nowhere */
	size_t rest;  /* where the text goes on behind them */
};

static struct answer late[2] = {{
	.text = "{\"code\":11,\"msg\":\"the time of this call is up\"}\n",
	.len = sizeof("{\"code\":11,\"msg\":\"the time of this call is up\"}\n") - 1,
	.doing = sizeof("{\"code\":11,\"msg\":\"the time of this call is up\"}\n") - 1,
	.rest = sizeof("{\"code\":11,\"msg\":\"the time of this call is up\"}\n") - 1,
}};
static struct answer *_Atomic late_now = &late[0];
static const char *_Atomic doing_now = "";

static struct answer fault;
static char fault_mark[PATH_MAX];
static bool _Atomic guarding = true;

static const int fault_signals[] = {SIGBUS, SIGSEGV, SIGABRT};
#define FAULT_SIGNALS (sizeof(fault_signals) / sizeof(fault_signals[0]))

static void answer_fill(struct answer *a, const char *json)
{
	(void)text_copy(a->text, sizeof(a->text), json);
	a->len = strlen(a->text);
	const char *word = strstr(a->text, DEADLINE_DOING);
	a->doing = word ? (size_t)(word - a->text) : a->len;
	a->rest = word ? a->doing + sizeof(DEADLINE_DOING) - 1 : a->len;
}

static void on_alarm(int signal)
{
	(void)signal;
	struct answer *a = atomic_load(&late_now);
	const char *doing = a->doing < a->len ? atomic_load(&doing_now) : "";
	struct iovec pieces[] = {
		{a->text, a->doing},
		{(char *)doing, strlen(doing)},
		{a->text + a->rest, a->len - a->rest},
	};
	(void)!writev(STDOUT_FILENO, pieces, 3);
	_exit(1);
}

/* Only a fault of ours, in a guarded section, says anything of the state: the kernel's signals and
 * abort(), which sends to itself. One that somebody sent ends the process as it would anyway. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	bool own = info->si_code > 0 || (info->si_code == SI_TKILL && info->si_pid == getpid());
	if (!own || !atomic_load(&guarding)) {
		(void)raise(signal); /* SA_RESETHAND: the default action, when we return */
		return;
	}
	if (*fault_mark)
		(void)open(fault_mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	(void)!write(STDOUT_FILENO, fault.text, fault.len);
	_exit(1);
}

static void install_handler(int signal, const struct sigaction *action)
{
	(void)sigaction(signal, action, NULL);
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, signal);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void deadline_start(unsigned int seconds)
{
	const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = (int)SA_RESETHAND};
	install_handler(SIGALRM, &action);
	struct itimerval timer = {.it_value.tv_sec = seconds};
	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

void deadline_answer(const char *json)
{
	struct answer *spare = atomic_load(&late_now) == &late[0] ? &late[1] : &late[0];
	answer_fill(spare, json);
	atomic_store(&late_now, spare);
}

void deadline_doing(const char *what)
{
	atomic_store(&doing_now, what);
}

void deadline_guard_fault(const char *json, const char *mark_path)
{
	if (json) {
		answer_fill(&fault, json);
		(void)text_copy(fault_mark, sizeof(fault_mark), mark_path ? mark_path : "");
		atomic_signal_fence(memory_order_seq_cst);
	}
	struct sigaction action = {.sa_handler = SIG_DFL};
	if (json) {
		action.sa_sigaction = on_fault;
		action.sa_flags = (int)(SA_RESETHAND | SA_SIGINFO);
	}
	for (size_t i = 0; i < FAULT_SIGNALS; i++)
		install_handler(fault_signals[i], &action);
}

void deadline_pause_guard(bool paused)
{
	atomic_store(&guarding, !paused);
}
