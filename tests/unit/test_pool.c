/* SPDX-License-Identifier: Apache-2.0 */
/* Pools as configured, their arithmetic, owners, and the records of the node state as bytes. */
#include "tests/unit/values.h"

#include <errno.h>
#include <sys/socket.h>

#include "ipam/owner.h"
#include "ipam/pool.h"
#include "ipam/record.h"
#include "lib/json.h"

static int parse(const char *text, struct pool out[POOL_MAX], size_t *n, struct err *e)
{
	CLEANUP_JSON json_t *doc = json_of(text);
	return pool_parse_list(doc, "ipam.pools", POOL_COOLDOWN_S, out, n, e);
}

TEST(pools_have_defaults)
{
	struct err e;
	struct pool p[POOL_MAX];
	size_t n;
	assert_int_equal(parse("[{\"cidr\": \"100.66.0.0/16\"}, {\"cidr\": \"fd66::/64\"},"
			       "{\"cidr\": \"10.1.1.4/30\"}, {\"cidr\": \"fd67::1/128\"}]",
				 p, &n, &e),
		0);
	assert_int_equal(n, 4);
	assert_int_equal(p[0].block_len, 26);
	assert_int_equal(p[0].cooldown_s, 60);
	assert_int_equal(p[1].block_len, 122);
	assert_int_equal(p[2].block_len, 30);
	assert_int_equal(p[3].block_len, 128);
}

TEST(pools_take_their_settings)
{
	struct err e;
	struct pool p[POOL_MAX];
	size_t n;
	assert_int_equal(parse("[{\"cidr\": \"10.0.0.0/8\", \"blockSize\": 32, "
			       "\"cooldownSeconds\": 0},"
			       "{\"cidr\": \"fd66::/64\", \"blockSize\": 64}]",
				 p, &n, &e),
		0);
	assert_int_equal(p[0].block_len, 32);
	assert_int_equal(p[0].cooldown_s, 0);
	assert_int_equal(p[1].block_len, 64);
}

TEST(bad_pools_are_refused_with_their_place)
{
	static const struct {
		const char *text;
		int error;
		const char *says;
	} bad[] = {
		{"{}", EBADMSG, "ipam.pools is not an array"},
		{"[]", EINVAL, "ipam.pools names no pool"},
		{"[7]", EBADMSG, "ipam.pools[0] is not an object"},
		{"[{}]", EINVAL, "ipam.pools[0]: cidr is missing"},
		{"[{\"cidr\": 7}]", EBADMSG, "ipam.pools[0]"},
		{"[{\"cidr\": \"10.0.0.0\"}]", EINVAL, "ipam.pools[0]"},
		{"[{\"cidr\": \"10.0.0.0/33\"}]", EINVAL, "ipam.pools[0]"},
		{"[{\"cidr\": \"10.0.0.1/24\"}]", EINVAL,
			"pool 10.0.0.1/24 has host bits set; the prefix is 10.0.0.0/24"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"size\": 26}]", EINVAL, "size"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"blockSize\": 23}]", EINVAL,
			"a block of /23 is larger than its pool 10.0.0.0/24"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"blockSize\": 33}]", EINVAL, "blockSize 33"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"blockSize\": 129}]", EBADMSG, "blockSize"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"blockSize\": \"26\"}]", EBADMSG, "blockSize"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"cooldownSeconds\": -1}]", EBADMSG,
			"cooldownSeconds"},
		{"[{\"cidr\": \"10.0.0.0/24\", \"cooldownSeconds\": 86401}]", EBADMSG,
			"cooldownSeconds"},
		{"[{\"cidr\": \"127.0.0.0/24\"}]", EINVAL, "loopback"},
		{"[{\"cidr\": \"0.0.0.0/0\"}]", EINVAL, "0.0.0.0/0 contains"},
		{"[{\"cidr\": \"169.254.1.0/24\"}]", EINVAL, "link-local"},
		{"[{\"cidr\": \"230.0.0.0/8\"}]", EINVAL, "multicast"},
		{"[{\"cidr\": \"::/0\"}]", EINVAL, "::/0 contains"},
		{"[{\"cidr\": \"::1/128\"}]", EINVAL, "loopback"},
		{"[{\"cidr\": \"fe80::/64\"}]", EINVAL, "link-local"},
		{"[{\"cidr\": \"ff00::/8\"}]", EINVAL, "multicast"},
		{"[{\"cidr\": \"10.0.0.0/24\"}, {\"cidr\": \"10.0.0.128/25\"}]", EINVAL,
			"ipam.pools[1]: pools 10.0.0.0/24 and 10.0.0.128/25 overlap"},
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = {0};
		struct pool p[POOL_MAX];
		size_t n;
		int r = parse(bad[i].text, p, &n, &e);
		if (r != -bad[i].error || !strstr(e.text, bad[i].says))
			fail_msg("%s: %d \"%s\"", bad[i].text, r, e.text);
	}
}

TEST(too_many_pools_are_refused)
{
	struct err e;
	struct pool p[POOL_MAX];
	size_t n;
	CLEANUP_JSON json_t *array = json_array();
	for (int i = 0; i <= POOL_MAX; i++)
		(void)json_array_append_new(array, json_object());
	refused(pool_parse_list(array, "pools", 60, p, &n, &e), EINVAL,
		"pools has 65 pools, at most 64");
}

TEST(blocks_are_numbered)
{
	static const struct {
		const char *pool;
		uint8_t block_len;
		uint64_t index;
		const char *block;
		uint64_t count;
	} cases[] = {
		{"100.66.0.0/16", 26, 0, "100.66.0.0/26", 1024},
		{"100.66.0.0/16", 26, 5, "100.66.1.64/26", 1024},
		{"100.66.0.0/16", 26, 1023, "100.66.255.192/26", 1024},
		{"10.1.1.4/30", 30, 0, "10.1.1.4/30", 1},
		{"10.1.1.4/30", 32, 3, "10.1.1.7/32", 4},
		{"fd66::/64", 122, UINT64_C(1) << 57, "fd66::8000:0:0:0/122", UINT64_C(1) << 58},
		{"fd66::/32", 128, UINT64_MAX, "fd66::ffff:ffff:ffff:ffff/128", UINT64_MAX},
		{"fd66::/32", 96, UINT64_MAX, "fd66:0:ffff:ffff:ffff:ffff::/96", UINT64_MAX},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pool p = {.cidr = cidr(cases[i].pool), .block_len = cases[i].block_len};
		struct cidr block = pool_block(&p, cases[i].index);
		char text[CIDR_TEXT];
		cidr_format(&block, text);
		assert_string_equal(text, cases[i].block);
		assert_int_equal(pool_block_count(&p), cases[i].count);
		assert_int_equal(pool_block_index(&p, &block.addr), cases[i].index);
	}
}

TEST(a_far_block_has_a_saturated_index)
{
	struct pool p = {.cidr = cidr("fd66::/16"), .block_len = 128};
	struct addr a = addr("fd66:8000::1");
	assert_int_equal(pool_block_index(&p, &a), UINT64_MAX);
}

TEST(block_sizes_saturate)
{
	struct cidr small = cidr("100.66.0.0/30");
	struct cidr whole = cidr("fd66::/64");
	struct cidr half = cidr("fd66::/65");
	assert_int_equal(pool_block_size(&small), 4);
	assert_int_equal(pool_block_size(&whole), UINT64_MAX);
	assert_int_equal(pool_block_size(&half), UINT64_C(1) << 63);
}

TEST(the_pool_of_an_address_is_found)
{
	struct pool p[] = {{.cidr = cidr("100.66.0.0/16"), .block_len = 26},
		{.cidr = cidr("fd66::/64"), .block_len = 122}};
	struct addr in = addr("fd66::77");
	struct addr out = addr("100.67.0.0");
	struct cidr block = pool_block_of(&p[1], &in);
	assert_ptr_equal(pool_find(p, 2, &in), &p[1]);
	assert_null(pool_find(p, 2, &out));
	assert_true(cidr_equal(&block, &(struct cidr){.addr = addr("fd66::40"), .len = 122}));
}

TEST(owners_differ_in_each_part)
{
	struct hash one = owner_hash("net", "c", "eth0");
	struct hash same = owner_of("net", "c", "eth0").hash;
	struct hash others[] = {owner_hash("ne", "tc", "eth0"), owner_hash("net", "ceth", "0"),
		owner_hash("net", "c", "eth1"), owner_hash("net2", "c", "eth0"),
		owner_hash("", "netc", "eth0")};
	assert_true(hash_equal(&one, &same));
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(hash_equal(&one, &others[i]));
	assert_string_equal(owner_of("net", "c", "eth0").pod_name, "");
}

TEST(keys_sort_by_pool_time_and_address)
{
	struct record_key ordered[] = {
		{.kind = RECORD_ADDR, .addr = addr("9.0.0.1")},
		{.kind = RECORD_ADDR, .addr = addr("10.0.0.0")},
		{.kind = RECORD_ADDR, .addr = addr("::1")},
		{.kind = RECORD_QUEUE, .pool = cidr("10.0.0.0/8"), .addr = addr("10.9.0.0")},
		{.kind = RECORD_QUEUE,
			.pool = cidr("10.0.0.0/8"),
			.released_ns = 255,
			.addr = addr("10.0.0.0")},
		{.kind = RECORD_QUEUE,
			.pool = cidr("10.0.0.0/8"),
			.released_ns = 256,
			.addr = addr("10.0.0.0")},
		{.kind = RECORD_QUEUE, .pool = cidr("11.0.0.0/8"), .addr = addr("11.0.0.0")},
	};
	uint8_t before[RECORD_KEY_MAX];
	size_t before_len = record_key_format(&ordered[0], before);
	for (size_t i = 1; i < COUNT(ordered); i++) {
		uint8_t key[RECORD_KEY_MAX];
		size_t len = record_key_format(&ordered[i], key);
		assert_true(memcmp(before, key, len < before_len ? len : before_len) < 0);
		memcpy(before, key, len);
		before_len = len;
	}
}

TEST(records_are_read_as_they_were_written)
{
	uint8_t b[RECORD_VALUE_MAX];
	struct record_addr in = {
		.state = RECORD_RELEASED,
		.since_s = -5,
		.released_ns = UINT64_MAX,
		.owner = owner_of("net", "c", "eth0"),
	};
	in.owner.foreign = true;
	in.owner.netns = UINT64_C(0x0102030405060708);
	struct record_addr out;
	size_t len = record_addr_format(&in, b);
	assert_true(record_addr_parse(b, len, &out));
	assert_int_equal(out.state, RECORD_RELEASED);
	assert_int_equal(out.since_s, -5);
	assert_true(out.released_ns == UINT64_MAX);
	assert_true(out.owner.foreign);
	assert_true(out.owner.netns == in.owner.netns);
	assert_true(hash_equal(&out.owner.hash, &in.owner.hash));
	assert_string_equal(out.owner.ifname, "eth0");
	for (size_t cut = 0; cut < len; cut++)
		assert_false(record_addr_parse(b, cut, &out));
	assert_false(record_addr_parse(b, len + 1, &out));
	b[0] = RECORD_LENT + 1;
	assert_false(record_addr_parse(b, len, &out));
}

TEST(names_that_are_too_long_are_cut)
{
	char name[3000];
	uint8_t b[RECORD_VALUE_MAX];
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	struct record_addr in = {.owner = owner_of(name, name, name)};
	in.owner.pod_namespace = name;
	in.owner.pod_name = name;
	struct record_addr out;
	size_t len = record_addr_format(&in, b);
	assert_true(len <= sizeof(b));
	assert_true(record_addr_parse(b, len, &out));
	assert_int_equal(strlen(out.owner.container), 1023);
	assert_int_equal(strlen(out.owner.pod_name), 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_have_defaults),
		cmocka_unit_test(pools_take_their_settings),
		cmocka_unit_test(bad_pools_are_refused_with_their_place),
		cmocka_unit_test(too_many_pools_are_refused),
		cmocka_unit_test(blocks_are_numbered),
		cmocka_unit_test(a_far_block_has_a_saturated_index),
		cmocka_unit_test(block_sizes_saturate),
		cmocka_unit_test(the_pool_of_an_address_is_found),
		cmocka_unit_test(owners_differ_in_each_part),
		cmocka_unit_test(keys_sort_by_pool_time_and_address),
		cmocka_unit_test(records_are_read_as_they_were_written),
		cmocka_unit_test(names_that_are_too_long_are_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
