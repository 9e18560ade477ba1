/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the agent looks at pods: a storm of events is one look a second.
 */
#include "tests/unit/check.h"

#include "agent/pods.h"

TEST(the_first_look_is_when_it_is_wanted)
{
	const struct pods p = {0};
	assert_int_equal(pods_next(&p, 7), 7);
}

TEST(looks_that_events_call_for_are_a_second_apart)
{
	const struct pods p = {.looked_ms = 5000};
	assert_int_equal(pods_next(&p, 5001), 6000);
	assert_int_equal(pods_next(&p, 5999), 6000);
	assert_int_equal(pods_next(&p, 9000), 9000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_look_is_when_it_is_wanted),
		cmocka_unit_test(looks_that_events_call_for_are_a_second_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
