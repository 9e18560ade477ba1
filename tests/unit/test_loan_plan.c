/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to do about loans: each row of the table in agent/loan_plan.c, whom a node asks and when, and what a lender
 * answers. Node a is the one whose agent plans; a case says what the store and the node state have, who waits,
 * and the steps that follow.
 */
#include "tests/unit/values.h"

#include "agent/loan_plan.h"

#include "lib/json.h"
#include "lib/text.h"
#include "tests/unit/replica_input.h"

#define POOL                                                                                       \
	"{\"kind\": \"IPPool\", \"apiVersion\": \"projectcalico.org/v3\", \"metadata\": "          \
	"{\"name\": \"p\"}, \"spec\": {\"cidr\": \"10.0.0.0/24\", \"blockSize\": 26}}"
#define FULL                                                                                       \
	"{\"10.0.0.0/26\": \"b\", \"10.0.0.64/26\": \"a\", \"10.0.0.128/26\": \"c\", "             \
	"\"10.0.0.192/26\": \"d\"}"
#define WHY "every block of the 1 IPv4 pools for this node is taken"

/* One block or loan of the node state. */
struct have {
	const char *cidr;
	uint64_t used, cooling, lent;
	bool draining;
	int64_t empty_since_s;
};

struct bench {
	struct replica replica;
	struct mirror mirror;
	struct node_states states;
	struct pending_list pending;
	struct node_states_block blocks[8];
	struct block_plan_input blocks_in;
	struct block_plan_ask ask;
	struct cidr withdrawn;
	struct block_plan answers;
	struct block_plan_answer answer;
	struct loan_reserved reserved[2];
	struct cidr saved;
	struct loan_reading reading;
	struct loan_plan_input in;
};

static void note(struct bench *b, const char *block, enum pending_kind kind)
{
	pending_add(&b->pending, &(struct pending){.block = cidr(block), .kind = kind});
}

static void add_state(struct bench *b, const struct have *h)
{
	struct node_states_block *s = &b->blocks[b->states.n_blocks++];
	struct cidr c = cidr(h->cidr);
	uint64_t size = c.len == 32 ? 1 : 64;
	*s = (struct node_states_block){
		.in = {.cidr = c,
			.pool = cidr("10.0.0.0/24"),
			.size = size,
			.used = h->used,
			.cooling = h->cooling,
			.lent = h->lent,
			.free = size - h->used - h->cooling,
			.cluster = true,
			.loan = c.len == 32,
			.draining = h->draining},
		.empty_since_s = h->used ? -1 : h->empty_since_s,
	};
}

/* loans: a JSON object of documents. */
static void set_up(
	struct bench *b, const char *blocks, const char *loans, const struct have *have, size_t n)
{
	char text[4096];
	*b = (struct bench){0};
	(void)snprintf(text, sizeof(text), "{\"documents\": [%s], \"blocks\": %s, \"loans\": %s}",
		POOL, blocks, loans);
	CLEANUP_JSON json_t *doc = json_of(text);
	replica_fill(&b->replica, "a", doc);
	b->mirror.n_pools = 1;
	b->mirror.pools[0] = (struct mirror_pool){
		.pool = {.cidr = cidr("10.0.0.0/24"), .block_len = 26}, .assigns = true};
	b->states = (struct node_states){.n_dirs = 1, .blocks = b->blocks};
	b->states.dirs[0].path = "/s";
	for (size_t i = 0; i < n; i++)
		add_state(b, &have[i]);
	note(b, "10.0.0.64/26", PENDING_CONFIRMED);
	b->blocks_in = (struct block_plan_input){
		.node = "a",
		.replica = &b->replica,
		.mirror = &b->mirror,
		.states = &b->states,
		.pending = &b->pending,
		.knows_loans = true,
		.now_s = 1000,
	};
	b->answers.answers = &b->answer;
	b->in = (struct loan_plan_input){
		.blocks = &b->blocks_in,
		.reserved = b->reserved,
		.saved = &b->saved,
		.reading = &b->reading,
		.lends = true,
	};
}

/* Somebody waits, and there is no block. */
static void wait_in_vain(struct bench *b)
{
	b->ask = (struct block_plan_ask){.family = IPV4};
	b->blocks_in.asks = &b->ask;
	b->blocks_in.n_asks = 1;
	(void)text_copy(b->answer.why_not, sizeof(b->answer.why_not), WHY);
}

static void done(struct bench *b)
{
	pending_done(&b->pending);
	replica_done(&b->replica);
	free(b->reading.docs);
}

/* The steps as text, "ASK 10.0.0.0/32 of b, END 10.0.0.1/32", and what who waits is told. */
static void plan_is(struct bench *b, const char *expected, const char *why_not)
{
	static const char *const names[] = {"ASK", "TAKE", "END", "ADD", "DRAIN", "DROP", "READ",
		"RESERVE", "LEND", "UNRESERVE", "GIVE_WAY"};
	char out[1024] = "";
	struct text t = TEXT_ON(out);
	struct loan_plan p;
	loan_plan_make(&b->in, &b->answers, &p);
	for (size_t i = 0; i < p.n_steps; i++) {
		const struct loan_plan_step *s = &p.steps[i];
		text_add(&t, "%s%s", i ? ", " : "", names[s->verb]);
		if (s->verb != LOAN_STEP_READ)
			text_add(&t, " %s", ADDR_STRING(&s->doc.addr.addr));
		if (s->verb == LOAN_STEP_ASK)
			text_add(&t, " of %s", s->doc.lender);
		if (s->verb == LOAN_STEP_RESERVE && !s->block.len)
			text_add(&t, " (no)");
	}
	assert_string_equal(out, expected);
	assert_string_equal(b->answer.why_not, why_not);
	loan_plan_done(&p);
	done(b);
}

#define HAVE(...) ((const struct have[]){__VA_ARGS__}), 1
#define NOTHING NULL, 0
#define DOC(borrower, addr, lender, state)                                                         \
	"\"" borrower "." addr "-32\": {\"borrower\": \"" borrower "\", \"lender\": \"" lender     \
	"\", \"state\": \"" state "\"}"
#define OWN(state) "{" DOC("a", "10.0.0.5", "b", state) "}"

/* ---- The borrower ---- */

TEST(each_row_of_the_table)
{
	static const struct {
		const char *loans;
		struct have have;
		bool confirmed, withdrawn;
		const char *steps;
	} table[] = {
		{OWN("asked"), {"10.0.0.64/26", .used = 64}, .steps = "END 10.0.0.5"},
		{OWN("refused"), {"10.0.0.64/26", .used = 64}, .steps = "END 10.0.0.5"},
		{OWN("lent"), {"10.0.0.64/26", .used = 64}, .steps = "END 10.0.0.5"},
		{OWN("used"), {"10.0.0.64/26", .used = 64}, .steps = "END 10.0.0.5"},
		{OWN("used"), {"10.0.0.64/26", .used = 64}, true, .steps = "ADD 10.0.0.5"},
		{OWN("used"), {"10.0.0.5/32", .used = 1}, .steps = "TAKE 10.0.0.5"},
		{OWN("used"), {"10.0.0.5/32", .used = 1}, true, .steps = ""},
		{OWN("used"), {"10.0.0.5/32", .draining = true}, true, .steps = ""},
		{OWN("used"), {"10.0.0.5/32", .draining = true}, true, true, "END 10.0.0.5"},
		{OWN("quarantined"), {"10.0.0.5/32", .used = 1}, .steps = "TAKE 10.0.0.5"},
		{OWN("quarantined"), {"10.0.0.64/26", .used = 64}, .steps = "END 10.0.0.5"},
		{"{}", {"10.0.0.5/32", .used = 1}, .steps = "ASK 10.0.0.5 of b"},
		{"{}", {"10.0.0.5/32", .cooling = 1}, .steps = "DROP 10.0.0.5"},
		{"{}", {"10.0.0.5/32", .draining = true}, .steps = "DROP 10.0.0.5"},
		{"{\"a.10.0.0.5-32\": []}", {"10.0.0.5/32", .used = 1}, .steps = ""},
		{"{\"x\": {}}", {"10.0.0.64/26", .used = 64}, .steps = ""},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bench b;
		set_up(&b, FULL, table[i].loans, &table[i].have, 1);
		if (table[i].confirmed)
			note(&b, "10.0.0.5/32", PENDING_CONFIRMED);
		b.withdrawn = cidr("10.0.0.5/32");
		b.blocks_in.withdrawn = &b.withdrawn;
		b.blocks_in.n_withdrawn = table[i].withdrawn;
		plan_is(&b, table[i].steps, "");
	}
}

TEST(who_waits_in_vain_for_a_block_asks_a_node_for_an_address)
{
	struct bench b;
	set_up(&b, FULL, "{}", HAVE({"10.0.0.64/26", .used = 64}));
	plan_is(&b, "", "");
	set_up(&b, FULL, "{}", HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	plan_is(&b, "ASK 10.0.0.52 of b", "");
	set_up(&b, FULL, "{}", HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	b.in.lends = false;
	plan_is(&b, "", WHY);
	/* The others have nothing, or do not answer. */
	set_up(&b, FULL, "{}", HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	note(&b, "10.0.0.0/26", PENDING_REFUSED);
	plan_is(&b, "ASK 10.0.0.180 of c", "");
	set_up(&b, "{\"10.0.0.0/26\": \"b quarantined\", \"10.0.0.64/26\": \"a\"}", "{}",
		HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	plan_is(&b, "", WHY ", and no node lends an address");
}

TEST(a_loan_that_is_on_the_way_is_waited_for)
{
	struct bench b;
	set_up(&b, FULL, OWN("asked"), HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	note(&b, "10.0.0.5/32", PENDING_ASKED);
	plan_is(&b, "", "");
	set_up(&b, FULL, "{}", HAVE({"10.0.0.64/26", .used = 64})); /* the watch is late */
	wait_in_vain(&b);
	note(&b, "10.0.0.5/32", PENDING_ASKED);
	plan_is(&b, "", "");
	set_up(&b, FULL, OWN("lent"), HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	plan_is(&b, "TAKE 10.0.0.5", "");
	set_up(&b, FULL, OWN("used"), HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	note(&b, "10.0.0.5/32", PENDING_CONFIRMED);
	plan_is(&b, "ADD 10.0.0.5", "");
	/* Who did not answer is not asked again at once. */
	set_up(&b, FULL, "{" DOC("a", "10.0.0.52", "b", "asked") "}",
		HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	plan_is(&b, "END 10.0.0.52, ASK 10.0.0.180 of c", "");
}

TEST(an_address_that_the_lender_names_is_asked_for_next)
{
	struct bench b;
	static const char hint[] =
		"{\"a.10.0.0.5-32\": {\"borrower\": \"a\", \"lender\": \"b\", \"state\": "
		"\"refused\", \"instead\": \"10.0.0.9\"}}";
	set_up(&b, FULL, hint, HAVE({"10.0.0.64/26", .used = 64}));
	wait_in_vain(&b);
	note(&b, "10.0.0.5/32", PENDING_ASKED);
	plan_is(&b, "END 10.0.0.5, ASK 10.0.0.9 of b", "");
	set_up(&b, FULL, hint, HAVE({"10.0.0.64/26", .used = 64})); /* nobody waits any more */
	plan_is(&b, "END 10.0.0.5", "");
}

TEST(a_loan_goes_back_before_anything_else)
{
	static const struct {
		struct have own, loan;
		bool drain;
		const char *steps;
	} table[] = {
		{{"10.0.0.64/26", .used = 60}, {"10.0.0.5/32", .empty_since_s = 999}, false,
			"DRAIN 10.0.0.5"},
		{{"10.0.0.64/26", .used = 60}, {"10.0.0.5/32", .used = 1}, false, ""},
		{{"10.0.0.64/26", .used = 64}, {"10.0.0.5/32", .empty_since_s = 999}, false, ""},
		{{"10.0.0.64/26", .used = 64}, {"10.0.0.5/32", .empty_since_s = 990}, false,
			"DRAIN 10.0.0.5"},
		{{"10.0.0.64/26", .used = 64}, {"10.0.0.5/32", .cooling = 1, .empty_since_s = 990},
			false, "DRAIN 10.0.0.5"},
		{{"10.0.0.64/26", .used = 64}, {"10.0.0.5/32", .empty_since_s = 999}, true,
			"DRAIN 10.0.0.5"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bench b;
		set_up(&b, FULL, OWN("used"), &table[i].loan, 1);
		add_state(&b, &table[i].own);
		note(&b, "10.0.0.5/32", PENDING_CONFIRMED);
		b.blocks_in.drain = table[i].drain;
		plan_is(&b, table[i].steps, "");
	}
}

TEST(a_node_without_any_address_borrows_one_and_keeps_it)
{
	struct bench b;
	set_up(&b, "{\"10.0.0.0/26\": \"b\"}", "{}", NOTHING);
	(void)text_copy(b.answers.why_not[IPV4], sizeof(b.answers.why_not[IPV4]), WHY);
	plan_is(&b, "ASK 10.0.0.52 of b", "");
	set_up(&b, "{\"10.0.0.0/26\": \"b\"}", OWN("used"),
		HAVE({"10.0.0.5/32", .empty_since_s = 1}));
	(void)text_copy(b.answers.why_not[IPV4], sizeof(b.answers.why_not[IPV4]), WHY);
	note(&b, "10.0.0.5/32", PENDING_CONFIRMED);
	plan_is(&b, "", "");
}

/* ---- The lender ---- */

#define OTHERS(state) "{" DOC("b", "10.0.0.70", "a", state) "}"

TEST(who_asks_gets_an_address_that_is_reserved_on_the_disk)
{
	struct bench b;
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 9}));
	plan_is(&b, "RESERVE 10.0.0.70", "");
	for (int saved = 0; saved < 2; saved++) {
		set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 9, .lent = 1}));
		b.in.n_reserved = 1;
		b.reserved[0] = (struct loan_reserved){cidr("10.0.0.70/32"),
			replica_loan(&b.replica, &(struct cidr){cidr("10.0.0.70/32").addr, 32}, "b")
				->revision};
		b.saved = cidr("10.0.0.70/32");
		b.in.n_saved = (size_t)saved;
		plan_is(&b, saved ? "LEND 10.0.0.70" : "", "");
	}
}

TEST(what_is_reserved_for_one_is_lent_to_nobody_else)
{
	struct bench b;
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 9, .lent = 1}));
	b.in.n_reserved = 1;
	b.reserved[0] = (struct loan_reserved){cidr("10.0.0.70/32"), 999};
	b.saved = cidr("10.0.0.70/32");
	b.in.n_saved = 1;
	plan_is(&b, "RESERVE 10.0.0.70", ""); /* which finds it taken */
}

TEST(a_lender_says_no)
{
	struct bench b;
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 9}));
	b.in.lends = false;
	plan_is(&b, "RESERVE 10.0.0.70 (no)", "");
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 63})); /* its last one */
	plan_is(&b, "RESERVE 10.0.0.70 (no)", "");
	set_up(&b, FULL, OTHERS("asked"),
		HAVE({"10.0.0.5/32", .used = 1})); /* no block of its own */
	note(&b, "10.0.0.5/32", PENDING_LOAN);
	plan_is(&b, "RESERVE 10.0.0.70 (no)", "");
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 9}));
	pending_forget(&b.pending, &b.blocks[0].in.cidr); /* not written by this process yet */
	plan_is(&b, "RESERVE 10.0.0.70 (no)", "");
	set_up(&b, FULL, OTHERS("used"), HAVE({"10.0.0.64/26", .used = 9}));
	plan_is(&b, "", "");
}

TEST(a_block_without_pods_gives_way_when_the_node_has_another)
{
	static const char two[] = "{\"10.0.0.64/26\": \"a\", \"10.0.0.128/26\": \"a\"}";
	struct bench b;
	set_up(&b, two, OTHERS("asked"), HAVE({"10.0.0.64/26", .cooling = 64}));
	add_state(&b, &(struct have){"10.0.0.128/26", .used = 9});
	plan_is(&b, "GIVE_WAY 10.0.0.70", "");
	set_up(&b, two, OTHERS("asked"), HAVE({"10.0.0.64/26", .cooling = 64, .draining = true}));
	add_state(&b, &(struct have){"10.0.0.128/26", .used = 9});
	plan_is(&b, "", "");
	set_up(&b, two, OTHERS("asked"), HAVE({"10.0.0.64/26", .cooling = 64}));
	add_state(&b, &(struct have){"10.0.0.128/26", .used = 60});
	b.blocks_in.headroom = 16; /* which it would miss */
	plan_is(&b, "RESERVE 10.0.0.70", "");
	set_up(&b, two, OTHERS("asked"), HAVE({"10.0.0.64/26", .cooling = 64})); /* its only one */
	plan_is(&b, "RESERVE 10.0.0.70", "");
}

TEST(a_reservation_ends_when_the_documents_were_read_and_none_speaks_of_it)
{
	struct bench b;
	for (int i = 0; i < 5; i++) {
		static const char *const steps[] = {
			"READ", "", "UNRESERVE 10.0.0.70", "READ", "READ"};
		set_up(&b, FULL, "{}", HAVE({"10.0.0.64/26", .used = 9, .lent = 1}));
		b.in.n_reserved = 1;
		b.reserved[0].addr = cidr("10.0.0.70/32");
		b.reading.state = i == 0   ? LOAN_READ_NOT
				  : i == 1 ? LOAN_READ_UNDER_WAY
					   : LOAN_READ_DONE;
		b.reading.docs = calloc(1, sizeof(*b.reading.docs));
		b.reading.docs[0].addr = cidr("10.0.0.70/32");
		b.reading.n_docs = i == 3; /* read before it went, or the replica is behind */
		b.blocks_in.knows_loans = i != 4;
		plan_is(&b, steps[i], "");
	}
	set_up(&b, FULL, OTHERS("quarantined"), HAVE({"10.0.0.64/26", .used = 9, .lent = 1}));
	b.in.n_reserved = 1;
	b.reserved[0].addr = cidr("10.0.0.70/32");
	plan_is(&b, "", "");
}

TEST(a_lender_that_starts_reads_the_documents_before_it_answers)
{
	struct bench b;
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.64/26", .used = 9}));
	b.blocks_in.knows_loans = false;
	plan_is(&b, "READ", "");
}

TEST(a_store_that_lost_documents_gets_the_loans_that_are_in_use)
{
	struct bench b;
	set_up(&b, FULL, OTHERS("asked"), HAVE({"10.0.0.5/32", .used = 1}));
	b.blocks_in.only_restore = true;
	plan_is(&b, "TAKE 10.0.0.5", "");
	set_up(&b, "{}", "{}", HAVE({"10.0.0.5/32", .used = 1})); /* whose, nobody knows yet */
	b.blocks_in.only_restore = true;
	plan_is(&b, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_table),
		cmocka_unit_test(who_waits_in_vain_for_a_block_asks_a_node_for_an_address),
		cmocka_unit_test(a_loan_that_is_on_the_way_is_waited_for),
		cmocka_unit_test(an_address_that_the_lender_names_is_asked_for_next),
		cmocka_unit_test(a_loan_goes_back_before_anything_else),
		cmocka_unit_test(a_node_without_any_address_borrows_one_and_keeps_it),
		cmocka_unit_test(who_asks_gets_an_address_that_is_reserved_on_the_disk),
		cmocka_unit_test(what_is_reserved_for_one_is_lent_to_nobody_else),
		cmocka_unit_test(a_lender_says_no),
		cmocka_unit_test(a_block_without_pods_gives_way_when_the_node_has_another),
		cmocka_unit_test(
			a_reservation_ends_when_the_documents_were_read_and_none_speaks_of_it),
		cmocka_unit_test(a_lender_that_starts_reads_the_documents_before_it_answers),
		cmocka_unit_test(a_store_that_lost_documents_gets_the_loans_that_are_in_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
