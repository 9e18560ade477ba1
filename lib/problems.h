/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A list of sentences about what is wrong, for people. It keeps the first PROBLEMS_MAX and counts the
 * rest, so that none vanishes without a word: whoever shows it shows the count, too.
 */
#include <stdbool.h>
#include <stddef.h>

#define PROBLEMS_MAX 24
#define PROBLEM_TEXT 256

struct problems { /* zeroed: none */
	char text[PROBLEMS_MAX][PROBLEM_TEXT];
	size_t kept;  /* of text */
	size_t total; /* found: kept and the ones that there was no room for */
};

/* One more; a sentence that is too long is cut. */
void problems_add(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* All of more, those that it only counts too. */
void problems_add_all(struct problems *p, const struct problems *more);

/* Whether this very sentence is among the kept ones. */
bool problems_has(const struct problems *p, const char *sentence);

/* At most max (1 or more) lines for people. When there are more problems than lines, the last line is
 * "and N more". Returns how many lines were written. */
size_t problems_lines(const struct problems *p, size_t max, char out[][PROBLEM_TEXT]);
