/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which kernels may leave checksums of tunnelled packets to the network card.
 */
#include "tests/unit/check.h"

#include "agent/kernel/vxlan.h"

TEST(kernels_from_5_8_on_may_leave_checksums_to_the_card)
{
	static const struct {
		const char *release;
		bool may;
	} table[] = {
		{"4.19.0-27-amd64", false},
		{"5.7.19", false},
		{"5.8.0", true},
		{"5.10.0-33-amd64", true},
		{"6.1.0-28-amd64", true},
		{"10.0", true},
		{"5", false},
		{"", false},
		{"unknown", false},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		assert_int_equal(vxlan_can_offload(table[i].release), table[i].may);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels_from_5_8_on_may_leave_checksums_to_the_card),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
