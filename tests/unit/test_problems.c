/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of problems: what is kept, what is counted, what is shown.
 */
#include "tests/unit/check.h"

#include "lib/problems.h"

#include <stdio.h>

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

/* What the log says of a list: "+begun ~changed -over". */
static void says(
	struct problems_log *l, const struct problems *now, int64_t now_ms, const char *what)
{
	static const char marks[] = {
		[PROBLEM_BEGAN] = '+', [PROBLEM_CHANGED] = '~', [PROBLEM_OVER] = '-'};
	struct problem_news news[PROBLEM_NEWS_MAX];
	char text[4096] = "";
	size_t n = problems_news(l, now, now_ms, news);
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(text);
		(void)snprintf(text + len, sizeof(text) - len, "%s%c%s", i ? " " : "",
			marks[news[i].kind], news[i].text);
	}
	assert_string_equal(text, what);
}

TEST(a_problem_begins_once_and_is_over_once_whatever_its_sentence)
{
	struct problems_log l = {0};
	const struct problems none = {0};
	for (int i = 0; i < 5; i++) {
		struct problems p = {0};
		problems_add_as(&p, "store", "etcd at %d", i);
		problems_add(&p, "other");
		says(&l, &p, INT64_C(1000) * i, i ? "" : "+etcd at 0 +other");
	}
	says(&l, &none, 5000, "-etcd at 0 -other");
	says(&l, &none, 6000, "");
}

TEST(another_sentence_is_said_after_a_minute)
{
	struct problems_log l = {0};
	struct problems p = {0};
	struct problems q = {0};
	problems_add_as(&p, "bird", "it is away");
	problems_add_as(&q, "bird", "it refuses");
	says(&l, &p, 1000, "+it is away");
	says(&l, &q, 60999, "");
	says(&l, &q, 61000, "~it refuses");
	says(&l, &q, 200000, "");
	says(&l, &(struct problems){0}, 200000, "-it is away");
}

TEST(what_is_pushed_out_of_the_list_is_not_over)
{
	struct problems_log l = {0};
	struct problems p = {0};
	struct problems q = {0};
	problems_add(&p, "last");
	says(&l, &p, 0, "+last");
	for (int i = 0; i < PROBLEMS_MAX; i++)
		problems_add(&q, "%d", i);
	problems_add(&q, "last");
	struct problem_news news[PROBLEM_NEWS_MAX];
	assert_int_equal(problems_news(&l, &q, 0, news), PROBLEMS_MAX);
	for (size_t i = 0; i < PROBLEMS_MAX; i++)
		assert_int_equal(news[i].kind, PROBLEM_BEGAN);
	struct problems half = {.total = 100};
	problems_add(&half, "0");
	assert_int_equal(problems_news(&l, &half, 0, news), 0); /* the others may be there still */
	says(&l, &(struct problems){0}, 0,
		"-0 -1 -2 -3 -4 -5 -6 -7 -8 -9 -10 -11 -12 -13 -14 -15 -16 -17 -18 -19 -20 -21 -22 "
		"-23");
}

TEST(a_key_that_stands_twice_is_one_problem)
{
	struct problems_log l = {0};
	struct problems p = {0};
	problems_add_as(&p, "x", "first");
	problems_add_as(&p, "x", "second");
	says(&l, &p, 0, "+first");
	says(&l, &p, 100000, "");
	says(&l, &(struct problems){0}, 0, "-first");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_shown_as_it_is),
		cmocka_unit_test(what_does_not_fit_is_counted_in_the_last_line),
		cmocka_unit_test(what_was_not_kept_is_counted),
		cmocka_unit_test(merging_keeps_the_count),
		cmocka_unit_test(a_problem_begins_once_and_is_over_once_whatever_its_sentence),
		cmocka_unit_test(another_sentence_is_said_after_a_minute),
		cmocka_unit_test(what_is_pushed_out_of_the_list_is_not_over),
		cmocka_unit_test(a_key_that_stands_twice_is_one_problem),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
