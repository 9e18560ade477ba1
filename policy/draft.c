/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules and tests grow in two arrays; the body of the chain gets exact copies of them. The name is a hash of
 * what stands in them, field by field, as the bytes between fields mean nothing.
 */
#include "policy/draft.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/text.h"

static bool tests_equal(const struct policy_test *a, const struct policy_test *b)
{
	return a->kind == b->kind && a->negated == b->negated && a->family == b->family &&
	       a->from == b->from && a->to == b->to && strcmp(a->set, b->set) == 0;
}

/* Two tests that no packet passes both: of protocols, one of which says which it is. */
static bool tests_exclude(const struct policy_test *a, const struct policy_test *b)
{
	if (a->kind != POLICY_TEST_PROTO || b->kind != POLICY_TEST_PROTO)
		return false;
	if (!a->negated && !b->negated)
		return a->from != b->from;
	return a->negated != b->negated && a->from == b->from;
}

bool policy_tests_add(struct policy_term_tests *t, const struct policy_test *test)
{
	for (size_t i = 0; i < t->n; i++) {
		if (tests_equal(&t->v[i], test))
			return true;
		if (tests_exclude(&t->v[i], test))
			return false;
	}
	assert(t->n < POLICY_TESTS); /* no rule of policy/rule.h has so many at once */
	t->v[t->n++] = *test;
	return true;
}

bool policy_tests_join(struct policy_term_tests *t, const struct policy_term_tests *more)
{
	for (size_t i = 0; i < more->n; i++) {
		if (!policy_tests_add(t, &more->v[i]))
			return false;
	}
	return true;
}

static void draft_tests(struct policy_draft *d, const struct policy_test *tests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		d->tests = mem_grow(d->tests, &d->tests_room, d->n_tests, sizeof(*d->tests));
		d->tests[d->n_tests++] = tests[i];
	}
}

void policy_draft_add(struct policy_draft *d, const struct policy_chain_rule *rule,
	const struct policy_term_tests *tests)
{
	d->rules = mem_grow(d->rules, &d->room, d->n, sizeof(*d->rules));
	struct policy_chain_rule *r = &d->rules[d->n++];
	*r = *rule;
	r->tests = NULL;
	r->n_tests = tests ? tests->n : 0;
	if (tests)
		draft_tests(d, tests->v, tests->n);
}

void policy_draft_append(struct policy_draft *d, const struct policy_body *b)
{
	for (size_t i = 0; i < b->n; i++) {
		policy_draft_add(d, &b->rules[i], NULL);
		d->rules[d->n - 1].n_tests = b->rules[i].n_tests;
		draft_tests(d, b->rules[i].tests, b->rules[i].n_tests);
	}
}

static void image_test(struct text *t, const struct policy_test *test)
{
	const uint8_t bytes[] = {(uint8_t)test->kind, test->negated, (uint8_t)test->family,
		(uint8_t)(test->from >> 8), (uint8_t)test->from, (uint8_t)(test->to >> 8),
		(uint8_t)test->to};
	text_add_bytes(t, (const char *)bytes, sizeof(bytes));
	text_add_bytes(t, test->set, strlen(test->set) + 1);
}

static void image_rule(struct text *t, const struct policy_chain_rule *r)
{
	text_add_char(t, (char)('a' + r->verdict));
	text_add_bytes(t, r->counter, strlen(r->counter) + 1);
	text_add_bytes(t, r->log, strlen(r->log) + 1);
	text_add_bytes(t, r->chain, strlen(r->chain) + 1);
	text_add_char(t, (char)r->n_tests);
}

void policy_draft_name(const struct policy_draft *d, char kind, char out[POLICY_OBJECT_NAME])
{
	struct text t = {0};
	size_t at = 0;
	for (size_t i = 0; i < d->n; i++) {
		image_rule(&t, &d->rules[i]);
		for (size_t k = 0; k < d->rules[i].n_tests; k++)
			image_test(&t, &d->tests[at++]);
	}
	policy_object_name((char[]){kind, '\0'}, t.buf, t.len, out);
	text_free(&t);
}

struct policy_body *policy_draft_body(const struct policy_draft *d)
{
	struct policy_body *b = policy_body_new(d->n, d->n_tests);
	size_t at = 0;
	if (d->n_tests > 0)
		memcpy(b->tests, d->tests, d->n_tests * sizeof(*d->tests));
	for (size_t i = 0; i < d->n; i++) {
		b->rules[i] = d->rules[i];
		b->rules[i].tests = &b->tests[at];
		at += d->rules[i].n_tests;
	}
	return b;
}

void policy_draft_done(struct policy_draft *d)
{
	free(d->rules);
	free(d->tests);
	*d = (struct policy_draft){0};
}

void policy_object_name(
	const char *kind, const void *bytes, size_t len, char out[POLICY_OBJECT_NAME])
{
	char hex[HASH_TEXT];
	struct hash h = hash_of(bytes, len);
	struct text name = {.buf = out, .size = POLICY_OBJECT_NAME};
	hash_format(&h, hex);
	text_add(&name, "%s_%.24s", kind, hex);
}
