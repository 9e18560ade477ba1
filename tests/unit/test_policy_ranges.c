/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unions and differences of prefixes and ports, against a look at every single one.
 */
#include "tests/unit/check.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "lib/text.h"
#include "policy/ranges.h"

#define LIST 4 /* of prefixes in a row of the table */

static struct cidr cidr_of(const char *text)
{
	struct cidr c;
	struct err e;
	ok(cidr_parse(text, &c, &e));
	return c;
}

/* "FIRST-LAST " of every interval. */
static void ranges_text(struct policy_ranges *r, struct text *out)
{
	size_t size = family_bits(r->family) / 8;
	struct policy_elements *e = policy_ranges_elements(r);
	for (size_t i = 0; e && i < e->n; i++) {
		struct addr ends[2] = {
			{.family = family_af(r->family)}, {.family = family_af(r->family)}};
		memcpy(ends[0].bytes, e->bytes + i * e->stride, size);
		memcpy(ends[1].bytes, e->bytes + i * e->stride + size, size);
		text_add(out, "%s-%s ", ADDR_STRING(&ends[0]), ADDR_STRING(&ends[1]));
	}
	policy_elements_unref(e);
}

TEST(prefixes_less_their_excepts_are_disjoint_intervals)
{
	static const struct {
		const char *nets[LIST][1 + LIST]; /* a prefix, then what is excepted from it */
		enum family family;
		const char *expected;
	} rows[] = {
		{{{"10.0.0.0/24"}}, IPV4, "10.0.0.0-10.0.0.255 "},
		{{{"10.0.0.7/24"}}, IPV4, "10.0.0.0-10.0.0.255 "},
		{{{"10.0.0.0/24"}}, IPV6, ""},
		{{{"10.0.0.0/25"}, {"10.0.0.128/25"}}, IPV4, "10.0.0.0-10.0.0.255 "},
		{{{"10.0.0.0/24"}, {"10.0.0.128/25"}}, IPV4, "10.0.0.0-10.0.0.255 "},
		{{{"10.0.1.0/24"}, {"10.0.3.0/24"}}, IPV4,
			"10.0.1.0-10.0.1.255 10.0.3.0-10.0.3.255 "},
		{{{"10.0.0.0/24", "10.0.0.0/25"}}, IPV4, "10.0.0.128-10.0.0.255 "},
		{{{"10.0.0.0/24", "10.0.0.128/25"}}, IPV4, "10.0.0.0-10.0.0.127 "},
		{{{"10.0.0.0/24", "10.0.0.9/32", "10.0.0.10/32"}}, IPV4,
			"10.0.0.0-10.0.0.8 10.0.0.11-10.0.0.255 "},
		{{{"10.0.0.0/24", "10.0.0.0/16"}}, IPV4, ""},
		{{{"10.0.0.0/24", "10.0.0.0/24"}}, IPV4, ""},
		{{{"10.0.0.0/24", "10.0.0.0/26", "10.0.0.32/27"}}, IPV4, "10.0.0.64-10.0.0.255 "},
		{{{"10.0.0.0/24", "192.0.2.0/24", "fd00::/8"}}, IPV4, "10.0.0.0-10.0.0.255 "},
		{{{"0.0.0.0/0"}}, IPV4, "0.0.0.0-255.255.255.255 "},
		{{{"0.0.0.0/0"}, {"255.255.255.255/32"}, {"10.0.0.0/8"}}, IPV4,
			"0.0.0.0-255.255.255.255 "},
		{{{"0.0.0.0/0", "255.255.255.255/32", "0.0.0.0/32"}}, IPV4,
			"0.0.0.1-255.255.255.254 "},
		{{{"0.0.0.0/0", "10.0.0.0/8"}, {"10.1.0.0/16"}}, IPV4,
			"0.0.0.0-9.255.255.255 10.1.0.0-10.1.255.255 11.0.0.0-255.255.255.255 "},
		{{{"::/0", "8000::/1"}}, IPV6, "::-7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "},
		{{{"fd00::/127"}, {"fd00::2/127"}}, IPV6, "fd00::-fd00::3 "},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct policy_ranges r = {.family = rows[i].family};
		char text[300] = "";
		struct text out = TEXT_ON(text);
		for (size_t k = 0; k < LIST && rows[i].nets[k][0]; k++) {
			struct cidr net = cidr_of(rows[i].nets[k][0]), excepts[LIST];
			size_t n = 0;
			for (; n < LIST && rows[i].nets[k][1 + n]; n++)
				excepts[n] = cidr_of(rows[i].nets[k][1 + n]);
			policy_ranges_add(&r, &net, excepts, n);
		}
		ranges_text(&r, &out);
		policy_ranges_done(&r);
		assert_string_equal(text, rows[i].expected);
	}
}

/* "PROTO FIRST-LAST " of every run, "others " at the end. */
static void ports_text(const struct policy_ports *p, struct text *out)
{
	for (size_t i = 0; i < p->n; i++) {
		uint16_t first, last;
		for (uint32_t from = 0; policy_ports_run(p->v[i], &from, &first, &last);)
			text_add(out, "%u %u-%u ", p->v[i]->proto, first, last);
	}
	text_add(out, "%s", p->others ? "others " : "");
}

static void ports_are(const struct policy_ports *p, const char *expected)
{
	char text[300] = "";
	struct text out = TEXT_ON(text);
	ports_text(p, &out);
	assert_string_equal(text, expected);
}

TEST(ports_are_added_and_taken_away)
{
	struct policy_ports p = {0};
	ports_are(&p, "");
	policy_ports_add(&p, IPPROTO_TCP, 80, 80);
	policy_ports_add(&p, IPPROTO_TCP, 81, 200);
	policy_ports_add(&p, IPPROTO_UDP, 65535, 65535);
	policy_ports_add(&p, IPPROTO_UDP, 0, 0);
	ports_are(&p, "6 80-200 17 0-0 17 65535-65535 ");
	policy_ports_remove(&p, IPPROTO_TCP, 100, 100);
	policy_ports_remove(&p, IPPROTO_SCTP, 1, 1);
	ports_are(&p, "6 80-99 6 101-200 17 0-0 17 65535-65535 ");
	policy_ports_only(&p, IPPROTO_UDP);
	ports_are(&p, "17 0-0 17 65535-65535 ");
	policy_ports_none(&p);
	ports_are(&p, "");
	policy_ports_done(&p);
}

TEST(a_protocol_that_is_listed_is_none_of_the_others)
{
	struct policy_ports p = {0};
	policy_ports_all(&p);
	ports_are(&p, "others ");
	policy_ports_remove(&p, IPPROTO_TCP, 0, 65535);
	policy_ports_remove(&p, IPPROTO_UDP, 64, 65534);
	ports_are(&p, "17 0-63 17 65535-65535 others ");
	policy_ports_only(&p, IPPROTO_SCTP);
	ports_are(&p, "132 0-65535 ");
	policy_ports_all(&p);
	ports_are(&p, "others ");
	policy_ports_done(&p);
}

TEST(runs_end_where_they_end_whatever_the_words_of_bits)
{
	for (unsigned int first = 60; first < 132; first += 3) {
		for (unsigned int last = first; last < 200; last += 7) {
			struct policy_ports p = {0};
			char expected[40];
			struct text out = TEXT_ON(expected);
			text_add(&out, "6 %u-%u ", first, last);
			policy_ports_add(&p, IPPROTO_TCP, (uint16_t)first, (uint16_t)last);
			ports_are(&p, expected);
			policy_ports_done(&p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_less_their_excepts_are_disjoint_intervals),
		cmocka_unit_test(ports_are_added_and_taken_away),
		cmocka_unit_test(a_protocol_that_is_listed_is_none_of_the_others),
		cmocka_unit_test(runs_end_where_they_end_whatever_the_words_of_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
