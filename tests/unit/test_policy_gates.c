/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which namespaces are closed, as a file keeps it over a reboot.
 */
#include "tests/unit/values.h"

#include "agent/policy/gates.h"

#include <errno.h>

#include "lib/mem.h"

static const struct node_closed some[] = {
	{"", false, true, true},
	{"kube-system", false, false, false},
	{"shop", true, true, false},
};

TEST(closed_namespaces_are_read_back_as_they_were_written)
{
	CLEANUP_FREE char *text = gates_text(some, COUNT(some));
	CLEANUP_FREE struct node_closed *back = NULL;
	size_t n;
	struct err e;
	ok(gates_parse(text, &back, &n, &e));
	assert_int_equal(n, COUNT(some));
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(back[i].namespace, some[i].namespace);
		assert_int_equal(back[i].ingress, some[i].ingress);
		assert_int_equal(back[i].egress, some[i].egress);
		assert_int_equal(back[i].to_host, some[i].to_host);
	}
}

TEST(nothing_closed_is_an_empty_list)
{
	CLEANUP_FREE char *text = gates_text(NULL, 0);
	CLEANUP_FREE struct node_closed *back = NULL;
	size_t n = 7;
	struct err e;
	assert_string_equal(text, "{\"closed\":[]}");
	ok(gates_parse(text, &back, &n, &e));
	assert_int_equal(n, 0);
}

TEST(what_was_not_written_so_is_refused)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{"", "unexpected end"},
		{"[]", ""},
		{"{\"closed\":{}}", "closed"},
		{"{\"closed\":[7]}", "closed[0]"},
		{"{\"closed\":[{\"ingress\":true}]}", "closed[0].namespace is no namespace"},
		{"{\"closed\":[{\"namespace\":\"A b\"}]}", "closed[0].namespace is no namespace"},
		{"{\"closed\":[{\"namespace\":\"a\",\"ingress\":1}]}", "closed[0].ingress"},
		{"{\"closed\":[{\"namespace\":\"b\"},{\"namespace\":\"a\"}]}",
			"closed[1] is not behind the one before"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct node_closed *back = NULL;
		size_t n;
		struct err e;
		int r = gates_parse(table[i].text, &back, &n, &e);
		if (r != -EBADMSG || !strstr(e.text, table[i].error))
			fail_msg("%s: %d, %s", table[i].text, r, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_namespaces_are_read_back_as_they_were_written),
		cmocka_unit_test(nothing_closed_is_an_empty_list),
		cmocka_unit_test(what_was_not_written_so_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
