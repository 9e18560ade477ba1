/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that Kubernetes does not have any more: when their blocks go, and when they must not.
 */
#include "tests/unit/values.h"

#include "agent/kube/candidate.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "lib/text.h"

#define S INT64_C(1000)
#define GRACE (900 * S)

static char *status_of(const char *uid, int64_t heartbeat_s)
{
	struct status s = {.heartbeat_s = heartbeat_s, .interval_s = 10};
	status_make_id(s.installation);
	status_make_id(s.instance);
	status_make_id(s.boot);
	(void)text_copy(s.node_uid, sizeof(s.node_uid), uid);
	(void)text_copy(s.host, sizeof(s.host), "h1");
	CLEANUP_JSON json_t *doc = status_format(&s);
	return json_text(doc);
}

static struct candidate new_candidate(bool replaced)
{
	struct candidate c;
	candidate_init(&c, "a", replaced, 0);
	return c;
}

static void note(struct candidate *c, const char *uid, int64_t revision, int64_t now_ms)
{
	CLEANUP_FREE char *text = status_of(uid, 1772442893);
	candidate_note(c, text, revision, now_ms);
}

TEST(a_silent_node_goes_after_the_grace)
{
	struct candidate c = new_candidate(false);
	assert_int_equal(candidate_judge(&c, GRACE, 2 * GRACE), CANDIDATE_WAITS); /* not looked */
	note(&c, "u-1", 7, S);
	for (int64_t t = S; t < GRACE; t += 10 * S) {
		note(&c, "u-1", 7, t);
		assert_int_equal(candidate_judge(&c, GRACE, t), CANDIDATE_WAITS);
	}
	assert_int_equal(candidate_judge(&c, GRACE, GRACE), CANDIDATE_GOES);
	assert_int_equal(candidate_judge(&c, 0, GRACE), CANDIDATE_STAYS);
}

TEST(an_agent_that_writes_lives_whatever_its_clock_shows)
{
	struct candidate c = new_candidate(false);
	int64_t t = 0, revision = 1;
	for (; t < 3 * GRACE; t += 10 * S)
		note(&c, "u-1", revision++, t); /* the heartbeat's time stands still */
	assert_int_equal(candidate_judge(&c, GRACE, t), CANDIDATE_LIVES);
	assert_int_equal(
		candidate_judge(&c, GRACE, t + GRACE), CANDIDATE_LIVES); /* nobody looked */
	note(&c, "u-1", revision - 1, t + 24 * S);
	assert_int_equal(candidate_judge(&c, GRACE, t + 24 * S), CANDIDATE_LIVES);
	note(&c, "u-1", revision - 1, t + 25 * S); /* 35 s of silence */
	assert_int_equal(candidate_judge(&c, GRACE, t + 25 * S), CANDIDATE_GOES);
}

TEST(an_agent_that_is_not_in_kubernetes_is_nobodys_business_here)
{
	struct candidate c = new_candidate(false);
	note(&c, "", 7, S);
	assert_int_equal(candidate_judge(&c, GRACE, 2 * GRACE), CANDIDATE_STAYS);
	candidate_note(&c, "{\"no\": \"status\"}", 8, S);
	assert_int_equal(candidate_judge(&c, GRACE, 2 * GRACE), CANDIDATE_STAYS);
}

TEST(blocks_that_a_removal_left_go_and_those_that_people_keep_stay)
{
	struct candidate c = new_candidate(false);
	candidate_note(&c, NULL, 0, S);
	assert_int_equal(candidate_judge(&c, GRACE, 2 * GRACE), CANDIDATE_STAYS);
	c.has_open_blocks = true;
	candidate_note(&c, NULL, 0, GRACE - S);
	assert_int_equal(candidate_judge(&c, GRACE, GRACE - S), CANDIDATE_WAITS);
	assert_int_equal(candidate_judge(&c, GRACE, 2 * GRACE), CANDIDATE_GOES);
	CLEANUP_JSON json_t *mark = status_format_removal();
	CLEANUP_FREE char *text = json_text(mark);
	candidate_note(&c, text, 9, 2 * GRACE);
	candidate_note(&c, text, 9, 2 * GRACE + 36 * S);
	assert_int_equal(candidate_judge(&c, GRACE, 2 * GRACE + 36 * S), CANDIDATE_GOES);
}

TEST(a_machine_that_waits_for_the_name_of_another_ends_the_grace_not_the_silence)
{
	struct candidate c = new_candidate(true);
	note(&c, "u-1", 7, S);
	assert_int_equal(candidate_judge(&c, GRACE, 100 * S), CANDIDATE_WAITS);
	c.has_heir = true;
	note(&c, "u-1", 7, 30 * S);
	assert_int_equal(candidate_judge(&c, GRACE, 30 * S), CANDIDATE_WAITS);
	note(&c, "u-1", 7, 40 * S);
	assert_int_equal(candidate_judge(&c, GRACE, 40 * S), CANDIDATE_GOES);
	note(&c, "u-1", 8, 40 * S); /* it lives after all */
	assert_int_equal(candidate_judge(&c, GRACE, 41 * S), CANDIDATE_LIVES);
}

TEST(another_machine_is_believed_when_the_status_is_silent_or_an_earlier_holder_believed_it)
{
	struct candidate c = new_candidate(true), told = c, back = c, gone = new_candidate(false);
	assert_true(candidate_is_believed(&gone));
	note(&c, "u-1", 7, S);
	assert_false(candidate_is_believed(&c)); /* its agent may be about to write */
	note(&c, "u-1", 7, 40 * S);
	assert_true(candidate_is_believed(&c));

	candidate_inherit(&told, "u-1", 60 * S);
	note(&told, "u-1", 7, S);
	assert_true(candidate_is_believed(&told));
	candidate_inherit(&back, "u-1", 60 * S);
	note(&back, "u-2", 7, S);
	assert_false(candidate_is_believed(&back));
}

TEST(what_an_earlier_holder_waited_counts_unless_the_node_was_back_meanwhile)
{
	struct candidate c = new_candidate(false), back = c, gone = c;
	candidate_inherit(&c, "u-1", GRACE - 60 * S);
	note(&c, "u-1", 7, S);
	note(&c, "u-1", 7, 59 * S);
	assert_int_equal(candidate_judge(&c, GRACE, 59 * S), CANDIDATE_WAITS);
	assert_int_equal(candidate_judge(&c, GRACE, 60 * S), CANDIDATE_GOES);
	note(&c, "u-2", 8, 61 * S); /* later on that is the agent's life, as ever */
	assert_int_equal(candidate_judge(&c, GRACE, 61 * S), CANDIDATE_LIVES);

	candidate_inherit(&back, "u-1", 2 * GRACE);
	note(&back, "u-2", 7, S);
	note(&back, "u-2", 7, 100 * S);
	assert_int_equal(candidate_judge(&back, GRACE, 100 * S), CANDIDATE_WAITS);
	assert_int_equal(candidate_judge(&back, GRACE, GRACE + S), CANDIDATE_GOES);

	/* Of a removal that was under way only blocks are left. */
	candidate_inherit(&gone, "u-1", 2 * GRACE);
	gone.has_open_blocks = true;
	candidate_note(&gone, NULL, 0, S);
	candidate_note(&gone, NULL, 0, 40 * S);
	assert_int_equal(candidate_judge(&gone, GRACE, 40 * S), CANDIDATE_GOES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_node_goes_after_the_grace),
		cmocka_unit_test(an_agent_that_writes_lives_whatever_its_clock_shows),
		cmocka_unit_test(an_agent_that_is_not_in_kubernetes_is_nobodys_business_here),
		cmocka_unit_test(blocks_that_a_removal_left_go_and_those_that_people_keep_stay),
		cmocka_unit_test(
			a_machine_that_waits_for_the_name_of_another_ends_the_grace_not_the_silence),
		cmocka_unit_test(
			another_machine_is_believed_when_the_status_is_silent_or_an_earlier_holder_believed_it),
		cmocka_unit_test(
			what_an_earlier_holder_waited_counts_unless_the_node_was_back_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
