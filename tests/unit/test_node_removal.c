/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The removal of a node: which document is written after which, with what it compares, and what
 * follows when somebody was faster.
 */
#include "tests/unit/values.h"

#include "cluster/node_removal.h"

#include <stdio.h>

#include "lib/text.h"

static struct block block(const char *c, const char *node, enum block_state state, int64_t revision)
{
	struct block b = {.cidr = cidr(c), .state = state, .revision = revision};
	(void)text_copy(b.node, sizeof(b.node), node);
	return b;
}

/* "-status/a@7": what is deleted (or put, +), and the revision that it compares. */
static void assert_next(struct node_removal *r, const char *wanted)
{
	char text[STORE_KEY_MAX + 32] = "nothing";
	const struct store_write *w = node_removal_next(r);
	if (w)
		(void)snprintf(text, sizeof(text), "%c%s@%lld", w->value ? '+' : '-', w->key,
			(long long)w->revision);
	assert_string_equal(text, wanted);
}

static void take(struct node_removal *r, int64_t status, int64_t node, bool is_agent,
	const struct block *blocks, size_t n)
{
	node_removal_take(r, &(struct node_removal_look){
				     .status_revision = status,
				     .node_revision = node,
				     .is_agent = is_agent,
				     .blocks = blocks,
				     .n_blocks = n,
			     });
}

static struct loan loan(const char *addr, const char *borrower, const char *lender,
	enum loan_state state, int64_t revision)
{
	struct loan l = {.addr = cidr(addr), .state = state, .revision = revision};
	(void)text_copy(l.borrower, sizeof(l.borrower), borrower);
	(void)text_copy(l.lender, sizeof(l.lender), lender);
	return l;
}

/* What a removal of node a writes after its status. */
static void loans_follow(bool frees, const struct loan *loans, size_t n, const char *const *wanted)
{
	const struct block blocks[] = {
		block("100.66.0.0/26", "a", BLOCK_OWNED, 3),
		block("100.66.0.64/26", "a", BLOCK_OWNED, 4),
		block("100.66.0.128/26", "a", BLOCK_QUARANTINED, 5),
	};
	struct node_removal r;
	node_removal_init(&r, "a", frees);
	node_removal_take(&r, &(struct node_removal_look){.status_revision = 7,
				      .is_agent = true,
				      .blocks = blocks,
				      .n_blocks = 3,
				      .loans = loans,
				      .n_loans = n});
	assert_next(&r, "-status/a@7");
	for (; *wanted; wanted++) {
		node_removal_wrote(&r, true);
		assert_next(&r, *wanted);
	}
	node_removal_wrote(&r, true);
	assert_int_equal(r.step, NODE_REMOVAL_DONE);
	assert_int_equal(r.n_lending, frees ? 2 : 0);
	assert_int_equal(r.n_loans, 2);
	assert_int_equal(r.n_done, frees ? 1 : 2);
	node_removal_done(&r);
}

TEST(what_a_node_borrows_is_quarantined_or_freed_and_what_it_lends_stays_taken)
{
	const struct loan loans[] = {
		loan("10.9.0.1/32", "a", "b", LOAN_USED, 11),
		loan("10.9.0.2/32", "a", "b", LOAN_LENT, 12),
		loan("10.9.0.3/32", "a", "b", LOAN_ASKED, 13),
		loan("100.66.0.5/32", "b", "a", LOAN_ASKED, 14), /* it may be lent at any moment */
		loan("100.66.0.130/32", "b", "a", LOAN_USED, 15),
	};
	loans_follow(false, loans, 5,
		(const char *const[]){"+loans/a.10.9.0.1-32@11", "+loans/a.10.9.0.2-32@12",
			"-loans/a.10.9.0.3-32@13", "+blocks/100.66.0.0-26@3",
			"+blocks/100.66.0.64-26@4", NULL});
	loans_follow(true, loans, 5,
		(const char *const[]){"-loans/a.10.9.0.1-32@11", "-loans/a.10.9.0.2-32@12",
			"-loans/a.10.9.0.3-32@13", "+blocks/100.66.0.0-26@3",
			"-blocks/100.66.0.64-26@4", "+blocks/100.66.0.128-26@5", NULL});
}

TEST(a_block_that_waits_for_its_loans_says_so_once_and_is_free_when_they_ended)
{
	const struct loan lent = loan("100.66.0.5/32", "b", "a", LOAN_USED, 15);
	struct block b = block("100.66.0.0/26", "a", BLOCK_OWNED, 3);
	struct node_removal_look seen = {
		.status_revision = 7, .blocks = &b, .n_blocks = 1, .loans = &lent, .n_loans = 1};
	struct node_removal r;
	node_removal_init(&r, "a", true);
	node_removal_take(&r, &seen);
	node_removal_wrote(&r, true);
	assert_next(&r, "+blocks/100.66.0.0-26@3");
	assert_non_null(strstr(node_removal_next(&r)->value, "\"freeAfterLoans\":true"));
	struct err e = {0};
	assert_int_equal(
		block_parse("blocks/100.66.0.0-26", node_removal_next(&r)->value, 9, &b, &e), 0);
	assert_true(b.free_after_loans);
	node_removal_done(&r);

	node_removal_init(&r, "a", true);
	node_removal_take(&r, &seen);
	node_removal_wrote(&r, true);
	assert_int_equal(r.step, NODE_REMOVAL_DONE);
	node_removal_done(&r);

	seen.n_loans = 0;
	node_removal_init(&r, "a", true);
	node_removal_take(&r, &seen);
	node_removal_wrote(&r, true);
	assert_next(&r, "-blocks/100.66.0.0-26@9");
	node_removal_done(&r);
}

TEST(a_loan_that_was_written_meanwhile_is_looked_at_again)
{
	const struct loan used = loan("10.9.0.1/32", "a", "b", LOAN_USED, 11);
	struct node_removal r;
	node_removal_init(&r, "a", true);
	const struct node_removal_look seen = {.status_revision = 7, .loans = &used, .n_loans = 1};
	node_removal_take(&r, &seen);
	assert_next(&r, "-status/a@7");
	node_removal_wrote(&r, true);
	assert_next(&r, "-loans/a.10.9.0.1-32@11");
	node_removal_wrote(&r, false);
	assert_int_equal(r.step, NODE_REMOVAL_LOOK);
	node_removal_take(&r, &(struct node_removal_look){.status_revision = 9, .is_agent = true});
	assert_int_equal(r.step, NODE_REMOVAL_BACK);
	node_removal_done(&r);
}

TEST(the_status_goes_first_and_then_the_document_and_the_blocks_of_the_node_alone)
{
	const struct block blocks[] = {
		block("100.66.0.0/26", "a", BLOCK_OWNED, 3),
		block("100.66.0.64/26", "b", BLOCK_OWNED, 4),
		block("100.66.0.128/26", "a", BLOCK_QUARANTINED, 5),
		block("100.66.0.192/26", "a", BLOCK_PENDING, 6),
	};
	struct node_removal r;
	node_removal_init(&r, "a", true);
	assert_next(&r, "nothing");
	take(&r, 7, 8, true, blocks, 4);
	assert_next(&r, "-status/a@7");
	node_removal_wrote(&r, true);
	assert_next(&r, "-resources/nodes/a@8");
	assert_false(r.began);
	node_removal_wrote(&r, true);
	assert_true(r.began);
	assert_next(&r, "-blocks/100.66.0.0-26@3");
	node_removal_wrote(&r, true);
	assert_next(&r, "-blocks/100.66.0.128-26@5");
	node_removal_wrote(&r, true);
	assert_next(&r, "-blocks/100.66.0.192-26@6");
	node_removal_wrote(&r, true);
	assert_next(&r, "nothing");
	assert_int_equal(r.step, NODE_REMOVAL_DONE);
	assert_int_equal(r.n_done, 2); /* a pending block was nobody's */
	node_removal_done(&r);
}

TEST(without_frees_blocks_are_quarantined_and_those_that_are_stay)
{
	const struct block blocks[] = {
		block("100.66.0.0/26", "a", BLOCK_OWNED, 3),
		block("100.66.0.128/26", "a", BLOCK_QUARANTINED, 5),
	};
	struct node_removal r;
	node_removal_init(&r, "a", false);
	take(&r, 7, 0, true, blocks, 2);
	node_removal_wrote(&r, true);
	assert_next(&r, "+blocks/100.66.0.0-26@3");
	assert_non_null(strstr(node_removal_next(&r)->value, "quarantined"));
	node_removal_wrote(&r, true);
	assert_int_equal(r.step, NODE_REMOVAL_DONE);
	node_removal_done(&r);
}

TEST(a_node_without_status_gets_one_and_its_blocks_are_read_behind_it)
{
	const struct block blocks[] = {block("100.66.0.0/26", "a", BLOCK_OWNED, 3)};
	struct node_removal r;
	node_removal_init(&r, "a", true);
	take(&r, 0, 0, false, blocks, 1);
	assert_next(&r, "+status/a@0");
	node_removal_wrote(&r, true);
	assert_int_equal(r.step, NODE_REMOVAL_LOOK);
	take(&r, 9, 0, false, blocks, 1);
	assert_next(&r, "-status/a@9");
	node_removal_done(&r);
}

TEST(an_agent_that_wrote_its_status_meanwhile_keeps_everything)
{
	const struct block blocks[] = {block("100.66.0.0/26", "a", BLOCK_OWNED, 3)};
	struct node_removal r;
	node_removal_init(&r, "a", true);
	take(&r, 7, 8, true, blocks, 1);
	node_removal_wrote(&r, false);
	assert_next(&r, "nothing");
	assert_int_equal(r.step, NODE_REMOVAL_LOOK); /* and whether it lives is judged anew */
	assert_false(r.began);
	assert_int_equal(r.n_done, 0);
	node_removal_done(&r);
}

TEST(a_block_that_was_written_meanwhile_stays_and_an_agent_that_is_back_ends_it)
{
	const struct block blocks[] = {
		block("100.66.0.0/26", "a", BLOCK_OWNED, 3),
		block("100.66.0.64/26", "a", BLOCK_OWNED, 4),
	};
	struct node_removal r;
	node_removal_init(&r, "a", true);
	take(&r, 7, 0, true, blocks, 2);
	node_removal_wrote(&r, true);
	node_removal_wrote(&r, false); /* the first block */
	assert_next(&r, "-blocks/100.66.0.64-26@4");
	node_removal_wrote(&r, true);
	assert_int_equal(r.step, NODE_REMOVAL_LOOK);
	take(&r, 12, 13, true, blocks, 1);
	assert_int_equal(r.step, NODE_REMOVAL_BACK);
	assert_next(&r, "nothing");
	assert_int_equal(r.n_done, 1);
	node_removal_done(&r);
}

TEST(a_removal_that_was_killed_goes_on_with_what_is_left)
{
	struct node_removal r;
	node_removal_init(&r, "a", true);
	take(&r, 0, 8, false, NULL, 0);
	assert_next(&r, "-resources/nodes/a@8");
	node_removal_wrote(&r, true);
	assert_int_equal(r.step, NODE_REMOVAL_DONE);
	node_removal_done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_a_node_borrows_is_quarantined_or_freed_and_what_it_lends_stays_taken),
		cmocka_unit_test(
			a_block_that_waits_for_its_loans_says_so_once_and_is_free_when_they_ended),
		cmocka_unit_test(a_loan_that_was_written_meanwhile_is_looked_at_again),
		cmocka_unit_test(
			the_status_goes_first_and_then_the_document_and_the_blocks_of_the_node_alone),
		cmocka_unit_test(without_frees_blocks_are_quarantined_and_those_that_are_stay),
		cmocka_unit_test(a_node_without_status_gets_one_and_its_blocks_are_read_behind_it),
		cmocka_unit_test(an_agent_that_wrote_its_status_meanwhile_keeps_everything),
		cmocka_unit_test(
			a_block_that_was_written_meanwhile_stays_and_an_agent_that_is_back_ends_it),
		cmocka_unit_test(a_removal_that_was_killed_goes_on_with_what_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
