/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which name a machine has that had another one.
 */
#include "tests/unit/check.h"

#include "agent/naming.h"

TEST(each_case)
{
	static const struct {
		struct naming_input in;
		const char *name, *why;
	} table[] = {
		{{"n1", true, "", false, 0}, "n1", ""},
		{{"n1", true, "n1", false, 3}, "n1", ""},
		/* the host's name changed */
		{{"n2", true, "n1", false, 3}, "n1", "its host is called n2 now: it goes on as n1"},
		{{"n2", true, "n1", false, 0}, "n1", "this machine was n1"},
		{{"n2", true, "n1", true, 0}, "n2", ""},
		/* somebody decided */
		{{"n2", false, "n1", false, 0}, "n2", ""},
		{{"n2", false, "n1", true, 0}, "n2", ""},
		{{"n2", false, "n1", false, 3}, "n1", "3 addresses are in use: it goes on as that"},
		{{"n1", false, "n1", false, 3}, "n1", ""},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char why[PROBLEM_TEXT];
		assert_string_equal(naming_choose(&table[i].in, why), table[i].name);
		if (*table[i].why)
			assert_says(why, table[i].why);
		else
			assert_string_equal(why, "");
		assert_null(strstr(why, "remove"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_case)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
