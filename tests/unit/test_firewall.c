/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentence about a chain that drops pods' packets. What is judged to drop them: tests/netns/kernel_test.py.
 */
#include "tests/unit/values.h"

#include "agent/filter/firewall.h"

#define MAX_CIDRS 16

TEST(names_that_fill_the_sentence_leave_a_shorter_one)
{
	char name[100], out[256];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct cidr pool = cidr("fd66:1234:5678:9abc:def0:1234:5678:0/112");
	const struct firewall_place p = {.family = "inet", .table = name, .chain = name};
	firewall_sentence(&p, &pool, 1, out);
	assert_says(out, "a forward chain of table xxx");
	assert_says(out, "fd66:1234:5678:9abc:def0:1234:5678:0/112: accept them");
}

TEST(pools_that_do_not_fit_are_counted)
{
	struct cidr pools[MAX_CIDRS];
	char out[256];
	for (uint8_t i = 0; i < MAX_CIDRS; i++) {
		pools[i] = cidr("100.100.0.0/16");
		pools[i].addr.bytes[1] = (uint8_t)(100 + i);
	}
	const struct firewall_place p = {.family = "ip", .table = "filter", .chain = "FORWARD"};
	firewall_sentence(&p, pools, 4, out);
	assert_says(out, "iptables -I FORWARD -d 100.100.0.0/16,100.101.0.0/16,"
			 "100.102.0.0/16,100.103.0.0/16 -j ACCEPT");
	firewall_sentence(&p, pools, MAX_CIDRS, out);
	assert_string_equal(out, "a forward chain of table filter drops pods' packets from and to "
				 "100.100.0.0/16 and 15 more pools: accept them");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_fill_the_sentence_leave_a_shorter_one),
		cmocka_unit_test(pools_that_do_not_fit_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
