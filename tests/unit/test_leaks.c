/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which records are leaks: those that both the API and the kernel have missed for ten minutes.
 */
#include "tests/unit/values.h"

#include "agent/kube/leaks.h"

#include <stdio.h>

#include "lib/hash.h"

#define MINUTE INT64_C(60000)

static void tell(struct roster *r, enum kube_event_kind kind, const char *name)
{
	(void)roster_take(r, &(struct kube_event){.kind = kind, .name = name, .namespace_ = "ns"});
}

static struct roster pods(const char *const *names)
{
	struct roster r = {0};
	tell(&r, KUBE_RESTART, NULL);
	for (; *names; names++)
		tell(&r, KUBE_EXISTS, *names);
	tell(&r, KUBE_CURRENT, NULL);
	return r;
}

static const char *const alive[] = {"roostd", "web", NULL};

static struct leaks_record record(const char *pod, bool has_link)
{
	return (struct leaks_record){
		.owner = hash_of(pod, strlen(pod)), .pod = pod, .has_link = has_link};
}

TEST(a_record_is_due_after_ten_minutes_without_pod_and_link)
{
	struct leaks l = {0};
	struct roster r = pods(alive);
	bool due[1];
	const struct leaks_record gone = record("ns/gone", false);
	for (int64_t t = MINUTE; t < 11 * MINUTE; t += MINUTE)
		assert_int_equal(leaks_judge(&l, &r, &gone, 1, t, due), 0);
	assert_int_equal(leaks_judge(&l, &r, &gone, 1, 11 * MINUTE, due), 1);
	assert_true(due[0]);
	leaks_done(&l);
	roster_done(&r);
}

TEST(one_witness_is_not_enough)
{
	const struct leaks_record records[] = {
		record("ns/web", false), /* the API knows it */
		record("ns/gone", true), /* its link is there */
		record("", false),	 /* nobody knows its name */
	};
	for (size_t i = 0; i < COUNT(records); i++) {
		struct leaks l = {0};
		struct roster r = pods(alive);
		bool due[1];
		for (int64_t t = MINUTE; t < 30 * MINUTE; t += MINUTE)
			assert_int_equal(leaks_judge(&l, &r, &records[i], 1, t, due), 0);
		leaks_done(&l);
		roster_done(&r);
	}
}

TEST(an_empty_or_partial_list_is_never_taken_for_no_pods)
{
	static const char *const none[] = {NULL};
	struct leaks l = {0};
	struct roster empty = pods(none), partial = pods(alive);
	bool due[1];
	const struct leaks_record gone = record("ns/gone", false);
	tell(&partial, KUBE_RESTART, NULL);
	for (int64_t t = MINUTE; t < 30 * MINUTE; t += MINUTE) {
		assert_int_equal(leaks_judge(&l, &empty, &gone, 1, t, due), 0);
		assert_int_equal(leaks_judge(&l, &partial, &gone, 1, t, due), 0);
	}
	leaks_done(&l);
	roster_done(&empty);
	roster_done(&partial);
}

TEST(a_list_that_was_away_or_a_pod_that_was_seen_begins_the_wait_anew)
{
	struct leaks l = {0};
	struct roster r = pods(alive);
	bool due[1];
	const struct leaks_record gone = record("ns/gone", false);
	(void)leaks_judge(&l, &r, &gone, 1, MINUTE, due);
	tell(&r, KUBE_RESTART, NULL);
	(void)leaks_judge(&l, &r, &gone, 1, 5 * MINUTE, due);
	roster_done(&r);
	r = pods(alive);
	(void)leaks_judge(&l, &r, &gone, 1, 6 * MINUTE, due);
	assert_int_equal(leaks_judge(&l, &r, &gone, 1, 15 * MINUTE, due), 0);
	tell(&r, KUBE_EXISTS, "gone");
	(void)leaks_judge(&l, &r, &gone, 1, 15 * MINUTE + 1, due);
	tell(&r, KUBE_GONE, "gone");
	(void)leaks_judge(&l, &r, &gone, 1, 16 * MINUTE, due);
	assert_int_equal(leaks_judge(&l, &r, &gone, 1, 17 * MINUTE, due), 0);
	assert_int_equal(leaks_judge(&l, &r, &gone, 1, 26 * MINUTE, due), 1);
	leaks_done(&l);
	roster_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_due_after_ten_minutes_without_pod_and_link),
		cmocka_unit_test(one_witness_is_not_enough),
		cmocka_unit_test(an_empty_or_partial_list_is_never_taken_for_no_pods),
		cmocka_unit_test(a_list_that_was_away_or_a_pod_that_was_seen_begins_the_wait_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
