/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Label selectors as Calico writes them: has(k), k == "v", k != "v", k in {"a", "b"}, k not in
 * {...}, k contains "x", k starts with "x", k ends with "x", all(), !, &&, ||, parentheses; && binds
 * tighter than ||. An absent label makes != and "not in" true and the rest false. The empty
 * selector is all(). global() is refused but where the reader of the text says that it has a meaning.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define SELECTOR_MAX 4096 /* bytes of text; nesting is limited to 32 */

/* Whether the text is a selector. The sentence names the column (from 1). -EINVAL. */
int selector_check(const char *text, struct err *e);

/* Whether labels (an object of strings; NULL or others: no labels) match. A text that
 * selector_check() refuses matches nothing. */
bool selector_matches(const char *text, const json_t *labels);

/* What a text says, given in the order in which it is decided: terms, and what becomes of the last ones. */
enum selector_op {
	SELECTOR_ALL,
	SELECTOR_GLOBAL,
	SELECTOR_HAS,
	SELECTOR_IN, /* ==, too; any number of values follows, even none. != and "not in" negate it */
	SELECTOR_CONTAINS, /* these three: one value follows */
	SELECTOR_STARTS,
	SELECTOR_ENDS,
};
struct selector_span { /* not terminated; borrowed from the text */
	const char *start;
	size_t len;
};
struct selector_sink {
	void (*term)(void *to, enum selector_op op, const struct selector_span *key);
	void (*value)(void *to, const struct selector_span *value); /* of the last term */
	void (*negate)(void *to);	     /* what was last given or joined */
	void (*join)(void *to, bool is_and); /* the last two become one */
};
#define SELECTOR_PENDING 128 /* at most so many wait to be joined */

/* Reads a text into a sink; "" is the term all(). As selector_check(); global() may stand alone when
 * with_global says so. What was given before an error counts for nothing. */
int selector_read(const char *text, bool with_global, const struct selector_sink *sink, void *to,
	struct err *e);
