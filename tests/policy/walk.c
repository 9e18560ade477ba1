/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interpreter of rule sets. It looks names up, as the kernel does, and holds the rules to the contract: a
 * port or type is asked for behind its protocol alone, a class ends with a verdict.
 */
#include "tests/policy/walk.h"

#include "tests/unit/check.h"

#include "lib/search.h"

#define DEPTH_MAX 4 /* of jumps; the kernel takes 16 */

static int compare_names(const void *a, const void *b) /* each begins with its name */
{
	return strcmp(a, b);
}

static const struct policy_set *walk_set(const struct policy_ruleset *r, const char *name)
{
	const struct policy_set *s =
		search_find(r->sets, r->n_sets, sizeof(*r->sets), name, compare_names);
	if (!s)
		fail_msg("no set %s", name);
	return s;
}

static const struct policy_chain *walk_find(const struct policy_ruleset *r, const char *name)
{
	const struct policy_chain *c =
		search_find(r->chains, r->n_chains, sizeof(*r->chains), name, compare_names);
	if (!c)
		fail_msg("no chain %s", name);
	return c;
}

/* Sets of ports have up to 65,536 elements: the last one that is not behind what is looked for. */
static bool set_has(const struct policy_set *s, const uint8_t *element, size_t size)
{
	const struct policy_elements *all = s->elements;
	size_t from = 0, to = all->n;
	assert_int_equal(all->stride, s->kind == POLICY_SET_NETS ? 2 * size : size);
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (memcmp(all->bytes + middle * all->stride, element, size) <= 0)
			from = middle + 1;
		else
			to = middle;
	}
	if (from == 0)
		return false;
	const uint8_t *e = all->bytes + (from - 1) * all->stride;
	return s->kind == POLICY_SET_NETS ? memcmp(element, e + size, size) <= 0
					  : memcmp(element, e, size) == 0;
}

static size_t port_element(uint8_t proto, uint16_t port, uint8_t out[8])
{
	memset(out, 0, 8);
	out[0] = proto;
	out[4] = (uint8_t)(port >> 8);
	out[5] = (uint8_t)port;
	return 8;
}

static bool in_addrs(const struct policy_ruleset *r, const struct policy_test *t,
	const struct addr *a, const struct policy_flow *f)
{
	const struct policy_set *s = walk_set(r, t->set);
	uint8_t element[24];
	size_t size = addr_size(a);
	assert_int_equal(s->family, t->family);
	if (a->family != family_af(t->family))
		return false; /* negated or not */
	memcpy(element, a->bytes, size);
	if (t->kind == POLICY_TEST_ADDR_PROTO_DPORT) {
		assert_int_equal(s->kind, POLICY_SET_ADDR_PORTS);
		size += port_element(f->proto, f->dport, element + size);
	} else {
		assert_true(s->kind == POLICY_SET_ADDRS || s->kind == POLICY_SET_NETS);
	}
	return set_has(s, element, size) != t->negated;
}

static bool in_ports(
	const struct policy_ruleset *r, const struct policy_test *t, uint8_t proto, uint16_t port)
{
	const struct policy_set *s = walk_set(r, t->set);
	uint8_t element[8];
	assert_int_equal(s->kind, POLICY_SET_PORTS);
	return set_has(s, element, port_element(proto, port, element)) != t->negated;
}

static bool in_pairs(
	const struct policy_ruleset *r, const struct policy_test *t, const struct walk_packet *p)
{
	const struct policy_set *s = walk_set(r, t->set);
	const int pair[] = {p->iif, p->oif};
	assert_int_equal(s->kind, POLICY_SET_LINK_PAIRS);
	return set_has(s, (const uint8_t *)pair, sizeof(pair)) != t->negated;
}

static bool in_range(const struct policy_test *t, unsigned int value)
{
	return (value >= t->from && value <= t->to) != t->negated;
}

static bool test_passes(
	const struct policy_ruleset *r, const struct policy_test *t, const struct walk_packet *p)
{
	const struct policy_flow *f = &p->flow;
	switch (t->kind) {
	case POLICY_TEST_FAMILY:
		return (f->source.family == t->from) != t->negated;
	case POLICY_TEST_SOURCE:
		return in_addrs(r, t, &f->source, f);
	case POLICY_TEST_DESTINATION:
	case POLICY_TEST_ADDR_PROTO_DPORT:
		return in_addrs(r, t, &f->destination, f);
	case POLICY_TEST_PROTO:
		return (f->proto == t->from) != t->negated;
	case POLICY_TEST_SPORT:
		return in_range(t, f->sport);
	case POLICY_TEST_DPORT:
		return in_range(t, f->dport);
	case POLICY_TEST_PROTO_SPORT:
		return in_ports(r, t, f->proto, f->sport);
	case POLICY_TEST_PROTO_DPORT:
		return in_ports(r, t, f->proto, f->dport);
	case POLICY_TEST_ICMP_TYPE:
		return (f->icmp_type == t->from) != t->negated;
	case POLICY_TEST_ICMP_CODE:
		return (f->icmp_code == t->from) != t->negated;
	case POLICY_TEST_HAIRPIN:
		return in_pairs(r, t, p);
	}
	fail_msg("test of kind %d", t->kind);
	return false;
}

static bool rule_passes(const struct policy_ruleset *r, const struct policy_chain_rule *rule,
	const struct walk_packet *p)
{
	for (size_t i = 0; i < rule->n_tests; i++) {
		if (!test_passes(r, &rule->tests[i], p))
			return false;
	}
	return true;
}

struct walk {
	const struct policy_ruleset *r;
	const struct walk_packet *p;
	const char *counter;
};

/* ACCEPT, DROP, or RETURN at the end of the chain. */
static enum policy_verdict walk_on(struct walk *w, const char *name, unsigned int depth)
{
	const struct policy_chain *c = walk_find(w->r, name);
	assert_in_range(depth, 0, DEPTH_MAX);
	for (size_t i = 0; i < c->n; i++) {
		const struct policy_chain_rule *rule = &c->rules[i];
		enum policy_verdict v = rule->verdict;
		if (!rule_passes(w->r, rule, w->p))
			continue;
		if (rule->counter[0])
			w->counter = rule->counter;
		if (v == POLICY_VERDICT_JUMP)
			v = walk_on(w, rule->chain, depth + 1);
		else if (v == POLICY_VERDICT_GOTO)
			return walk_on(w, rule->chain, depth);
		else if (v == POLICY_VERDICT_RETURN)
			return v;
		if (v == POLICY_VERDICT_ACCEPT || v == POLICY_VERDICT_DROP)
			return v;
	}
	return POLICY_VERDICT_RETURN;
}

enum policy_action walk_chain(const struct policy_ruleset *r, const char *chain,
	const struct walk_packet *p, const char **counter)
{
	struct walk w = {.r = r, .p = p};
	enum policy_verdict v = chain[0] ? walk_on(&w, chain, 0) : POLICY_VERDICT_ACCEPT;
	if (v == POLICY_VERDICT_RETURN)
		fail_msg("the class %s ends without a verdict", chain);
	if (counter)
		*counter = w.counter;
	return v == POLICY_VERDICT_ACCEPT ? POLICY_ALLOW : POLICY_DENY;
}

const struct policy_dispatch *walk_dispatch(const struct policy_ruleset *r, int link)
{
	for (size_t i = 0; i < r->n_dispatch; i++) {
		if (r->dispatch[i].link == link)
			return &r->dispatch[i];
	}
	return NULL;
}

/* The form */

static void check_set(const struct policy_set *s)
{
	const struct policy_elements *e = s->elements;
	size_t half = e->stride / 2;
	assert_non_null(e);
	for (size_t i = 0; i < e->n; i++) {
		const uint8_t *at = e->bytes + i * e->stride;
		if (s->kind == POLICY_SET_NETS)
			assert_true(memcmp(at, at + half, half) <= 0);
		if (i == 0)
			continue;
		if (s->kind == POLICY_SET_NETS)
			assert_true(memcmp(at - half, at, half) < 0);
		else
			assert_true(memcmp(at - e->stride, at, e->stride) < 0);
	}
}

static bool is_about_protocol(enum policy_test_kind k)
{
	return k == POLICY_TEST_SPORT || k == POLICY_TEST_DPORT || k == POLICY_TEST_ICMP_TYPE ||
	       k == POLICY_TEST_ICMP_CODE;
}

static void check_rule(const struct policy_ruleset *r, const struct policy_chain_rule *rule)
{
	bool has_proto = false;
	assert_in_range(rule->n_tests, 0, POLICY_TESTS);
	for (size_t i = 0; i < rule->n_tests; i++) {
		const struct policy_test *t = &rule->tests[i];
		has_proto |= t->kind == POLICY_TEST_PROTO && !t->negated;
		if (is_about_protocol(t->kind) && !has_proto)
			fail_msg("a port or type without a protocol");
		if (t->set[0])
			(void)walk_set(r, t->set);
	}
	bool is_jump = rule->verdict == POLICY_VERDICT_JUMP || rule->verdict == POLICY_VERDICT_GOTO;
	assert_int_equal(is_jump, rule->chain[0] != '\0');
	if (is_jump)
		(void)walk_find(r, rule->chain);
	if (rule->counter[0])
		assert_non_null(search_find(r->counters, r->n_counters, sizeof(*r->counters),
			rule->counter, compare_names));
}

static void check_sorted(const void *names, size_t n, size_t size)
{
	for (size_t i = 1; i < n; i++) {
		const char *at = (const char *)names + i * size;
		if (strcmp(at - size, at) >= 0)
			fail_msg("%s behind %s", at, at - size);
	}
}

void walk_check(const struct policy_ruleset *r)
{
	check_sorted(r->sets, r->n_sets, sizeof(*r->sets));
	check_sorted(r->chains, r->n_chains, sizeof(*r->chains));
	check_sorted(r->staged, r->n_staged, sizeof(*r->staged));
	check_sorted(r->counters, r->n_counters, sizeof(*r->counters));
	for (size_t i = 0; i < r->n_sets; i++)
		check_set(&r->sets[i]);
	for (size_t i = 0; i < r->n_chains; i++) {
		for (size_t k = 0; k < r->chains[i].n; k++)
			check_rule(r, &r->chains[i].rules[k]);
	}
	for (size_t i = 0; i < r->n_dispatch; i++) {
		const struct policy_dispatch *d = &r->dispatch[i];
		const char *const chains[] = {d->egress, d->ingress, d->to_host};
		assert_true(i == 0 || r->dispatch[i - 1].link < d->link);
		for (size_t k = 0; k < COUNT(chains); k++) {
			if (chains[k][0])
				(void)walk_find(r, chains[k]);
		}
	}
}
