/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do with blocks: each row of the table in agent/block_plan.c, claims by headroom, and what
 * stops them. A case says what the store has, what the node state has, and the steps that follow.
 */
#include "tests/unit/values.h"

#include "agent/block_plan.h"

#include "lib/json.h"
#include "lib/text.h"
#include "tests/unit/replica_input.h"

#define POOL                                                                                       \
	"{\"kind\": \"IPPool\", \"apiVersion\": \"projectcalico.org/v3\", \"metadata\": "          \
	"{\"name\": \"p\"}, \"spec\": {\"cidr\": \"10.0.0.0/24\", \"blockSize\": 26%s}}"

/* One block of the node state, in words: "used 3", "empty", "draining", ... */
struct have {
	const char *cidr;
	uint64_t used, cooling;
	bool draining, disowned;
	int64_t empty_since_s;
};

struct bench {
	struct replica replica;
	struct mirror mirror;
	struct node_states states;
	struct pending_list pending;
	struct node_states_block blocks[8];
	struct block_plan_input in;
};

static void note(struct bench *b, struct cidr block, enum pending_kind kind)
{
	pending_add(&b->pending, &(struct pending){.block = block, .kind = kind});
}

/* store: a JSON object of blocks. more: further spec of the pool. */
static void set_up(
	struct bench *b, const char *store, const struct have *have, size_t n, const char *more)
{
	char text[4096];
	char pool[1024];
	*b = (struct bench){0};
	(void)snprintf(pool, sizeof(pool), POOL, more);
	(void)snprintf(text, sizeof(text), "{\"documents\": [%s], \"blocks\": %s}", pool, store);
	CLEANUP_JSON json_t *doc = json_of(text);
	replica_fill(&b->replica, "a", doc);
	b->mirror.n_pools = 1;
	b->mirror.pools[0] = (struct mirror_pool){
		.pool = {.cidr = cidr("10.0.0.0/24"), .block_len = 26}, .assigns = !*more};
	b->states = (struct node_states){.n_dirs = 1, .blocks = b->blocks, .n_blocks = n};
	b->states.dirs[0].path = "/s";
	for (size_t i = 0; i < n; i++) {
		b->blocks[i] = (struct node_states_block){
			.in = {.cidr = cidr(have[i].cidr),
				.pool = cidr("10.0.0.0/24"),
				.size = 64,
				.used = have[i].used,
				.cooling = have[i].cooling,
				.free = 64 - have[i].used - have[i].cooling,
				.cluster = true,
				.draining = have[i].draining,
				.disowned = have[i].disowned},
			.empty_since_s =
				have[i].used || have[i].cooling ? -1 : have[i].empty_since_s,
		};
		if (!have[i].draining && !have[i].disowned)
			b->states.dirs[0].free[IPV4] += b->blocks[i].in.free;
	}
	for (size_t i = 0; i < b->replica.n_blocks; i++) /* as after a while */
		if (b->replica.blocks[i].state == BLOCK_OWNED)
			note(b, b->replica.blocks[i].cidr, PENDING_CONFIRMED);
	b->in = (struct block_plan_input){
		.node = "a",
		.replica = &b->replica,
		.mirror = &b->mirror,
		.states = &b->states,
		.pending = &b->pending,
		.headroom = 16,
		.knows_loans = true,
		.idle_s = 300,
		.now_s = 1000,
	};
}

static void tear_down(struct bench *b)
{
	pending_done(&b->pending);
	replica_done(&b->replica);
}

/* The steps as text: "ADD 10.0.0.0/26, CLAIM 10.0.0.64/26". */
static void plan_is(struct bench *b, const char *expected)
{
	static const char *const names[] = {
		"ADD", "CONFIRM", "CLAIM", "DRAIN", "RETURN", "DROP", "DISOWN"};
	char out[1024] = "";
	struct text t = TEXT_ON(out);
	struct block_plan p;
	block_plan_make(&b->in, &p);
	for (size_t i = 0; i < p.n_steps; i++) {
		char cidr[CIDR_TEXT];
		cidr_format(&p.steps[i].block, cidr);
		text_add(&t, "%s%s %s", i ? ", " : "", names[p.steps[i].verb], cidr);
	}
	assert_string_equal(out, expected);
	block_plan_done(&p);
	tear_down(b);
}

#define HAVE(...) ((const struct have[]){__VA_ARGS__}), 1
#define NOTHING NULL, 0

TEST(each_row_of_the_table)
{
	static const struct {
		const char *store;
		struct have have;
		const char *expected;
	} rows[] = {
		{"{\"10.0.0.0/26\": \"a\"}", {0}, "ADD 10.0.0.0/26"},
		{"{\"10.0.0.0/26\": \"a\"}", {.cidr = "10.0.0.0/26", .used = 1}, ""},
		{"{\"10.0.0.0/26\": \"a\"}", {.cidr = "10.0.0.0/26", .used = 1, .disowned = true},
			"ADD 10.0.0.0/26"},
		{"{\"10.0.0.0/26\": \"a quarantined\"}", {.cidr = "10.0.0.0/26", .used = 1},
			"CONFIRM 10.0.0.0/26"},
		{"{}", {.cidr = "10.0.0.0/26", .used = 1}, "CLAIM 10.0.0.0/26"},
		{"{}", {.cidr = "10.0.0.0/26", .draining = true}, "DROP 10.0.0.0/26"},
		{"{\"10.0.0.0/26\": \"b\"}", {.cidr = "10.0.0.0/26", .used = 1},
			"DISOWN 10.0.0.0/26"},
		{"{\"10.0.0.0/26\": \"b\"}", {.cidr = "10.0.0.0/26", .used = 1, .disowned = true},
			""},
		{"{\"10.0.0.0/26\": \"b\"}", {.cidr = "10.0.0.0/26", .disowned = true},
			"DROP 10.0.0.0/26"},
		{"{\"10.0.0.0/26\": \"?\"}", {.cidr = "10.0.0.0/26", .used = 1}, ""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bench b;
		set_up(&b, rows[i].store, &rows[i].have, rows[i].have.cidr ? 1 : 0, "");
		b.in.headroom = 0;
		plan_is(&b, rows[i].expected);
	}
}

TEST(a_store_that_lost_documents_gets_what_is_in_use_and_nothing_else)
{
	static const struct {
		const char *store;
		struct have have;
		const char *expected;
	} rows[] = {
		{"{}", {.cidr = "10.0.0.0/26", .used = 1}, "CONFIRM 10.0.0.0/26"},
		{"{}", {.cidr = "10.0.0.0/26"}, ""},
		{"{\"10.0.0.0/26\": \"a\"}", {.cidr = "10.0.0.0/26", .used = 1}, ""},
		{"{\"10.0.0.0/26\": \"b\"}", {.cidr = "10.0.0.0/26", .used = 1}, ""},
		{"{\"10.0.0.0/26\": \"a\"}", {0}, "RETURN 10.0.0.0/26"},
		{"{\"10.0.0.0/26\": \"b\"}", {0}, ""},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct bench b;
		set_up(&b, rows[i].store, &rows[i].have, rows[i].have.cidr ? 1 : 0, "");
		b.in.only_restore = true;
		plan_is(&b, rows[i].expected);
	}
}

/* It is in use, so nobody asks the pool. */
TEST(a_block_in_use_is_entered_again_without_its_pool)
{
	struct bench b;
	struct block_plan p;
	set_up(&b, "{}", HAVE({.cidr = "10.0.0.0/26", .used = 1}), "");
	replica_done(&b.replica);
	CLEANUP_JSON json_t *nothing = json_of("{}");
	replica_fill(&b.replica, "a", nothing);
	b.in.only_restore = true;
	block_plan_make(&b.in, &p);
	assert_int_equal(p.n_steps, 1);
	assert_int_equal(p.steps[0].verb, STEP_CONFIRM);
	assert_int_equal(p.steps[0].doc.state, BLOCK_OWNED);
	assert_int_equal(p.steps[0].doc.revision, 0);
	assert_string_equal(p.steps[0].doc.node, "a");
	block_plan_done(&p);
	tear_down(&b);
}

/* What an earlier process wrote may be about to be taken from a node that was thought to be gone. */
TEST(a_block_is_confirmed_before_it_is_taken_into_use)
{
	const struct have used = {.cidr = "10.0.0.0/26", .used = 1};
	for (size_t n = 0; n < 2; n++) {
		struct bench b;
		set_up(&b, "{\"10.0.0.0/26\": \"a\"}", &used, n, "");
		b.in.headroom = 0;
		pending_done(&b.pending);
		plan_is(&b, "CONFIRM 10.0.0.0/26");
		set_up(&b, "{\"10.0.0.0/26\": \"a\"}", &used, n, "");
		b.in.headroom = 16; /* no claim beside it */
		b.pending.v[0].kind = PENDING_CONFIRM;
		plan_is(&b, "");
	}
}

TEST(a_pending_block_is_finished_or_given_back)
{
	static const char store[] = "{\"10.0.0.0/26\": \"a pending\"}";
	struct bench b;
	struct block_plan p;
	set_up(&b, store, NOTHING, "");
	block_plan_make(&b.in, &p); /* and nothing is claimed beside it */
	assert_int_equal(p.n_steps, 1);
	assert_int_equal(p.steps[0].verb, STEP_CONFIRM);
	assert_int_equal(p.steps[0].doc.state, BLOCK_PENDING);
	assert_string_equal(p.steps[0].pool, "p");
	block_plan_done(&p);
	tear_down(&b);
	set_up(&b, store, NOTHING, "");
	note(&b, cidr("10.0.0.0/26"), PENDING_CHECK);
	plan_is(&b, "");
	set_up(&b, store, NOTHING, "");
	b.mirror.n_pools = 0;
	plan_is(&b, "RETURN 10.0.0.0/26");
	set_up(&b, "{\"10.0.0.0/26\": \"b pending\"}", NOTHING, "");
	b.in.headroom = 0;
	plan_is(&b, "");
}

TEST(a_quarantined_block_that_no_state_has_is_given_back)
{
	struct bench b;
	set_up(&b, "{\"10.0.0.0/26\": \"a quarantined\"}", NOTHING, "");
	b.in.headroom = 0;
	plan_is(&b, "RETURN 10.0.0.0/26");
}

TEST(an_idle_block_goes_back_only_beyond_the_headroom)
{
	const struct have two[] = {{.cidr = "10.0.0.0/26", .used = 40},
		{.cidr = "10.0.0.64/26", .empty_since_s = 100}};
	const char *store = "{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"a\"}";
	struct bench b;
	set_up(&b, store, two, 2, "");
	plan_is(&b, "DRAIN 10.0.0.64/26");
	set_up(&b, store, two, 2, "");
	b.in.now_s = 399; /* not idle for long enough */
	plan_is(&b, "");
	set_up(&b, store, two, 2, "");
	b.in.headroom = 25; /* the other block alone has 24 */
	plan_is(&b, "");
}

TEST(a_cordoned_node_keeps_one_address_free_and_takes_no_block_beyond)
{
	const struct have nearly = {.cidr = "10.0.0.0/26", .used = 63};
	const struct have full = {.cidr = "10.0.0.0/26", .used = 64};
	const char *store = "{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"b\", "
			    "\"10.0.0.128/26\": \"b\"}";
	struct bench b;
	set_up(&b, store, &nearly, 1, "");
	plan_is(&b, "CLAIM 10.0.0.192/26");
	set_up(&b, store, &nearly, 1, "");
	b.in.cordoned = true;
	plan_is(&b, "");
	set_up(&b, store, &full, 1, "");
	b.in.cordoned = true;
	plan_is(&b, "CLAIM 10.0.0.192/26");
	set_up(&b, "{}", NOTHING, "");
	b.in.cordoned = true;
	b.in.headroom = 0;
	plan_is(&b, "");
}

TEST(a_draining_block_returns_when_bird_runs_without_it)
{
	const struct have two[] = {
		{.cidr = "10.0.0.0/26", .used = 1}, {.cidr = "10.0.0.64/26", .draining = true}};
	const char *store = "{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"a\"}";
	struct cidr gone = cidr("10.0.0.64/26");
	struct bench b;
	set_up(&b, store, two, 2, "");
	plan_is(&b, "");
	set_up(&b, store, two, 2, "");
	b.in.withdrawn = &gone;
	b.in.n_withdrawn = 1;
	plan_is(&b, "RETURN 10.0.0.64/26");
	/* Also right after it was confirmed, as soon as the watch has shown that. */
	for (int64_t ahead = 0; ahead < 2; ahead++) {
		set_up(&b, store, two, 2, "");
		b.in.withdrawn = &gone;
		b.in.n_withdrawn = 1;
		note(&b, gone, PENDING_DONE);
		b.pending.v[b.pending.n - 1].revision =
			replica_block(&b.replica, &gone)->revision + ahead;
		plan_is(&b, ahead ? "" : "RETURN 10.0.0.64/26");
	}
}

TEST(a_draining_block_that_is_needed_stays)
{
	const struct have two[] = {
		{.cidr = "10.0.0.0/26", .used = 60}, {.cidr = "10.0.0.64/26", .draining = true}};
	struct bench b;
	struct cidr block = cidr("10.0.0.64/26");
	const char *store = "{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"a\"}";
	/* An earlier RETURN might still be carried out: first the document gets a new revision. */
	set_up(&b, store, two, 2, "");
	pending_forget(&b.pending, &block);
	plan_is(&b, "CONFIRM 10.0.0.64/26");
	set_up(&b, store, two, 2, "");
	pending_forget(&b.pending, &block);
	b.in.withdrawn = &block;
	b.in.n_withdrawn = 1;
	plan_is(&b, "CONFIRM 10.0.0.64/26");
	set_up(&b, store, two, 2, "");
	plan_is(&b, "ADD 10.0.0.64/26");
	set_up(&b, store, two, 2, "");
	pending_forget(&b.pending, &block);
	note(&b, block, PENDING_CONFLICT);
	plan_is(&b, "");
}

TEST(a_claim_comes_before_the_free_addresses_run_out)
{
	struct bench b;
	struct block_plan p;
	set_up(&b, "{\"10.0.0.0/26\": \"a\"}", HAVE({.cidr = "10.0.0.0/26", .used = 48}), "");
	plan_is(&b, ""); /* 16 are left */
	set_up(&b, "{\"10.0.0.0/26\": \"a\"}", HAVE({.cidr = "10.0.0.0/26", .used = 49}), "");
	block_plan_make(&b.in, &p);
	assert_int_equal(p.n_steps, 1);
	assert_int_equal(p.steps[0].verb, STEP_CLAIM);
	assert_string_equal(p.steps[0].pool, "p");
	assert_false(cidr_equal(&p.steps[0].block, &b.blocks[0].in.cidr));
	block_plan_done(&p);
	tear_down(&b);
}

TEST(one_claim_at_a_time)
{
	struct bench b;
	static const enum pending_kind kinds[] = {
		PENDING_CLAIM, PENDING_CHECK, PENDING_CONFIRM, PENDING_DONE};
	for (size_t i = 0; i < COUNT(kinds); i++) {
		set_up(&b, "{}", NOTHING, "");
		note(&b, cidr("10.0.0.64/26"), kinds[i]);
		plan_is(&b, "");
	}
}

TEST(the_last_free_block_is_found)
{
	struct bench b;
	const char *store = "{\"10.0.0.0/26\": \"b\", \"10.0.0.128/26\": \"?\"}";
	set_up(&b, store, NOTHING, "");
	note(&b, cidr("10.0.0.64/26"), PENDING_CONFLICT);
	plan_is(&b, "CLAIM 10.0.0.192/26");
}

static void why_not_is_said(const char *store, const char *more, uint32_t max, const char *words)
{
	struct bench b;
	struct block_plan p;
	const struct block_plan_ask ask = {0};
	set_up(&b, store, HAVE({.cidr = "10.0.0.0/26", .used = 64}), more);
	b.in.max_blocks = max;
	b.in.asks = &ask;
	b.in.n_asks = 1;
	block_plan_make(&b.in, &p);
	assert_int_equal(p.n_steps, 0);
	assert_int_equal(p.answers[0].free, 0);
	assert_says(p.answers[0].why_not, words);
	if (!*more)
		assert_says(p.why_not[0], words);
	block_plan_done(&p);
	tear_down(&b);
}

TEST(what_stops_a_claim_is_said)
{
	why_not_is_said(
		"{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"b\", \"10.0.0.128/26\": \"b\", "
		"\"10.0.0.192/26\": \"b\"}",
		"", 0, "is taken");
	why_not_is_said("{\"10.0.0.0/26\": \"a\"}", "", 1, "maxBlocksPerHost is 1");
	why_not_is_said("{\"10.0.0.0/26\": \"a\"}", ", \"disabled\": true", 0, "no enabled");
}

/* A second pool, 10.1.0.0/24, after the first. */
static void add_pool(struct bench *b)
{
	static const char list[] =
		"[{\"kind\": \"IPPool\", \"apiVersion\": \"projectcalico.org/v3\", "
		"\"metadata\": {\"name\": \"q\"}, "
		"\"spec\": {\"cidr\": \"10.1.0.0/24\", \"blockSize\": 26}}]";
	CLEANUP_JSON json_t *doc = json_of(list);
	replica_feed_documents(&b->replica, doc);
	b->mirror.pools[b->mirror.n_pools++] = (struct mirror_pool){
		.pool = {.cidr = cidr("10.1.0.0/24"), .block_len = 26}, .assigns = true};
}

/* One block of the first pool with so many addresses in use, and an ADD that waits for one of the
 * second pool. */
static void set_up_choice(struct bench *b, uint64_t used, struct block_plan_ask *ask)
{
	static struct cidr pool;
	pool = cidr("10.1.0.0/24");
	set_up(b, "{\"10.0.0.0/26\": \"a\"}", HAVE({.cidr = "10.0.0.0/26", .used = used}), "");
	add_pool(b);
	*ask = (struct block_plan_ask){.pools = &pool, .n_pools = 1};
	b->in.asks = ask;
	b->in.n_asks = 1;
}

TEST(who_may_use_one_pool_only_gets_a_block_of_it)
{
	struct bench b;
	struct block_plan_ask ask;
	struct block_plan p;
	/* However much is free in others. */
	set_up_choice(&b, 1, &ask);
	block_plan_make(&b.in, &p);
	assert_int_equal(p.answers[0].free, 0);
	assert_string_equal(p.answers[0].why_not, "");
	assert_int_equal(p.n_steps, 1);
	assert_int_equal(p.steps[0].verb, STEP_CLAIM);
	assert_string_equal(p.steps[0].pool, "q");
	/* Once: until the watch shows it. */
	note(&b, p.steps[0].block, PENDING_DONE);
	block_plan_done(&p);
	plan_is(&b, "");
	/* Its claim counts for the headroom, too: one block, not two. */
	set_up_choice(&b, 63, &ask);
	block_plan_make(&b.in, &p);
	assert_int_equal(p.n_steps, 1);
	assert_string_equal(p.steps[0].pool, "q");
	block_plan_done(&p);
	tear_down(&b);
}

TEST(free_addresses_of_other_pools_are_none_for_who_may_not_use_them)
{
	struct bench b;
	struct block_plan_ask ask;
	struct block_plan p;
	struct cidr first = cidr("10.0.0.0/24");
	set_up_choice(&b, 1, &ask);
	ask.pools = &first;
	block_plan_make(&b.in, &p);
	assert_int_equal(p.answers[0].free, 63);
	assert_int_equal(p.n_steps, 0);
	block_plan_done(&p);
	b.in.max_blocks = 1;
	ask.pools = &b.mirror.pools[1].pool.cidr;
	block_plan_make(&b.in, &p);
	assert_int_equal(p.answers[0].free, 0);
	assert_says(p.answers[0].why_not, "maxBlocksPerHost is 1");
	block_plan_done(&p);
	b.in.max_blocks = 0;
	b.mirror.pools[1].assigns = false;
	block_plan_make(&b.in, &p);
	assert_says(p.answers[0].why_not, "no enabled IPv4 pool that the pod may use");
	assert_string_equal(p.why_not[0], "");
	block_plan_done(&p);
	tear_down(&b);
}

TEST(claims_that_are_not_blocks_yet_count_for_the_limit)
{
	struct bench b;
	struct block_plan_ask asks[2];
	struct block_plan p;
	struct cidr first = cidr("10.0.0.0/24");
	set_up_choice(&b, 64, asks);
	asks[1] = (struct block_plan_ask){.pools = &first, .n_pools = 1};
	b.in.n_asks = 2;
	b.in.max_blocks = 2;
	block_plan_make(&b.in, &p);
	assert_int_equal(p.n_steps, 1);
	assert_string_equal(p.steps[0].pool, "q");
	assert_string_equal(p.answers[0].why_not, "");
	assert_says(p.answers[1].why_not, "this node has 2 blocks");
	block_plan_done(&p);
	tear_down(&b);
}

TEST(a_limit_below_what_the_node_has_is_a_problem)
{
	static const struct have two[] = {
		{.cidr = "10.0.0.0/26", .used = 60}, {.cidr = "10.0.0.64/26", .used = 9}};
	static const struct {
		uint32_t max;
		size_t problems;
	} table[] = {{0, 0}, {1, 1}, {2, 0}};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bench b;
		struct block_plan p;
		set_up(&b, "{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"a\"}", two, 2, "");
		b.in.max_blocks = table[i].max;
		block_plan_make(&b.in, &p);
		assert_int_equal(p.problems.total, table[i].problems);
		if (table[i].problems)
			assert_says(p.problems.text[0],
				"this node has 2 blocks, and maxBlocksPerHost is 1: ");
		block_plan_done(&p);
		tear_down(&b);
	}
}

TEST(a_drained_node_gives_everything_idle_back_and_claims_nothing)
{
	struct bench b;
	set_up(&b, "{\"10.0.0.0/26\": \"a\"}", HAVE({.cidr = "10.0.0.0/26", .empty_since_s = 999}),
		"");
	b.in.drain = true;
	b.mirror.pools[0].assigns = false;
	plan_is(&b, "DRAIN 10.0.0.0/26");
}

TEST(a_block_in_use_whose_pool_is_gone_is_a_problem)
{
	struct bench b;
	struct block_plan p;
	set_up(&b, "{}", HAVE({.cidr = "10.0.0.0/26", .used = 60}), ", \"disabled\": true");
	block_plan_make(&b.in, &p);
	assert_int_equal(p.n_steps, 0);
	assert_int_equal(p.problems.total, 1);
	assert_says(p.problems.text[0], "10.0.0.0/26");
	block_plan_done(&p);
	tear_down(&b);
}

TEST(no_problem_is_dropped_without_being_counted)
{
	enum { OTHERS = PROBLEMS_MAX + 8 };
	struct bench b;
	struct block_plan p;
	struct node_states_block blocks[OTHERS];
	set_up(&b, "{}", NULL, 0, ", \"disabled\": true");
	for (uint32_t i = 0; i < OTHERS; i++) {
		char text[CIDR_TEXT];
		(void)snprintf(text, sizeof(text), "10.0.%u.0/26", i);
		blocks[i] = (struct node_states_block){.in = {.cidr = cidr(text),
							       .pool = cidr("10.0.0.0/24"),
							       .used = 1,
							       .cluster = true},
			.empty_since_s = -1};
	}
	b.states.blocks = blocks;
	b.states.n_blocks = OTHERS;
	block_plan_make(&b.in, &p);
	assert_int_equal(p.problems.kept, PROBLEMS_MAX);
	assert_int_equal(p.problems.total, OTHERS);
	block_plan_done(&p);
	tear_down(&b);
}

/* What was lent of a block must be known before its addresses are given. */
TEST(nothing_begins_before_the_loans_were_read)
{
	static const char store[] = "{\"10.0.0.0/26\": \"a\", \"10.0.0.64/26\": \"a quarantined\"}";
	struct bench b;
	set_up(&b, store, NOTHING, "");
	b.in.knows_loans = false;
	plan_is(&b, "");
	set_up(&b, store, NOTHING, "");
	plan_is(&b, "ADD 10.0.0.0/26, RETURN 10.0.0.64/26");
	set_up(&b, store, NOTHING, "");
	const struct cidr lent = cidr("10.0.0.70/32");
	b.in.lent = &lent;
	b.in.n_lent = 1;
	plan_is(&b, "ADD 10.0.0.0/26");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_begins_before_the_loans_were_read),
		cmocka_unit_test(each_row_of_the_table),
		cmocka_unit_test(a_store_that_lost_documents_gets_what_is_in_use_and_nothing_else),
		cmocka_unit_test(a_block_in_use_is_entered_again_without_its_pool),
		cmocka_unit_test(a_block_is_confirmed_before_it_is_taken_into_use),
		cmocka_unit_test(a_pending_block_is_finished_or_given_back),
		cmocka_unit_test(a_quarantined_block_that_no_state_has_is_given_back),
		cmocka_unit_test(an_idle_block_goes_back_only_beyond_the_headroom),
		cmocka_unit_test(a_cordoned_node_keeps_one_address_free_and_takes_no_block_beyond),
		cmocka_unit_test(a_draining_block_returns_when_bird_runs_without_it),
		cmocka_unit_test(a_draining_block_that_is_needed_stays),
		cmocka_unit_test(a_claim_comes_before_the_free_addresses_run_out),
		cmocka_unit_test(one_claim_at_a_time),
		cmocka_unit_test(the_last_free_block_is_found),
		cmocka_unit_test(what_stops_a_claim_is_said),
		cmocka_unit_test(who_may_use_one_pool_only_gets_a_block_of_it),
		cmocka_unit_test(free_addresses_of_other_pools_are_none_for_who_may_not_use_them),
		cmocka_unit_test(claims_that_are_not_blocks_yet_count_for_the_limit),
		cmocka_unit_test(a_drained_node_gives_everything_idle_back_and_claims_nothing),
		cmocka_unit_test(a_limit_below_what_the_node_has_is_a_problem),
		cmocka_unit_test(a_block_in_use_whose_pool_is_gone_is_a_problem),
		cmocka_unit_test(no_problem_is_dropped_without_being_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
