/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files: tests/data/yaml/CASE/ holds a file "input", and what is read of it in "expected":
 * the documents as JSON and again as YAML, or the error with its line and column. Files whose bytes
 * an editor would not keep are here.
 */
#include "tests/unit/check.h"

#include <errno.h>

#include "golden.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/yaml.h"

static void describe(const char *dir, char *out, size_t size)
{
	struct text t = {.buf = out, .size = size};
	size_t len = 0;
	CLEANUP_FREE char *input = golden_read(dir, "input", &len);
	struct yaml_file *f = NULL;
	struct err e = {0};
	assert_non_null(input);
	int r = yaml_parse(input, len, &f, &e);
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		text_add(&t, "error: %s\n", e.text);
		return;
	}
	for (size_t i = 0; i < yaml_count(f); i++) {
		CLEANUP_FREE char *json = json_text(yaml_document(f, i));
		CLEANUP_FREE char *yaml = yaml_text(yaml_document(f, i));
		text_add(&t, "%s\n---\n%s", json, yaml);
		struct yaml_file *again = NULL;
		assert_int_equal(yaml_parse(yaml, strlen(yaml), &again, &e), 0);
		assert_int_equal(yaml_count(again), 1);
		assert_true(json_equal(yaml_document(again, 0), yaml_document(f, i)));
		yaml_file_free(again);
	}
	text_add(&t, "%zu documents\n", yaml_count(f));
	assert_false(t.cut);
	yaml_file_free(f);
}

TEST(files_read_as_the_golden_folders_say)
{
	golden_run("yaml", describe);
}

TEST(what_is_no_text_is_refused_with_its_place)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *sentence;
	} table[] = {
		{"a: 1\nb: \xff\n", 10, "line 2, column 4: invalid leading UTF-8 octet"},
		{"a: \xc3(\n", 7, "line 1, column 5: invalid trailing UTF-8 octet"},
		{"a: \x1b[2J\n", 9, "line 1, column 4: control characters are not allowed"},
		{"a: b\0c\n", 8, "line 1, column 5: control characters are not allowed"},
		{"a: \"b\\0c\"\n", 10, "line 1, column 4: a text with a NUL character"},
		{"\"b\\0c\": a\n", 10, "line 1, column 1: a text with a NUL character"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct yaml_file *f = NULL;
		struct err e = {0};
		refused_with(yaml_parse(table[i].bytes, table[i].len, &f, &e), EBADMSG,
			table[i].sentence);
		assert_null(f);
	}
}

TEST(byte_order_marks_are_passed_over_at_the_beginning_of_documents)
{
	static const char text[] = "\xef\xbb\xbfx:  1\n---\n\xef\xbb\xbf"
				   "a: 2\n";
	struct yaml_file *f = NULL;
	struct err e;
	assert_int_equal(yaml_parse(text, sizeof(text) - 1, &f, &e), 0);
	assert_int_equal(yaml_count(f), 2);
	assert_int_equal(json_integer_value(json_object_get(yaml_document(f, 0), "x")), 1);
	assert_int_equal(json_integer_value(json_object_get(yaml_document(f, 1), "a")), 2);
	assert_int_equal(yaml_column(f, 0, "x"), 1);
	yaml_file_free(f);
}

TEST(nesting_and_size_are_limited)
{
	char text[256];
	struct yaml_file *f = NULL;
	struct err e;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	assert_int_equal(yaml_parse(text, 128, &f, &e), 0);
	yaml_file_free(f);
	memset(text, '[', 65);
	refused_with(yaml_parse(text, 65, &f, &e), EBADMSG,
		"line 1, column 65: nested deeper than 64 levels");
	CLEANUP_FREE char *large = mem_new(JSON_MAX_BYTES + 1, 1);
	memset(large, '\n', JSON_MAX_BYTES + 1);
	assert_int_equal(yaml_parse(large, JSON_MAX_BYTES, &f, &e), 0);
	assert_int_equal(yaml_count(f), 0);
	yaml_file_free(f);
	refused_with(yaml_parse(large, JSON_MAX_BYTES + 1, &f, &e), EBADMSG,
		"YAML of more than 1048576 bytes");
}

TEST(every_place_has_its_line_and_column)
{
	static const char input[] = "# a comment\n"
				    "kind: List\n"
				    "items:\n"
				    "- metadata:\n"
				    "    labels:\n"
				    "      a.b/c: x\n"
				    "      a.b: y\n"
				    "- spec: {cidr: 10.0.0.0/8,\n"
				    "    list: [1,\n"
				    "      2]}\n"
				    "---\n"
				    "spec:\n"
				    "\n"
				    "  cidr: x\n";
	static const struct {
		size_t document;
		const char *place;
		unsigned int line;
	} table[] = {
		{0, "", 2},
		{0, "kind", 2},
		{0, "items", 3},
		{0, "items[0]", 4},
		{0, "items[0].metadata.labels", 5},
		{0, "items[0].metadata.labels.a.b/c", 6},
		{0, "items[0].metadata.labels.a.b", 7},
		{0, "items[1].spec.cidr", 8},
		{0, "items[1].spec.list", 9},
		{0, "items[1].spec.list[1]", 10},
		{0, "items[1].spec.list[7]", 9},
		{0, "items[1].spec.missing.deep", 8},
		{0, "items[9].spec", 3},
		{0, "nothing", 2},
		{1, "", 12},
		{1, "spec", 12},
		{1, "spec.cidr", 14},
		{1, "spec.cid", 12},
		{1, "spec.cidrs", 12},
	};
	struct yaml_file *f = NULL;
	struct err e;
	assert_int_equal(yaml_parse(input, strlen(input), &f, &e), 0);
	for (size_t i = 0; i < COUNT(table); i++)
		if (yaml_line(f, table[i].document, table[i].place) != table[i].line)
			fail_msg("%s: line %u", table[i].place,
				yaml_line(f, table[i].document, table[i].place));
	assert_int_equal(yaml_column(f, 0, ""), 1);
	assert_int_equal(yaml_column(f, 0, "items[0].metadata.labels.a.b"), 7);
	assert_int_equal(yaml_column(f, 0, "items[1].spec.list[0]"), 12);
	yaml_file_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_read_as_the_golden_folders_say),
		cmocka_unit_test(what_is_no_text_is_refused_with_its_place),
		cmocka_unit_test(byte_order_marks_are_passed_over_at_the_beginning_of_documents),
		cmocka_unit_test(nesting_and_size_are_limited),
		cmocka_unit_test(every_place_has_its_line_and_column),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
