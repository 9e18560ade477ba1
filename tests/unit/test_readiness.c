/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "agent/readiness.h"

/* A node that is served. */
static const struct bird_status up = {.up = true, .loaded = 3};
static const struct readiness served = {.has_reconciled = true,
	.has_address = true,
	.waits = "",
	.n_blocks = 1,
	.bird = &up,
	.generation = 3};

TEST(a_served_node_lacks_nothing)
{
	struct readiness drained = served;
	drained.drain = true;
	drained.n_blocks = 0;
	assert_null(readiness_lacks(&served));
	assert_null(readiness_lacks(&drained));
}

TEST(what_is_missing_first_is_said)
{
	struct bird_status bird = up;
	struct readiness r = served;
	r.bird = &bird;
	r.n_blocks = 0;
	assert_says(readiness_lacks(&r), "no block");
	bird.recovering = true;
	assert_says(readiness_lacks(&r), "recovering");
	bird.loaded = 2;
	assert_says(readiness_lacks(&r), "not loaded");
	bird.up = false;
	assert_says(readiness_lacks(&r), "BIRD does not answer");
	r.has_address = false;
	assert_says(readiness_lacks(&r), "no address yet");
	r.has_reconciled = false;
	assert_says(readiness_lacks(&r), "store has not been read");
	r.waits = "another agent has the name";
	assert_string_equal(readiness_lacks(&r), "another agent has the name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_served_node_lacks_nothing),
		cmocka_unit_test(what_is_missing_first_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
