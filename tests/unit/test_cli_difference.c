/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The difference of two texts, in the form that patch(1) reads.
 */
#include "tests/unit/check.h"

#include <stdlib.h>

#include "cli/difference.h"

static char *print(const char *before, const char *after)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	assert_non_null(f);
	difference_print(f, "a", before, "b", after);
	(void)fclose(f);
	return text;
}

TEST(differences_print_as_the_table_says)
{
	static const struct {
		const char *before, *after, *expected;
	} table[] = {
		{"", "", ""},
		{"1\n2\n", "1\n2\n", ""},
		{"", "1\n2\n", "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+1\n+2\n"},
		{"1\n2\n", "", "--- a\n+++ b\n@@ -1,2 +0,0 @@\n-1\n-2\n"},
		{"1\n2\n3\n", "1\nx\n3\n", "--- a\n+++ b\n@@ -1,3 +1,3 @@\n 1\n-2\n+x\n 3\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n5\n6\n7\n8\n9\n",
			"--- a\n+++ b\n@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+x\n 5\n 6\n 7\n"},
		/* six lines between two changes are shared by one hunk, seven are not */
		{"a\n1\n2\n3\n4\n5\n6\nb\n", "x\n1\n2\n3\n4\n5\n6\ny\n",
			"--- a\n+++ b\n@@ -1,8 +1,8 @@\n-a\n+x\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+y\n"},
		{"a\n1\n2\n3\n4\n5\n6\n7\nb\n", "x\n1\n2\n3\n4\n5\n6\n7\ny\n",
			"--- a\n+++ b\n@@ -1,4 +1,4 @@\n-a\n+x\n 1\n 2\n 3\n"
			"@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+y\n"},
		{"a\nb\nc\n", "b\nc\nd\n", "--- a\n+++ b\n@@ -1,3 +1,3 @@\n-a\n b\n c\n+d\n"},
		{"a\x1b[2J\n", "b\n", "--- a\n+++ b\n@@ -1,1 +1,1 @@\n-a?[2J\n+b\n"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char *text = print(table[i].before, table[i].after);
		assert_string_equal(text, table[i].expected);
		free(text);
	}
}

static char *repeat(const char *line, size_t n)
{
	size_t len = strlen(line);
	char *text = calloc(n * len + 1, 1);
	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, line, len);
	return text;
}

TEST(large_texts_without_a_common_line_are_removed_and_added_whole)
{
	char *before = repeat("a\n", 3000), *after = repeat("b\n", 3000);
	static const char head[] = "--- a\n+++ b\n@@ -1,3000 +1,3000 @@\n";
	char *text = print(before, after);
	assert_int_equal(strncmp(text, head, strlen(head)), 0);
	assert_int_equal(strlen(text), strlen(head) + 6000 * strlen("-a\n"));
	assert_null(strchr(strstr(text, "+b"), 'a'));
	free(text);
	free(after);
	free(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences_print_as_the_table_says),
		cmocka_unit_test(large_texts_without_a_common_line_are_removed_and_added_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
