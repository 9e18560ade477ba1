/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text in fixed buffers and on the heap, names from strangers, error sentences, hashes.
 */
#include "tests/unit/check.h"

#include "lib/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "lib/mem.h"

TEST(text_never_overflows_and_says_when_it_was_cut)
{
	char buf[8] = "";
	struct text t = TEXT_ON(buf);
	text_add(&t, "%s", "abc");
	text_add(&t, "%d", 1234);
	assert_string_equal(buf, "abc1234");
	assert_false(t.cut);
	text_add(&t, "%s", "");
	assert_false(t.cut);
	text_add(&t, "5");
	assert_true(t.cut);
	text_add(&t, "6");
	assert_string_equal(buf, "abc1234");
	assert_int_equal(t.len, 7);
}

TEST(growing_text_is_never_cut)
{
	CLEANUP_TEXT struct text t = {0};
	char expected[10000] = "";
	for (int i = 0; i < 1000; i++) {
		text_add(&t, "%d ", i);
		(void)snprintf(expected + strlen(expected), 8, "%d ", i);
	}
	assert_string_equal(t.buf, expected);
	assert_int_equal(t.len, strlen(expected));
	assert_false(t.cut);
	text_add(&t, "%9000d", 1);
	assert_int_equal(t.len, strlen(expected) + 9000);
	assert_int_equal(t.buf[t.len - 1], '1');
	text_free(&t);
	assert_null(t.buf);
	text_add_bytes(&t, "a\0b", 3);
	text_add_char(&t, 'c');
	assert_int_equal(t.len, 4);
	assert_memory_equal(t.buf, "a\0bc", 5);
	memset(text_reserve(&t, 3000), 'x', 3000);
	t.len += 3000;
	text_add(&t, "end");
	assert_string_equal(t.buf + 4 + 2999, "xend");
}

TEST(taken_text_is_the_callers_and_leaves_an_empty_one)
{
	struct text t = {0};
	char *nothing = text_take(&t);
	assert_string_equal(nothing, "");
	text_add(&t, "abc");
	char *text = text_take(&t);
	text_add(&t, "def");
	assert_string_equal(text, "abc");
	assert_string_equal(t.buf, "def");
	text_free(&t);
	free(text);
	free(nothing);
}

TEST(bytes_that_do_not_fit_a_fixed_buffer_are_cut_off)
{
	char buf[4] = "";
	CLEANUP_TEXT struct text t = TEXT_ON(buf); /* freeing leaves the buffer alone */
	text_add_bytes(&t, "ab", 2);
	assert_false(t.cut);
	text_add_bytes(&t, "cdef", 4);
	assert_true(t.cut);
	assert_string_equal(buf, "abc");
	t.cut = false;
	text_add_char(&t, 'x');
	assert_true(t.cut);
	assert_int_equal(t.len, 3);
}

TEST(words_are_found_until_the_end_of_their_list)
{
	static const char *const words[] = {"a", "", "bc"};
	static const char *const ended[] = {"a", "b", NULL, "c"};
	assert_int_equal(TEXT_INDEX("a", words), 0);
	assert_int_equal(TEXT_INDEX("", words), 1);
	assert_int_equal(TEXT_INDEX("bc", words), 2);
	assert_int_equal(TEXT_INDEX("b", words), -1);
	assert_int_equal(text_index("b", ended, SIZE_MAX), 1);
	assert_int_equal(text_index("c", ended, SIZE_MAX), -1);
}

TEST(copies_are_cut_and_terminated)
{
	char buf[4];
	assert_true(text_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(text_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_true(text_copy(buf, 1, ""));
	assert_string_equal(buf, "");
}

TEST(cleaning_replaces_control_characters_of_every_kind)
{
	char buf[32];
	assert_true(text_clean(buf, sizeof(buf),
		"a\x1b[2J\r\n\x7f\xc2\x9b"
		"31m\xc3\xa9"));
	assert_string_equal(buf, "a?[2J??"
				 "???31m\xc3\xa9");
	assert_false(text_clean(buf, 3, "\x01\x02\x03"));
	assert_string_equal(buf, "??");
}

TEST(names_have_the_form_of_cni)
{
	static const char *const good[] = {"a", "0", "default-t1", "a_b.c-d", "Z9"};
	static const char *const bad[] = {
		"", "-a", ".a", "_a", "a b", "a\n", "a/b", "\xc3\xa4", "a\xc3\xa4", "a:b"};
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_name(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_name(bad[i]));
}

TEST(names_are_dns_subdomains_in_lower_case)
{
	static const char *const good[] = {"a", "0", "node-1", "a.b", "a--b", "a1.b-2.c",
		"ip-10-0-0-1.eu-west-1.compute.internal"};
	static const char *const bad[] = {"", ".", "-", "a.", ".a", "-a", "a-", "a..b", "a.-b",
		"a-.b", "A", "a_b", "a b", "a/b", "a\n", "\x80", "\xc3\xa9", "a\"", "../a"};
	for (size_t i = 0; i < COUNT(good); i++)
		if (!text_is_dns_name(good[i]))
			fail_msg("\"%s\" was refused", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (text_is_dns_name(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	char name[TEXT_DNS_NAME + 1];
	memset(name, 'x', sizeof(name));
	name[TEXT_DNS_NAME - 1] = '\0';
	assert_true(text_is_dns_name(name));
	name[TEXT_DNS_NAME - 1] = 'x';
	name[TEXT_DNS_NAME] = '\0';
	assert_false(text_is_dns_name(name));
}

TEST(interface_names_are_what_the_kernel_takes_less_traps)
{
	static const char *const good[] = {"eth0", "a", "abcdefghijklmno", "...", "net1@x", "-"};
	static const char *const bad[] = {"", ".", "..", "abcdefghijklmnop", "a/b", "a:b", "a b",
		"a%d", "a\tb", "a\n", "\x1b", "a\x7f", "a\xa0"};
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_ifname(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(text_is_ifname(bad[i]));
}

TEST(an_error_is_set_extended_and_explained)
{
	struct err e;
	refused_with(err_set(&e, ENOENT, "no %s", "link"), ENOENT, "no link");
	assert_string_equal(e.details, "");
	assert_int_equal(e.code, 0);
	err_add(&e, "pod %d", 7);
	assert_string_equal(e.text, "pod 7: no link");
	err_details(&e, "try %s", "again");
	e.code = 11;
	(void)err_set(&e, EIO, "outer: %s", e.text);
	assert_string_equal(e.text, "outer: pod 7: no link");
	assert_string_equal(e.details, "");
	assert_int_equal(e.code, 0);
}

TEST(long_errors_are_cut)
{
	char longer[2000];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	struct err e;
	(void)err_set(&e, EIO, "%s", longer);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_add(&e, "%s", longer);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_details(&e, "%s", longer);
	assert_int_equal(strlen(e.details), sizeof(e.details) - 1);
}

TEST(hashes_are_stable_and_survive_text)
{
	struct hash h = hash_of("roost", 5);
	char text[HASH_TEXT];
	hash_format(&h, text);
	assert_int_equal(strlen(text), HASH_TEXT - 1);
	struct hash again;
	assert_true(hash_parse(text, &again));
	assert_true(hash_equal(&h, &again));
	assert_int_equal(hash_compare(&h, &again), 0);
	struct hash empty = hash_of("", 0);
	hash_format(&empty, text);
	assert_string_equal(text, "99aa06d3014798d86001c324468d497f"); /* XXH3-128 of nothing */
	assert_false(hash_equal(&h, &empty));
}

TEST(hash_text_must_be_32_lower_case_digits)
{
	struct hash h;
	assert_true(hash_parse("0123456789abcdef0123456789abcdef and more", &h));
	assert_false(hash_parse("", &h));
	assert_false(hash_parse("0123456789abcdef0123456789abcde", &h));
	assert_false(hash_parse("0123456789ABCDEF0123456789ABCDEF", &h));
	assert_false(hash_parse("0123456789abcdef0123456789abcdeg", &h));
}

TEST(grown_arrays_keep_their_elements_and_are_zeroed)
{
	size_t room = 0;
	CLEANUP_FREE int *array = NULL;
	for (int i = 0; i < 1000; i++) {
		array = mem_grow(array, &room, (size_t)i, sizeof(*array));
		assert_int_equal(array[i], 0);
		array[i] = i + 1;
	}
	assert_true(room >= 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(array[i], i + 1);
	CLEANUP_FREE char *copy = mem_strdup("x");
	assert_string_equal(copy, "x");
	CLEANUP_FREE char *nothing = mem_new(0, 0);
	assert_non_null(nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_never_overflows_and_says_when_it_was_cut),
		cmocka_unit_test(growing_text_is_never_cut),
		cmocka_unit_test(taken_text_is_the_callers_and_leaves_an_empty_one),
		cmocka_unit_test(bytes_that_do_not_fit_a_fixed_buffer_are_cut_off),
		cmocka_unit_test(words_are_found_until_the_end_of_their_list),
		cmocka_unit_test(copies_are_cut_and_terminated),
		cmocka_unit_test(cleaning_replaces_control_characters_of_every_kind),
		cmocka_unit_test(names_have_the_form_of_cni),
		cmocka_unit_test(names_are_dns_subdomains_in_lower_case),
		cmocka_unit_test(interface_names_are_what_the_kernel_takes_less_traps),
		cmocka_unit_test(an_error_is_set_extended_and_explained),
		cmocka_unit_test(long_errors_are_cut),
		cmocka_unit_test(hashes_are_stable_and_survive_text),
		cmocka_unit_test(hash_text_must_be_32_lower_case_digits),
		cmocka_unit_test(grown_arrays_keep_their_elements_and_are_zeroed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
