/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of problems: what is kept, what is counted, what is shown.
 */
#include "tests/unit/check.h"

#include "lib/problems.h"

static void fill(struct problems *p, int n)
{
	for (int i = 0; i < n; i++)
		problems_add(p, "problem %d", i);
}

TEST(what_fits_is_shown_as_it_is)
{
	struct problems p = {0};
	char out[3][PROBLEM_TEXT];
	assert_int_equal(problems_lines(&p, 3, out), 0);
	fill(&p, 3);
	assert_int_equal(problems_lines(&p, 3, out), 3);
	assert_string_equal(out[0], "problem 0");
	assert_string_equal(out[2], "problem 2");
	assert_true(problems_has(&p, "problem 1"));
	assert_false(problems_has(&p, "problem 3"));
}

TEST(what_does_not_fit_is_counted_in_the_last_line)
{
	struct problems p = {0};
	char out[PROBLEMS_MAX + 1][PROBLEM_TEXT];
	fill(&p, 4);
	assert_int_equal(problems_lines(&p, 3, out), 3);
	assert_string_equal(out[1], "problem 1");
	assert_string_equal(out[2], "and 2 more");
	assert_int_equal(problems_lines(&p, 1, out), 1);
	assert_string_equal(out[0], "and 4 more");
}

TEST(what_was_not_kept_is_counted)
{
	struct problems p = {0};
	char out[PROBLEMS_MAX + 1][PROBLEM_TEXT];
	fill(&p, PROBLEMS_MAX);
	assert_int_equal(problems_lines(&p, PROBLEMS_MAX + 1, out), PROBLEMS_MAX);
	fill(&p, 2);
	assert_int_equal(p.kept, PROBLEMS_MAX);
	assert_int_equal(p.total, PROBLEMS_MAX + 2);
	assert_int_equal(problems_lines(&p, PROBLEMS_MAX + 1, out), PROBLEMS_MAX + 1);
	assert_string_equal(out[PROBLEMS_MAX - 1], "problem 23");
	assert_string_equal(out[PROBLEMS_MAX], "and 2 more");
	assert_int_equal(problems_lines(&p, 2, out), 2);
	assert_string_equal(out[1], "and 25 more");
}

TEST(merging_keeps_the_count)
{
	struct problems p = {0};
	struct problems more = {0};
	fill(&more, PROBLEMS_MAX + 5);
	problems_add(&p, "first");
	problems_add_all(&p, &more);
	assert_int_equal(p.total, PROBLEMS_MAX + 6);
	assert_int_equal(p.kept, PROBLEMS_MAX);
	assert_string_equal(p.text[0], "first");
	assert_string_equal(p.text[1], "problem 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_shown_as_it_is),
		cmocka_unit_test(what_does_not_fit_is_counted_in_the_last_line),
		cmocka_unit_test(what_was_not_kept_is_counted),
		cmocka_unit_test(merging_keeps_the_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
