/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The last resort of a CNI executable: when its time is up, or when a fault strikes while it reads
 * mapped state, a signal handler writes a prepared answer to stdout and ends the process
 * with status 1. Nothing is undone there: that is the same as being killed, which everything
 * else is built to survive.
 */
#include <stdbool.h>

/* Starts the timer (one per process). */
void deadline_start(unsigned int seconds);

/* What the handler writes when time is up; a complete JSON error, copied (4 KiB at most). Where
 * the word DEADLINE_DOING stands in it, the handler writes what deadline_doing() was told last. */
#define DEADLINE_DOING "WHAT-WAS-BEING-DONE"
void deadline_answer(const char *json);

/* Before each step that can wait: "waiting for the lock". Costs nothing; what is a string
 * literal, plain enough to stand in JSON. */
void deadline_doing(const char *what);

/* While set, SIGBUS, SIGSEGV and SIGABRT write this answer and create the file mark_path (0600), so
 * that the next process knows that the state is damaged; NULL ends it. Both are copied. */
void deadline_guard_fault(const char *json, const char *mark_path);

/* Around work that does not read the state: a fault there says nothing of it. */
void deadline_pause_guard(bool paused);
