/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mistyped word may have meant.
 */
#include "tests/unit/check.h"

#include "lib/nearest.h"

static const char *const known[] = {"get", "delete", "node", "status", "state-dir", "idle-blocks",
	"ipam", "blockSize", "IPPool"};

static const char *meant(const char *word)
{
	struct nearest n = NEAREST_TO(word);
	for (size_t i = 0; i < COUNT(known); i++)
		nearest_offer(&n, known[i]);
	return n.best;
}

TEST(a_slip_is_understood)
{
	static const struct {
		const char *typed, *meant;
	} table[] = {
		{"stauts", "status"},  /* two letters changed places */
		{"sttus", "status"},   /* one is missing */
		{"statuss", "status"}, /* one too many */
		{"statis", "status"},  /* another one */
		{"STATUS", "status"},  /* capitals */
		{"blocksize", "blockSize"}, {"state_dir", "state-dir"},
		{"idle", "idle-blocks"}, /* the rest was left out */
		{"ippol", "IPPool"}, {"gt", "get"},
		{"pool", "IPPool"}, /* the beginning was left out */
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *seen = meant(table[i].typed);
		if (!seen || strcmp(seen, table[i].meant) != 0)
			fail_msg("%s: %s", table[i].typed, seen ? seen : "nothing");
	}
}

TEST(another_word_is_not_taken_for_a_slip)
{
	static const char *const table[] = {"", "x", "pods", "frobnicate", "edit", "statistics",
		"nodessss", "a-word-that-is-much-longer-than-any-word-that-is-known-here"};
	for (size_t i = 0; i < COUNT(table); i++)
		if (meant(table[i]))
			fail_msg("%s: %s", table[i], meant(table[i]));
}

TEST(a_sentence_asks_only_when_there_is_something_to_ask)
{
	struct nearest n = NEAREST_TO("nod");
	struct err e;
	(void)err_set(&e, 1, "unknown key");
	nearest_add(&n, &e);
	assert_string_equal(e.text, "unknown key");
	nearest_offer(&n, "node");
	nearest_add(&n, &e);
	assert_string_equal(e.text, "unknown key: did you mean node?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slip_is_understood),
		cmocka_unit_test(another_word_is_not_taken_for_a_slip),
		cmocka_unit_test(a_sentence_asks_only_when_there_is_something_to_ask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
