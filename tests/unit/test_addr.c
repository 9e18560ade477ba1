/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and prefixes as values: what is read, what is printed, arithmetic across bytes.
 */
#include "tests/unit/values.h"

#include "lib/addr.h"

#include <arpa/inet.h>
#include <errno.h>

#include "lib/family.h"

TEST(addresses_are_printed_in_canonical_form)
{
	static const char *const table[][2] = {
		{"10.0.0.1", "10.0.0.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"FD00:0:0::00AB", "fd00::ab"},
		{"fe80::1:0:0:1", "fe80::1:0:0:1"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct addr a = addr(table[i][0]);
		char text[ADDR_TEXT];
		addr_format(&a, text);
		assert_string_equal(text, table[i][1]);
	}
	char text[ADDR_TEXT];
	addr_format(&(struct addr){0}, text);
	assert_string_equal(text, "none");
}

TEST(bad_addresses_are_refused_by_name)
{
	static const char *const table[] = {"", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.0.0.1",
		"1.2.3.4 ", " 1.2.3.4", "1.2.3.4/32", "fe80::1%eth0", ":::", "fd00::g", "1::2::3",
		"0x7f.0.0.1"};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct addr a = {.family = 99};
		struct err e;
		refused(addr_parse(table[i], &a, &e), EINVAL, table[i]);
		assert_int_equal(a.family, 99);
	}
}

TEST(prefixes_keep_their_host_bits)
{
	static const struct {
		const char *in;
		const char *out;
		bool host_bits;
	} table[] = {
		{"10.1.2.3/8", "10.1.2.3/8", true},
		{"10.0.0.0/8", "10.0.0.0/8", false},
		{"10.0.0.1/32", "10.0.0.1/32", false},
		{"0.0.0.0/0", "0.0.0.0/0", false},
		{"10.1.2.128/25", "10.1.2.128/25", false},
		{"10.1.2.129/25", "10.1.2.129/25", true},
		{"fd00::1/64", "fd00::1/64", true},
		{"::/0", "::/0", false},
		{"fd00::/127", "fd00::/127", false},
		{"fd00::1/128", "fd00::1/128", false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct cidr c = cidr(table[i].in);
		char text[CIDR_TEXT];
		cidr_format(&c, text);
		assert_string_equal(text, table[i].out);
		assert_int_equal(cidr_has_host_bits(&c), table[i].host_bits);
	}
}

TEST(bad_prefixes_are_refused)
{
	static const char *const table[] = {"", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33",
		"fd00::/129", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8 ",
		"10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0.0/4294967304", "x/8",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8"};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct cidr c;
		struct err e;
		assert_int_equal(cidr_parse(table[i], &c, &e), -EINVAL);
	}
}

TEST(addition_carries_and_subtraction_borrows)
{
	static const struct {
		const char *base;
		uint64_t n;
		const char *sum;
	} table[] = {
		{"10.0.0.0", 0, "10.0.0.0"},
		{"10.0.0.255", 1, "10.0.1.0"},
		{"10.0.255.255", 256, "10.1.0.255"},
		{"0.0.0.0", UINT32_MAX, "255.255.255.255"},
		{"fd00::", 1, "fd00::1"},
		{"fd00::ffff:ffff:ffff:ffff", 1, "fd00:0:0:1::"},
		{"fd00::1", UINT64_MAX, "fd00:0:0:1::"},
		{"fd00::", UINT64_MAX, "fd00::ffff:ffff:ffff:ffff"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct addr base = addr(table[i].base);
		struct addr sum = addr_plus(&base, table[i].n);
		struct addr expected = addr(table[i].sum);
		assert_true(addr_equal(&sum, &expected));
		assert_int_equal(addr_minus(&sum, &base), table[i].n);
	}
	struct addr low = addr("fd00::");
	struct addr high = addr("fd00:0:0:1::");
	assert_int_equal(addr_minus(&high, &low), UINT64_MAX);
	assert_int_equal(addr_minus(&low, &high), UINT64_MAX);
}

TEST(ipv4_sorts_before_ipv6_and_then_by_value)
{
	static const char *const sorted[] = {
		"0.0.0.0", "9.255.255.255", "10.0.0.0", "255.255.255.255", "::", "::1", "fd00::"};
	size_t n = COUNT(sorted);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			struct addr a = addr(sorted[i]);
			struct addr b = addr(sorted[k]);
			int order = addr_compare(&a, &b);
			assert_int_equal(order < 0, i < k);
			assert_int_equal(order > 0, i > k);
		}
	}
}

TEST(prefixes_sort_by_address_and_then_the_shorter_first)
{
	static const char *const sorted[] = {
		"9.0.0.0/30", "10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "fd00::/8", "fd00::/64"};
	const size_t n = COUNT(sorted);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			struct cidr a = cidr(sorted[i]);
			struct cidr b = cidr(sorted[k]);
			int order = cidr_compare(&a, &b);
			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
	}
}

TEST(families_are_an_index)
{
	assert_int_equal(family_of(AF_INET), IPV4);
	assert_int_equal(family_of(AF_INET6), IPV6);
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct addr a = {.family = family_af(f)};
		assert_int_equal(family_of(a.family), f);
		assert_int_equal(family_bits(f), addr_bits(&a));
		assert_int_equal(family_name(f)[3], family_digit(f));
	}
}

TEST(prefixes_contain_and_overlap)
{
	static const struct {
		const char *a;
		const char *b;
		bool overlap;
	} table[] = {
		{"10.0.0.0/8", "10.1.0.0/16", true},
		{"10.1.0.0/16", "10.0.0.0/8", true},
		{"10.0.0.0/9", "10.128.0.0/9", false},
		{"10.0.0.0/25", "10.0.0.128/25", false},
		{"0.0.0.0/0", "10.0.0.0/8", true},
		{"0.0.0.0/0", "::/0", false},
		{"fd00::/64", "fd00:0:0:1::/64", false},
		{"fd00::/63", "fd00:0:0:1::/64", true},
		{"10.0.0.5/32", "10.0.0.5/32", true},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct cidr a = cidr(table[i].a);
		struct cidr b = cidr(table[i].b);
		assert_int_equal(cidr_overlaps(&a, &b), table[i].overlap);
		assert_int_equal(cidr_contains(&a, &b.addr), table[i].overlap && a.len <= b.len);
	}
	struct cidr c = cidr("10.0.0.64/26");
	struct addr last = addr("10.0.0.127");
	struct addr next = addr("10.0.0.128");
	assert_true(cidr_contains(&c, &last));
	assert_false(cidr_contains(&c, &next));
	assert_false(cidr_equal(&c, &(struct cidr){.addr = c.addr, .len = 27}));
}

TEST(a_prefix_of_one_host_has_full_length)
{
	struct addr a4 = addr("10.0.0.1");
	struct addr a6 = addr("fd00::1");
	assert_int_equal(cidr_of_host(&a4).len, 32);
	assert_int_equal(cidr_of_host(&a6).len, 128);
	assert_int_equal(addr_bits(&a4), 32);
	assert_int_equal(addr_size(&a6), 16);
}

TEST(macs_are_unicast_and_printed_in_lower_case)
{
	uint8_t mac[6];
	char text[MAC_TEXT];
	assert_true(mac_parse("02:AB:cd:00:00:ff", mac));
	mac_format(mac, text);
	assert_string_equal(text, "02:ab:cd:00:00:ff");
	static const char *const bad[] = {"", "00:00:00:00:00:00", "01:00:00:00:00:01",
		"ff:ff:ff:ff:ff:ff", "02-00-00-00-00-01", "02:00:00:00:00", "02:00:00:00:00:01:02",
		"2:0:0:0:0:1", "02:00:00:00:00:0g",
		"02:00:00:00:00:1:", "0200000000000001:", " 2:00:00:00:00:01",
		"02:00:00:00:00:01 "};
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_false(mac_parse(bad[i], mac));
		assert_int_equal(mac[5], 0xff);
	}
}

TEST(a_prefix_is_among_others_with_its_length)
{
	static const char *const texts[] = {"10.0.0.0/24", "10.0.0.0/25", "fd00::/64"};
	struct cidr list[3], c;
	for (size_t i = 0; i < 3; i++)
		list[i] = cidr(texts[i]);
	for (size_t i = 0; i < 3; i++)
		assert_true(cidr_is_among(list, 3, &list[i]));
	assert_false(cidr_is_among(list, 2, &list[2]));
	c = cidr("10.0.0.0/26");
	assert_false(cidr_is_among(list, 3, &c));
	assert_false(cidr_is_among(NULL, 0, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_printed_in_canonical_form),
		cmocka_unit_test(bad_addresses_are_refused_by_name),
		cmocka_unit_test(prefixes_keep_their_host_bits),
		cmocka_unit_test(bad_prefixes_are_refused),
		cmocka_unit_test(addition_carries_and_subtraction_borrows),
		cmocka_unit_test(ipv4_sorts_before_ipv6_and_then_by_value),
		cmocka_unit_test(prefixes_sort_by_address_and_then_the_shorter_first),
		cmocka_unit_test(families_are_an_index),
		cmocka_unit_test(prefixes_contain_and_overlap),
		cmocka_unit_test(a_prefix_is_among_others_with_its_length),
		cmocka_unit_test(a_prefix_of_one_host_has_full_length),
		cmocka_unit_test(macs_are_unicast_and_printed_in_lower_case),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
