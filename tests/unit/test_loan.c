/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of loans: of anybody's making, and as they are written.
 */
#include "tests/unit/values.h"

#include "cluster/loan_txn.h"

#include <errno.h>

#include "cluster/keys.h"

#define SOME_KEY "loans/n2.100.66.0.5-32"
#define SAYS(rest) "{\"borrower\":\"n2\",\"lender\":\"n1\"" rest "}"

TEST(documents_are_read_and_unknown_keys_are_fine)
{
	struct loan l;
	struct err e;
	struct cidr c = cidr("100.66.0.5/32");
	ok(loan_parse(SOME_KEY, SAYS(",\"state\":\"used\",\"x\":[1],\"address\":7"), 42, &l, &e));
	assert_string_equal(l.borrower, "n2");
	assert_string_equal(l.lender, "n1");
	assert_int_equal(l.state, LOAN_USED);
	assert_int_equal(l.revision, 42);
	assert_int_equal(l.instead.family, 0);
	assert_true(cidr_equal(&l.addr, &c));
	ok(loan_parse("loans/n2.fd66::-128", SAYS(",\"state\":\"refused\",\"instead\":\"fd66::7\""),
		1, &l, &e));
	assert_int_equal(l.state, LOAN_REFUSED);
	assert_string_equal(ADDR_STRING(&l.instead), "fd66::7");
}

TEST(hostile_documents_are_refused_with_their_key)
{
	static const struct {
		const char *key, *value;
		int error;
		const char *text;
	} table[] = {
		{"loans/n2", "{}", -EINVAL, "\"loans/n2\" is not the key of a loan"},
		{"loans/n2.100.66.0.0-26", "{}", -EINVAL,
			"\"loans/n2.100.66.0.0-26\" is not the key of a loan"},
		{SOME_KEY, NULL, -EBADMSG, SOME_KEY ": the document is too large"},
		{SOME_KEY, "[]", -EBADMSG, SOME_KEY ": not an object"},
		{SOME_KEY, "{}", -EBADMSG, SOME_KEY ": borrower is missing"},
		{SOME_KEY, "{\"borrower\":\"n2\"}", -EBADMSG, SOME_KEY ": lender is missing"},
		{SOME_KEY, SAYS(""), -EBADMSG, SOME_KEY ": state is missing"},
		{SOME_KEY, SAYS(",\"state\":\"owned\""), -EBADMSG,
			SOME_KEY ": state is \"owned\", must be asked, refused, lent, used or "
				 "quarantined"},
		{SOME_KEY, SAYS(",\"state\":\"refused\",\"instead\":\"x\""), -EBADMSG,
			SOME_KEY ": instead is no address"},
		{SOME_KEY, "{\"borrower\":\"n3\",\"lender\":\"n1\",\"state\":\"used\"}", -EBADMSG,
			SOME_KEY ": borrower is \"n3\", which its key does not say"},
		{SOME_KEY, "{\"borrower\":\"n2\",\"lender\":\"n\\n\",\"state\":\"used\"}", -EBADMSG,
			SOME_KEY ": lender is no name"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct loan l = {.revision = 7};
		struct err e;
		assert_int_equal(
			loan_parse(table[i].key, table[i].value, 1, &l, &e), table[i].error);
		assert_string_equal(e.text, table[i].text);
		assert_int_equal(l.revision, 7);
	}
}

/* What is written is what is read. */
static void check_written(const struct loan *l)
{
	struct loan_txn t, again;
	struct loan back;
	struct err e;
	assert_true(loan_txn_put(&t, l));
	assert_int_equal(t.write.revision, l->revision);
	ok(loan_parse(t.write.key, t.write.value, l->revision, &back, &e));
	assert_string_equal(back.borrower, l->borrower);
	assert_string_equal(back.lender, l->lender);
	assert_int_equal(back.state, l->state);
	assert_true(cidr_equal(&back.addr, &l->addr));
	assert_true(addr_equal(&back.instead, &l->instead));
	assert_true(loan_txn_put(&again, l));
	assert_string_not_equal(t.value, again.value); /* the nonce */
	loan_txn_end(&t, l);
	assert_string_equal(t.key, again.key);
	assert_null(t.write.value);
	assert_int_equal(t.write.revision, l->revision);
}

TEST(each_state_is_written_as_it_is_read)
{
	for (int s = LOAN_ASKED; s <= LOAN_QUARANTINED; s++) {
		struct loan l = {.addr = cidr("100.66.0.5/32"),
			.borrower = "n2.example",
			.lender = "n1",
			.state = (enum loan_state)s,
			.revision = 9};
		check_written(&l);
		l.addr = cidr("2001:db8::/128");
		check_written(&l);
	}
	const struct loan hint = {.addr = cidr("100.66.0.5/32"),
		.borrower = "n2",
		.lender = "n1",
		.state = LOAN_REFUSED,
		.instead = addr("100.66.0.9")};
	check_written(&hint);
}

TEST(a_name_that_leaves_no_room_for_an_address_borrows_nothing)
{
	struct loan l = {.addr = cidr("100.66.0.5/32"), .lender = "n1"};
	struct loan_txn t;
	memset(l.borrower, 'n', RESOURCE_NAME - 1);
	memset(l.lender, 'n', RESOURCE_NAME - 1);
	assert_false(loan_txn_put(&t, &l));
	l.borrower[RESOURCE_NAME - 1 - strlen(".100.66.0.5-32")] = '\0';
	check_written(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_read_and_unknown_keys_are_fine),
		cmocka_unit_test(hostile_documents_are_refused_with_their_key),
		cmocka_unit_test(each_state_is_written_as_it_is_read),
		cmocka_unit_test(a_name_that_leaves_no_room_for_an_address_borrows_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
