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

static size_t judge(struct leaks *l, const struct roster *r, const struct leaks_record *record,
	int64_t now_ms, bool *due)
{
	const struct leaks_when when = {.gone_ms = 10 * MINUTE, .now_ms = now_ms};
	return leaks_judge(l, r, record, 1, &when, due);
}

TEST(a_record_is_due_after_ten_minutes_without_pod_and_link)
{
	struct leaks l = {0};
	struct roster r = pods(alive);
	bool due[1];
	const struct leaks_record gone = record("ns/gone", false);
	for (int64_t t = MINUTE; t < 11 * MINUTE; t += MINUTE)
		assert_int_equal(judge(&l, &r, &gone, t, due), 0);
	assert_int_equal(judge(&l, &r, &gone, 11 * MINUTE, due), 1);
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
			assert_int_equal(judge(&l, &r, &records[i], t, due), 0);
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
		assert_int_equal(judge(&l, &empty, &gone, t, due), 0);
		assert_int_equal(judge(&l, &partial, &gone, t, due), 0);
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
	(void)judge(&l, &r, &gone, MINUTE, due);
	tell(&r, KUBE_RESTART, NULL);
	(void)judge(&l, &r, &gone, 5 * MINUTE, due);
	roster_done(&r);
	r = pods(alive);
	(void)judge(&l, &r, &gone, 6 * MINUTE, due);
	assert_int_equal(judge(&l, &r, &gone, 15 * MINUTE, due), 0);
	tell(&r, KUBE_EXISTS, "gone");
	(void)judge(&l, &r, &gone, 15 * MINUTE + 1, due);
	tell(&r, KUBE_GONE, "gone");
	(void)judge(&l, &r, &gone, 16 * MINUTE, due);
	assert_int_equal(judge(&l, &r, &gone, 17 * MINUTE, due), 0);
	assert_int_equal(judge(&l, &r, &gone, 26 * MINUTE, due), 1);
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
