/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What rules become, as text: one pod, one policy, the lines of the policy. Hashes in names are numbered in the
 * order in which they come, so that a change of one does not change all texts.
 */
#include "tests/unit/check.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "policy/compile.h"
#include "policy/judge.h"
#include "policy/lines.h"
#include "tests/policy/walk.h"

#define HEX 24 /* digits of a hash in a name */

static struct policy_selector *selector_of(const char *text)
{
	struct policy_selector *s = NULL;
	struct err e;
	ok(policy_selector_of_text(text, &s, &e));
	return s;
}

static struct cidr cidr_of(const char *text)
{
	struct cidr c;
	struct err e;
	ok(cidr_parse(text, &c, &e));
	return c;
}

static struct policy *policy_new(enum policy_kind kind, enum policy_direction d)
{
	struct policy *p = mem_new(1, sizeof(*p));
	*p = (struct policy){.kind = kind, .name = "y", .tier = POLICY_TIER_DEFAULT};
	(void)text_copy(p->namespace, sizeof(p->namespace), kind == POLICY_NETWORK ? "n" : "");
	p->applies[d] = true;
	return p;
}

/* A rule more; its lists have room for some members. */
static struct policy_rule *rule_new(struct policy *p, enum policy_direction d, enum policy_action a)
{
	if (!p->rules[d])
		p->rules[d] = mem_new(4, sizeof(struct policy_rule));
	struct policy_rule *r = &p->rules[d][p->n_rules[d]++];
	*r = (struct policy_rule){.action = a, .icmp = {-1, -1}, .not_icmp = {-1, -1}};
	r->peers = mem_new(600, sizeof(*r->peers));
	r->ports = mem_new(600, sizeof(*r->ports));
	r->not_ports = mem_new(4, sizeof(*r->not_ports));
	r->sources = mem_new(600, sizeof(*r->sources));
	return r;
}

static struct policy_end *peer_pods(struct policy_rule *r, const char *own, const char *pods)
{
	struct policy_end *e = &r->peers[r->n_peers++];
	(void)text_copy(e->own, sizeof(e->own), own);
	e->pods = selector_of(pods);
	return e;
}

static void peer_net(struct policy_rule *r, const char *net, const char *except)
{
	struct policy_end *e = &r->peers[r->n_peers++];
	e->nets = mem_new(1, sizeof(*e->nets));
	e->n_nets = 1;
	e->nets->net = cidr_of(net);
	if (!except)
		return;
	e->nets->excepts = mem_new(1, sizeof(struct cidr));
	e->nets->n_excepts = 1;
	*e->nets->excepts = cidr_of(except);
}

static struct policy_port port_of(uint8_t proto, uint16_t first, uint16_t last, const char *name)
{
	struct policy_port p = {.proto = proto, .first = first, .last = last};
	(void)text_copy(p.name, sizeof(p.name), name);
	return p;
}

static void add_port(struct policy_rule *r, uint8_t proto, uint16_t first, uint16_t last)
{
	r->ports[r->n_ports++] = port_of(proto, first, last, "");
}

static void add_name(struct policy_rule *r, const char *name)
{
	r->ports[r->n_ports++] = port_of(IPPROTO_TCP, 0, 0, name);
}

/* One pod n/a at 10.0.0.1, whose port "http" is 8080. */
struct lab {
	struct policy_world *w;
	struct policy_compiler *c;
	struct policy_ruleset r;
};

static void lab_open(struct lab *lab, struct policy *p)
{
	struct policy_pod pod = {.namespace = "n", .name = "a", .n_addrs = 1, .n_ports = 1};
	struct policy_local l = {.link = 7, .namespace = "n", .name = "a"};
	pod.addrs[0] = cidr_of("10.0.0.1/32").addr;
	pod.ports = mem_new(1, sizeof(*pod.ports));
	*pod.ports = port_of(IPPROTO_TCP, 8080, 8080, "http");
	lab->w = policy_world_new();
	lab->c = policy_compiler_new(lab->w);
	(void)policy_world_put_pod(lab->w, POLICY_FROM_PODS, &pod);
	(void)policy_world_put_policy(lab->w, POLICY_FROM_STORE, p);
	policy_compile(lab->c, &l, 1, &lab->r);
	walk_check(&lab->r);
}

static void lab_close(struct lab *lab)
{
	policy_ruleset_done(&lab->r);
	policy_compiler_free(lab->c);
	policy_world_free(lab->w);
}

static bool is_hash(const char *s)
{
	return strspn(s, "0123456789abcdef") == HEX;
}

/* Hashes behind "_" become numbers. */
static void number_names(const char *text, struct text *out)
{
	char seen[64][HEX];
	size_t n = 0;
	for (const char *s = text; *s; s++) {
		text_add_char(out, *s);
		if (*s != '_' || !is_hash(s + 1))
			continue;
		size_t at = 0;
		while (at < n && memcmp(seen[at], s + 1, HEX) != 0)
			at++;
		if (at == n)
			memcpy(seen[n++], s + 1, HEX);
		text_add(out, "%zu", at + 1);
		s += HEX;
	}
}

static void text_is(const struct text *t, const char *expected)
{
	CLEANUP_TEXT struct text numbered = {0};
	number_names(t->buf ? t->buf : "", &numbered);
	assert_string_equal(numbered.buf ? numbered.buf : "", expected);
}

static void describe_chain(const struct policy_chain *c, struct text *out)
{
	struct policy_chain copy = *c;
	const struct policy_ruleset one = {.chains = &copy, .n_chains = 1, .is_used = true};
	policy_ruleset_describe(&one, out);
}

/* The lines of the policy, as a chain. */
static void lines_are(struct policy *p, const char *expected)
{
	struct lab lab = {0};
	CLEANUP_TEXT struct text chain = {0};
	struct policy_draft draft = {0};
	lab_open(&lab, p);
	struct policy_members *m = policy_members_new(lab.w);
	struct policy_objects *o = policy_objects_new(m);
	const struct policy_lines_for l = {.world = lab.w,
		.members = m,
		.objects = o,
		.policy = p,
		.direction = p->applies[POLICY_INGRESS] ? POLICY_INGRESS : POLICY_EGRESS,
		.pod = policy_world_pod(lab.w, "n", "a")};
	policy_lines_add(&l, &draft);
	if (draft.n > 0) {
		struct policy_chain c = {.body = policy_draft_body(&draft)};
		policy_draft_name(&draft, 'p', c.name);
		c.rules = c.body->rules;
		c.n = c.body->n;
		describe_chain(&c, &chain);
		policy_body_unref(c.body);
	}
	policy_draft_done(&draft);
	policy_objects_free(o);
	policy_members_free(m);
	lab_close(&lab);
	text_is(&chain, expected);
}

/* The chains of a kind, of all that is made of the policy. */
static void chains_are(struct policy *p, char kind, const char *expected)
{
	struct lab lab = {0};
	CLEANUP_TEXT struct text chains = {0};
	lab_open(&lab, p);
	for (size_t i = 0; i < lab.r.n_chains; i++) {
		if (lab.r.chains[i].name[0] == kind)
			describe_chain(&lab.r.chains[i], &chains);
	}
	lab_close(&lab);
	text_is(&chains, expected);
}

TEST(a_rule_without_limits_is_one_line)
{
	struct policy *p = policy_new(POLICY_NETWORK, POLICY_INGRESS);
	(void)rule_new(p, POLICY_INGRESS, POLICY_ALLOW);
	lines_are(p, "chain p_1\n\tcount a_2, accept\n");
}

TEST(no_rule_is_no_chain)
{
	lines_are(policy_new(POLICY_NETWORK, POLICY_INGRESS), "");
}

TEST(peers_and_ports_are_set_by_set)
{
	struct policy *p = policy_new(POLICY_NETWORK, POLICY_INGRESS);
	struct policy_rule *r = rule_new(p, POLICY_INGRESS, POLICY_ALLOW);
	(void)peer_pods(r, "n", "app == \"x\"");
	peer_net(r, "192.0.2.0/24", "192.0.2.128/25");
	peer_net(r, "198.51.100.0/24", NULL);
	add_port(r, IPPROTO_TCP, 80, 80);
	add_port(r, IPPROTO_UDP, 53, 53);
	add_port(r, IPPROTO_TCP, 1000, 2000);
	lines_are(p, "chain p_1\n"
		     "\ttcp, dport 1000-2000, ip saddr @s4_2, count a_3, accept\n"
		     "\tprotocol . dport @q_4, ip saddr @s4_2, count a_3, accept\n"
		     "\ttcp, dport 1000-2000, ip saddr @b4_5, count a_3, accept\n"
		     "\tprotocol . dport @q_4, ip saddr @b4_5, count a_3, accept\n"
		     "\ttcp, dport 1000-2000, ip6 saddr @s6_2, count a_3, accept\n"
		     "\tprotocol . dport @q_4, ip6 saddr @s6_2, count a_3, accept\n");
}

TEST(a_named_port_is_the_number_of_the_selected_pod)
{
	struct policy *p = policy_new(POLICY_NETWORK, POLICY_INGRESS);
	struct policy_rule *r = rule_new(p, POLICY_INGRESS, POLICY_ALLOW);
	add_name(r, "http");
	add_name(r, "unknown");
	lines_are(p, "chain p_1\n\ttcp, dport 8080, count a_2, accept\n");
}

TEST(an_unknown_name_alone_matches_nothing)
{
	struct policy *p = policy_new(POLICY_NETWORK, POLICY_INGRESS);
	add_name(rule_new(p, POLICY_INGRESS, POLICY_ALLOW), "unknown");
	lines_are(p, "");
}

TEST(a_named_port_of_egress_is_a_set_of_addresses_with_numbers)
{
	struct policy *p = policy_new(POLICY_NETWORK, POLICY_EGRESS);
	struct policy_rule *r = rule_new(p, POLICY_EGRESS, POLICY_ALLOW);
	(void)peer_pods(r, "", "app == \"x\"");
	add_name(r, "http");
	add_port(r, IPPROTO_TCP, 80, 80);
	lines_are(p, "chain p_1\n"
		     "\ttcp, dport 80, ip daddr @s4_2, count a_3, accept\n"
		     "\tip daddr . protocol . dport @n4_4, ip daddr @s4_2, count a_3, accept\n"
		     "\ttcp, dport 80, ip6 daddr @s6_2, count a_3, accept\n"
		     "\tip6 daddr . protocol . dport @n6_4, ip6 daddr @s6_2, count a_3, accept\n");
}

TEST(negations_are_tests_or_arithmetic)
{
	struct policy *p = policy_new(POLICY_CALICO_GLOBAL, POLICY_EGRESS);
	struct policy_rule *r = rule_new(p, POLICY_EGRESS, POLICY_DENY);
	r->proto = IPPROTO_TCP;
	r->n_not_ports = 1;
	*r->not_ports = port_of(IPPROTO_TCP, 80, 90, "");
	r->n_peers = 1;
	r->peers->not_pods = selector_of("app == \"x\"");
	r->peers->not_nets = mem_new(1, sizeof(struct cidr));
	r->peers->n_not_nets = 1;
	*r->peers->not_nets = cidr_of("192.0.2.0/24");
	lines_are(p,
		"chain p_1\n"
		"\ttcp, dport 0-79, ip daddr != @b4_2, ip daddr != @s4_3, count x_4, log \"out "
		"x_4\", drop\n"
		"\ttcp, dport 91-65535, ip daddr != @b4_2, ip daddr != @s4_3, count x_4, log \"out "
		"x_4\", drop\n"
		"\ttcp, dport 0-79, ip6 daddr != @s6_3, count x_4, log \"out x_4\", drop\n"
		"\ttcp, dport 91-65535, ip6 daddr != @s6_3, count x_4, log \"out x_4\", drop\n");
}

TEST(not_a_type_and_code_is_a_choice)
{
	struct policy *p = policy_new(POLICY_CALICO_GLOBAL, POLICY_INGRESS);
	struct policy_rule *r = rule_new(p, POLICY_INGRESS, POLICY_ALLOW);
	r->proto = IPPROTO_ICMP;
	r->family = AF_INET;
	r->not_icmp = (struct policy_icmp){3, 4};
	lines_are(p, "chain p_1\n"
		     "\tIPv4, icmp, type 3, code != 4, count a_2, accept\n"
		     "\tIPv4, icmp, type != 3, count a_2, accept\n");
}

TEST(to_pass_is_to_return_from_the_tier)
{
	struct policy *p = policy_new(POLICY_CALICO_GLOBAL, POLICY_INGRESS);
	struct policy_rule *log = rule_new(p, POLICY_INGRESS, POLICY_LOG);
	add_port(log, IPPROTO_TCP, 22, 22);
	add_port(rule_new(p, POLICY_INGRESS, POLICY_PASS), IPPROTO_TCP, 80, 80);
	chains_are(p, 't',
		"chain t_1\n"
		"\ttcp, dport 22, count l_2, log \"in l_2\", continue\n"
		"\ttcp, dport 80, return\n"
		"\tcount d_3, log \"in d_3\", drop\n");
}

/* Hundreds of each: the product would be 500 * 300 * 300 * 2 lines. */
static struct policy *large_policy(enum policy_action a)
{
	struct policy *p = policy_new(POLICY_CALICO_GLOBAL, POLICY_INGRESS);
	struct policy_rule *r = rule_new(p, POLICY_INGRESS, a);
	for (unsigned int i = 0; i < 500; i++) {
		char text[32];
		struct text t = TEXT_ON(text);
		text_add(&t, i % 2 ? "app == \"v%u\"" : "10.9.%u.0/25", i / 2);
		if (i % 2)
			(void)peer_pods(r, "n", text);
		else
			peer_net(r, text, NULL);
	}
	for (unsigned int i = 0; i < 300; i++) {
		add_port(r, IPPROTO_TCP, (uint16_t)(i * 200), (uint16_t)(i * 200 + 99));
		r->sources[r->n_sources++] =
			port_of(IPPROTO_TCP, (uint16_t)(i * 200), (uint16_t)(i * 200 + 49), "");
	}
	return p;
}

static void packet_agrees(const struct lab *lab, const char *from, uint16_t sport, uint16_t dport)
{
	const struct walk_packet packet = {.oif = 7,
		.flow = {.source = cidr_of(from).addr,
			.destination = cidr_of("10.0.0.1/32").addr,
			.proto = IPPROTO_TCP,
			.sport = sport,
			.dport = dport}};
	const struct policy_question q = {.flow = &packet.flow,
		.direction = POLICY_INGRESS,
		.pod = policy_world_pod(lab->w, "n", "a")};
	assert_int_equal(walk_chain(&lab->r, lab->r.dispatch->ingress, &packet, NULL),
		policy_judge(lab->w, &q, NULL, NULL));
}

TEST(a_large_rule_does_not_explode)
{
	static const enum policy_action actions[] = {POLICY_ALLOW, POLICY_PASS};
	for (size_t i = 0; i < COUNT(actions); i++) {
		struct lab lab = {0};
		size_t lines = 0;
		lab_open(&lab, large_policy(actions[i]));
		for (size_t k = 0; k < lab.r.n_chains; k++)
			lines += lab.r.chains[k].n;
		assert_in_range(lines, 4, 20);
		packet_agrees(&lab, "10.9.3.1/32", 200, 299);
		packet_agrees(&lab, "10.9.3.1/32", 200, 300);
		packet_agrees(&lab, "10.9.3.1/32", 250, 299);
		packet_agrees(&lab, "10.9.3.129/32", 200, 299);
		lab_close(&lab);
	}
}

TEST(many_ranges_stay_ranges_where_that_is_linear)
{
	struct lab lab = {0};
	struct policy *p = policy_new(POLICY_NETWORK, POLICY_INGRESS);
	struct policy_rule *r = rule_new(p, POLICY_INGRESS, POLICY_ALLOW);
	for (unsigned int i = 0; i < 300; i++)
		add_port(r, IPPROTO_TCP, (uint16_t)(i * 200), (uint16_t)(i * 200 + 99));
	lab_open(&lab, p);
	assert_int_equal(lab.r.n_sets, 1); /* the hairpin */
	lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_without_limits_is_one_line),
		cmocka_unit_test(no_rule_is_no_chain),
		cmocka_unit_test(peers_and_ports_are_set_by_set),
		cmocka_unit_test(a_named_port_is_the_number_of_the_selected_pod),
		cmocka_unit_test(an_unknown_name_alone_matches_nothing),
		cmocka_unit_test(a_named_port_of_egress_is_a_set_of_addresses_with_numbers),
		cmocka_unit_test(negations_are_tests_or_arithmetic),
		cmocka_unit_test(not_a_type_and_code_is_a_choice),
		cmocka_unit_test(to_pass_is_to_return_from_the_tier),
		cmocka_unit_test(a_large_rule_does_not_explode),
		cmocka_unit_test(many_ranges_stay_ranges_where_that_is_linear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
