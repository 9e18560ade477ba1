/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership of blocks: documents of anybody's making, the transactions, the walk to a free block.
 */
#include "tests/unit/values.h"

#include "cluster/block_txn.h"

#include <errno.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/mem.h"

#define SOME_KEY "blocks/100.66.0.0-26"

static struct pool pool(const char *s, uint8_t block_len)
{
	return (struct pool){.cidr = cidr(s), .block_len = block_len};
}

TEST(documents_are_read_and_unknown_keys_are_fine)
{
	struct block b;
	struct err e;
	assert_int_equal(
		block_parse(SOME_KEY,
			"{\"node\":\"a\",\"state\":\"owned\",\"claimed\":7,\"x\":[1]}", 42, &b, &e),
		0);
	assert_string_equal(b.node, "a");
	assert_int_equal(b.state, BLOCK_OWNED);
	assert_int_equal(b.revision, 42);
	struct cidr c = cidr("100.66.0.0/26");
	assert_true(cidr_equal(&b.cidr, &c));
	assert_int_equal(block_parse("blocks/fd00::40-122",
				 "{\"state\":\"quarantined\",\"node\":\"a.b\"}", 1, &b, &e),
		0);
	assert_int_equal(b.state, BLOCK_QUARANTINED);
}

TEST(hostile_documents_are_refused_with_their_key)
{
	static const struct {
		const char *key, *value;
		int error;
		const char *text;
	} table[] = {
		{"blocks/x\n1-26", "{}", -EINVAL, "\"blocks/x?1-26\" is not the key of a block"},
		{"blocks/\xff", "{}", -EINVAL, "\"blocks/?\" is not the key of a block"},
		{SOME_KEY, NULL, -EBADMSG, SOME_KEY ": the document is too large"},
		{SOME_KEY, "", -EBADMSG, SOME_KEY ": unexpected end of JSON input"},
		{SOME_KEY, "[]", -EBADMSG, SOME_KEY ": not an object"},
		{SOME_KEY, "{}", -EBADMSG, SOME_KEY ": node is missing"},
		{SOME_KEY, "{\"node\":1}", -EBADMSG,
			SOME_KEY ": node must be a string, not a number"},
		{SOME_KEY, "{\"node\":\"a;b\",\"state\":\"owned\"}", -EBADMSG,
			SOME_KEY ": node is no name"},
		{SOME_KEY, "{\"node\":\"a\\n\",\"state\":\"owned\"}", -EBADMSG,
			SOME_KEY ": node is no name"},
		{SOME_KEY, "{\"node\":\"a\"}", -EBADMSG,
			SOME_KEY ": state is none of owned, quarantined, pending"},
		{SOME_KEY, "{\"node\":\"a\",\"state\":\"OWNED\"}", -EBADMSG,
			SOME_KEY ": state is none of owned, quarantined, pending"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct block b = {.revision = 7};
		struct err e;
		assert_int_equal(
			block_parse(table[i].key, table[i].value, 1, &b, &e), table[i].error);
		assert_string_equal(e.text, table[i].text);
		assert_int_equal(b.revision, 7);
	}
}

/* What a step writes is a document of that node and state, if the one that it knows is there still. */
static void check_written(
	const struct block_txn *t, int64_t revision, const char *node, enum block_state wanted)
{
	struct block b;
	struct err e;
	assert_string_equal(t->write.key, "blocks/100.66.0.0-26");
	assert_int_equal(t->write.revision, revision);
	ok(block_parse(t->write.key, t->write.value, 5, &b, &e));
	assert_string_equal(b.node, node);
	assert_int_equal(b.state, wanted);
}

TEST(a_claim_compares_absence_and_is_pending)
{
	struct cidr c = cidr("100.66.0.0/26");
	struct block_txn t, again;
	block_txn_claim(&t, &c, "a");
	check_written(&t, 0, "a", BLOCK_PENDING);
	block_txn_claim(&again, &c, "a");
	assert_string_not_equal(t.value, again.value); /* the nonce */
}

TEST(a_value_of_the_longest_name_is_whole)
{
	char name[RESOURCE_NAME];
	memset(name, 'n', sizeof(name));
	name[RESOURCE_NAME - 1] = '\0';
	struct block b = {.cidr = cidr("2001:db8:1111:2222:3333:4444:5555:6666/128")};
	memcpy(b.node, name, sizeof(name));
	struct block_txn t;
	struct block back;
	struct err e;
	block_txn_quarantine(&t, &b);
	assert_int_equal(block_parse(t.key, t.value, 1, &back, &e), 0);
	assert_string_equal(back.node, name);
	assert_string_equal(t.key, "blocks/2001:db8:1111:2222:3333:4444:5555:6666-128");
}

TEST(other_changes_compare_what_was_read)
{
	const struct block b = {.cidr = cidr("100.66.0.0/26"), .node = "a", .revision = 99};
	struct block_txn t;
	block_txn_quarantine(&t, &b);
	check_written(&t, 99, "a", BLOCK_QUARANTINED);
	block_txn_confirm(&t, &b);
	check_written(&t, 99, "a", BLOCK_OWNED);
	block_txn_return(&t, &b);
	assert_int_equal(t.write.revision, 99);
	assert_string_equal(t.write.key, "blocks/100.66.0.0-26");
	assert_null(t.write.value);
}

/* The walk is part of what nodes of different versions agree on: it must not change. */
TEST(the_walk_is_the_same_for_ever)
{
	static const struct {
		const char *node, *pool;
		uint8_t len;
		const char *first, *second, *third;
	} table[] = {
		{"node-1", "100.66.0.0/16", 26, "100.66.160.64/26", "100.66.228.0/26",
			"100.66.39.192/26"},
		{"node-2", "100.66.0.0/16", 26, "100.66.89.0/26", "100.66.134.64/26",
			"100.66.179.128/26"},
		{"a", "10.0.0.0/8", 24, "10.104.52.0/24", "10.182.83.0/24", "10.4.114.0/24"},
		{"node-1", "fd00:66::/48", 122, "fd00:66:0:24:b4f:fc9b:befd:a040/122",
			"fd00:66:0:2b:b9c:f867:56ce:e400/122",
			"fd00:66:0:32:be9:f432:eea0:27c0/122"},
		{"node-1", "fd00::/112", 128, "fd00::f681/128", "fd00::3b90/128", "fd00::809f/128"},
		{"ip-10-0-0-1.eu-west-1.compute.internal", "64.0.0.0/2", 32, "88.102.255.38/32",
			"93.89.215.165/32", "98.76.176.36/32"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct pool p = pool(table[i].pool, table[i].len);
		struct cidr tried[3];
		const char *wanted[] = {table[i].first, table[i].second, table[i].third};
		for (size_t k = 0; k < 3; k++) {
			struct block_taken t = {.tried = tried, .n_tried = k};
			char text[CIDR_TEXT];
			assert_int_equal(block_pick(&p, table[i].node, &t, &tried[k]), 1);
			cidr_format(&tried[k], text);
			assert_string_equal(text, wanted[k]);
		}
	}
}

static int compare(const void *a, const void *b)
{
	return cidr_compare(&((const struct block *)a)->cidr, &((const struct block *)b)->cidr);
}

TEST(a_pool_is_used_up_without_meeting_a_block_twice)
{
	static const struct {
		const char *pool;
		uint8_t len;
		size_t blocks;
	} table[] = {{"100.66.0.0/20", 26, 64}, {"10.0.0.0/24", 32, 256}, {"fd00::/120", 128, 256},
		{"10.0.0.0/26", 26, 1}, {"2001:db8::7/128", 128, 1}, {"fd00::/118", 122, 16}};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct pool p = pool(table[i].pool, table[i].len);
		CLEANUP_FREE struct block *all = mem_new(table[i].blocks, sizeof(*all));
		struct block_taken t = {.sorted = all};
		for (; t.n < table[i].blocks; t.n++) {
			struct cidr c;
			assert_int_equal(block_pick(&p, "node-1", &t, &c), 1);
			assert_int_equal(c.len, table[i].len);
			assert_true(cidr_contains(&p.cidr, &c.addr));
			for (size_t k = 0; k < t.n; k++)
				assert_false(cidr_overlaps(&all[k].cidr, &c));
			all[t.n] = (struct block){.cidr = c};
			qsort(all, t.n + 1, sizeof(*all), compare);
		}
		struct cidr c = {.len = 99};
		assert_int_equal(block_pick(&p, "node-1", &t, &c), 0);
		assert_int_equal(c.len, 99);
		/* The last one counts as well when it was only tried. */
		struct cidr tried = all[t.n - 1].cidr;
		t.n--;
		assert_int_equal(block_pick(&p, "node-2", &t, &c), 1);
		assert_true(cidr_equal(&c, &tried));
		t.tried = &tried;
		t.n_tried = 1;
		assert_int_equal(block_pick(&p, "node-2", &t, &c), 0);
	}
}

TEST(the_one_free_block_of_many_is_found)
{
	const size_t n = 16384; /* 100.64.0.0/12 in /26 */
	const struct pool p = pool("100.64.0.0/12", 26);
	CLEANUP_FREE struct block *all = mem_new(n, sizeof(*all));
	size_t used = 0;
	for (size_t i = 0; i < n; i++)
		if (i != 11111)
			all[used++] = (struct block){.cidr = pool_block(&p, i)};
	struct block_taken t = {.sorted = all, .n = used};
	struct cidr c;
	const struct cidr wanted = pool_block(&p, 11111);
	for (int k = 0; k < 20; k++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "node-%d", k);
		assert_int_equal(block_pick(&p, name, &t, &c), 1);
		assert_true(cidr_equal(&c, &wanted));
	}
}

TEST(blocks_of_other_pools_do_not_matter)
{
	struct pool p = pool("100.66.0.0/16", 26);
	struct block others[] = {{.cidr = cidr("10.0.0.0/8")}, {.cidr = cidr("100.65.255.192/26")},
		{.cidr = cidr("100.67.0.0/26")}, {.cidr = cidr("fd00::/122")}};
	struct block_taken none = {0};
	struct block_taken t = {.sorted = others, .n = 4};
	struct cidr a, b;
	assert_int_equal(block_pick(&p, "node-1", &none, &a), 1);
	assert_int_equal(block_pick(&p, "node-1", &t, &b), 1);
	assert_true(cidr_equal(&a, &b));
}

TEST(what_blocks_of_other_sizes_cover_is_taken)
{
	struct pool p = pool("100.66.0.0/24", 26);
	struct block most[] = {{.cidr = cidr("100.66.0.0/25")}, {.cidr = cidr("100.66.0.200/32")}};
	struct block_taken t = {.sorted = most, .n = 2};
	const struct cidr wanted = cidr("100.66.0.128/26");
	for (int k = 0; k < 20; k++) {
		char name[16];
		struct cidr c;
		(void)snprintf(name, sizeof(name), "node-%d", k);
		assert_int_equal(block_pick(&p, name, &t, &c), 1);
		assert_true(cidr_equal(&c, &wanted));
	}
	struct block everything[] = {{.cidr = cidr("0.0.0.0/0")}, {.cidr = cidr("::/0")}};
	struct block_taken all = {.sorted = everything, .n = 2};
	struct cidr c;
	struct pool p6 = pool("fd00::/16", 128);
	assert_int_equal(block_pick(&p, "a", &all, &c), 0);
	assert_int_equal(block_pick(&p6, "a", &all, &c), 0);
}

/* 2^30 blocks of which one document covers all but the last: found by leaps, not step by step. */
TEST(a_pool_of_a_billion_blocks_is_no_burden)
{
	struct pool p = pool("64.0.0.0/2", 32);
	struct block taken[31];
	size_t n = 0;
	for (uint8_t len = 3; len <= 32; len++) {
		struct addr a = p.cidr.addr;
		for (unsigned int bit = 2; bit + 1 < len; bit++)
			a.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		taken[n++] = (struct block){.cidr = {.addr = a, .len = len}};
	}
	qsort(taken, n, sizeof(*taken), compare);
	struct block_taken t = {.sorted = taken, .n = n};
	struct cidr c;
	const struct cidr wanted = cidr("127.255.255.255/32");
	assert_int_equal(block_pick(&p, "a", &t, &c), 1);
	assert_true(cidr_equal(&c, &wanted));
	struct block_taken none = {0};
	struct pool wide = pool("fd00::/16", 128); /* 2^112: the first 2^64 are used */
	assert_int_equal(block_pick(&wide, "a", &none, &c), 1);
	assert_true(cidr_contains(&wide.cidr, &c.addr));
}

TEST(taken_blocks_may_stand_in_other_values)
{
	struct {
		struct cidr cidr;
		char other[40];
	} values[] = {{.cidr = cidr("100.66.0.0/26")}, {.cidr = cidr("100.66.0.64/26")},
		{.cidr = cidr("100.66.0.192/26")}};
	struct pool p = pool("100.66.0.0/24", 26);
	struct block_taken t = {.sorted = values, .n = 3, .stride = sizeof(values[0])};
	const struct cidr wanted = cidr("100.66.0.128/26");
	struct cidr c;
	assert_int_equal(block_pick(&p, "node-1", &t, &c), 1);
	assert_true(cidr_equal(&c, &wanted));
}

TEST(nodes_rarely_meet)
{
	enum { NODES = 64, BLOCKS = 4096 };
	const struct pool p = pool("100.64.0.0/14", 26);
	bool seen[BLOCKS] = {false};
	size_t met = 0;
	for (int k = 0; k < NODES; k++) {
		char name[16];
		struct cidr c;
		struct block_taken none = {0};
		(void)snprintf(name, sizeof(name), "node-%d", k);
		assert_int_equal(block_pick(&p, name, &none, &c), 1);
		uint64_t index = pool_block_index(&p, &c.addr);
		met += seen[index];
		seen[index] = true;
	}
	assert_true(met <= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_read_and_unknown_keys_are_fine),
		cmocka_unit_test(hostile_documents_are_refused_with_their_key),
		cmocka_unit_test(a_claim_compares_absence_and_is_pending),
		cmocka_unit_test(a_value_of_the_longest_name_is_whole),
		cmocka_unit_test(other_changes_compare_what_was_read),
		cmocka_unit_test(the_walk_is_the_same_for_ever),
		cmocka_unit_test(a_pool_is_used_up_without_meeting_a_block_twice),
		cmocka_unit_test(the_one_free_block_of_many_is_found),
		cmocka_unit_test(blocks_of_other_pools_do_not_matter),
		cmocka_unit_test(what_blocks_of_other_sizes_cover_is_taken),
		cmocka_unit_test(a_pool_of_a_billion_blocks_is_no_burden),
		cmocka_unit_test(taken_blocks_may_stand_in_other_values),
		cmocka_unit_test(nodes_rarely_meet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
