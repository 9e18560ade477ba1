/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "agent/readiness.h"

/* A node that is served. */
static const struct bird_status up = {.up = true, .loaded = 3};
static const struct readiness served = {.has_reconciled = true,
	.has_address = true,
	.waits = "",
	.gives = {true, true},
	.n_blocks = {1, 1},
	.bird = &up,
	.generation = 3};

TEST(a_served_node_lacks_nothing)
{
	struct readiness drained = served;
	drained.drain = true;
	drained.n_blocks[IPV4] = drained.n_blocks[IPV6] = 0;
	assert_null(readiness_lacks(&served));
	assert_null(readiness_lacks(&drained));
}

TEST(what_is_missing_first_is_said)
{
	struct bird_status bird = up;
	struct readiness r = served;
	r.bird = &bird;
	r.n_blocks[IPV6] = 0;
	assert_string_equal(readiness_lacks(&r), "this node has no block of IPv6 addresses yet");
	r.n_blocks[IPV4] = 0;
	assert_says(readiness_lacks(&r), "no block of addresses");
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

TEST(a_family_that_no_pool_has_for_the_node_is_not_waited_for)
{
	struct readiness r = served;
	r.n_blocks[IPV6] = 0;
	r.gives[IPV6] = false;
	assert_null(readiness_lacks(&r));
	r.n_blocks[IPV4] = 0;
	r.n_blocks[IPV6] = 1;
	assert_says(readiness_lacks(&r), "no block of IPv4 addresses");
	r.gives[IPV4] = false;
	assert_null(readiness_lacks(&r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_served_node_lacks_nothing),
		cmocka_unit_test(what_is_missing_first_is_said),
		cmocka_unit_test(a_family_that_no_pool_has_for_the_node_is_not_waited_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
