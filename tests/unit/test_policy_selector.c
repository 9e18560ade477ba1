/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selectors of policies: their one text, what they match, the terms that an index takes, and why labels do
 * not match. test_selector.c has the grammar.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "lib/mem.h"
#include "lib/selector.h"
#include "policy/selector.h"

static struct policy_selector *of_text(const char *text)
{
	struct policy_selector *s = NULL;
	struct err e = {0};
	if (policy_selector_of_text(text, &s, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return s;
}

static struct policy_selector *of_object(const char *json)
{
	CLEANUP_JSON json_t *object = json_of(json);
	struct policy_selector *s = NULL;
	struct err e = {0};
	if (policy_selector_of_object(object, &s, &e) < 0)
		fail_msg("%s: %s", json, e.text);
	return s;
}

static struct policy_labels labels_of(const char *json)
{
	CLEANUP_JSON json_t *object = json_of(json);
	struct policy_labels l = {0};
	struct err e = {0};
	ok(policy_labels_read(object, &l, &e));
	return l;
}

TEST(selectors_of_one_meaning_have_one_text)
{
	static const char *const table[][2] = {
		{"", "all()"},
		{" all( ) ", "all()"},
		{"global( ) ", "global()"},
		{"b == 'x' && a == \"y\"", "a == \"y\" && b == \"x\""},
		{"a in {'y'}", "a == \"y\""},
		{"a in {'y', 'x', 'y'}", "a in {\"x\", \"y\"}"},
		{"a notin {'y'}", "a != \"y\""},
		{"!(a == 'y')", "a != \"y\""},
		{"!a != 'y'", "a == \"y\""},
		{"! ! has(a)", "has(a)"},
		{"a in {}", "!all()"},
		{"a not in {}", "all()"},
		{"a contains ''", "has(a)"},
		{"!a ends with ''", "!has(a)"},
		{"a == 'say \"x\"'", "a == 'say \"x\"'"},
		{"(has(a) && (has(c) && has(b))) && has(a)", "has(a) && has(b) && has(c)"},
		{"has(a) || has(b) && has(c)", "has(a) || has(b) && has(c)"},
		{"(has(b) || has(a)) && has(c)", "(has(a) || has(b)) && has(c)"},
		{"!(has(a) && !has(b) || has(c))", "(!has(a) || has(b)) && !has(c)"},
		{"all() && has(a)", "has(a)"},
		{"all() || has(a)", "all()"},
		{"!all() && has(a)", "!all()"},
		{"!all() || has(a)", "has(a)"},
		{"has(a) || has(a)", "has(a)"},
		{"!a contains 'x' && a starts with 'y'",
			"!a contains \"x\" && a starts with \"y\""},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct policy_selector *s = of_text(table[i][0]);
		assert_string_equal(policy_selector_text(s), table[i][1]);
		struct policy_selector *again = of_text(table[i][1]);
		assert_string_equal(policy_selector_text(again), table[i][1]);
		struct hash a = policy_selector_hash(s), b = policy_selector_hash(again);
		assert_true(hash_equal(&a, &b));
		policy_selector_unref(s);
		policy_selector_unref(again);
	}
}

TEST(label_selectors_are_the_same_selectors)
{
	static const char *const table[][2] = {
		{"null", "all()"},
		{"{}", "all()"},
		{"{\"matchLabels\": null, \"matchExpressions\": []}", "all()"},
		{"{\"matchLabels\": {\"b\": \"x\", \"a.io/c\": \"\"}}",
			"a.io/c == \"\" && b == \"x\""},
		{"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"In\", \"values\": "
		 "[\"y\", \"x\"]},"
		 "{\"key\": \"b\", \"operator\": \"NotIn\", \"values\": [\"z\"]},"
		 "{\"key\": \"c\", \"operator\": \"Exists\"},"
		 "{\"key\": \"d\", \"operator\": \"DoesNotExist\", \"values\": []}]}",
			"!has(d) && a in {\"x\", \"y\"} && b != \"z\" && has(c)"},
		{"{\"matchLabels\": {\"a\": \"x\"}, \"matchExpressions\": [{\"key\": \"a\", "
		 "\"operator\": \"In\","
		 " \"values\": [\"x\"]}]}",
			"a == \"x\""},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct policy_selector *s = of_object(table[i][0]);
		assert_string_equal(policy_selector_text(s), table[i][1]);
		policy_selector_unref(s);
	}
}

TEST(label_selectors_that_are_none_are_refused_with_the_member)
{
	static const char *const table[][2] = {
		{"[]", "a selector is an array, not an object"},
		{"{\"matchLabel\": {}}", "matchLabel"},
		{"{\"matchLabels\": {\"a\": 5}}", "matchLabels: a number is no value of a label"},
		{"{\"matchLabels\": {\"a b\": \"x\"}}",
			"matchLabels: \"a b\" is no key of a label"},
		{"{\"matchLabels\": {\"\": \"x\"}}", "matchLabels: \"\" is no key of a label"},
		{"{\"matchLabels\": {\"a\": \"'\\\"\"}}",
			"matchLabels: this text is no value of a label"},
		{"{\"matchExpressions\": [5]}", "matchExpressions[0] is a number, not an object"},
		{"{\"matchExpressions\": [{\"key\": \"a\"}]}",
			"matchExpressions[0].operator must be In, NotIn, Exists or DoesNotExist"},
		{"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"Gt\", \"values\": "
		 "[\"1\"]}]}",
			"matchExpressions[0].operator must be In, NotIn, Exists or DoesNotExist"},
		{"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"In\"}]}",
			"matchExpressions[0]: In goes with values"},
		{"{\"matchExpressions\": [{\"key\": \"a\", \"operator\": \"Exists\", \"values\": "
		 "[\"x\"]}]}",
			"matchExpressions[0]: Exists goes without values"},
		{"{\"matchExpressions\": [{\"operator\": \"Exists\"}]}",
			"matchExpressions[0]: \"\" is no key of a label"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_JSON json_t *object = json_of(table[i][0]);
		struct policy_selector *s = NULL;
		struct err e = {0};
		refused(policy_selector_of_object(object, &s, &e), EINVAL, table[i][1]);
		assert_null(s);
	}
}

TEST(terms_of_a_label_selector_are_bounded)
{
	CLEANUP_JSON json_t *object = json_pack("{s:{}}", "matchLabels");
	struct policy_selector *s = NULL;
	struct err e = {0};
	for (int i = 0; i < 1024; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%d", i);
		json_put(json_object_get(object, "matchLabels"), key, json_string("v"));
	}
	ok(policy_selector_of_object(object, &s, &e));
	policy_selector_unref(s);
	json_put(json_object_get(object, "matchLabels"), "more", json_string("v"));
	refused_with(policy_selector_of_object(object, &s, &e), EINVAL,
		"matchLabels: more than 1024 terms");
}

TEST(global_stands_alone_and_matches_nothing_that_has_labels)
{
	struct policy_labels l = labels_of("{\"a\": \"x\"}");
	struct policy_selector *s = of_text("global()");
	struct err e = {0};
	assert_true(policy_selector_is_global(s));
	assert_false(policy_selector_matches(s, &l));
	policy_selector_unref(s);
	refused_with(policy_selector_of_text("has(a) || global()", &s, &e), EINVAL,
		"column 11: global() stands alone");
	refused_with(policy_selector_of_text("!global()", &s, &e), EINVAL,
		"column 2: global() stands alone");
	refused_with(policy_selector_of_text("global() && has(a)", &s, &e), EINVAL,
		"column 1: global() stands alone");
	free((void *)l.v);
}

TEST(what_matches_and_why_not)
{
	static const struct {
		const char *text, *miss;
	} table[] = {
		{"", ""},
		{"app == 'web' && tier != 'db' && has(app) && !has(gone) && gone != 'x'", ""},
		{"app in {'db', 'web'} && app contains 'e' && app starts with 'w' && app ends with "
		 "'b'",
			""},
		{"app == 'db'", "app == \"db\": the label app is \"web\""},
		{"has(app) && gone == 'x'", "gone == \"x\": there is no label gone"},
		{"!has(app)", "!has(app): the label app is \"web\""},
		{"app == 'x' || app == 'y'", "app == \"x\" || app == \"y\": none of these holds"},
		{"!all()", "!all(): matches nothing"},
		{"global()", "global(): matches no pod and nothing else that is in a namespace"},
	};
	struct policy_labels l = labels_of("{\"tier\": \"front\", \"app\": \"web\"}");
	for (size_t i = 0; i < COUNT(table); i++) {
		char miss[POLICY_MISS];
		struct policy_selector *s = of_text(table[i].text);
		policy_selector_miss(s, &l, miss);
		assert_string_equal(miss, table[i].miss);
		assert_int_equal(policy_selector_matches(s, &l), !*table[i].miss);
		policy_selector_unref(s);
	}
	free((void *)l.v);
}

TEST(an_anchor_is_a_term_that_all_matches_have)
{
	static const struct {
		const char *text, *key, *value;
	} table[] = {
		{"", NULL, NULL},
		{"!all()", NULL, NULL},
		{"a != 'x'", NULL, NULL},
		{"!has(a)", NULL, NULL},
		{"a == 'x'", "a", "x"},
		{"a in {'x', 'y'}", "a", NULL},
		{"has(a)", "a", NULL},
		{"a contains 'x'", "a", NULL},
		{"has(a) && b == 'x' && c == 'y'", "b", "x"},
		{"!has(a) && has(b)", "b", NULL},
		{"a == 'x' || b == 'x'", NULL, NULL},
		{"a == 'x' || has(a)", "a", NULL},
		{"a == 'x' && has(b) || a == 'x' && has(c)", "a", "x"},
		{"a == 'x' || !has(a)", NULL, NULL},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *key = NULL, *value = NULL;
		struct policy_selector *s = of_text(table[i].text);
		assert_int_equal(policy_selector_anchor(s, &key, &value), table[i].key != NULL);
		if (table[i].key)
			assert_string_equal(key, table[i].key);
		if (table[i].key && table[i].value)
			assert_string_equal(value, table[i].value);
		else if (table[i].key)
			assert_null(value);
		policy_selector_unref(s);
	}
}

TEST(a_conjunction_is_a_selector_of_its_own)
{
	struct policy_selector *a = of_text("b == 'x' || has(c)"), *b = of_text("has(a)");
	struct policy_selector *both = policy_selector_and(a, b);
	policy_selector_unref(a);
	assert_string_equal(policy_selector_text(both), "(b == \"x\" || has(c)) && has(a)");
	struct policy_selector *more = policy_selector_and(both, b);
	assert_string_equal(policy_selector_text(more), policy_selector_text(both));
	policy_selector_unref(policy_selector_ref(both));
	assert_false(policy_selector_is_all(both));
	policy_selector_unref(both);
	policy_selector_unref(more);
	policy_selector_unref(b);
	policy_selector_unref(NULL);
}

TEST(labels_are_sorted_and_bounded)
{
	struct policy_labels l = labels_of("{\"z\": \"1\", \"a\": \"\", \"m\": \"2\"}");
	struct err e = {0};
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[0].key, "a");
	assert_string_equal(policy_labels_get(&l, "z"), "1");
	assert_null(policy_labels_get(&l, "b"));
	free((void *)l.v);
	ok(policy_labels_read(NULL, &l, &e));
	assert_int_equal(l.n, 0);
	CLEANUP_JSON json_t *array = json_array(), *wrong = json_pack("{s:i}", "a", 5);
	refused_with(
		policy_labels_read(array, &l, &e), EINVAL, "labels are an array, not an object");
	refused_with(
		policy_labels_read(wrong, &l, &e), EINVAL, "the label a is a number, not a string");
	CLEANUP_JSON json_t *many = json_object();
	for (int i = 0; i <= POLICY_LABELS; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%d", i);
		json_put(many, key, json_string("v"));
	}
	refused_with(policy_labels_read(many, &l, &e), EINVAL, "1025 labels: 1024 at most");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_of_one_meaning_have_one_text),
		cmocka_unit_test(label_selectors_are_the_same_selectors),
		cmocka_unit_test(label_selectors_that_are_none_are_refused_with_the_member),
		cmocka_unit_test(terms_of_a_label_selector_are_bounded),
		cmocka_unit_test(global_stands_alone_and_matches_nothing_that_has_labels),
		cmocka_unit_test(what_matches_and_why_not),
		cmocka_unit_test(an_anchor_is_a_term_that_all_matches_have),
		cmocka_unit_test(a_conjunction_is_a_selector_of_its_own),
		cmocka_unit_test(labels_are_sorted_and_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
