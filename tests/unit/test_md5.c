/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of wrong TCP MD5 signatures, found by their names.
 */
#include "tests/unit/check.h"

#include "agent/kernel/md5.h"

TEST(counters_are_found_by_their_names)
{
	static const struct {
		const char *text;
		uint64_t count;
	} table[] = {
		{"TcpExt: SyncookiesSent TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure Other\n"
		 "TcpExt: 7 1 20 300 9\nIpExt: InOctets\nIpExt: 5\n",
			321},
		{"MPTcpExt: TCPMD5NotFound\nMPTcpExt: 7\nTcpExt: TCPMD5Failure\nTcpExt: 4\n", 4},
		{"TcpExt: A TCPMD5NotFound\nTcpExt: 1\n", 0},
		{"TcpExt: TCPMD5NotFound\nIpExt: 1\n", 0},
		{"TcpExt: TCPMD5NotFound", 0},
		{"TcpExt: AVeryLongNameOfACounterThatIsNotOurs TCPMD5Failure\nTcpExt: 1 x\n", 0},
		{"TcpExt: \nTcpExt: \n", 0},
		{"TcpExt:\nTcpExt:", 0},
		{"\n\n", 0},
		{"", 0},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		assert_int_equal(md5_count(table[i].text), table[i].count);
}

TEST(the_kernel_has_them)
{
	uint64_t before = md5_read_count();
	assert_true(md5_read_count() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_are_found_by_their_names),
		cmocka_unit_test(the_kernel_has_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
