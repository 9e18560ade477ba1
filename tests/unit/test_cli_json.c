/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON documents that docs/ROOSTCTL.md promises, compared as a whole with tests/data/cli: a
 * changed key is a broken script somewhere.
 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "cli/ipam_json.h"
#include "cli/output.h"
#include "lib/json.h"
#include "tests/unit/test_cli_view.h"

#ifndef TEST_DATA
#define TEST_DATA "tests/data"
#endif

static void assert_golden(json_t *document, const char *name)
{
	char path[512];
	json_error_t error;
	(void)snprintf(path, sizeof(path), TEST_DATA "/cli/%s.json", name);
	CLEANUP_JSON json_t *golden = json_load_file(path, 0, &error);
	CLEANUP_JSON json_t *owned = document;
	if (!golden)
		fail_msg("%s: %s", path, error.text);
	if (!json_equal(owned, golden)) {
		char *text = json_dumps(owned, JSON_INDENT(2));
		fail_msg("%s differs from:\n%s", path, text);
	}
}

static void fill(struct test_view *t)
{
	struct owner web = owner_of("lan", "0123456789abcdef0123", "eth0");
	web.pod_namespace = "default";
	web.pod_name = "web\033\xff";
	struct owner vm = owner_of("lan", "vm7", "net1");
	test_view_init(t);
	test_view_pool(t, "10.1.0.0/16", 26)->max_blocks = 1024;
	test_view_block(t, "10.1.0.64/26");
	test_view_pool(t, "fd00::/48", 64)->max_blocks = 65536;
	test_view_block(t, "fd00::/64");
	test_view_entry(t, "10.1.0.64", NODE_RESERVED, NULL);
	test_view_entry(t, "10.1.0.65", NODE_USED, &web);
	test_view_entry(t, "10.1.0.66", NODE_COOLING, &vm);
	test_view_entry(t, "10.1.0.67", NODE_QUARANTINED, NULL);
	test_view_entry(t, "fd00::1", NODE_USED, &web);
}

TEST(pools_have_their_blocks_and_large_numbers_saturate)
{
	struct test_view t;
	fill(&t);
	assert_golden(ipam_json_pools(&t.view), "show");
}

TEST(entries_are_an_array_and_keys_are_never_absent)
{
	struct test_view t;
	fill(&t);
	assert_golden(ipam_json_entries(&t.view), "list");
}

TEST(the_map_lists_what_is_not_free)
{
	struct test_view t;
	fill(&t);
	assert_golden(ipam_json_map(&t.view), "map");
}

TEST(an_audit_says_what_was_repaired)
{
	struct audit_problem problems[] = {
		{.kind = AUDIT_LEAKED,
			.object = "10.1.0.65",
			.expected = "the host link of container web1 (network lan, eth0)",
			.seen = "a record, but no link",
			.advice = "roostctl ipam release 10.1.0.65",
			.repaired = true},
		{.kind = AUDIT_FOREIGN,
			.object = "10.1.9.0/26",
			.expected = "no blackhole route",
			.seen = "a blackhole route of protocol 82",
			.advice = "ip route del blackhole 10.1.9.0/26"},
	};
	const struct audit a = {.v = problems, .n = 2};
	assert_golden(ipam_json_audit(&a, false), "check");
}

TEST(blocks_of_an_unknown_pool_are_in_one_without_prefix)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "10.1.0.0/16", 26);
	test_view_block(&t, "10.1.0.64/26");
	test_view_entry(&t, "10.1.0.65", NODE_QUARANTINED, NULL);
	t.view.n_pools = 0;
	assert_golden(ipam_json_pools(&t.view), "show-rebuilt");
}

TEST(a_block_that_gives_nothing_says_why)
{
	struct test_view t;
	test_view_init(&t);
	test_view_pool(&t, "10.1.0.0/16", 26);
	test_view_block(&t, "10.1.0.64/26");
	test_view_block(&t, "10.1.0.128/26");
	t.view.blocks[0].draining = true;
	t.view.blocks[1].disowned = true;
	json_t *all = ipam_json_pools(&t.view);
	json_t *blocks =
		json_object_get(json_array_get(json_object_get(all, "pools"), 0), "blocks");
	static const char *const expected[] = {"draining", "disowned"};
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(blocks, i), "state")),
			expected[i]);
	json_decref(all);
}

TEST(a_view_without_anything_gives_empty_documents)
{
	const struct node_view v = {0};
	const struct audit a = {0};
	struct {
		json_t *document;
		const char *text;
	} cases[] = {
		{ipam_json_pools(&v), "{\"pools\":[]}"},
		{ipam_json_entries(&v), "[]"},
		{ipam_json_map(&v), "{\"blocks\":[]}"},
		{ipam_json_audit(&a, true), "{\"ok\":true,\"problems\":[]}"},
	};
	for (size_t i = 0; i < 4; i++) {
		char *text = json_dumps(cases[i].document, JSON_COMPACT);
		assert_string_equal(text, cases[i].text);
		free(text);
		json_decref(cases[i].document);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_have_their_blocks_and_large_numbers_saturate),
		cmocka_unit_test(entries_are_an_array_and_keys_are_never_absent),
		cmocka_unit_test(the_map_lists_what_is_not_free),
		cmocka_unit_test(an_audit_says_what_was_repaired),
		cmocka_unit_test(blocks_of_an_unknown_pool_are_in_one_without_prefix),
		cmocka_unit_test(a_block_that_gives_nothing_says_why),
		cmocka_unit_test(a_view_without_anything_gives_empty_documents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
