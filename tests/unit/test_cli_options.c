/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: options anywhere, no abbreviations, sentences for what is wrong.
 */
#include "tests/unit/check.h"

#include <errno.h>

#include "cli/options.h"

#define WORDS 12

struct line {
	char text[256];
	char *argv[WORDS + 1];
	int argc;
};

/* Splits at blanks. */
static void line_of(struct line *l, const char *text)
{
	*l = (struct line){0};
	(void)snprintf(l->text, sizeof(l->text), "%s", text);
	char *rest = NULL;
	for (char *w = strtok_r(l->text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		l->argv[l->argc++] = w;
}

TEST(options_may_stand_before_between_and_after_the_words)
{
	const char *lines[] = {
		"roostctl --state-dir /x -o json ipam show --ip 10.0.0.1",
		"roostctl ipam --state-dir=/x show --ip=10.0.0.1 -ojson",
		"roostctl ipam show --output json --ip 10.0.0.1 --state-dir /x",
		"roostctl ipam show -o=json --ip 10.0.0.1 --state-dir /x",
		"roostctl ipam show --output=json --ip 10.0.0.1 --state-dir /x",
	};
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct line l;
		struct options o;
		struct err e;
		line_of(&l, lines[i]);
		assert_int_equal(options_parse(l.argc, l.argv, &o, &e), 0);
		assert_string_equal(o.state_dir, "/x");
		assert_string_equal(o.ip, "10.0.0.1");
		assert_true(o.json);
		assert_int_equal(o.n_words, 2);
		assert_string_equal(o.words[0], "ipam");
		assert_string_equal(o.words[1], "show");
		assert_int_equal(o.given, OPTION_STATE_DIR | OPTION_OUTPUT | OPTION_IP);
	}
}

TEST(words_behind_two_dashes_are_no_options)
{
	struct line l;
	struct options o;
	struct err e;
	line_of(&l, "roostctl ipam release -- --force -");
	assert_int_equal(options_parse(l.argc, l.argv, &o, &e), 0);
	assert_int_equal(o.given, 0);
	assert_int_equal(o.n_words, 4);
	assert_string_equal(o.words[2], "--force");
}

TEST(wrong_lines_are_refused_with_the_reason)
{
	static const struct {
		const char *line, *reason;
	} cases[] = {
		{"roostctl ipam check --rep", "unknown option --rep: did you mean --repair?"},
		{"roostctl ipam list --wdie=1", "unknown option --wdie=1: did you mean --wide?"},
		{"roostctl ipam list --frobnicate", "unknown option --frobnicate"},
		{"roostctl -x", "unknown option -x"},
		{"roostctl ipam show --ip", "--ip needs a value: ADDRESS"},
		{"roostctl ipam list --wide=yes", "--wide takes no value"},
		{"roostctl -o toml ipam list", "output \"toml\" is not text, json, yaml or junit"},
		{"roostctl ipam map --color=red", "color \"red\" is not auto, always or never"},
		{"roostctl --state-dir= ipam list", "--state-dir is empty"},
		{"roostctl probe --lifetime 0",
			"lifetime \"0\" is not a number of 1 to 86400 seconds"},
		{"roostctl probe --lifetime 86401",
			"lifetime \"86401\" is not a number of 1 to 86400 seconds"},
		{"roostctl probe --lifetime 5s",
			"lifetime \"5s\" is not a number of 1 to 86400 seconds"},
		{"roostctl probe --lifetime -1",
			"lifetime \"-1\" is not a number of 1 to 86400 seconds"},
		{"roostctl get all --timeout 5",
			"timeout \"5\" is not a time like 500ms, 10s or 1m30s"},
		{"roostctl get all --timeout=s",
			"timeout \"s\" is not a time like 500ms, 10s or 1m30s"},
		{"roostctl get all --timeout=5d",
			"timeout \"5d\" is not a time like 500ms, 10s or 1m30s"},
		{"roostctl get all --timeout=",
			"timeout \"\" is not a time like 500ms, 10s or 1m30s"},
		{"roostctl get all --timeout 99ms", "timeout \"99ms\" is not between 100ms and 1h"},
		{"roostctl get all --timeout 1h1s", "timeout \"1h1s\" is not between 100ms and 1h"},
		{"roostctl get all --timeout 99999999999999999999s",
			"timeout \"99999999999999999999\" is not a time like 500ms, 10s or 1m30s"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct line l;
		struct options o;
		struct err e;
		line_of(&l, cases[i].line);
		refused_with(options_parse(l.argc, l.argv, &o, &e), EINVAL, cases[i].reason);
	}
}

TEST(a_time_is_written_as_in_go)
{
	static const struct {
		const char *line;
		unsigned int ms;
	} table[] = {
		{"roostctl status --timeout 500ms", 500},
		{"roostctl status --timeout=10s", 10000},
		{"roostctl status --timeout 1m30s", 90000},
		{"roostctl status --timeout 1h", 3600000},
		{"roostctl status --timeout 1s1ms", 1001},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct line l;
		struct options o;
		struct err e;
		line_of(&l, table[i].line);
		assert_int_equal(options_parse(l.argc, l.argv, &o, &e), 0);
		assert_int_equal(o.timeout_ms, table[i].ms);
	}
}

TEST(a_cluster_file_may_be_written_both_ways)
{
	const char *lines[] = {
		"roostctl conformance --cluster file -o junit",
		"roostctl conformance -o junit --cluster=file",
	};
	for (size_t i = 0; i < 2; i++) {
		struct line l;
		struct options o;
		struct err e;
		line_of(&l, lines[i]);
		assert_int_equal(options_parse(l.argc, l.argv, &o, &e), 0);
		assert_int_equal(o.n_words, 2);
		assert_string_equal(o.words[1], "file");
		assert_true(o.junit && !o.json && !o.yaml);
		assert_int_equal(o.given, OPTION_CLUSTER | OPTION_OUTPUT | OPTION_JUNIT);
	}
}

TEST(every_option_has_a_name_and_a_line_of_help)
{
	for (unsigned int bit = 1; bit <= OPTION_POWERED_OFF; bit <<= 1) {
		char text[200] = "";
		FILE *f = fmemopen(text, sizeof(text), "w");
		assert_non_null(options_name(bit));
		options_print_help(f, bit);
		(void)fclose(f);
		assert_says(text, options_name(bit));
	}
	assert_null(options_name(0));
}

TEST(files_are_kept_in_their_order)
{
	struct line l;
	struct options o;
	struct err e;
	line_of(&l, "roostctl apply -f=a --filename=b -f- -o yaml --store file:/s");
	assert_int_equal(options_parse(l.argc, l.argv, &o, &e), 0);
	assert_int_equal(o.n_files, 3);
	assert_string_equal(o.files[0], "a");
	assert_string_equal(o.files[1], "b");
	assert_string_equal(o.files[2], "-");
	assert_string_equal(o.store, "file:/s");
	assert_true(o.yaml && !o.json);
	assert_int_equal(o.given, OPTION_FILENAME | OPTION_OUTPUT | OPTION_YAML | OPTION_STORE);
}

TEST(the_last_output_counts)
{
	struct line l;
	struct options o;
	struct err e;
	line_of(&l, "roostctl get all -o yaml -o text");
	assert_int_equal(options_parse(l.argc, l.argv, &o, &e), 0);
	assert_false(o.yaml || o.json);
	assert_int_equal(o.given, OPTION_OUTPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_may_stand_before_between_and_after_the_words),
		cmocka_unit_test(words_behind_two_dashes_are_no_options),
		cmocka_unit_test(files_are_kept_in_their_order),
		cmocka_unit_test(the_last_output_counts),
		cmocka_unit_test(wrong_lines_are_refused_with_the_reason),
		cmocka_unit_test(a_time_is_written_as_in_go),
		cmocka_unit_test(a_cluster_file_may_be_written_both_ways),
		cmocka_unit_test(every_option_has_a_name_and_a_line_of_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
