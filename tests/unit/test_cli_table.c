/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people see of text and numbers: aligned columns, cleaned names, readable sizes.
 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "cli/output.h"
#include "cli/table.h"
#include "lib/mem.h"

#define COLUMNS "NAME|>SIZE|NOTE"

static char *printed(const struct table *t)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	table_print(t, f);
	(void)fclose(f);
	return text;
}

/* Three cells make a row. */
static void expect(const char *const *cells, size_t n, const char *expected)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, COLUMNS);
	for (size_t i = 0; i < n; i += 3)
		table_add(&t, cells + i, 3);
	CLEANUP_FREE char *text = printed(&t);
	assert_string_equal(text, expected);
}

TEST(columns_are_as_wide_as_their_widest_cell)
{
	const char *cells[] = {"10.0.0.0/16", "65536", "x", "a", "1", "longer than its title"};
	expect(cells, COUNT(cells),
		"NAME          SIZE  NOTE\n"
		"10.0.0.0/16  65536  x\n"
		"a                1  longer than its title\n");
}

TEST(no_line_ends_in_blanks)
{
	const char *cells[] = {"long name", "1", "", "", "", "", "a", "", "note"};
	expect(cells, COUNT(cells),
		"NAME       SIZE  NOTE\n"
		"long name     1\n"
		"\n"
		"a                note\n");
}

TEST(characters_count_not_bytes)
{
	const char *cells[] = {"käse", "1", "x", "cheese", "2", "y"};
	expect(cells, COUNT(cells),
		"NAME    SIZE  NOTE\n"
		"käse       1  x\n"
		"cheese     2  y\n");
}

TEST(a_table_without_rows_is_its_titles)
{
	expect(NULL, 0, "NAME  SIZE  NOTE\n");
}

TEST(what_a_terminal_would_obey_is_replaced)
{
	static const struct {
		const char *raw, *clean;
	} cases[] = {
		{"web-0", "web-0"},
		{"\033[31mred", "?[31mred"},
		{"a\nb\tc\rd\x7f", "a?b?c?d?"},
		{"\x9b"
		 "31m",
			"?31m"},		 /* CSI as one byte: no UTF-8 */
		{"\xc2\x9b 31m", "?? 31m"},	 /* the same as UTF-8 */
		{"k\xc3\xa4se", "k\xc3\xa4se"},	 /* a letter stays */
		{"\xe2\x80\xae gnp", "??? gnp"}, /* right-to-left override */
		{"\xe2\x80\xa8next", "???next"}, /* line separator */
		{"\xf0\x9f\x90\x94", "\xf0\x9f\x90\x94"},
		{"\xc0\x80", "??"},	      /* overlong */
		{"\xed\xa0\x80", "???"},      /* surrogate */
		{"\xf5\x80\x80\x80", "????"}, /* beyond Unicode */
		{"cut\xe2\x82", "cut??"},
		{"", ""},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char clean[64];
		output_clean(clean, sizeof(clean), cases[i].raw);
		assert_string_equal(clean, cases[i].clean);
	}
}

TEST(cells_are_cleaned)
{
	CLEANUP_TABLE struct table t;
	table_init(&t, COLUMNS);
	table_row(&t, "\033]0;title\a", "1", NULL);
	CLEANUP_FREE char *text = printed(&t);
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\a'));
}

TEST(numbers_stay_readable_in_ipv6_sizes)
{
	static const struct {
		uint64_t v;
		const char *text;
	} cases[] = {
		{0, "0"},
		{64, "64"},
		{1048575, "1048575"},
		{1048576, "2^20"},
		{16777214, "16777214"},
		{16777216, "2^24"},
		{4294967295, "~2^32"},
		{4294967296, "2^32"},
		{4294967297, "~2^32"},
		{UINT64_C(1) << 63, "2^63"},
		{UINT64_MAX - 1, "~2^64"},
		{UINT64_MAX, "2^64+"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[OUTPUT_NUMBER];
		output_number(cases[i].v, text);
		assert_string_equal(text, cases[i].text);
	}
}

TEST(percent_says_nothing_and_all_only_when_it_is_so)
{
	static const struct {
		uint64_t part, whole;
		const char *text;
	} cases[] = {
		{0, 64, "0%"},
		{0, 0, "0%"},
		{3, 64, "4.7%"},
		{1, 65536, "<0.1%"},
		{65535, 65536, "99.9%"},
		{64, 64, "100%"},
		{5, UINT64_MAX, "<0.1%"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[OUTPUT_NUMBER];
		output_percent(cases[i].part, cases[i].whole, text);
		assert_string_equal(text, cases[i].text);
	}
}

TEST(an_owner_is_a_phrase)
{
	char text[OUTPUT_OWNER];
	struct owner o = owner_of("lan", "0123456789abcdef", "eth0");
	output_owner(&o, text);
	assert_string_equal(text, "container 0123456789ab (network lan, eth0)");
	o.pod_namespace = "default";
	o.pod_name = "web\033[2J";
	o.foreign = true;
	output_owner(&o, text);
	assert_string_equal(text, "pod default/web?[2J (network lan, container 0123456789ab, "
				  "eth0, wired by another plugin)");
	o = owner_of(OWNER_TUNNEL, "vxlan", "ipv6");
	o.foreign = true;
	output_owner(&o, text);
	assert_string_equal(text, "this node's own tunnel (vxlan, ipv6)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(no_line_ends_in_blanks),
		cmocka_unit_test(characters_count_not_bytes),
		cmocka_unit_test(a_table_without_rows_is_its_titles),
		cmocka_unit_test(what_a_terminal_would_obey_is_replaced),
		cmocka_unit_test(cells_are_cleaned),
		cmocka_unit_test(numbers_stay_readable_in_ipv6_sizes),
		cmocka_unit_test(percent_says_nothing_and_all_only_when_it_is_so),
		cmocka_unit_test(an_owner_is_a_phrase),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
