/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of documents: what is written is read back, and nothing else is read.
 */
#include "tests/unit/values.h"

#include "cluster/keys.h"

TEST(keys_of_blocks_are_read_back)
{
	static const struct {
		const char *cidr, *key;
	} table[] = {
		{"100.66.0.0/26", "blocks/100.66.0.0-26"},
		{"10.0.0.7/32", "blocks/10.0.0.7-32"},
		{"fd00:66::/122", "blocks/fd00:66::-122"},
		{"2001:db8::1/128", "blocks/2001:db8::1-128"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char key[STORE_KEY_MAX];
		struct cidr c = cidr(table[i].cidr);
		struct cidr back;
		keys_block(&c, key);
		assert_string_equal(key, table[i].key);
		assert_true(keys_parse_block(key, &back));
		assert_true(cidr_equal(&c, &back));
	}
}

TEST(a_second_spelling_of_a_block_is_no_key)
{
	static const char *const bad[] = {
		"",
		"blocks",
		"blocks/",
		"blocks/-",
		"blocks/0.0.0.0-0",
		"blocks/100.64.0.0-19",
		"blocks/fd00::-115",
		"blocks/100.66.0.0",
		"blocks/100.66.0.0-",
		"blocks/100.66.0.0/26",
		"blocks/100.66.0.0-026",
		"blocks/100.66.0.0-+26",
		"blocks/100.66.0.0- 26",
		"blocks/100.66.0.0-33",
		"blocks/100.66.0.0--26",
		"blocks/100.66.0.1-26",
		"blocks/100.066.0.0-26",
		"blocks/100.66.0.0-26 ",
		"blocks/100.66.0.0-26/",
		"blocks/100.66.0.0-26/x",
		" blocks/100.66.0.0-26",
		"Blocks/100.66.0.0-26",
		"blocks//100.66.0.0-26",
		"nodeblocks/a/100.66.0.0-26",
		"blocks/FD00::-122",
		"blocks/fd00:0::-122",
		"blocks/fd00::0-122",
		"blocks/::ffff:1.2.3.4-128x",
		"blocks/fd00:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000-122",
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct cidr c = {.len = 77};
		if (keys_parse_block(bad[i], &c))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(c.len, 77);
	}
}

TEST(keys_of_every_kind_of_resource_are_read_back)
{
	for (int k = 0; k < RESOURCE_KINDS; k++) {
		char key[STORE_KEY_MAX], name[RESOURCE_NAME];
		enum resource_kind kind = RESOURCE_KINDS;
		keys_resource((enum resource_kind)k, "a-1.b", key);
		assert_true(keys_parse_resource(key, &kind, name));
		assert_int_equal(kind, k);
		assert_string_equal(name, "a-1.b");
	}
	char key[STORE_KEY_MAX];
	keys_resource(RESOURCE_IPPOOL, "default", key);
	assert_string_equal(key, "resources/ippools/default");
}

TEST(keys_that_are_no_resources_are_refused)
{
	static const char *const bad[] = {
		"",
		"resources/",
		"resources/ippools",
		"resources/ippools/",
		"resources/ippool/a",
		"resources/IPPools/a",
		"resources/ippoolsx/a",
		"resources/secrets/a",
		"resources/ippools/a/b",
		"resources/ippools/../a",
		"resources/ippools/A",
		"blocks/a",
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		char name[RESOURCE_NAME];
		enum resource_kind kind;
		if (keys_parse_resource(bad[i], &kind, name))
			fail_msg("\"%s\" was taken", bad[i]);
	}
}

TEST(the_key_of_a_status_is_read_back)
{
	char key[STORE_KEY_MAX], node[RESOURCE_NAME];
	keys_status("node-1", key);
	assert_string_equal(key, "status/node-1");
	assert_true(keys_parse_status(key, node));
	assert_string_equal(node, "node-1");
	assert_false(keys_parse_status("status/", node));
	assert_false(keys_parse_status("status/a b", node));
	assert_false(keys_parse_status("state/a", node));
}

TEST(the_key_of_a_pod_is_known_by_its_node_alone)
{
	char key[STORE_KEY_MAX];
	struct hash pod = hash_of("a/b", 3);
	keys_endpoint("n.1", &pod, key);
	assert_true(keys_is_endpoint_of(key, "n.1"));
	assert_false(keys_is_endpoint_of(key, "n"));
	assert_false(keys_is_endpoint_of(key, "n.1.2"));
	assert_false(keys_is_endpoint_of(key + 1, "n.1"));
	key[strlen(key) - 1] = '\0';
	assert_false(keys_is_endpoint_of(key, "n.1"));
}

TEST(keys_of_loans_are_read_back)
{
	static const struct {
		const char *borrower, *addr, *key;
	} table[] = {
		{"n2", "100.66.0.5/32", "loans/n2.100.66.0.5-32"},
		{"n2.example", "100.66.0.5/32", "loans/n2.example.100.66.0.5-32"},
		{"n.1", "100.66.0.5/32", "loans/n.1.100.66.0.5-32"},
		{"1.2.3.4", "5.6.7.8/32", "loans/1.2.3.4.5.6.7.8-32"},
		{"n2", "fd66::/128", "loans/n2.fd66::-128"},
		{"a-b.c", "2001:db8::1/128", "loans/a-b.c.2001:db8::1-128"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char key[STORE_KEY_MAX], name[RESOURCE_NAME];
		struct cidr c = cidr(table[i].addr), back;
		assert_true(keys_loan(table[i].borrower, &c, key));
		assert_string_equal(key, table[i].key);
		assert_true(keys_parse_loan(key, name, &back));
		assert_string_equal(name, table[i].borrower);
		assert_true(cidr_equal(&back, &c));
	}
}

TEST(keys_that_are_no_loans_are_refused)
{
	static const char *const bad[] = {"", "loans/", "loans/n2", "loans/.", "loans/-32",
		"loans/100.66.0.5-32", "loans/.100.66.0.5-32", "loans/n2.100.66.0.5",
		"loans/n2.100.66.0.5-31", "loans/n2.100.66.0.05-32", "loans/n2.100.66.0-32",
		"loans/n2.0.100.66.0.5-032", "loans/N2.100.66.0.5-32", "loans/n2/100.66.0.5-32",
		"loans/n2.FD66::-128", "loans/n2.fd66:0::-128", "loans/n2.fd66::-64",
		"loans/fd66::-128", "loans/n2.fd66::.1-128", "blocks/n2.100.66.0.5-32"};
	for (size_t i = 0; i < COUNT(bad); i++) {
		char name[RESOURCE_NAME] = "untouched";
		struct cidr c = {.len = 77};
		if (keys_parse_loan(bad[i], name, &c))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(c.len, 77);
		assert_string_equal(name, "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_loans_are_read_back),
		cmocka_unit_test(keys_that_are_no_loans_are_refused),
		cmocka_unit_test(keys_of_blocks_are_read_back),
		cmocka_unit_test(a_second_spelling_of_a_block_is_no_key),
		cmocka_unit_test(keys_of_every_kind_of_resource_are_read_back),
		cmocka_unit_test(keys_that_are_no_resources_are_refused),
		cmocka_unit_test(the_key_of_a_status_is_read_back),
		cmocka_unit_test(the_key_of_a_pod_is_known_by_its_node_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
