/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: selectors. A text is a selector or an error with a column; what is no selector
 * matches nothing, and what is one is either true or false where its negation is the opposite.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/selector.h"

static void check_negation(const char *text, const json_t *labels)
{
	size_t size = strlen(text) + 8;
	CLEANUP_FREE char *negated = mem_new(size, 1);
	struct err e = {0};
	if (!text[strspn(text, " \t")])
		return; /* the empty selector is true, and "!()" is no selector */
	(void)snprintf(negated, size, "!(%s)", text);
	if (selector_check(negated, &e) == 0) /* else one level too deep, or too long */
		CHECK(selector_matches(negated, labels) != selector_matches(text, labels));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = mem_new(size + 1, 1);
	CLEANUP_JSON json_t *labels =
		json_pack("{s:s, s:s, s:i}", "role", "web", "zone", "", "number", 5);
	struct err e = {0};
	if (size)
		memcpy(text, data, size);
	int error = selector_check(text, &e);
	CHECK(error == 0 || (error == -EINVAL && strncmp(e.text, "column ", 7) == 0));
	CHECK(error == 0 || !selector_matches(text, labels));
	if (error == 0)
		check_negation(text, labels);
	return 0;
}
