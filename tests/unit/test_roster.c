/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that a watch tells: what is there, and when that can be said.
 */
#include "tests/unit/values.h"

#include "agent/kube/roster.h"

#include <stdio.h>

static bool tell(struct roster *r, enum kube_event_kind kind, const char *name, const char *uid)
{
	CLEANUP_JSON json_t *object = json_pack("{s:{s:s*}}", "metadata", "uid", uid);
	return roster_take(
		r, &(struct kube_event){
			   .kind = kind, .name = name, .namespace_ = "ns", .object = object});
}

TEST(a_list_is_complete_at_its_end_and_what_it_did_not_tell_is_gone)
{
	struct roster r = {0};
	(void)tell(&r, KUBE_RESTART, NULL, NULL);
	(void)tell(&r, KUBE_EXISTS, "b", "2");
	(void)tell(&r, KUBE_EXISTS, "a", "1");
	assert_false(r.complete);
	(void)tell(&r, KUBE_CURRENT, NULL, NULL);
	assert_true(r.complete);
	assert_non_null(roster_find(&r, "ns/a"));
	assert_null(roster_find(&r, "a"));
	(void)tell(&r, KUBE_RESTART, NULL, NULL);
	assert_false(r.complete);
	(void)tell(&r, KUBE_EXISTS, "b", "2");
	assert_non_null(roster_find(&r, "ns/a"));
	(void)tell(&r, KUBE_CURRENT, NULL, NULL);
	assert_null(roster_find(&r, "ns/a"));
	assert_int_equal(r.n, 1);
	roster_done(&r);
}

TEST(another_uid_under_a_name_takes_the_mark_away)
{
	struct roster r = {0};
	assert_true(tell(&r, KUBE_EXISTS, "a", "1"));
	roster_find(&r, "ns/a")->checked = true;
	assert_false(tell(&r, KUBE_EXISTS, "a", "1"));
	assert_true(roster_find(&r, "ns/a")->checked);
	assert_true(tell(&r, KUBE_EXISTS, "a", "2"));
	assert_false(roster_find(&r, "ns/a")->checked);
	assert_true(tell(&r, KUBE_GONE, "a", "2"));
	assert_false(tell(&r, KUBE_GONE, "a", "2"));
	assert_int_equal(r.n, 0);
	roster_done(&r);
}

TEST(many_names_in_any_order_are_found)
{
	struct roster r = {0};
	for (unsigned int i = 0; i < 1000; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "pod-%u", i * 7919 % 1000);
		(void)tell(&r, KUBE_EXISTS, name, "u");
	}
	assert_int_equal(r.n, 1000);
	for (unsigned int i = 0; i < 1000; i += 2) {
		char name[16];
		(void)snprintf(name, sizeof(name), "pod-%u", i);
		(void)tell(&r, KUBE_GONE, name, "u");
	}
	assert_null(roster_find(&r, "ns/pod-500"));
	assert_non_null(roster_find(&r, "ns/pod-501"));
	assert_int_equal(r.n, 500);
	roster_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_complete_at_its_end_and_what_it_did_not_tell_is_gone),
		cmocka_unit_test(another_uid_under_a_name_takes_the_mark_away),
		cmocka_unit_test(many_names_in_any_order_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
