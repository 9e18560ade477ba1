/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Label selectors as Calico writes them: has(k), k == "v", k != "v", k in {"a", "b"}, k not in
 * {...}, k contains "x", k starts with "x", k ends with "x", all(), !, &&, ||, parentheses; && binds
 * tighter than ||. An absent label makes != and "not in" true and the rest false. The empty
 * selector is all(). global() is refused.
 */
#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"

#define SELECTOR_MAX 4096 /* bytes of text; nesting is limited to 32 */

/* Whether the text is a selector. The sentence names the column (from 1). -EINVAL. */
int selector_check(const char *text, struct err *e);

/* Whether labels (an object of strings; NULL or others: no labels) match. A text that
 * selector_check() refuses matches nothing. */
bool selector_matches(const char *text, const json_t *labels);
