/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: selectors. A text is a selector or an error with a column; what is no selector
 * matches nothing, and what is one is either true or false where its negation is the opposite. The tree of
 * policies reads the same texts, decides alike, and its one form is a text that reads as itself.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/selector.h"
#include "policy/selector.h"

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

static void check_text(const struct policy_selector *s, const struct policy_labels *labels)
{
	const char *text = policy_selector_text(s), *key = NULL, *value = NULL;
	struct policy_selector *again = NULL;
	char miss[POLICY_MISS];
	struct err e = {0};
	bool matches = policy_selector_matches(s, labels);
	policy_selector_miss(s, labels, miss);
	CHECK(matches == !*miss);
	if (policy_selector_anchor(s, &key, &value) && matches)
		CHECK(policy_labels_get(labels, key) &&
			(!value || strcmp(policy_labels_get(labels, key), value) == 0));
	if (strlen(text) > SELECTOR_MAX)
		return;
	CHECK(policy_selector_of_text(text, &again, &e) == 0);
	CHECK(strcmp(policy_selector_text(again), text) == 0);
	policy_selector_unref(again);
}

static void check_tree(const char *text, bool is_selector, const json_t *labels)
{
	struct policy_selector *s = NULL;
	struct policy_labels l = {0};
	struct err e = {0};
	int error = policy_selector_of_text(text, &s, &e);
	CHECK(error == 0 || !is_selector);
	if (error)
		return;
	CHECK(policy_labels_read(labels, &l, &e) == 0);
	CHECK(is_selector || policy_selector_is_global(s));
	CHECK(!is_selector || policy_selector_matches(s, &l) == selector_matches(text, labels));
	check_text(s, &l);
	free((void *)l.v);
	policy_selector_unref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = mem_new(size + 1, 1);
	CLEANUP_JSON json_t *labels =
		json_pack("{s:s, s:s, s:s}", "role", "web", "zone", "", "number", "5");
	struct err e = {0};
	if (size)
		memcpy(text, data, size);
	int error = selector_check(text, &e);
	CHECK(error == 0 || (error == -EINVAL && strncmp(e.text, "column ", 7) == 0));
	CHECK(error == 0 || !selector_matches(text, labels));
	if (error == 0)
		check_negation(text, labels);
	check_tree(text, error == 0, labels);
	return 0;
}
