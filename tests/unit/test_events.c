/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events: what a node's problems become in Kubernetes, and how few. Time is a number here.
 */
#include "tests/unit/values.h"

#include "agent/kube/events.h"

#define S INT64_C(1000)

static struct problems problems_of(const char *one, const char *other)
{
	struct problems p = {0};
	if (one)
		problems_add_as(&p, one, "%s is broken", one);
	if (other)
		problems_add_as(&p, other, "%s is broken", other);
	return p;
}

static void see(struct events *e, const char *one, const char *other, int64_t now_ms)
{
	const struct problems p = problems_of(one, other);
	events_see(e, &p, now_ms);
}

/* The next Event is this one, and is made; NULL: there is none. */
static void expect(struct events *e, int64_t now_ms, const char *reason, const char *message)
{
	CLEANUP_JSON json_t *event = events_next(e, "n1", "u1", now_ms, 1772442893);
	assert_int_equal(event != NULL, reason != NULL);
	if (!event)
		return;
	assert_string_equal(json_string_value(json_object_get(event, "reason")), reason);
	assert_string_equal(json_string_value(json_object_get(event, "message")), message);
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(event, "involvedObject"), "name")),
		"n1");
	events_answer(e, true, now_ms);
}

TEST(a_problem_that_lasts_is_told_of_and_that_it_is_over)
{
	struct events e = {0};
	see(&e, "bird", NULL, 0);
	expect(&e, 29 * S, NULL, NULL);
	see(&e, "bird", NULL, 29 * S);
	expect(&e, 30 * S, "RoostProblem", "bird is broken");
	expect(&e, 31 * S, NULL, NULL);
	see(&e, NULL, NULL, 40 * S);
	expect(&e, 40 * S, "RoostProblemOver", "bird is broken");
	assert_int_equal(e.n, 0);
}

TEST(a_problem_that_passes_is_not_told_of)
{
	struct events e = {0};
	see(&e, "bird", NULL, 0);
	see(&e, NULL, NULL, 20 * S);
	see(&e, "bird", NULL, 25 * S);
	expect(&e, 40 * S, NULL, NULL); /* its time begins anew */
	expect(&e, 55 * S, "RoostProblem", "bird is broken");
}

TEST(a_problem_that_comes_back_at_once_goes_on)
{
	struct events e = {0};
	see(&e, "bird", NULL, 0);
	expect(&e, 30 * S, "RoostProblem", "bird is broken");
	see(&e, NULL, NULL, 31 * S);
	see(&e, "bird", "store", 32 * S);
	expect(&e, 40 * S, NULL, NULL);
	expect(&e, 62 * S, "RoostProblem", "store is broken");
}

TEST(in_the_long_run_there_is_one_a_minute)
{
	struct events e = {0};
	unsigned int made = 0;
	for (int64_t now = 0; now < 3600 * S; now += S) {
		see(&e, now / (35 * S) % 2 ? "bird" : NULL, now / (40 * S) % 2 ? "store" : NULL,
			now);
		json_t *event = events_next(&e, "n1", "u1", now, 0);
		made += event != NULL;
		json_decref(event);
		events_answer(&e, true, now);
	}
	assert_in_range(made, 30, 60 + EVENTS_AT_ONCE);
}

TEST(one_that_is_refused_is_tried_again_later)
{
	struct events e = {0};
	see(&e, "bird", NULL, 0);
	json_decref(events_next(&e, "n1", "u1", 30 * S, 0));
	assert_null(events_next(&e, "n1", "u1", 31 * S, 0)); /* it is under way */
	events_answer(&e, false, 31 * S);
	expect(&e, 90 * S, NULL, NULL);
	expect(&e, 91 * S, "RoostProblem", "bird is broken");
}

TEST(more_problems_than_there_is_room_for_do_no_harm)
{
	struct events e = {0};
	for (unsigned int round = 0; round < 100; round++) {
		struct problems p = {0};
		for (unsigned int i = 0; i < PROBLEMS_MAX; i++)
			problems_add(&p, "%u of round %u is broken", i, round / 3);
		events_see(&e, &p, 20 * S * round);
		json_decref(events_next(&e, "n1", "u1", 20 * S * round, 0));
		if (round % 2)
			events_answer(&e, round % 4 == 1, 20 * S * round);
		assert_in_range(e.n, 0, 2 * PROBLEMS_MAX);
		assert_true(!e.asked || e.asked_of < e.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_problem_that_lasts_is_told_of_and_that_it_is_over),
		cmocka_unit_test(a_problem_that_passes_is_not_told_of),
		cmocka_unit_test(a_problem_that_comes_back_at_once_goes_on),
		cmocka_unit_test(in_the_long_run_there_is_one_a_minute),
		cmocka_unit_test(one_that_is_refused_is_tried_again_later),
		cmocka_unit_test(more_problems_than_there_is_room_for_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
