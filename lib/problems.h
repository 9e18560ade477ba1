/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A list of sentences about what is wrong, for people. It keeps the first PROBLEMS_MAX and counts the
 * rest, so that none vanishes without a word: whoever shows it shows the count, too.
 *
 * A problem is one by what is broken, its key, while its sentence may change: with the endpoint that
 * was tried last, with a count. Without a key the sentence is the key, so a sentence with a part that
 * changes while the same thing is broken needs one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hash.h"

#define PROBLEMS_MAX 24
#define PROBLEM_TEXT 256

struct problems { /* zeroed: none */
	char text[PROBLEMS_MAX][PROBLEM_TEXT];
	struct hash key[PROBLEMS_MAX];
	size_t kept;  /* of text */
	size_t total; /* found: kept and the ones that there was no room for */
};

/* One more; a sentence that is too long is cut. */
void problems_add(struct problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, one by its key. */
void problems_add_as(struct problems *p, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* All of more, those that it only counts too. */
void problems_add_all(struct problems *p, const struct problems *more);

/* At most max (1 or more) lines for people. When there are more problems than lines, the last line is
 * "and N more". Returns how many lines were written. */
size_t problems_lines(const struct problems *p, size_t max, char out[][PROBLEM_TEXT]);

/* What a log says of a list that is made anew again and again: that a problem began, that its
 * sentence became another one (a minute after the last word on it at the earliest), and that it is
 * over, in the words in which it began. */
enum problem_news_kind { PROBLEM_BEGAN, PROBLEM_CHANGED, PROBLEM_OVER };
struct problem_news {
	enum problem_news_kind kind;
	const char *text; /* until the next call */
};
struct problems_log {	      /* zeroed: nothing was said */
	struct problems open; /* as they began */
	char last[PROBLEMS_MAX][PROBLEM_TEXT];
	int64_t said_ms[PROBLEMS_MAX];
	struct problems over; /* of the last call */
};
#define PROBLEM_NEWS_MAX (2 * PROBLEMS_MAX)
size_t problems_news(struct problems_log *l, const struct problems *now, int64_t now_ms,
	struct problem_news out[PROBLEM_NEWS_MAX]);
