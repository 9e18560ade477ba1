/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A chain while it is written: rules with their tests, and the name that its content gives it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "policy/ruleset.h"

struct policy_term_tests { /* tests that must all pass */
	struct policy_test v[POLICY_TESTS];
	size_t n;
};
/* One test more; a second one of the same kind says nothing. false: they exclude each other. */
bool policy_tests_add(struct policy_term_tests *t, const struct policy_test *test);
bool policy_tests_join(struct policy_term_tests *t, const struct policy_term_tests *more);

struct policy_draft {			 /* zeroed: empty; its owner ends it */
	struct policy_chain_rule *rules; /* their tests stand one behind the other in tests */
	struct policy_test *tests;
	size_t n, room, n_tests, tests_room;
};
/* rule: without tests. tests may be NULL: always. */
void policy_draft_add(struct policy_draft *d, const struct policy_chain_rule *rule,
	const struct policy_term_tests *tests);
void policy_draft_append(struct policy_draft *d, const struct policy_body *b);
void policy_draft_name(const struct policy_draft *d, char kind, char out[POLICY_OBJECT_NAME]);
struct policy_body *policy_draft_body(const struct policy_draft *d); /* one reference */
void policy_draft_done(struct policy_draft *d);

/* kind, "_", digits of the hash of these bytes. */
void policy_object_name(
	const char *kind, const void *bytes, size_t len, char out[POLICY_OBJECT_NAME]);
