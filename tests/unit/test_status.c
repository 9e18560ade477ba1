/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent says of itself: written and read back, and what others may have written instead.
 */
#include "tests/unit/values.h"

#include "cluster/status.h"

#include <errno.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/mem.h"

#define ID1 "11111111-2222-3333-4444-555555555555"
#define ID2 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define IDS                                                                                        \
	"\"installation\":\"" ID1 "\",\"instance\":\"" ID2 "\",\"boot\":\"" ID1                    \
	"\",\"heartbeat\":\"2026-03-02T09:14:53Z\""

#define STALE_S (STATUS_HEARTBEAT_S * 7 / 2)

TEST(a_status_is_read_back)
{
	struct status_block block = {
		.cidr = cidr("fd00:66::/122"),
		.pool = cidr("fd00:66::/48"),
		.used = 1,
		.cooling = 2,
		.reserved = 3,
		.quarantined = 4,
		.free = UINT64_MAX,
		.draining = true,
	};
	struct status s = {
		.installation = ID1,
		.instance = ID2,
		.boot = ID1,
		.heartbeat_s = 1772442893,
		.stopped = true,
		.version = "0.1.0",
		.bird = "up",
		.store = "file:/x",
		.peers_up = 2,
		.peers = 3,
		.down = {{.peer = addr("10.0.0.2"),
			.node = "b",
			.since_s = 1772442893,
			.bird = "Connect",
			.reason = "its port does not answer"}},
		.n_down = 1,
		.problems = {"one", "two"},
		.n_problems = 2,
		.problem_count = 30,
		.blocks = &block,
		.n_blocks = 1,
	};
	CLEANUP_JSON json_t *doc = status_format(&s);
	CLEANUP_FREE char *text = json_text(doc);
	assert_says(text, "\"heartbeat\":\"2026-03-02T09:14:53Z\"");
	struct status back;
	struct err e;
	ok(status_parse(text, &back, &e));
	assert_string_equal(back.installation, ID1);
	assert_string_equal(back.instance, ID2);
	assert_string_equal(back.boot, ID1);
	assert_int_equal(back.heartbeat_s, s.heartbeat_s);
	assert_true(back.stopped);
	assert_string_equal(back.version, "0.1.0");
	assert_string_equal(back.bird, "up");
	assert_string_equal(back.store, "file:/x");
	assert_int_equal(back.peers_up, 2);
	assert_int_equal(back.peers, 3);
	assert_int_equal(back.n_down, 1);
	assert_true(addr_equal(&back.down[0].peer, &s.down[0].peer));
	assert_string_equal(back.down[0].node, "b");
	assert_int_equal(back.down[0].since_s, 1772442893);
	assert_string_equal(back.down[0].bird, "Connect");
	assert_string_equal(back.down[0].reason, "its port does not answer");
	assert_int_equal(back.n_problems, 2);
	assert_int_equal(back.problem_count, 30);
	assert_string_equal(back.problems[1], "two");
	assert_int_equal(back.n_blocks, 1);
	assert_memory_equal(&back.blocks[0], &block, sizeof(block));
	status_done(&back);
	assert_null(back.blocks);
}

TEST(texts_that_are_no_utf8_make_a_document_all_the_same)
{
	const struct status s = {
		.version = "\xff", .bird = "a\nb", .problems = {"\x80\x1b["}, .n_problems = 1};
	CLEANUP_JSON json_t *doc = status_format(&s);
	assert_string_equal(json_string_value(json_object_get(doc, "version")), "?");
	assert_string_equal(json_string_value(json_object_get(doc, "bird")), "a?b");
	json_t *problem = json_array_get(json_object_get(doc, "problems"), 0);
	assert_string_equal(json_string_value(problem), "??[");
}

TEST(a_small_status_of_another_version_is_enough)
{
	struct status s;
	struct err e;
	assert_int_equal(status_parse("{" IDS ",\"new\":{\"x\":1},\"blocks\":[]}", &s, &e), 0);
	assert_string_equal(s.bird, "");
	assert_int_equal(s.n_blocks, 0);
	assert_false(s.stopped);
	status_done(&s);
	assert_int_equal(status_parse("{" IDS ",\"problems\":[\"a\",\"b\"]}", &s, &e), 0);
	assert_int_equal(s.problem_count, 2); /* it does not know problemCount */
	status_done(&s);
}

TEST(long_and_dirty_texts_come_out_short_and_clean)
{
	char text[4096], many[1000];
	memset(many, 'p', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	(void)snprintf(text, sizeof(text),
		"{" IDS ",\"bird\":\"%s\",\"store\":\"\\u001b[2J\\n\",\"problems\":"
		"[\"%s\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\"]}",
		many, many);
	struct status s;
	struct err e;
	ok(status_parse(text, &s, &e));
	assert_int_equal(strlen(s.bird), sizeof(s.bird) - 1);
	assert_string_equal(s.store, "?[2J?");
	assert_int_equal(s.n_problems, STATUS_PROBLEMS);
	assert_int_equal(strlen(s.problems[0]), sizeof(s.problems[0]) - 1);
	assert_string_equal(s.problems[7], "8");
	status_done(&s);
}

TEST(hostile_documents_are_refused_with_the_place)
{
	static const struct {
		const char *text, *reason;
	} table[] = {
		{NULL, "the document is too large"},
		{"", "unexpected end of JSON input"},
		{"[]", "not an object"},
		{"{}", "installation is missing"},
		{"{\"installation\":1}", "installation must be a string, not a number"},
		{"{\"installation\":\"" ID1 "x\"}", "installation is no UUID"},
		{"{\"installation\":\"11111111-2222-3333-4444-55555555555\\n\"}",
			"installation is no UUID"},
		{"{" IDS ",\"instance\":null}", "instance is missing"},
		{"{" IDS ",\"heartbeat\":\"yesterday\"}", "heartbeat is no time"},
		{"{" IDS ",\"heartbeat\":\"2026-02-31T00:00:00Z\"}", "heartbeat is no time"},
		{"{" IDS ",\"heartbeat\":\"2026-03-02T09:14:53Z \"}", "heartbeat is no time"},
		{"{" IDS ",\"heartbeat\":\"2026-3-2T9:14:53Z\"}", "heartbeat is no time"},
		{"{" IDS ",\"stopped\":\"no\"}", "stopped must be true or false, not a string"},
		{"{" IDS ",\"peers\":-1}", "peers is -1, must be between 0 and 4294967295"},
		{"{" IDS ",\"problems\":{}}", "problems must be an array, not an object"},
		{"{" IDS ",\"problems\":[\"a\",7]}", "problems[1] is not a string"},
		{"{" IDS ",\"blocks\":[7]}", "blocks[0] is not an object"},
		{"{" IDS ",\"blocks\":[{\"cidr\":\"10.0.0.1/26\"}]}",
			"blocks[0].cidr is no prefix"},
		{"{" IDS ",\"blocks\":[{\"cidr\":\"10.0.0.0/26\"}]}",
			"blocks[0].pool is no prefix"},
		{"{" IDS ",\"blocks\":[{\"cidr\":\"10.0.0.0/26\",\"pool\":\"10.0.0.0/8\","
		 "\"used\":-1}]}",
			"blocks[0].used is -1, must be between 0 and 9223372036854775807"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct status s = {.peers = 7};
		struct err e;
		refused_with(status_parse(table[i].text, &s, &e), EBADMSG, table[i].reason);
		assert_int_equal(s.peers, 7);
	}
}

TEST(an_agent_is_live_for_a_while_after_its_heartbeat)
{
	struct status s = {.heartbeat_s = 1000000};
	assert_true(status_is_live(&s, 1000000));
	assert_true(status_is_live(&s, 1000000 + STALE_S - 1));
	assert_false(status_is_live(&s, 1000000 + STALE_S));
	assert_true(status_is_live(&s, 1000000 - STALE_S + 1));
	assert_false(status_is_live(&s, 1000000 - STALE_S));
	s.stopped = true;
	assert_false(status_is_live(&s, 1000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_status_is_read_back),
		cmocka_unit_test(texts_that_are_no_utf8_make_a_document_all_the_same),
		cmocka_unit_test(a_small_status_of_another_version_is_enough),
		cmocka_unit_test(long_and_dirty_texts_come_out_short_and_clean),
		cmocka_unit_test(hostile_documents_are_refused_with_the_place),
		cmocka_unit_test(an_agent_is_live_for_a_while_after_its_heartbeat),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
