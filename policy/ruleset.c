/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of rule sets, and their text. Elements and bodies of chains are counted references, so that a rule
 * set costs its arrays of names alone, however often one is made.
 *
 * The text is for golden tests and for people who look for a difference: one line for each object, element and
 * rule, in the order of the arrays, close to what nft prints.
 */
#include "policy/ruleset.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/mem.h"

struct policy_body *policy_body_new(size_t n_rules, size_t n_tests)
{
	struct policy_body *b = mem_new(1, sizeof(*b));
	b->refs = 1;
	b->n = n_rules;
	b->rules = mem_new(n_rules, sizeof(*b->rules));
	b->tests = mem_new(n_tests, sizeof(*b->tests));
	return b;
}

struct policy_body *policy_body_ref(struct policy_body *b)
{
	b->refs++;
	return b;
}

void policy_body_unref(struct policy_body *b)
{
	if (!b || --b->refs > 0)
		return;
	free(b->rules);
	free(b->tests);
	free(b);
}

void policy_ruleset_done(struct policy_ruleset *r)
{
	for (size_t i = 0; i < r->n_sets; i++)
		policy_elements_unref(r->sets[i].elements);
	for (size_t i = 0; i < r->n_chains; i++)
		policy_body_unref(r->chains[i].body);
	free(r->sets);
	free(r->chains);
	free(r->dispatch);
	free(r->staged);
	free(r->counters);
	*r = (struct policy_ruleset){0};
}

/* Text */

static void describe_addr(const uint8_t *bytes, enum family f, struct text *out)
{
	struct addr a = {.family = family_af(f)};
	memcpy(a.bytes, bytes, addr_size(&a));
	text_add(out, "%s", ADDR_STRING(&a));
}

static void describe_proto(unsigned int proto, struct text *out)
{
	static const struct {
		unsigned int proto;
		const char *name;
	} names[] = {{IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"}, {IPPROTO_SCTP, "sctp"},
		{IPPROTO_ICMP, "icmp"}, {IPPROTO_ICMPV6, "icmpv6"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].proto == proto) {
			text_add(out, "%s", names[i].name);
			return;
		}
	}
	text_add(out, "protocol %u", proto);
}

static void describe_port(const uint8_t *bytes, struct text *out)
{
	describe_proto(bytes[0], out);
	text_add(out, " %u", (unsigned int)(bytes[4] << 8 | bytes[5]));
}

static void describe_element(const struct policy_set *s, const uint8_t *bytes, struct text *out)
{
	size_t addr = family_bits(s->family) / 8;
	int links[2];
	switch (s->kind) {
	case POLICY_SET_ADDRS:
		describe_addr(bytes, s->family, out);
		break;
	case POLICY_SET_NETS:
		describe_addr(bytes, s->family, out);
		text_add(out, " to ");
		describe_addr(bytes + addr, s->family, out);
		break;
	case POLICY_SET_PORTS:
		describe_port(bytes, out);
		break;
	case POLICY_SET_ADDR_PORTS:
		describe_addr(bytes, s->family, out);
		text_add(out, " ");
		describe_port(bytes + addr, out);
		break;
	case POLICY_SET_LINK_PAIRS:
		memcpy(links, bytes, sizeof(links));
		text_add(out, "%d to %d", links[0], links[1]);
		break;
	}
}

static void describe_set(const struct policy_set *s, struct text *out)
{
	static const char *const kinds[] = {[POLICY_SET_ADDRS] = "addresses",
		[POLICY_SET_NETS] = "ranges of addresses",
		[POLICY_SET_PORTS] = "ports",
		[POLICY_SET_ADDR_PORTS] = "addresses with ports",
		[POLICY_SET_LINK_PAIRS] = "pairs of links"};
	bool has_family = s->kind == POLICY_SET_ADDRS || s->kind == POLICY_SET_NETS ||
			  s->kind == POLICY_SET_ADDR_PORTS;
	text_add(out, "set %s: %s%s%s\n", s->name, has_family ? family_name(s->family) : "",
		has_family ? " " : "", kinds[s->kind]);
	for (size_t i = 0; s->elements && i < s->elements->n; i++) {
		text_add(out, "\t");
		describe_element(s, s->elements->bytes + i * s->elements->stride, out);
		text_add(out, "\n");
	}
}

static void describe_range(const struct policy_test *t, const char *what, struct text *out)
{
	text_add(out, "%s %s%u", what, t->negated ? "!= " : "", t->from);
	if (t->to > t->from)
		text_add(out, "-%u", t->to);
}

static void describe_in(const struct policy_test *t, const char *what, struct text *out)
{
	text_add(out, "%s %s@%s", what, t->negated ? "!= " : "", t->set);
}

static void describe_test(const struct policy_test *t, struct text *out)
{
	const char *ip = t->family == IPV4 ? "ip" : "ip6";
	switch (t->kind) {
	case POLICY_TEST_FAMILY:
		text_add(out, "%s%s", t->negated ? "!= " : "", family_name(family_of(t->from)));
		break;
	case POLICY_TEST_SOURCE:
		text_add(out, "%s ", ip);
		describe_in(t, "saddr", out);
		break;
	case POLICY_TEST_DESTINATION:
		text_add(out, "%s ", ip);
		describe_in(t, "daddr", out);
		break;
	case POLICY_TEST_PROTO:
		text_add(out, "%s", t->negated ? "!= " : "");
		describe_proto(t->from, out);
		break;
	case POLICY_TEST_SPORT:
		describe_range(t, "sport", out);
		break;
	case POLICY_TEST_DPORT:
		describe_range(t, "dport", out);
		break;
	case POLICY_TEST_PROTO_SPORT:
		describe_in(t, "protocol . sport", out);
		break;
	case POLICY_TEST_PROTO_DPORT:
		describe_in(t, "protocol . dport", out);
		break;
	case POLICY_TEST_ADDR_PROTO_DPORT:
		text_add(out, "%s ", ip);
		describe_in(t, "daddr . protocol . dport", out);
		break;
	case POLICY_TEST_ICMP_TYPE:
		text_add(out, "type %s%u", t->negated ? "!= " : "", t->from);
		break;
	case POLICY_TEST_ICMP_CODE:
		text_add(out, "code %s%u", t->negated ? "!= " : "", t->from);
		break;
	case POLICY_TEST_HAIRPIN:
		describe_in(t, "iif . oif", out);
		break;
	}
}

static void describe_rule(const struct policy_chain_rule *r, struct text *out)
{
	static const char *const verdicts[] = {[POLICY_VERDICT_NEXT] = "continue",
		[POLICY_VERDICT_ACCEPT] = "accept",
		[POLICY_VERDICT_DROP] = "drop",
		[POLICY_VERDICT_RETURN] = "return",
		[POLICY_VERDICT_JUMP] = "jump",
		[POLICY_VERDICT_GOTO] = "goto"};
	text_add(out, "\t");
	for (size_t i = 0; i < r->n_tests; i++) {
		describe_test(&r->tests[i], out);
		text_add(out, ", ");
	}
	if (r->counter[0])
		text_add(out, "count %s, ", r->counter);
	if (r->log[0])
		text_add(out, "log \"%s\", ", r->log);
	text_add(out, "%s%s%s\n", verdicts[r->verdict], r->chain[0] ? " " : "", r->chain);
}

static const char *chain_or_accept(const char *name)
{
	return name[0] ? name : "accept";
}

void policy_ruleset_describe(const struct policy_ruleset *r, struct text *out)
{
	if (!r->is_used)
		text_add(out, "nothing is enforced\n");
	for (size_t i = 0; i < r->n_counters; i++)
		text_add(out, "counter %s\n", r->counters[i]);
	for (size_t i = 0; i < r->n_sets; i++)
		describe_set(&r->sets[i], out);
	for (size_t i = 0; i < r->n_chains; i++) {
		text_add(out, "chain %s\n", r->chains[i].name);
		for (size_t j = 0; j < r->chains[i].n; j++)
			describe_rule(&r->chains[i].rules[j], out);
	}
	for (size_t i = 0; i < r->n_dispatch; i++) {
		const struct policy_dispatch *d = &r->dispatch[i];
		text_add(out, "link %d: out %s, in %s, to the host %s\n", d->link,
			chain_or_accept(d->egress), chain_or_accept(d->ingress),
			chain_or_accept(d->to_host));
	}
	for (size_t i = 0; i < r->n_staged; i++) {
		const struct policy_staged *s = &r->staged[i];
		text_add(out, "staged %s: out %s, in %s, to the host %s\n", s->uid,
			chain_or_accept(s->egress), chain_or_accept(s->ingress),
			chain_or_accept(s->to_host));
	}
}
