/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy of the cluster: lists by mark and sweep, single changes in their place, documents that
 * cannot be read.
 */
#include "tests/unit/values.h"

#include "agent/replica.h"

#include "tests/unit/replica_input.h"

#define NODE(name, address)                                                                        \
	"{\"kind\": \"Node\", \"apiVersion\": \"projectcalico.org/v3\", \"metadata\": {\"name\": " \
	"\"" name "\"}, \"spec\": {\"bgp\": {\"ipv4Address\": \"" address "\"}}}"
#define OWNED(node) "{\"node\": \"" node "\", \"state\": \"owned\"}"

static void put(struct replica *r, const char *key, const char *value)
{
	int part = strncmp(key, KEYS_BLOCKS, strlen(KEYS_BLOCKS)) == 0 ? REPLICA_BLOCKS
								       : REPLICA_RESOURCES;
	replica_feed(r, part, value ? STORE_PUT : STORE_DELETE, key, value);
}

static void begin(struct replica *r, int part)
{
	replica_feed(r, part, STORE_RESTART, NULL, NULL);
}

static void end(struct replica *r, int part)
{
	replica_feed(r, part, STORE_CURRENT, NULL, NULL);
}

static void open_empty(struct replica *r)
{
	replica_init(r, "me");
	for (int part = 0; part < REPLICA_PARTS; part++) {
		begin(r, part);
		end(r, part);
	}
}

TEST(it_is_whole_when_all_lists_were_seen)
{
	struct replica r;
	replica_init(&r, "me");
	assert_false(replica_is_whole(&r));
	begin(&r, REPLICA_RESOURCES);
	end(&r, REPLICA_RESOURCES);
	assert_false(replica_is_whole(&r));
	begin(&r, REPLICA_BLOCKS);
	assert_false(replica_is_whole(&r));
	end(&r, REPLICA_BLOCKS);
	assert_false(replica_is_whole(&r));
	begin(&r, REPLICA_LOANS);
	end(&r, REPLICA_LOANS);
	assert_true(replica_is_whole(&r));
	begin(&r, REPLICA_BLOCKS); /* a list that begins again */
	assert_false(replica_is_whole(&r));
	replica_done(&r);
}

TEST(a_new_list_drops_what_it_does_not_tell)
{
	struct replica r;
	struct cidr kept;
	open_empty(&r);
	put(&r, "resources/nodes/b", NODE("b", "10.0.0.2"));
	put(&r, "resources/nodes/a", NODE("a", "10.0.0.1"));
	put(&r, "blocks/10.1.0.0-26", OWNED("a"));
	put(&r, "blocks/10.1.0.64-26", OWNED("b"));
	assert_string_equal(r.nodes[0].name, "a");
	assert_string_equal(r.nodes[1].name, "b");
	begin(&r, REPLICA_RESOURCES);
	put(&r, "resources/nodes/c", NODE("c", "10.0.0.3"));
	put(&r, "resources/nodes/b", NODE("b", "10.0.0.22"));
	put(&r, "resources/nodes/0", NODE("0", "10.0.0.9"));
	end(&r, REPLICA_RESOURCES);
	assert_int_equal(r.n_nodes, 3);
	assert_string_equal(r.nodes[0].name, "0");
	assert_string_equal(r.nodes[1].name, "b");
	assert_int_equal(r.nodes[1].spec.addr[IPV4].addr.bytes[3], 22);
	assert_null(replica_node(&r, "a"));
	assert_int_equal(r.n_blocks, 2); /* the other part is untouched */
	begin(&r, REPLICA_BLOCKS);
	put(&r, "blocks/10.1.0.64-26", OWNED("c"));
	end(&r, REPLICA_BLOCKS);
	kept = cidr("10.1.0.64/26");
	assert_int_equal(r.n_blocks, 1);
	assert_string_equal(replica_block(&r, &kept)->node, "c");
	replica_done(&r);
}

TEST(many_blocks_in_any_order_end_up_sorted)
{
	struct replica r;
	open_empty(&r);
	begin(&r, REPLICA_BLOCKS);
	for (unsigned int i = 0; i < 2000; i++) {
		char key[64];
		unsigned int n = i * 7919 % 2000;
		(void)snprintf(key, sizeof(key), "blocks/10.%u.%u.0-26", n / 256, n % 256);
		put(&r, key, OWNED("a"));
	}
	end(&r, REPLICA_BLOCKS);
	assert_int_equal(r.n_blocks, 2000);
	for (size_t i = 1; i < r.n_blocks; i++)
		assert_true(cidr_compare(&r.blocks[i - 1].cidr, &r.blocks[i].cidr) < 0);
	put(&r, "blocks/10.3.7.64-26", OWNED("b"));
	put(&r, "blocks/10.0.0.0-26", NULL);
	assert_int_equal(r.n_blocks, 2000);
	for (size_t i = 1; i < r.n_blocks; i++)
		assert_true(cidr_compare(&r.blocks[i - 1].cidr, &r.blocks[i].cidr) < 0);
	replica_done(&r);
}

TEST(what_cannot_be_read_is_left_out_and_named)
{
	static const char *const hostile[] = {"not json", "[]", "{}", "{\"kind\": 7}",
		NODE("other", "10.0.0.1"), NODE("b", "10.0.0.1; } protocol"),
		"{\"kind\": \"IPPool\", \"metadata\": {\"name\": \"b\"}}"};
	struct replica r;
	open_empty(&r);
	for (size_t i = 0; i < COUNT(hostile); i++) {
		put(&r, "resources/nodes/b", NODE("b", "10.0.0.2"));
		assert_int_equal(r.n_nodes, 1);
		assert_int_equal(r.n_problems, 0);
		put(&r, "resources/nodes/b", hostile[i]);
		assert_int_equal(r.n_nodes, 0);
		assert_int_equal(r.n_problems, 1);
		assert_string_equal(r.problems[0].key, "resources/nodes/b");
	}
	put(&r, "resources/nodes/b", NULL);
	assert_int_equal(r.n_problems, 0);
	put(&r, "resources/ships/b", "{}");
	assert_int_equal(r.n_problems, 1);
	begin(&r, REPLICA_RESOURCES); /* a list without it ends the problem */
	end(&r, REPLICA_RESOURCES);
	assert_int_equal(r.n_problems, 0);
	replica_done(&r);
}

/* In whatever order they come and go. */
TEST(many_that_cannot_be_read_are_each_named_once)
{
	enum { N = 2000, STEP = 1237 }; /* without a common divisor */
	struct replica r;
	char key[64];
	open_empty(&r);
	for (unsigned int turn = 0; turn < 2 * N; turn++) {
		(void)snprintf(key, sizeof(key), "resources/nodes/n%04u", turn * STEP % N);
		put(&r, key, turn < N ? "{" : "[");
	}
	assert_int_equal(r.n_problems, N);
	for (unsigned int i = 0; i < N; i++) {
		(void)snprintf(key, sizeof(key), "resources/nodes/n%04u", i);
		assert_string_equal(r.problems[i].key, key);
	}
	for (unsigned int i = 0; i < N; i += 2) {
		(void)snprintf(key, sizeof(key), "resources/nodes/n%04u", i);
		put(&r, key, NULL);
	}
	assert_int_equal(r.n_problems, N / 2);
	assert_string_equal(r.problems[0].key, "resources/nodes/n0001");
	begin(&r, REPLICA_RESOURCES);
	put(&r, "resources/nodes/n0007", "{");
	end(&r, REPLICA_RESOURCES);
	assert_int_equal(r.n_problems, 1);
	assert_string_equal(r.problems[0].key, "resources/nodes/n0007");
	replica_done(&r);
}

TEST(a_block_that_cannot_be_read_counts_as_taken)
{
	struct replica r;
	open_empty(&r);
	put(&r, "blocks/10.1.0.0-26", "{\"node\": \"a\\nb\"}");
	assert_int_equal(r.n_blocks, 1);
	assert_null(r.blocks[0].node);
	assert_int_equal(r.n_problems, 1);
	put(&r, "blocks/nonsense", "{}");
	assert_int_equal(r.n_blocks, 1);
	assert_int_equal(r.n_problems, 2);
	put(&r, "blocks/10.1.0.0-26", OWNED("a"));
	assert_string_equal(r.blocks[0].node, "a");
	assert_int_equal(r.n_problems, 1);
	replica_done(&r);
}

TEST(our_own_document_is_kept_as_it_is)
{
	struct replica r;
	open_empty(&r);
	put(&r, "resources/nodes/me", NODE("me", "10.0.0.1"));
	assert_non_null(r.self);
	assert_true(r.self_revision > 0);
	put(&r, "resources/nodes/me", "{\"kind\": \"nonsense\"}"); /* to be written over */
	assert_non_null(r.self);
	assert_null(replica_node(&r, "me"));
	begin(&r, REPLICA_RESOURCES);
	end(&r, REPLICA_RESOURCES);
	assert_null(r.self);
	assert_int_equal(r.self_revision, 0);
	replica_done(&r);
}

TEST(policies_are_left_to_who_enforces_them)
{
	struct replica r;
	open_empty(&r);
	put(&r, "resources/networkpolicies/a.web", "no document");
	put(&r, "resources/tiers/security", "{}");
	assert_int_equal(r.n_problems, 0);
	assert_int_equal(r.n_items, 0);
	replica_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_are_left_to_who_enforces_them),
		cmocka_unit_test(it_is_whole_when_all_lists_were_seen),
		cmocka_unit_test(a_new_list_drops_what_it_does_not_tell),
		cmocka_unit_test(many_blocks_in_any_order_end_up_sorted),
		cmocka_unit_test(what_cannot_be_read_is_left_out_and_named),
		cmocka_unit_test(many_that_cannot_be_read_are_each_named_once),
		cmocka_unit_test(a_block_that_cannot_be_read_counts_as_taken),
		cmocka_unit_test(our_own_document_is_kept_as_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
