/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching sorted arrays, for every length up to seven and every key.
 */
#include "tests/unit/check.h"

#include "lib/search.h"

static int compare(const void *element, const void *key)
{
	int a = *(const int *)element;
	int b = *(const int *)key;
	return (a > b) - (a < b);
}

TEST(every_key_is_found_or_placed_before_the_first_larger_one)
{
	static const int sorted[] = {2, 4, 4, 6, 8, 8, 8};
	for (size_t n = 0; n <= COUNT(sorted); n++) {
		for (int key = 1; key < 10; key++) {
			size_t place = 0;
			while (place < n && sorted[place] < key)
				place++;
			size_t at = search_lower_bound(sorted, n, sizeof(int), &key, compare);
			assert_int_equal(at, place);
			const int *found = search_find(sorted, n, sizeof(int), &key, compare);
			if (place < n && sorted[place] == key)
				assert_ptr_equal(found, &sorted[place]);
			else
				assert_null(found);
		}
	}
}

TEST(an_empty_array_may_be_null)
{
	int key = 1;
	assert_int_equal(search_lower_bound(NULL, 0, sizeof(int), &key, compare), 0);
	assert_null(search_find(NULL, 0, sizeof(int), &key, compare));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_found_or_placed_before_the_first_larger_one),
		cmocka_unit_test(an_empty_array_may_be_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
