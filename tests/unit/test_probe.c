/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe's pure parts: lines, messages, and what a chain gives to its plugins.
 */
#include "tests/unit/values.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/probe/chain.h"
#include "cli/line.h"
#include "cli/probe/message.h"
#include "lib/json.h"
#include "lib/mem.h"

/* ---- Lines ---- */

static void feed(struct line *l, const char *bytes, size_t len)
{
	while (len) {
		size_t room = 0;
		char *space = line_space(l, &room);
		size_t n = len < room ? len : room;
		memcpy(space, bytes, n);
		line_filled(l, n);
		bytes += n;
		len -= n;
	}
}

static void feed_text(struct line *l, const char *text)
{
	feed(l, text, strlen(text));
}

/* What comes next: a line, NULL for nothing; an error as its sentence. The caller's. */
static char *next(struct line *l)
{
	struct err e = {0};
	char *line = NULL;
	size_t len = 0;
	int r = line_next(l, &line, &len, &e);
	if (r < 0)
		return mem_strdup(e.text);
	assert_int_equal(r, line != NULL);
	if (line)
		assert_int_equal(strlen(line), len);
	return line;
}

static void assert_next(struct line *l, const char *expected)
{
	CLEANUP_FREE char *seen = next(l);
	if (expected)
		assert_string_equal(seen, expected);
	else
		assert_null(seen);
}

TEST(lines_come_out_whole_however_their_bytes_come_in)
{
	static const char text[] = "{\"a\":1}\n\n \t\r\n{\"b\":2}\r\nhalf";
	for (size_t step = 1; step <= sizeof(text); step++) {
		struct line l = {0};
		size_t seen = 0;
		for (size_t at = 0; at < sizeof(text) - 1; at += step) {
			size_t n = sizeof(text) - 1 - at;
			feed(&l, text + at, n < step ? n : step);
			for (char *line; (line = next(&l)); free(line))
				assert_string_equal(line, seen++ ? "{\"b\":2}\r" : "{\"a\":1}");
		}
		assert_int_equal(seen, 2);
		assert_false(line_is_waiting(&l));
		feed_text(&l, "\n");
		assert_true(line_is_waiting(&l));
		assert_next(&l, "half");
		line_done(&l);
	}
}

TEST(a_line_that_is_too_long_is_refused_once_and_passed_over)
{
	static const size_t more[] = {1, 2, 100000, 3000000};
	for (size_t i = 0; i < COUNT(more); i++) {
		struct line l = {0};
		CLEANUP_FREE char *text = mem_new(LINE_MAX_BYTES + more[i] + 1, 1);
		memset(text, 'x', LINE_MAX_BYTES + more[i]);
		size_t refused = 0;
		for (size_t at = 0; at < LINE_MAX_BYTES + more[i]; at += 65536) {
			size_t n = LINE_MAX_BYTES + more[i] - at;
			feed(&l, text + at, n < 65536 ? n : 65536);
			for (char *line; (line = next(&l)); free(line))
				refused += strstr(line, "a line of more than") != NULL;
		}
		assert_int_equal(refused, 1);
		assert_true(l.in.size <= 4 * LINE_MAX_BYTES);
		feed_text(&l, "rest\n{}\n");
		assert_next(&l, "{}");
		assert_next(&l, NULL);
		line_done(&l);
	}
}

TEST(the_longest_line_is_let_through)
{
	struct line l = {0};
	CLEANUP_FREE char *text = mem_new(LINE_MAX_BYTES + 1, 1);
	memset(text, 'x', LINE_MAX_BYTES);
	feed(&l, text, LINE_MAX_BYTES);
	assert_next(&l, NULL);
	feed_text(&l, "\n");
	assert_next(&l, text);
	line_done(&l);
}

TEST(what_is_no_request_is_refused_with_a_sentence)
{
	static const struct {
		const char *line, *error;
		json_int_t id;
	} table[] = {
		{"x", "not valid JSON", -1},
		{"[]", "a request is a JSON object", -1},
		{"{}", "the request has no \"id\"", -1},
		{"{\"id\":\"1\",\"op\":\"look\"}", "id must be a whole number, not a string", -1},
		{"{\"id\":-1,\"op\":\"look\"}", "id", -1},
		{"{\"id\":1.5,\"op\":\"look\"}", "id", -1},
		{"{\"id\":1e30,\"op\":\"look\"}", "id", -1},
		{"{\"id\":3}", "the request has no \"op\"", 3},
		{"{\"id\":3,\"op\":7}", "op must be a string", 3},
		{"{\"id\":3,\"op\":\"a\"} {}", "something follows", -1},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		json_t *doc = NULL;
		const char *op = NULL;
		json_int_t id = -1;
		int r = line_parse(table[i].line, strlen(table[i].line), &doc, &id, &op, &e);
		assert_int_equal(r, -EBADMSG);
		assert_null(doc);
		assert_int_equal(id, table[i].id);
		if (!strstr(e.text, table[i].error))
			fail_msg("%s: %s", table[i].line, e.text);
	}
}

TEST(an_answer_is_one_line_of_ascii)
{
	struct err e = {0};
	(void)err_set(&e, ENOENT, "no \"\xc3\xa4\n\"");
	err_details(&e, "why\x1b");
	e.code = 11;
	CLEANUP_TEXT struct text answer = {0};
	line_answer(-1, line_refusal(-ENOENT, &e), &answer);
	const char *line = answer.buf;
	assert_string_equal(line, "{\"error\":\"no \\\"\\u00E4?\\\"\",\"errno\":\"ENOENT\","
				  "\"details\":\"why?\",\"code\":11,\"id\":null}\n");
}

/* ---- Messages ---- */

TEST(a_message_is_read_as_it_was_written)
{
	static const size_t sizes[] = {PROBE_MESSAGE_MIN, 1472, PROBE_MESSAGE_MAX};
	struct probe_message ask = {.df = true, .seq = UINT32_MAX};
	memset(ask.nonce, 'n', sizeof(ask.nonce) - 1);
	struct probe_message answer = ask;
	answer.df = false;
	answer.is_answer = true;
	answer.source = addr("1111:2222:3333:4444:5555:6666:7777:8888");
	for (size_t i = 0; i < COUNT(sizes); i++) {
		CLEANUP_FREE char *text = mem_new(sizes[i], 1);
		struct probe_message seen;
		probe_message_format(&ask, text, sizes[i]);
		assert_true(probe_message_parse(text, sizes[i], &seen));
		assert_memory_equal(&seen, &ask, sizeof(seen));
		probe_message_format(&answer, text, sizes[i]);
		assert_true(probe_message_parse(text, sizes[i], &seen));
		assert_memory_equal(&seen, &answer, sizeof(seen));
		assert_false(probe_message_parse(text, PROBE_MESSAGE_MIN - 1, &seen));
	}
}

TEST(messages_of_others_are_not_ours)
{
	static const char *const texts[] = {
		"",
		"{}",
		"{\"roost-probe\":\"ask\"}",
		"{\"roost-probe\":\"ask\",\"nonce\":\"a b\",\"seq\":0}",
		"{\"roost-probe\":\"ask\",\"nonce\":\"n\",\"seq\":-1}",
		"{\"roost-probe\":\"ask\",\"nonce\":\"n\",\"seq\":0,\"df\":1}",
		"{\"roost-probe\":\"tell\",\"nonce\":\"n\",\"seq\":0}",
		"{\"roost-probe\":\"answer\",\"nonce\":\"n\",\"seq\":0}",
		"{\"roost-probe\":\"answer\",\"nonce\":\"n\",\"seq\":0,\"source\":\"x\"}",
		"{\"roost-probe\":\"ask\",\"nonce\":\"n\",\"seq\":0} {",
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		char text[PROBE_MESSAGE_MIN];
		struct probe_message seen;
		memset(text, ' ', sizeof(text));
		memcpy(text, texts[i], strlen(texts[i]));
		assert_false(probe_message_parse(text, sizeof(text), &seen));
	}
}

/* ---- Chains ---- */

static void assert_json(const json_t *seen, const char *expected)
{
	CLEANUP_JSON json_t *doc = json_of(expected);
	if (json_equal(seen, doc))
		return;
	CLEANUP_FREE char *text = json_text(seen);
	fail_msg("expected %s, saw %s", expected, text);
}

TEST(each_plugin_gets_its_own_keys_and_what_the_runtime_adds)
{
	CLEANUP_JSON json_t *doc = json_of(
		"{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"plugins\":[{\"type\":\"a\",\"x\":1,"
		"\"name\":\"other\",\"capabilities\":{\"mac\":true}},{\"type\":\"b\","
		"\"capabilities\":{\"portMappings\":true,\"ips\":false}}]}");
	CLEANUP_JSON json_t *runtime = json_of("{\"portMappings\":[1],\"ips\":[\"10.0.0.1\"]}");
	CLEANUP_JSON json_t *prev = json_of("{\"ips\":[]}");
	CLEANUP_CHAIN struct probe_chain c = {0};
	struct err e = {0};
	assert_int_equal(probe_chain_parse(doc, true, &c, &e), 0);
	CLEANUP_JSON json_t *first = probe_chain_input(&c, 0, runtime, NULL);
	CLEANUP_JSON json_t *second = probe_chain_input(&c, 1, runtime, prev);
	assert_json(first, "{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"type\":\"a\",\"x\":1,"
			   "\"capabilities\":{\"mac\":true}}");
	assert_json(second,
		"{\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"type\":\"b\",\"prevResult\":{\"ips\":"
		"[]},\"runtimeConfig\":{\"portMappings\":[1]},\"capabilities\":{\"portMappings\":"
		"true,\"ips\":false}}");
	assert_true(probe_chain_has(&c, "mac"));
	assert_false(probe_chain_has(&c, "ips"));
	CLEANUP_JSON json_t *types = probe_chain_types(&c);
	CLEANUP_JSON json_t *capabilities = probe_chain_capabilities(&c);
	assert_json(types, "[\"a\",\"b\"]");
	assert_json(capabilities, "[\"mac\",\"portMappings\"]");
}

TEST(a_chain_survives_its_own_document)
{
	CLEANUP_JSON json_t *doc =
		json_of("{\"name\":\"net\",\"cniVersions\":[\"0.3.1\",\"1.0.0\",\"9.0.0\",7],"
			"\"type\":\"a\"}");
	CLEANUP_CHAIN struct probe_chain c = {0}, again = {0};
	struct err e = {0};
	assert_int_equal(probe_chain_parse(doc, false, &c, &e), 0);
	assert_int_equal(c.version, CNI_1_0_0);
	CLEANUP_JSON json_t *written = probe_chain_document(&c);
	assert_int_equal(probe_chain_parse(written, true, &again, &e), 0);
	assert_string_equal(again.name, "net");
	assert_int_equal(again.version, CNI_1_0_0);
	assert_true(json_equal(again.plugins, c.plugins));
}

TEST(a_configuration_that_is_none_is_refused)
{
	static const struct {
		bool is_list;
		const char *text, *error;
	} table[] = {
		{true, "[]", "is a JSON object"},
		{true, "{\"plugins\":[{\"type\":\"a\"}]}", "no usable name"},
		{true, "{\"name\":\"../x\",\"plugins\":[{\"type\":\"a\"}]}", "no usable name"},
		{true, "{\"name\":\"n\"}", "no plugins"},
		{true, "{\"name\":\"n\",\"plugins\":[]}", "no plugins"},
		{true, "{\"name\":\"n\",\"plugins\":[7]}", "plugins[0] is not an object"},
		{true, "{\"name\":\"n\",\"plugins\":[{}]}", "plugins[0] has no type"},
		{true, "{\"name\":\"n\",\"plugins\":[{\"type\":\"a\",\"capabilities\":[]}]}",
			"capabilities"},
		{false, "{\"name\":\"n\"}", "has no type"},
		{false, "{\"name\":\"n\",\"type\":\"a\",\"cniVersion\":\"x\"}", "cniVersion"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_JSON json_t *doc = json_of(table[i].text);
		struct probe_chain c = {0};
		struct err e = {0};
		assert_true(probe_chain_parse(doc, table[i].is_list, &c, &e) < 0);
		assert_null(c.plugins);
		if (!strstr(e.text, table[i].error))
			fail_msg("%s: %s", table[i].text, e.text);
	}
}

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

TEST(the_first_usable_file_of_the_folder_is_the_network)
{
	char folder[] = "/tmp/roost-chain-XXXXXX";
	struct err e = {0};
	struct probe_chain c = {0};
	assert_non_null(mkdtemp(folder));
	assert_int_equal(probe_chain_load(folder, NULL, &c, &e), -ENOENT);
	put_file(folder, "00.conflist", "{");
	put_file(folder, "05.txt", "{\"name\":\"no\",\"type\":\"a\"}");
	put_file(folder, "20.conf", "{\"name\":\"late\",\"type\":\"a\"}");
	put_file(folder, "10.conflist", "{\"name\":\"early\",\"plugins\":[{\"type\":\"a\"}]}");
	put_file(folder, "9.json", "{\"name\":\"last\",\"type\":\"a\"}");
	assert_int_equal(probe_chain_load(folder, NULL, &c, &e), 0);
	assert_string_equal(c.name, "early");
	probe_chain_done(&c);
	assert_int_equal(probe_chain_load(folder, "last", &c, &e), 0);
	assert_string_equal(c.name, "last");
	probe_chain_done(&c);
	assert_int_equal(probe_chain_load(folder, "none", &c, &e), -ENOENT);
	assert_says(e.details, "00.conflist");
	static const char *const names[] = {
		"00.conflist", "05.txt", "20.conf", "10.conflist", "9.json"};
	for (size_t i = 0; i < COUNT(names); i++) {
		char path[256];
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)remove(path);
	}
	(void)rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_out_whole_however_their_bytes_come_in),
		cmocka_unit_test(a_line_that_is_too_long_is_refused_once_and_passed_over),
		cmocka_unit_test(the_longest_line_is_let_through),
		cmocka_unit_test(what_is_no_request_is_refused_with_a_sentence),
		cmocka_unit_test(an_answer_is_one_line_of_ascii),
		cmocka_unit_test(a_message_is_read_as_it_was_written),
		cmocka_unit_test(messages_of_others_are_not_ours),
		cmocka_unit_test(each_plugin_gets_its_own_keys_and_what_the_runtime_adds),
		cmocka_unit_test(a_chain_survives_its_own_document),
		cmocka_unit_test(a_configuration_that_is_none_is_refused),
		cmocka_unit_test(the_first_usable_file_of_the_folder_is_the_network),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
