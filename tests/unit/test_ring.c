/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last things that happened: alike ones are one, the oldest goes first, and who asks gets what is new.
 */
#include "tests/unit/values.h"

#include <stdio.h>

#include "lib/ring.h"
#include "lib/text.h"

static void happen(struct ring *r, const char *name, const char *kind, uint64_t n, int64_t wall_s)
{
	const struct hash key = hash_of(name, strlen(name));
	if (!ring_again(r, &key, n, wall_s))
		ring_add(r, &key, kind, json_pack("{s:s}", "name", name), n, wall_s);
}

/* "NAME*COUNT FIRST-LAST" of each, where times are seconds of the first minute of 1970. */
static const char *text(const struct ring *r, const char *kind, uint64_t after)
{
	static char out[512];
	struct text t = TEXT_ON(out);
	const json_t *entry;
	size_t i;
	CLEANUP_JSON json_t *list = ring_list(r, kind, after);
	out[0] = '\0';
	json_array_foreach (list, i, entry) {
		assert_string_equal(json_text_at(entry, "kind"), kind);
		text_add(&t, "%s%s*%d %.2s-%.2s", i ? " " : "", json_text_at(entry, "name"),
			(int)json_integer_value(json_object_get(entry, "count")),
			json_text_at(entry, "first") + strlen("1970-01-01T00:00:"),
			json_text_at(entry, "last") + strlen("1970-01-01T00:00:"));
	}
	return out;
}

TEST(alike_ones_are_one_with_a_count)
{
	struct ring *r = ring_new(8);
	happen(r, "a", "denied", 1, 1);
	happen(r, "b", "denied", 2, 2);
	happen(r, "c", "logged", 1, 2);
	happen(r, "a", "denied", 3, 9);
	assert_string_equal(text(r, "denied", 0), "b*2 02-02 a*4 01-09");
	assert_string_equal(text(r, "logged", 0), "c*1 02-02");
	assert_string_equal(text(r, "other", 0), "");
	ring_free(r);
}

TEST(who_asks_again_gets_what_is_new)
{
	struct ring *r = ring_new(8);
	happen(r, "a", "denied", 1, 1);
	happen(r, "b", "denied", 1, 1);
	uint64_t number = ring_number(r);
	assert_string_equal(text(r, "denied", number), "");
	happen(r, "a", "denied", 1, 5);
	assert_string_equal(text(r, "denied", number), "a*2 01-05");
	ring_free(r);
}

TEST(what_happened_last_the_longest_ago_makes_room)
{
	struct ring *r = ring_new(3);
	happen(r, "a", "denied", 1, 1);
	happen(r, "b", "denied", 1, 2);
	happen(r, "c", "denied", 1, 3);
	happen(r, "a", "denied", 1, 4);
	happen(r, "d", "denied", 1, 5);
	assert_string_equal(text(r, "denied", 0), "c*1 03-03 a*2 01-04 d*1 05-05");
	happen(r, "b", "denied", 1, 6); /* begins anew */
	assert_string_equal(text(r, "denied", 0), "a*2 01-04 d*1 05-05 b*1 06-06");
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alike_ones_are_one_with_a_count),
		cmocka_unit_test(who_asks_again_gets_what_is_new),
		cmocka_unit_test(what_happened_last_the_longest_ago_makes_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
