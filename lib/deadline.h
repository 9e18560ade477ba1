/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The last resort of a CNI executable: when its time is up, a signal handler writes a prepared answer
 * to stdout and ends the process with status 1. Nothing is undone there: that is the same as being
 * killed, which everything else is built to survive.
 */

/* Starts the timer (one per process). */
void deadline_start(unsigned int seconds);

/* What the handler writes when time is up; a complete JSON error, copied (4 KiB at most). Where
 * the word DEADLINE_DOING stands in it, the handler writes what deadline_doing() was told last. */
#define DEADLINE_DOING "WHAT-WAS-BEING-DONE"
void deadline_answer(const char *json);

/* Before each step that can wait: "waiting for the lock". Costs nothing; what is a string
 * literal, plain enough to stand in JSON. */
void deadline_doing(const char *what);
