/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading JSON of strangers: limits, wrong types and the sentences about them. Building our own.
 */
#include "tests/unit/values.h"

#include "lib/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/mem.h"

TEST(bad_documents_are_refused_with_a_reason)
{
	static const struct {
		const char *text;
		const char *reason;
	} table[] = {
		{"", "unexpected end of JSON input"},
		{"{\"a\":", "unexpected end of JSON input"},
		{"{} {}", "something follows the JSON document (line 1, column 4)"},
		{"{\"a\":1,}",
			"not valid JSON: string or '}' expected near '}' (line 1, column 8)"},
		{"{'a':1}", "not valid JSON: string or '}' expected near ''' (line 1, column 2)"},
		{"{\n\"a\":1e999}", "not valid JSON: real number overflow near '1e999' "
				    "(line 2, column 9)"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		json_t *doc = NULL;
		struct err e;
		refused_with(json_parse(table[i].text, strlen(table[i].text), &doc, &e), EBADMSG,
			table[i].reason);
		assert_null(doc);
	}
}

/* n opening and n closing brackets. */
static int parse_nested(size_t n, const char *open, const char *close)
{
	CLEANUP_FREE char *text = mem_new(2 * n + 1, 1);
	memset(text, *open, n);
	memset(text + n, *close, n);
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	return json_parse(text, 2 * n, &doc, &e);
}

TEST(a_byte_order_mark_is_passed_over)
{
	json_t *doc = NULL;
	struct err e;
	assert_int_equal(json_parse("\xef\xbb\xbf{\"a\":1}", 10, &doc, &e), 0);
	assert_int_equal(json_integer_value(json_object_get(doc, "a")), 1);
	json_decref(doc);
	assert_int_equal(json_parse("\xef\xbb\xbf", 3, &doc, &e), -EBADMSG);
	assert_int_equal(json_parse("{\xef\xbb\xbf}", 5, &doc, &e), -EBADMSG);
}

TEST(an_error_about_a_secret_document_repeats_nothing_of_it)
{
	static const char *const table[] = {"{\"text\":hunter2}", "{\"text\":\"hunter2\" x",
		"{\"hunter2\" 1}", "{\"text\":\"\xffhunter2\"}"};
	for (size_t i = 0; i < COUNT(table); i++) {
		json_t *doc = NULL;
		struct err e;
		assert_int_equal(json_parse_secret(table[i], strlen(table[i]), &doc, &e), -EBADMSG);
		assert_null(strstr(e.text, "hunter2"));
		assert_says(e.text, "not valid JSON (line 1, column ");
	}
	json_t *doc = NULL;
	struct err e;
	assert_int_equal(json_parse_secret("{}", 2, &doc, &e), 0);
	json_decref(doc);
}

TEST(nesting_is_limited)
{
	assert_int_equal(parse_nested(JSON_MAX_NESTING, "[", "]"), 0);
	assert_int_equal(parse_nested(JSON_MAX_NESTING + 1, "[", "]"), -EBADMSG);
	assert_int_equal(parse_nested(JSON_MAX_BYTES / 2, "[", "]"), -EBADMSG);
	assert_int_equal(parse_nested(JSON_MAX_BYTES / 2, "{", "}"), -EBADMSG);
}

TEST(brackets_inside_strings_are_not_nesting)
{
	CLEANUP_FREE char *text = mem_new(512, 1);
	memset(text, '[', 300);
	static const char start[] = {'"', '\\', '"', '\\', '\\'}; /* escapes are no ends */
	memcpy(text, start, sizeof(start));
	text[300] = '"';
	text[301] = '\0';
	json_decref(json_of(text));
}

TEST(size_is_limited)
{
	CLEANUP_FREE char *text = mem_new(JSON_MAX_BYTES + 2, 1);
	memset(text, ' ', JSON_MAX_BYTES + 1);
	text[0] = '7';
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	assert_int_equal(json_parse(text, JSON_MAX_BYTES + 1, &doc, &e), -EBADMSG);
	assert_int_equal(json_parse(text, JSON_MAX_BYTES, &doc, &e), 0);
}

TEST(the_last_of_duplicate_keys_wins)
{
	CLEANUP_JSON json_t *doc = json_of("{\"a\":1,\"a\":2}");
	assert_int_equal(json_integer_value(json_object_get(doc, "a")), 2);
}

TEST(absent_and_null_leave_the_output_alone)
{
	CLEANUP_JSON json_t *doc = json_of("{\"n\":null}");
	static const char *const keys[] = {"n", "absent"};
	struct err e;
	for (size_t i = 0; i < 2; i++) {
		const char *s = "kept";
		bool b = true;
		int64_t n = 42;
		json_t *value = doc;
		assert_int_equal(json_get_string(doc, "", keys[i], &s, &e), 0);
		assert_int_equal(json_get_bool(doc, "", keys[i], &b, &e), 0);
		assert_int_equal(json_get_number(doc, "", keys[i], 0, 1, &n, &e), 0);
		assert_int_equal(json_get_object(doc, "", keys[i], &value, &e), 0);
		assert_int_equal(json_get_array(doc, "", keys[i], &value, &e), 0);
		assert_string_equal(s, "kept");
		assert_true(b);
		assert_int_equal(n, 42);
		assert_ptr_equal(value, doc);
	}
	bool b = false;
	assert_int_equal(json_get_bool(NULL, "", "x", &b, &e), 0);
	assert_int_equal(json_get_bool(json_null(), "", "x", &b, &e), 0);
}

TEST(present_values_are_given)
{
	CLEANUP_JSON json_t *doc =
		json_of("{\"s\":\"t\",\"b\":true,\"f\":false,\"n\":-5,\"o\":{},\"a\":[]}");
	const char *s = NULL;
	bool b = false;
	bool f = true;
	int64_t n = 0;
	json_t *o = NULL;
	json_t *a = NULL;
	struct err e;
	assert_int_equal(json_get_string(doc, "", "s", &s, &e), 1);
	assert_string_equal(s, "t");
	assert_int_equal(json_get_bool(doc, "", "b", &b, &e), 1);
	assert_true(b);
	assert_int_equal(json_get_bool(doc, "", "f", &f, &e), 1);
	assert_false(f);
	assert_int_equal(json_get_number(doc, "", "n", -5, 5, &n, &e), 1);
	assert_int_equal(n, -5);
	assert_int_equal(json_get_object(doc, "", "o", &o, &e), 1);
	assert_int_equal(json_get_array(doc, "", "a", &a, &e), 1);
}

TEST(wrong_types_name_the_place_and_both_types)
{
	CLEANUP_JSON json_t *doc = json_of("{\"x\":[],\"n\":1.5,\"big\":70000,\"b\":1}");
	const char *s = NULL;
	int64_t n = 0;
	bool b = false;
	json_t *value = NULL;
	struct err e;
	refused_with(json_get_string(doc, "ipam.pools[0]", "x", &s, &e), EBADMSG,
		"ipam.pools[0].x must be a string, not an array");
	refused_with(json_get_number(doc, "", "n", 0, 9, &n, &e), EBADMSG,
		"n must be a whole number, not a fraction");
	refused_with(json_get_number(doc, "", "big", 68, 65535, &n, &e), EBADMSG,
		"big is 70000, must be between 68 and 65535");
	refused_with(json_get_bool(doc, "log", "b", &b, &e), EBADMSG,
		"log.b must be true or false, not a number");
	assert_int_equal(json_get_object(doc, "", "x", &value, &e), -EBADMSG);
	assert_int_equal(json_get_array(doc, "", "b", &value, &e), -EBADMSG);
	const json_t *array = json_object_get(doc, "x");
	refused_with(json_get_string(array, "ipam", "type", &s, &e), EBADMSG,
		"ipam must be an object, not an array");
	assert_null(s);
	assert_null(value);
}

TEST(folded_keys_prefer_the_exact_one_then_the_last)
{
	CLEANUP_JSON json_t *doc = json_of("{\"IPS\":1,\"Ips\":2,\"mac\":3,\"MAC\":4}");
	assert_int_equal(json_integer_value(json_get_folded(doc, "ips")), 2);
	assert_int_equal(json_integer_value(json_get_folded(doc, "mac")), 3);
	assert_null(json_get_folded(doc, "ip"));
	assert_null(json_get_folded(json_null(), "ip"));
	assert_null(json_get_folded(NULL, "ip"));
}

TEST(unknown_keys_are_named_with_the_known_ones)
{
	static const char *const known[] = {"cidr", "blockSize", NULL};
	CLEANUP_JSON json_t *good = json_of("{\"cidr\":1}");
	CLEANUP_JSON json_t *bad = json_of("{\"cidr\":1,\"block\\u001bSize\":2}");
	struct err e;
	assert_int_equal(json_check_keys(good, "ipam.pools[0]", known, &e), 0);
	refused_with(json_check_keys(bad, "ipam.pools[0]", known, &e), EINVAL,
		"unknown key \"block?Size\" in ipam.pools[0]: did you mean blockSize?");
	assert_string_equal(e.details, "known keys: cidr, blockSize");
}

TEST(text_is_compact_and_keeps_the_order)
{
	CLEANUP_JSON json_t *doc = json_of(" { \"b\" : [ 1 , null ], \"a\" : \"x\" } ");
	CLEANUP_FREE char *text = json_text(doc);
	assert_string_equal(text, "{\"b\":[1,null],\"a\":\"x\"}");
}

TEST(cleaned_text_can_always_be_a_string)
{
	static const struct {
		const char *in;
		const char *out;
		bool valid;
	} table[] = {
		{"plain", "plain", true},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x94", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x94",
			true},
		{"\xc3", "?", false},
		{"\xe2\x82", "??", false},
		{"\xf0\x9f\x90", "???", false},
		{"\xc0\xaf", "??", false},
		{"\xe0\x80\xaf", "???", false},
		{"\xed\xa0\x80", "???", false},
		{"\xf4\x90\x80\x80", "????", false},
		{"\xf0\x80\x80\x80", "????", false},
		{"\xff\xfe", "??", false},
		{"\x80"
		 "a",
			"?a", false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char out[32];
		assert_true(json_clean(out, sizeof(out), table[i].in));
		assert_string_equal(out, table[i].out);
		assert_int_equal(json_is_utf8(table[i].in), table[i].valid);
		CLEANUP_JSON json_t *string = json_string(out);
		assert_non_null(string);
	}
}

TEST(a_character_that_was_cut_is_replaced)
{
	char out[3];
	assert_false(json_clean(out, sizeof(out), "a\xc3\xa4"));
	assert_string_equal(out, "a?");
}

TEST(documents_are_built_of_any_text)
{
	struct addr a, none = {0};
	struct cidr c, nothing = {0};
	a = addr("fd00::1");
	c = cidr("10.0.0.0/8");
	CLEANUP_JSON json_t *o = json_object();
	json_t *list = json_array();
	json_append(list, json_of_text("a\xff\n"
				       "b"));
	json_append(list, json_of_text("\xc3\xa4"));
	json_append(list, json_of_number(UINT64_MAX));
	json_append(list, json_of_number(7));
	json_append(list, json_of_addr(&a));
	json_append(list, json_of_addr(&none));
	json_append(list, json_of_cidr(&c));
	json_append(list, json_of_cidr(&nothing));
	json_put(o, "list", list);
	json_put(o, "list2", json_null());
	CLEANUP_FREE char *text = json_text(o);
	assert_string_equal(text, "{\"list\":[\"a?\\nb\",\"\xc3\xa4\",9223372036854775807,7,"
				  "\"fd00::1\",\"\",\"10.0.0.0/8\",\"\"],\"list2\":null}");
}

TEST(a_file_is_read_or_named)
{
	char path[] = "/tmp/roost-test-json-XXXXXX";
	int fd = mkstemp(path);
	json_t *doc = NULL;
	struct err e;
	char expected[100];
	assert_int_equal(write(fd, "[1]", 3), 3);
	assert_int_equal(json_read_file(path, &doc, &e), 0);
	assert_int_equal(json_array_size(doc), 1);
	json_decref(doc);
	doc = NULL;
	assert_int_equal(write(fd, "]", 1), 1);
	assert_int_equal(json_read_file(path, &doc, &e), -EBADMSG);
	(void)snprintf(expected, sizeof(expected),
		"%s: something follows the JSON document (line 1, column 4)", path);
	assert_string_equal(e.text, expected);
	(void)unlink(path);
	(void)close(fd);
	assert_int_equal(json_read_file(path, &doc, &e), -ENOENT);
	(void)snprintf(
		expected, sizeof(expected), "cannot open %s: No such file or directory", path);
	assert_string_equal(e.text, expected);
	assert_int_equal(json_read_file("/tmp", &doc, &e), -EISDIR);
	assert_null(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_documents_are_refused_with_a_reason),
		cmocka_unit_test(a_byte_order_mark_is_passed_over),
		cmocka_unit_test(an_error_about_a_secret_document_repeats_nothing_of_it),
		cmocka_unit_test(nesting_is_limited),
		cmocka_unit_test(brackets_inside_strings_are_not_nesting),
		cmocka_unit_test(size_is_limited),
		cmocka_unit_test(the_last_of_duplicate_keys_wins),
		cmocka_unit_test(absent_and_null_leave_the_output_alone),
		cmocka_unit_test(present_values_are_given),
		cmocka_unit_test(wrong_types_name_the_place_and_both_types),
		cmocka_unit_test(folded_keys_prefer_the_exact_one_then_the_last),
		cmocka_unit_test(unknown_keys_are_named_with_the_known_ones),
		cmocka_unit_test(text_is_compact_and_keeps_the_order),
		cmocka_unit_test(cleaned_text_can_always_be_a_string),
		cmocka_unit_test(a_character_that_was_cut_is_replaced),
		cmocka_unit_test(documents_are_built_of_any_text),
		cmocka_unit_test(a_file_is_read_or_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
