/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one holder of the Lease leaves to the next: written, read, and of any form.
 */
#include "tests/unit/values.h"

#include "agent/kube/handover.h"

#include <stdio.h>

static struct handover_entry entry(const char *node, int64_t seconds, bool replaced)
{
	struct handover_entry e = {.seconds = seconds, .replaced = replaced, .uid = "u-1"};
	(void)text_copy(e.node, sizeof(e.node), node);
	return e;
}

TEST(what_is_written_is_read)
{
	struct handover h = {0}, again = {0};
	struct handover_entry n1 = entry("n1", 300, false), n2 = entry("n2", 5, true);
	CLEANUP_JSON json_t *lease = json_of("{\"metadata\":{\"name\":\"l\"}}");
	handover_add(&h, &n1);
	handover_add(&h, &n2);
	handover_write(&h, lease);
	handover_read(&again, lease);
	assert_int_equal(again.n, 2);
	const struct handover_entry *e = handover_find(&again, "n2");
	assert_non_null(e);
	assert_true(e->replaced);
	assert_int_equal(e->seconds, 5);
	assert_string_equal(e->uid, "u-1");
	handover_drop(&again, "n1");
	assert_null(handover_find(&again, "n1"));
	assert_non_null(handover_find(&again, "n2"));
}

TEST(of_nobody_nothing_is_written)
{
	struct handover h = {0};
	CLEANUP_JSON json_t *lease = json_of("{\"metadata\":{}}");
	handover_write(&h, lease);
	assert_null(json_object_get(json_object_get(lease, "metadata"), "annotations"));
}

TEST(what_is_of_another_form_is_passed_over)
{
	static const char *const texts[] = {"", "7", "{}", "[7, [], {}]",
		"[{\"node\": \"../x\", \"seconds\": 7}]", "[{\"node\": \"n1\", \"seconds\": -7}]",
		"[{\"node\": 7, \"seconds\": 7}]"};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct handover h = {.n = 1};
		CLEANUP_JSON json_t *lease = json_pack(
			"{s:{s:{s:s}}}", "metadata", "annotations", HANDOVER_ANNOTATION, texts[i]);
		handover_read(&h, lease);
		assert_int_equal(h.n, 0);
	}
	struct handover h = {0};
	CLEANUP_JSON json_t *lease = json_pack("{s:{s:{s:s}}}", "metadata", "annotations",
		HANDOVER_ANNOTATION,
		"[{\"node\": \"n1\", \"seconds\": 9223372036854775807, \"uid\": [], \"more\": 1}]");
	handover_read(&h, lease);
	assert_int_equal(h.n, 1);
	assert_true(h.v[0].seconds < INT64_C(1000000000));
}

TEST(there_is_room_for_some)
{
	struct handover h = {0};
	for (int i = 0; i < 3 * HANDOVER_MAX; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "n%d", i);
		struct handover_entry e = entry(name, i, false);
		handover_add(&h, &e);
	}
	assert_int_equal(h.n, HANDOVER_MAX);
	CLEANUP_JSON json_t *lease = json_of("{\"metadata\":{}}");
	handover_write(&h, lease);
	handover_read(&h, lease);
	assert_int_equal(h.n, HANDOVER_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(of_nobody_nothing_is_written),
		cmocka_unit_test(what_is_of_another_form_is_passed_over),
		cmocka_unit_test(there_is_room_for_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
