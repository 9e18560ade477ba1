/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a rule set with every kind of object, element, test and verdict, and the life of what is shared.
 */
#include "tests/unit/check.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "policy/ruleset.h"

static struct policy_elements *elements(size_t n, size_t stride, const uint8_t *bytes)
{
	struct policy_elements *e = policy_elements_new(n, stride);
	memcpy(e->bytes, bytes, n * stride);
	return e;
}

static void add_sets(struct policy_ruleset *r)
{
	static const int pair[] = {7, 7};
	r->n_sets = 5;
	r->sets = mem_new(r->n_sets, sizeof(*r->sets));
	r->sets[0] = (struct policy_set){"b6_0", POLICY_SET_NETS, IPV6,
		elements(1, 32, (const uint8_t[32]){0xfd, [16] = 0xfd, [31] = 0xff})};
	r->sets[1] = (struct policy_set){
		"h", POLICY_SET_LINK_PAIRS, IPV4, elements(1, sizeof(pair), (const uint8_t *)pair)};
	r->sets[2] = (struct policy_set){"n4_0", POLICY_SET_ADDR_PORTS, IPV4,
		elements(1, 12, (const uint8_t[12]){10, 0, 0, 1, IPPROTO_TCP, [8] = 0, 80})};
	r->sets[3] = (struct policy_set){"q_0", POLICY_SET_PORTS, IPV4,
		elements(2, 8,
			(const uint8_t[16]){
				IPPROTO_UDP, [4] = 0, 53, [8] = IPPROTO_SCTP, [12] = 1, 0})};
	r->sets[4] = (struct policy_set){"s4_0", POLICY_SET_ADDRS, IPV4,
		elements(2, 4, (const uint8_t[8]){10, 0, 0, 1, 10, 0, 0, 2})};
}

static const struct policy_test tests_of_a_rule[] = {
	{.kind = POLICY_TEST_FAMILY, .from = AF_INET},
	{.kind = POLICY_TEST_SOURCE, .set = "s4_0"},
	{.kind = POLICY_TEST_DESTINATION, .negated = true, .family = IPV6, .set = "b6_0"},
	{.kind = POLICY_TEST_PROTO, .from = IPPROTO_TCP},
	{.kind = POLICY_TEST_SPORT, .from = 1, .to = 9},
	{.kind = POLICY_TEST_DPORT, .from = 80, .to = 80, .negated = true},
	{.kind = POLICY_TEST_PROTO_SPORT, .set = "q_0"},
	{.kind = POLICY_TEST_PROTO_DPORT, .set = "q_0"},
	{.kind = POLICY_TEST_ADDR_PROTO_DPORT, .set = "n4_0"},
	{.kind = POLICY_TEST_ICMP_TYPE, .from = 8},
	{.kind = POLICY_TEST_ICMP_CODE, .from = 0, .negated = true},
	{.kind = POLICY_TEST_HAIRPIN, .set = "h"},
};

static void add_chain(struct policy_ruleset *r)
{
	static const enum policy_verdict verdicts[] = {POLICY_VERDICT_ACCEPT, POLICY_VERDICT_DROP,
		POLICY_VERDICT_RETURN, POLICY_VERDICT_NEXT, POLICY_VERDICT_JUMP,
		POLICY_VERDICT_GOTO};
	struct policy_body *b = policy_body_new(COUNT(verdicts), COUNT(tests_of_a_rule));
	memcpy(b->tests, tests_of_a_rule, sizeof(tests_of_a_rule));
	for (size_t i = 0; i < COUNT(verdicts); i++)
		b->rules[i].verdict = verdicts[i];
	b->rules[0].tests = b->tests;
	b->rules[0].n_tests = COUNT(tests_of_a_rule);
	(void)text_copy(b->rules[0].counter, POLICY_OBJECT_NAME, "a_0");
	(void)text_copy(b->rules[1].log, POLICY_LOG_PREFIX, "in d_0");
	(void)text_copy(b->rules[4].chain, POLICY_OBJECT_NAME, "p_0");
	(void)text_copy(b->rules[5].chain, POLICY_OBJECT_NAME, "p_0");
	r->n_chains = 2;
	r->chains = mem_new(r->n_chains, sizeof(*r->chains));
	r->chains[0] = (struct policy_chain){"c_0", b->rules, b->n, b};
	r->chains[1] = (struct policy_chain){"p_0", NULL, 0, NULL};
}

TEST(every_object_element_and_rule_has_a_line)
{
	struct policy_ruleset r = {.is_used = true};
	CLEANUP_TEXT struct text out = {0};
	add_sets(&r);
	add_chain(&r);
	r.n_dispatch = 1;
	r.dispatch = mem_new(1, sizeof(*r.dispatch));
	*r.dispatch = (struct policy_dispatch){.link = 7, .egress = "c_0"};
	r.n_staged = 1;
	r.staged = mem_new(1, sizeof(*r.staged));
	*r.staged = (struct policy_staged){.uid = "u", .ingress = "c_0", .to_host = "c_0"};
	r.n_counters = 1;
	r.counters = mem_new(1, sizeof(*r.counters));
	(void)text_copy(r.counters[0], POLICY_OBJECT_NAME, "a_0");
	policy_ruleset_describe(&r, &out);
	assert_string_equal(out.buf,
		"counter a_0\n"
		"set b6_0: IPv6 ranges of addresses\n"
		"\tfd00:: to fd00::ff\n"
		"set h: pairs of links\n"
		"\t7 to 7\n"
		"set n4_0: IPv4 addresses with ports\n"
		"\t10.0.0.1 tcp 80\n"
		"set q_0: ports\n"
		"\tudp 53\n"
		"\tsctp 256\n"
		"set s4_0: IPv4 addresses\n"
		"\t10.0.0.1\n"
		"\t10.0.0.2\n"
		"chain c_0\n"
		"\tIPv4, ip saddr @s4_0, ip6 daddr != @b6_0, tcp, sport 1-9, dport != 80, "
		"protocol . sport @q_0, protocol . dport @q_0, "
		"ip daddr . protocol . dport @n4_0, type 8, code != 0, iif . oif @h, "
		"count a_0, accept\n"
		"\tlog \"in d_0\", drop\n"
		"\treturn\n"
		"\tcontinue\n"
		"\tjump p_0\n"
		"\tgoto p_0\n"
		"chain p_0\n"
		"link 7: out c_0, in accept, to the host accept\n"
		"staged u: out accept, in c_0, to the host c_0\n");
	policy_ruleset_done(&r);
}

TEST(an_empty_one_says_that_nothing_is_enforced)
{
	struct policy_ruleset r = {0};
	CLEANUP_TEXT struct text out = {0};
	policy_ruleset_describe(&r, &out);
	assert_string_equal(out.buf, "nothing is enforced\n");
	policy_ruleset_done(&r);
}

TEST(what_is_shared_lives_as_long_as_its_last_reference)
{
	struct policy_ruleset r = {0};
	add_sets(&r);
	add_chain(&r);
	struct policy_elements *e = policy_elements_ref(r.sets[4].elements);
	struct policy_body *b = policy_body_ref(r.chains[0].body);
	policy_ruleset_done(&r);
	assert_int_equal(e->n, 2);
	assert_int_equal(e->bytes[7], 2);
	assert_string_equal(b->rules[0].counter, "a_0");
	policy_elements_unref(e);
	policy_body_unref(b);
	policy_elements_unref(NULL);
	policy_body_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_object_element_and_rule_has_a_line),
		cmocka_unit_test(an_empty_one_says_that_nothing_is_enforced),
		cmocka_unit_test(what_is_shared_lives_as_long_as_its_last_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
