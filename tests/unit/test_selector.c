/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selectors on one set of labels, and what is wrong with those that are none.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/selector.h"

#define LABELS                                                                                     \
	"{\"role\": \"web\", \"zone\": \"eu-1\", \"empty\": \"\", \"a.b/c-d_e\": \"x\", "          \
	"\"in\": \"y\", \"has\": \"z\", \"all\": \"w\", \"number\": 5, \"quote\": \"a\\\"b\"}"

TEST(selectors_match_as_the_table_says)
{
	static const struct {
		const char *text;
		bool matches;
	} table[] = {
		{"", true},
		{" \t ", true},
		{"all()", true},
		{"all( )", true},
		{"all ()", true},
		{"!all()", false},
		{"! ! all()", true},
		{"has(role)", true},
		{"has( role )", true},
		{"has(nothing)", false},
		{"!has(nothing)", true},
		{"has(empty)", true},
		{"has(number)", false},
		{"has(a.b/c-d_e)", true},
		{"role == \"web\"", true},
		{"role=='web'", true},
		{"role == \"we\"", false},
		{"role == \"webs\"", false},
		{"role == 'WEB'", false},
		{"Role == 'web'", false},
		{"nothing == 'web'", false},
		{"nothing == ''", false},
		{"empty == ''", true},
		{"number == '5'", false},
		{"quote == 'a\"b'", true},
		{"role != \"web\"", false},
		{"role != \"db\"", true},
		{"nothing != \"db\"", true},
		{"!role == 'web'", false},
		{"!role == 'db'", true},
		{"role in {\"db\", \"web\"}", true},
		{"role in{'db','web'}", true},
		{"role in {'db'}", false},
		{"role in {}", false},
		{"nothing in {'db'}", false},
		{"role not in {'db'}", true},
		{"role not in {'web', 'db'}", false},
		{"role notin {'db'}", true},
		{"role\tnot\tin\t{'web'}", false},
		{"role not in {}", true},
		{"nothing not in {'db'}", true},
		{"zone contains \"u-\"", true},
		{"zone contains ''", true},
		{"zone contains 'us'", false},
		{"nothing contains ''", false},
		{"zone starts with 'eu'", true},
		{"zone starts with '-1'", false},
		{"nothing starts with ''", false},
		{"zone ends with '-1'", true},
		{"zone ends with 'eu'", false},
		{"zone ends with 'xxeu-1'", false},
		{"nothing ends with ''", false},
		{"in == 'y'", true},
		{"in in {'y'}", true},
		{"has == 'z'", true},
		{"has(has)", true},
		{"all == 'w'", true},
		{"has(all)", true},
		{"role == 'web' && zone == 'eu-1'", true},
		{"role == 'web' && zone == 'eu-2'", false},
		{"role == 'db' || zone == 'eu-1'", true},
		{"role=='web'||zone=='x'&&zone=='y'", true},
		{"(role=='web'||zone=='x')&&zone=='y'", false},
		{"role=='x'&&zone=='eu-1'||role=='web'", true},
		{"role=='x'&&(zone=='eu-1'||role=='web')", false},
		{"!(role == 'web' && zone == 'x')", true},
		{"((((has(role)))))", true},
		{"!!!has(role)", false},
	};
	CLEANUP_JSON json_t *labels = json_of(LABELS);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		if (selector_check(table[i].text, &e) < 0)
			fail_msg("%s: %s", table[i].text, e.text);
		if (selector_matches(table[i].text, labels) != table[i].matches)
			fail_msg("%s: expected %d", table[i].text, table[i].matches);
	}
}

TEST(without_labels_only_absence_matches)
{
	CLEANUP_JSON json_t *array = json_array();
	const json_t *none[] = {NULL, array};
	for (size_t i = 0; i < 2; i++) {
		assert_true(selector_matches("", none[i]));
		assert_true(selector_matches("!has(a) && a != 'b' && a not in {'c'}", none[i]));
		assert_false(selector_matches("has(a) || a == ''", none[i]));
	}
}

TEST(what_is_no_selector_is_refused_with_its_column)
{
	static const struct {
		const char *text, *sentence;
	} table[] = {
		{"role", "column 5: a comparison is expected here: ==, !=, in, not in, contains, "
			 "starts with, ends with"},
		{"role = 'web'", "column 6: a comparison is expected here: ==, !=, in, not in, "
				 "contains, starts with, ends with"},
		{"role == web", "column 9: a text in quotes is expected here"},
		{"role == 'web", "column 9: this quote is never closed"},
		{"role == 'w\neb'", "column 11: a control character"},
		{"role == 'web'\n", "column 14: && or || is expected here"},
		{"'web' == role", "column 1: a label is expected here"},
		{"role == 'web' zone == 'x'", "column 15: && or || is expected here"},
		{"role == 'web' &&", "column 17: it ends too soon"},
		{"role == 'web' & has(a)", "column 15: && or || is expected here"},
		{"&& has(a)", "column 1: a label is expected here"},
		{"role in 'web'", "column 9: { is expected here"},
		{"role in {'web' 'db'}", "column 16: , or } is expected here"},
		{"role in {'web',}", "column 16: a text in quotes is expected here"},
		{"role in {'web'", "column 15: , or } is expected here"},
		{"role not 'web'", "column 6: a comparison is expected here: ==, !=, in, not in, "
				   "contains, starts with, ends with"},
		{"role starts 'web'", "column 6: a comparison is expected here: ==, !=, in, not "
				      "in, contains, starts with, ends with"},
		{"has(role", "column 9: ) is expected here"},
		{"has()", "column 5: a label is expected here"},
		{"has('role')", "column 5: a label is expected here"},
		{"all(x)", "column 5: ) is expected here"},
		{"(has(a)", "column 8: ) is expected here"},
		{"has(a))", "column 7: && or || is expected here"},
		{"global()", "column 1: global() does not select nodes"},
		{"has(a) || global()", "column 11: global() does not select nodes"},
		{"!", "column 2: it ends too soon"},
		{"r\xc3\xb6le == 'x'", "column 2: a comparison is expected here: ==, !=, in, not "
				       "in, contains, starts with, ends with"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		if (selector_check(table[i].text, &e) != -EINVAL)
			fail_msg("%s is a selector", table[i].text);
		assert_string_equal(e.text, table[i].sentence);
		assert_false(selector_matches(table[i].text, NULL));
	}
}

TEST(nesting_and_length_are_limited)
{
	char text[SELECTOR_MAX + 2];
	struct err e;
	(void)snprintf(text, sizeof(text), "%.32sall()%.32s", "((((((((((((((((((((((((((((((((",
		"))))))))))))))))))))))))))))))))");
	assert_int_equal(selector_check(text, &e), 0);
	(void)snprintf(text, sizeof(text), "%.33sall()", "(((((((((((((((((((((((((((((((((");
	refused_with(selector_check(text, &e), EINVAL, "column 33: nested deeper than 32 levels");
	memset(text, ' ', sizeof(text));
	text[SELECTOR_MAX] = '\0';
	assert_int_equal(selector_check(text, &e), 0);
	text[SELECTOR_MAX] = ' ';
	text[SELECTOR_MAX + 1] = '\0';
	refused_with(selector_check(text, &e), EINVAL, "column 4097: longer than 4096 bytes");
	memset(text, 'a', 513);
	(void)snprintf(text + 513, sizeof(text) - 513, " == 'x'");
	refused_with(selector_check(text, &e), EINVAL,
		"column 1: a label's key has 512 characters at most");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_match_as_the_table_says),
		cmocka_unit_test(without_labels_only_absence_matches),
		cmocka_unit_test(what_is_no_selector_is_refused_with_its_column),
		cmocka_unit_test(nesting_and_length_are_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
