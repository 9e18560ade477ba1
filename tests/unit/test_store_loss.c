/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a store is not followed because it lost what it had: what is suspicious, what is missing, and
 * what ends it. The store is a replica, events of its lists are made here.
 */
#include "tests/unit/values.h"

#include "agent/store_loss.h"

#include "lib/json.h"
#include "store/store.h"
#include "tests/unit/replica_input.h"

#define POOL                                                                                       \
	"{\"kind\": \"IPPool\", \"apiVersion\": \"projectcalico.org/v3\", \"metadata\": "          \
	"{\"name\": \"p\"}, \"spec\": {\"cidr\": \"10.0.0.0/24\", \"blockSize\": 26}}"
#define NODE(name)                                                                                 \
	"{\"kind\": \"Node\", \"apiVersion\": \"projectcalico.org/v3\", \"metadata\": {\"name\": " \
	"\"" name "\"}, \"spec\": {}}"
#define ALL "{\"documents\": [" POOL ", " NODE("a") ", " NODE("b") "]"
#define OWN "\"blocks\": {\"10.0.0.0/26\": \"a\"}}"
#define WHOLE ALL ", " OWN
#define EMPTY "{\"documents\": [], \"blocks\": {}}"
#define LATER 5000 /* ms: other agents had their time */

struct bench {
	struct store_loss loss;
	struct replica replica;
	struct node_states_block block;
	struct node_states states;
	struct store_loss_input in;
};

static void fill(struct bench *b, const char *store)
{
	CLEANUP_JSON json_t *doc = json_of(store);
	replica_done(&b->replica);
	replica_fill(&b->replica, "a", doc);
}

static void list(struct bench *b, uint64_t id, int64_t revision)
{
	const struct store_event ev = {.kind = STORE_RESTART, .store_id = id, .revision = revision};
	store_loss_hear(&b->loss, &ev, b->in.now_ms);
}

/* Node a, with a block that pods use, beside node b; all is in the store. */
static void begin(struct bench *b)
{
	*b = (struct bench){.block = {.in = {.cidr = cidr("10.0.0.0/26"),
					      .pool = cidr("10.0.0.0/24"),
					      .used = 1,
					      .cluster = true}}};
	b->states = (struct node_states){.n_dirs = 1, .blocks = &b->block, .n_blocks = 1};
	b->in = (struct store_loss_input){.node = "a",
		.url = "etcd:http://10.0.0.1:2379",
		.replica = &b->replica,
		.states = &b->states,
		.had_pools = true,
		.now_ms = 100};
	fill(b, WHOLE);
	list(b, 0xa1, 40);
	assert_false(store_loss_judge(&b->loss, &b->in));
	store_loss_note(&b->loss, &b->replica);
}

static void end(struct bench *b)
{
	store_loss_done(&b->loss);
	replica_done(&b->replica);
}

/* After the time in which others enter their documents. */
static void holds(struct bench *b, const char *why)
{
	b->in.now_ms += LATER;
	assert_true(store_loss_judge(&b->loss, &b->in));
	assert_says(b->loss.why, why);
}

static void goes_on(struct bench *b)
{
	b->in.now_ms += LATER;
	if (store_loss_judge(&b->loss, &b->in))
		fail_msg("%s", b->loss.why);
	store_loss_note(&b->loss, &b->replica);
	assert_string_equal(b->loss.why, "");
}

TEST(an_empty_store_is_not_followed_until_its_documents_are_back)
{
	static const struct {
		uint64_t id;
		int64_t revision;
		const char *why;
	} table[] = {
		{0xb2, 50, "is another store (id b2, was a1) and has no IPPool"},
		{0xa1, 3, "went back from revision 40 to 3 and has no IPPool"},
		{0, 0, "lost documents and has no IPPool"}, /* as deletions */
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bench b;
		begin(&b);
		fill(&b, EMPTY);
		if (table[i].revision)
			list(&b, table[i].id, table[i].revision);
		holds(&b, table[i].why);
		assert_says(b.loss.why, "etcd:http://10.0.0.1:2379");
		assert_says(b.loss.why, "roostctl store accept");
		fill(&b, "{\"documents\": [" POOL "], \"blocks\": {}}");
		holds(&b, "lacks block 10.0.0.0/26");
		fill(&b, "{\"documents\": [" POOL "], " OWN);
		holds(&b, "lacks nodes b");
		fill(&b, WHOLE);
		goes_on(&b);
		end(&b);
	}
}

TEST(another_store_with_all_documents_is_used_after_a_moment)
{
	struct bench b;
	begin(&b);
	list(&b, 0xb2, 50);
	b.in.now_ms += 1000;
	assert_true(store_loss_judge(&b.loss, &b.in));
	assert_string_equal(b.loss.why, "");
	goes_on(&b);
	assert_int_equal(b.loss.id, 0xb2);
	b.in.now_ms += 1;
	assert_false(store_loss_judge(&b.loss, &b.in));
	end(&b);
}

TEST(what_an_operator_deletes_is_no_loss)
{
	static const char *const stores[] = {
		"{\"documents\": [" NODE("a") ", " NODE("b") "], " OWN, /* the pool */
		"{\"documents\": [" POOL ", " NODE("a") "], " OWN,	/* another node */
	};
	for (size_t i = 0; i < COUNT(stores); i++) {
		struct bench b;
		begin(&b);
		fill(&b, stores[i]);
		list(&b, 0xa1, 41); /* a list that begins again says nothing by itself */
		assert_false(store_loss_judge(&b.loss, &b.in));
		end(&b);
	}
}

/* Cut off, removed, back; or all nodes were deleted. Blocks that others have by now are theirs. */
TEST(a_node_that_was_removed_enters_itself_again_and_goes_on)
{
	struct bench b;
	begin(&b);
	fill(&b, "{\"documents\": [" POOL "], \"blocks\": {}}");
	holds(&b, "lost documents and lacks block 10.0.0.0/26");
	fill(&b, "{\"documents\": [" POOL "], \"blocks\": {\"10.0.0.0/26\": \"b\"}}");
	holds(&b, "lost documents and lacks nodes b");
	fill(&b, ALL ", \"blocks\": {\"10.0.0.0/26\": \"b\"}}");
	goes_on(&b);
	end(&b);
}

TEST(an_older_state_waits_for_what_others_have_to_correct)
{
	struct bench b;
	begin(&b);
	fill(&b, ALL ", \"blocks\": {\"10.0.0.0/26\": \"b\"}}");
	list(&b, 0xa1, 20);
	holds(&b, "went back from revision 40 to 20 and has block 10.0.0.0/26 as that of node b");
	fill(&b, WHOLE);
	goes_on(&b);
	end(&b);
}

TEST(after_a_start_the_file_and_the_node_state_are_what_there_was)
{
	struct bench b;
	begin(&b);
	store_loss_done(&b.loss);
	b.in.is_start = true;
	fill(&b, EMPTY);
	holds(&b, "lost documents and has no IPPool");
	store_loss_done(&b.loss);
	b.loss.id = 0xa1;
	fill(&b, WHOLE);
	list(&b, 0xb2, 1);
	goes_on(&b);
	/* A new cluster, and a machine that has booted: nothing is lost. */
	store_loss_done(&b.loss);
	fill(&b, EMPTY);
	b.states.n_blocks = 0;
	assert_false(store_loss_judge(&b.loss, &b.in));
	b.states.n_blocks = 1;
	b.in.had_pools = false;
	assert_false(store_loss_judge(&b.loss, &b.in));
	end(&b);
}

TEST(an_operator_may_take_it_as_it_is)
{
	struct bench b;
	begin(&b);
	fill(&b, EMPTY);
	list(&b, 0xb2, 50);
	holds(&b, "has no IPPool");
	b.loss.accepted = true;
	list(&b, 0xb2, 51); /* the other watch's list of the same store */
	goes_on(&b);
	fill(&b, "{\"documents\": [" POOL "], \"blocks\": {}}");
	list(&b, 0xc3, 52);
	holds(&b, "is another store (id c3, was b2) and lacks block"); /* that was about b2 */
	b.loss.accepted = true;
	list(&b, 0xd4, 53);
	holds(&b, "id d4");
	end(&b);
}

TEST(missing_nodes_are_counted)
{
	struct bench b;
	begin(&b);
	fill(&b, "{\"documents\": [" POOL
		 ", " NODE("a") ", " NODE("b") ", " NODE("c") ", " NODE("d") "], " OWN);
	store_loss_note(&b.loss, &b.replica);
	fill(&b, "{\"documents\": [" POOL "], " OWN);
	list(&b, 0xb2, 50);
	holds(&b, "lacks nodes b, c and 1 more: all stays");
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_store_is_not_followed_until_its_documents_are_back),
		cmocka_unit_test(another_store_with_all_documents_is_used_after_a_moment),
		cmocka_unit_test(what_an_operator_deletes_is_no_loss),
		cmocka_unit_test(a_node_that_was_removed_enters_itself_again_and_goes_on),
		cmocka_unit_test(an_older_state_waits_for_what_others_have_to_correct),
		cmocka_unit_test(after_a_start_the_file_and_the_node_state_are_what_there_was),
		cmocka_unit_test(an_operator_may_take_it_as_it_is),
		cmocka_unit_test(missing_nodes_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
