/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of the blocks.
 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "cli/map.h"
#include "lib/mem.h"
#include "tests/unit/test_cli_view.h"

#define LEGEND "\n# used   ~ cooling down   R reserved   ? quarantined   . free\n"

static char *drawn(const struct node_view *v, bool color)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	map_print(f, v, color);
	(void)fclose(f);
	return text;
}

TEST(a_small_block_is_one_line_with_a_cell_an_address)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "10.1.0.0/16", 28);
	test_view_block(&t, "10.1.0.16/28");
	test_view_entry(&t, "10.1.0.16", NODE_RESERVED, NULL);
	test_view_entry(&t, "10.1.0.17", NODE_USED, NULL);
	test_view_entry(&t, "10.1.0.18", NODE_COOLING, NULL);
	test_view_entry(&t, "10.1.0.31", NODE_QUARANTINED, NULL);
	CLEANUP_FREE char *text = drawn(&t.view, false);
	assert_string_equal(text,
		"10.1.0.16/28  R#~............?  1 used, 1 cooling, 1 reserved, 1 quarantined, 12 "
		"free\n" LEGEND);
}

TEST(a_larger_block_is_wrapped_and_each_row_says_where_it_begins)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "10.1.0.0/16", 25);
	test_view_block(&t, "10.1.0.128/25");
	test_view_entry(&t, "10.1.0.128", NODE_USED, NULL);
	test_view_entry(&t, "10.1.0.192", NODE_USED, NULL);
	test_view_entry(&t, "10.1.0.255", NODE_COOLING, NULL);
	CLEANUP_FREE char *text = drawn(&t.view, false);
	assert_string_equal(text,
		"10.1.0.128/25  #...............................................................  "
		"2 used, 1 cooling, 125 free\n"
		"10.1.0.192     "
		"#..............................................................~\n" LEGEND);
}

TEST(blocks_of_different_sizes_stay_aligned)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "10.1.0.0/16", 30);
	test_view_block(&t, "10.1.0.4/30");
	test_view_pool(&t, "fd00::/64", 124);
	test_view_block(&t, "fd00::10/124");
	test_view_entry(&t, "10.1.0.7", NODE_USED, NULL);
	test_view_entry(&t, "fd00::1f", NODE_USED, NULL);
	CLEANUP_FREE char *text = drawn(&t.view, false);
	assert_string_equal(text, "10.1.0.4/30   ...#              1 used, 3 free\n"
				  "fd00::10/124  ...............#  1 used, 15 free\n" LEGEND);
}

TEST(of_a_huge_block_only_rows_with_something_are_drawn)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "fd00::/48", 64);
	test_view_block(&t, "fd00:0:0:7::/64");
	test_view_entry(&t, "fd00:0:0:7::1", NODE_USED, NULL);
	test_view_entry(&t, "fd00:0:0:7::2", NODE_USED, NULL);
	test_view_entry(&t, "fd00:0:0:7:8000::41", NODE_COOLING, NULL);
	CLEANUP_FREE char *text = drawn(&t.view, false);
	assert_says(text, "fd00:0:0:7::         .##.....");
	assert_says(text, "fd00::7:8000:0:0:40  .~......");
	assert_says(text, "only rows with something in them");
	size_t lines = 0;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 6); /* block, two rows, blank, legend, remark */
}

TEST(colours_come_in_runs_and_end)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "10.1.0.0/16", 30);
	test_view_block(&t, "10.1.0.0/30");
	test_view_entry(&t, "10.1.0.0", NODE_USED, NULL);
	test_view_entry(&t, "10.1.0.1", NODE_USED, NULL);
	CLEANUP_FREE char *text = drawn(&t.view, true);
	assert_says(text, "10.1.0.0/30  \033[1;32m##\033[0m\033[2m..\033[0m  2 used");
}

TEST(no_blocks_no_picture)
{
	struct test_view t;
	test_view_init(&t);
	CLEANUP_FREE char *text = drawn(&t.view, false);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_block_is_one_line_with_a_cell_an_address),
		cmocka_unit_test(a_larger_block_is_wrapped_and_each_row_says_where_it_begins),
		cmocka_unit_test(blocks_of_different_sizes_stay_aligned),
		cmocka_unit_test(of_a_huge_block_only_rows_with_something_are_drawn),
		cmocka_unit_test(colours_come_in_runs_and_end),
		cmocka_unit_test(no_blocks_no_picture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
