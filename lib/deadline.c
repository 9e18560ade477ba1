/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last resort of a CNI executable. When our own time is up (SIGALRM; a runtime would soon kill us
 * without a word), a signal handler writes an answer that was prepared beforehand and ends the
 * process.
 *
 * A handler has no argument of ours, so what it needs is file-scope state. It follows one rule: a
 * buffer is filled first and published afterwards by one atomic store, so that the handler sees a
 * whole answer or the one before.
 *
 * The handler calls only async-signal-safe functions and _exit(). The signal is unblocked: a runtime
 * may have left it blocked in us. A timer started here is not inherited by children (fork(2)).
 */
#include "lib/deadline.h"

#include <signal.h>
#include <stdatomic.h>
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

void deadline_start(unsigned int seconds)
{
	const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = (int)SA_RESETHAND};
	(void)sigaction(SIGALRM, &action, NULL);
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
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
