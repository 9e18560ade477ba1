/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule is a conjunction of clauses (who the peer is, who the pod itself, which port, which source port, which
 * ICMP); a clause is a choice of terms; a term is some tests that must all pass. The lines of the rule are the
 * product of its clauses. It stays small, since every clause is made small first:
 *
 * - Prefixes of all peers that are nothing else, less what each excepts, are one set of intervals.
 * - Pods that one of many selectors matches are one group.
 * - Ports are arithmetic (policy/ranges.h): what is listed, less what is not meant, within the rule's protocol.
 *   Single ports are one set, each longer run a test of a range. If the product is large all the same, runs go
 *   into the set port by port.
 *
 * Negations that a test can say are tests of the common part. Others are choices: "not type 3 code 4" is
 * "another type, or type 3 and another code".
 *
 * What has an address in it is written for each family apart. A rule without any is one for both.
 */
#include "policy/lines.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "policy/ranges.h"

#define PEERS_APART 4 /* groups of pods of one rule; more are one group */
#define LINES_MANY 64 /* of one rule and family */

struct clause { /* one of the terms; always: every packet */
	struct policy_term_tests *v;
	size_t n, room;
	bool always;
};
enum clause_kind { /* in the order in which a line asks: numbers cost less than look-ups of addresses */
	CLAUSE_PORTS,
	CLAUSE_NOT_PORTS,
	CLAUSE_SOURCES,
	CLAUSE_ICMP,
	CLAUSE_NOT_ICMP,
	CLAUSE_PEERS,
	CLAUSE_SELF,
	CLAUSES
};

struct writing { /* of one rule for one family */
	const struct policy_lines_for *l;
	const struct policy_rule *rule;
	enum family family;
	bool has_family;	       /* the other family's lines are others */
	bool join_peers, list_ports;   /* the product was too large */
	struct policy_term_tests base; /* what is in every line */
	struct clause clauses[CLAUSES];
};

static void clause_add(struct clause *c, const struct policy_term_tests *t)
{
	c->v = mem_grow(c->v, &c->room, c->n, sizeof(*c->v));
	c->v[c->n++] = *t;
}

static void clause_add_one(struct clause *c, const struct policy_test *t)
{
	struct policy_term_tests one = {0};
	(void)policy_tests_add(&one, t);
	clause_add(c, &one);
}

/* Tests */

static struct policy_test test_proto(uint8_t proto, bool negated)
{
	return (struct policy_test){
		.kind = POLICY_TEST_PROTO, .from = proto, .to = proto, .negated = negated};
}

static struct policy_test test_range(enum policy_test_kind kind, uint16_t from, uint16_t to)
{
	return (struct policy_test){.kind = kind, .from = from, .to = to};
}

static struct policy_test test_set(enum policy_test_kind kind, enum family f, const char *set)
{
	struct policy_test t = {.kind = kind, .family = f};
	(void)text_copy(t.set, sizeof(t.set), set);
	return t;
}

static struct policy_test test_group(
	const struct writing *w, enum policy_test_kind kind, struct policy_group *g, bool negated)
{
	enum policy_action a = w->rule->action;
	bool passes = a == POLICY_PASS; /* what is behind it may be either */
	policy_objects_group(w->l->objects, g, passes || (a == POLICY_ALLOW) != negated,
		passes || (a == POLICY_DENY) != negated);
	struct policy_test t = test_set(kind, w->family, policy_group_name(g, w->family));
	t.negated = negated;
	return t;
}

/* Addresses: NULL elements are nobody's. */
static struct policy_test test_nets(
	const struct writing *w, enum policy_test_kind kind, struct policy_elements *e)
{
	char set[POLICY_OBJECT_NAME];
	policy_objects_nets(w->l->objects, w->family, e, set);
	return test_set(kind, w->family, set);
}

/* Ends */

static bool end_names_pods(const struct policy_end *e)
{
	return e->own[0] || e->namespaces || e->pods || e->accounts || e->n_account_names > 0;
}

static bool end_is_anybody(const struct policy_end *e)
{
	return !e->nobody && !end_names_pods(e) && !e->not_pods && e->n_nets == 0 &&
	       e->n_not_nets == 0;
}

static bool netset_is_meant(
	const struct policy_world *w, const struct policy_end *e, const struct policy_netset *s)
{
	bool is_global = e->namespaces && policy_selector_is_global(e->namespaces);
	if (e->accounts || e->n_account_names > 0)
		return false;
	if (e->pods && !policy_selector_matches(e->pods, &s->labels))
		return false;
	if (!s->namespace[0])
		return !e->own[0] && (!e->namespaces || is_global);
	if (e->own[0] && strcmp(e->own, s->namespace) != 0)
		return false;
	if (!e->namespaces)
		return true;
	const struct policy_namespace *n = policy_world_namespace(w, s->namespace);
	return !is_global &&
	       policy_selector_matches(e->namespaces, n ? &n->labels : &(struct policy_labels){0});
}

/* The prefixes of network sets that stand for pods of this end. */
static void ranges_of_netsets(
	const struct policy_world *w, const struct policy_end *e, struct policy_ranges *out)
{
	size_t n = 0;
	const struct policy_netset *const *sets = e->has_sets ? policy_world_netsets(w, &n) : NULL;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; netset_is_meant(w, e, sets[i]) && k < sets[i]->n_nets; k++)
			policy_ranges_add(out, &sets[i]->nets[k], NULL, 0);
	}
}

static void ranges_of_nets(const struct policy_end *e, struct policy_ranges *out)
{
	for (size_t i = 0; i < e->n_nets; i++)
		policy_ranges_add(out, &e->nets[i].net, e->nets[i].excepts, e->nets[i].n_excepts);
}

static void term_not_in(const struct writing *w, enum policy_test_kind side,
	struct policy_ranges *ranges, struct policy_term_tests *term)
{
	struct policy_elements *e = policy_ranges_elements(ranges);
	policy_ranges_done(ranges);
	if (!e)
		return;
	struct policy_test t = test_nets(w, side, e);
	t.negated = true;
	(void)policy_tests_add(term, &t);
}

/* What an end asks for beside pods. false: nobody of this family is so. */
static bool end_common(const struct writing *w, const struct policy_end *e,
	enum policy_test_kind side, struct policy_term_tests *term)
{
	struct policy_ranges nets = {.family = w->family};
	ranges_of_nets(e, &nets);
	struct policy_elements *in = policy_ranges_elements(&nets);
	policy_ranges_done(&nets);
	if (e->n_nets > 0 && !in)
		return false;
	if (in) {
		struct policy_test t = test_nets(w, side, in);
		(void)policy_tests_add(term, &t);
	}
	for (size_t i = 0; i < e->n_not_nets; i++)
		policy_ranges_add(&nets, &e->not_nets[i], NULL, 0);
	term_not_in(w, side, &nets, term);
	if (!e->not_pods)
		return true;
	struct policy_test t =
		test_group(w, side, policy_members_of_selector(w->l->members, e->not_pods), true);
	(void)policy_tests_add(term, &t);
	struct policy_end only = {.pods = e->not_pods, .has_sets = e->has_sets};
	ranges_of_netsets(w->l->world, &only, &nets);
	term_not_in(w, side, &nets, term);
	return true;
}

static void clause_add_group(const struct writing *w, enum policy_test_kind side,
	struct policy_group *g, const struct policy_term_tests *common, struct clause *out)
{
	struct policy_term_tests term = *common;
	struct policy_test t = test_group(w, side, g, false);
	(void)policy_tests_add(&term, &t);
	clause_add(out, &term);
}

static void clause_add_nets(const struct writing *w, enum policy_test_kind side,
	struct policy_ranges *ranges, const struct policy_term_tests *common, struct clause *out)
{
	struct policy_term_tests term = *common;
	struct policy_elements *e = policy_ranges_elements(ranges);
	policy_ranges_done(ranges);
	if (!e)
		return;
	struct policy_test t = test_nets(w, side, e);
	(void)policy_tests_add(&term, &t);
	clause_add(out, &term);
}

/* The terms of one end by itself. */
static void clause_add_end(const struct writing *w, const struct policy_end *e,
	enum policy_test_kind side, struct clause *out)
{
	struct policy_term_tests common = {0};
	struct policy_ranges sets = {.family = w->family};
	if (e->nobody || !end_common(w, e, side, &common))
		return;
	if (!end_names_pods(e)) {
		clause_add(out, &common);
		return;
	}
	clause_add_group(w, side, policy_members_of_ends(w->l->members, &e, 1), &common, out);
	ranges_of_netsets(w->l->world, e, &sets);
	clause_add_nets(w, side, &sets, &common, out);
}

static bool end_is_pods_alone(const struct policy_end *e)
{
	return !e->nobody && end_names_pods(e) && !e->not_pods && e->n_nets == 0 &&
	       e->n_not_nets == 0;
}

static bool end_is_nets_alone(const struct policy_end *e)
{
	return !e->nobody && !end_names_pods(e) && !e->not_pods && e->n_not_nets == 0 &&
	       e->n_nets > 0;
}

/* Groups of peers that are pods and nothing else: apart while they are few. */
static void clause_add_pods(const struct writing *w, enum policy_test_kind side,
	const struct policy_end *const *pods, size_t n, struct clause *out)
{
	static const struct policy_term_tests nothing;
	bool join = n > PEERS_APART || (n > 1 && w->join_peers);
	for (size_t i = 0; !join && i < n; i++)
		clause_add_group(
			w, side, policy_members_of_ends(w->l->members, &pods[i], 1), &nothing, out);
	if (join)
		clause_add_group(
			w, side, policy_members_of_ends(w->l->members, pods, n), &nothing, out);
}

static void clause_of_peers(struct writing *w, enum policy_test_kind side, struct clause *out)
{
	static const struct policy_term_tests nothing;
	const struct policy_rule *r = w->rule;
	CLEANUP_FREE const struct policy_end **pods =
		mem_new(r->n_peers, sizeof(struct policy_end *));
	struct policy_ranges nets = {.family = w->family};
	size_t n = 0;
	out->always = r->n_peers == 0;
	for (size_t i = 0; i < r->n_peers && !out->always; i++)
		out->always = end_is_anybody(&r->peers[i]);
	if (out->always)
		return;
	w->has_family = true;
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct policy_end *e = &r->peers[i];
		if (end_is_pods_alone(e)) {
			pods[n++] = e;
			ranges_of_netsets(w->l->world, e, &nets);
		} else if (end_is_nets_alone(e)) {
			ranges_of_nets(e, &nets);
		} else {
			clause_add_end(w, e, side, out);
		}
	}
	clause_add_pods(w, side, pods, n, out);
	clause_add_nets(w, side, &nets, &nothing, out);
}

static void clause_of_self(struct writing *w, enum policy_test_kind side, struct clause *out)
{
	out->always = end_is_anybody(&w->rule->self);
	if (out->always)
		return;
	w->has_family = true;
	clause_add_end(w, &w->rule->self, side, out);
}

/* Ports */

struct side_of_ports {
	enum policy_test_kind one, set;
};
static const struct side_of_ports of_destination = {POLICY_TEST_DPORT, POLICY_TEST_PROTO_DPORT};
static const struct side_of_ports of_source = {POLICY_TEST_SPORT, POLICY_TEST_PROTO_SPORT};

struct port_elements {
	uint8_t (*v)[8];
	size_t n, room;
};

static void elements_add(struct port_elements *e, uint8_t proto, uint16_t first, uint16_t last)
{
	for (uint32_t i = first; i <= last; i++) {
		e->v = mem_grow(e->v, &e->room, e->n, sizeof(*e->v));
		memcpy(e->v[e->n++], (uint8_t[8]){proto, [4] = (uint8_t)(i >> 8), (uint8_t)i}, 8);
	}
}

static int compare_elements(const void *a, const void *b)
{
	return memcmp(a, b, 8);
}

/* Single ports: a test of the number, or of a set. */
static void clause_add_singles(const struct writing *w, const struct side_of_ports *side,
	struct port_elements *singles, struct clause *out)
{
	if (singles->n == 1) {
		const uint8_t *p = singles->v[0];
		uint16_t port = (uint16_t)(p[4] << 8 | p[5]);
		struct policy_term_tests term = {
			.n = 2, .v = {test_proto(p[0], false), test_range(side->one, port, port)}};
		clause_add(out, &term);
	} else if (singles->n > 1) {
		char set[POLICY_OBJECT_NAME];
		struct policy_elements *e = policy_elements_new(singles->n, 8);
		qsort(singles->v, singles->n, 8, compare_elements);
		memcpy(e->bytes, singles->v, singles->n * 8);
		policy_objects_ports(w->l->objects, e, set);
		struct policy_test t = test_set(side->set, IPV4, set);
		clause_add_one(out, &t);
	}
	free(singles->v);
}

static void clause_add_proto(const struct writing *w, const struct side_of_ports *side,
	const struct policy_ports_of *p, struct port_elements *singles, struct clause *out)
{
	uint16_t first, last;
	for (uint32_t from = 0; policy_ports_run(p, &from, &first, &last);) {
		struct policy_term_tests term = {.n = 1, .v = {test_proto(p->proto, false)}};
		bool is_all = first == 0 && last == UINT16_MAX;
		if (!is_all && (first == last || w->list_ports)) {
			elements_add(singles, p->proto, first, last);
			continue;
		}
		if (!is_all)
			term.v[term.n++] = test_range(side->one, first, last);
		clause_add(out, &term);
	}
}

static void clause_of_space(const struct writing *w, const struct side_of_ports *side,
	const struct policy_ports *space, struct clause *out)
{
	struct port_elements singles = {0};
	if (space->others && space->n == 0) {
		out->always = true;
		return;
	}
	if (space->others) {
		struct policy_term_tests term = {0};
		for (size_t i = 0; i < space->n; i++) {
			struct policy_test t = test_proto(space->v[i]->proto, true);
			(void)policy_tests_add(&term, &t);
		}
		clause_add(out, &term);
	}
	for (size_t i = 0; i < space->n; i++)
		clause_add_proto(w, side, space->v[i], &singles, out);
	clause_add_singles(w, side, &singles, out);
}

/* The numbers that a port stands for, added or taken away. Names are the selected pod's, where it is the
 * destination; of others they are no numbers. */
typedef void (*space_change)(struct policy_ports *, uint8_t, uint16_t, uint16_t);

static void space_apply(const struct writing *w, const struct policy_port *p, space_change change,
	struct policy_ports *space)
{
	const struct policy_pod *pod = w->l->direction == POLICY_INGRESS ? w->l->pod : NULL;
	if (!p->name[0]) {
		change(space, p->proto, p->first, p->last);
		return;
	}
	for (size_t i = 0; pod && i < pod->n_ports; i++) {
		const struct policy_port *has = &pod->ports[i];
		if (has->proto == p->proto && strcmp(has->name, p->name) == 0)
			change(space, p->proto, has->first, has->first);
	}
}

static void space_of(const struct writing *w, const struct policy_port *ports, size_t n,
	struct policy_ports *space)
{
	bool all = n == 0;
	for (size_t i = 0; i < n && !all; i++)
		all = ports[i].proto == 0;
	if (all)
		policy_ports_all(space);
	for (size_t i = 0; i < n && !all; i++)
		space_apply(w, &ports[i], policy_ports_add, space);
	if (w->rule->proto)
		policy_ports_only(space, w->rule->proto);
}

static void space_less(const struct writing *w, const struct policy_port *ports, size_t n,
	struct policy_ports *space)
{
	for (size_t i = 0; i < n; i++) {
		if (ports[i].proto == 0)
			policy_ports_none(space);
		else if (!w->rule->proto || ports[i].proto == w->rule->proto)
			space_apply(w, &ports[i], policy_ports_remove, space);
	}
}

/* Of other pods: addresses with their numbers behind these names; NULL: no name is meant. */
static struct policy_group *group_of_names(
	const struct writing *w, const struct policy_port *ports, size_t n)
{
	CLEANUP_FREE const struct policy_port **named = mem_new(n, sizeof(struct policy_port *));
	size_t found = 0;
	for (size_t i = 0; i < n; i++) {
		if (ports[i].name[0] && (!w->rule->proto || ports[i].proto == w->rule->proto))
			named[found++] = &ports[i];
	}
	return found ? policy_members_of_ports(w->l->members, named, found) : NULL;
}

static bool is_any_port(const struct policy_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ports[i].proto == 0)
			return true;
	}
	return false;
}

static void clause_of_ports(struct writing *w)
{
	const struct policy_rule *r = w->rule;
	bool is_egress = w->l->direction == POLICY_EGRESS;
	struct policy_group *names = NULL, *not_names = NULL;
	struct policy_ports space = {0};
	if (is_egress && !is_any_port(r->ports, r->n_ports))
		names = group_of_names(w, r->ports, r->n_ports);
	if (is_egress)
		not_names = group_of_names(w, r->not_ports, r->n_not_ports);
	space_of(w, r->ports, r->n_ports, &space);
	if (!names)
		space_less(w, r->not_ports, r->n_not_ports, &space);
	clause_of_space(w, &of_destination, &space, &w->clauses[CLAUSE_PORTS]);
	policy_ports_done(&space);
	if (names) {
		struct policy_test t = test_group(w, POLICY_TEST_ADDR_PROTO_DPORT, names, false);
		clause_add_one(&w->clauses[CLAUSE_PORTS], &t);
		space_of(w, NULL, 0, &space);
		space_less(w, r->not_ports, r->n_not_ports, &space);
		clause_of_space(w, &of_destination, &space, &w->clauses[CLAUSE_NOT_PORTS]);
		policy_ports_done(&space);
	} else {
		w->clauses[CLAUSE_NOT_PORTS].always = true;
	}
	if (not_names) {
		struct policy_test t = test_group(w, POLICY_TEST_ADDR_PROTO_DPORT, not_names, true);
		(void)policy_tests_add(&w->base, &t);
	}
	w->has_family |= names || not_names;
}

static void clause_of_sources(struct writing *w, struct clause *out)
{
	const struct policy_rule *r = w->rule;
	struct policy_ports space = {0};
	space_of(w, r->sources, r->n_sources, &space);
	space_less(w, r->not_sources, r->n_not_sources, &space);
	clause_of_space(w, &of_source, &space, out);
	policy_ports_done(&space);
}

/* ICMP */

static const uint8_t icmps[] = {IPPROTO_ICMP, IPPROTO_ICMPV6};

static void clause_of_icmp(const struct writing *w, struct clause *out)
{
	const struct policy_icmp *i = &w->rule->icmp;
	out->always = i->type < 0;
	for (size_t k = 0; k < sizeof(icmps) && !out->always; k++) {
		struct policy_term_tests term = {.n = 2,
			.v = {test_proto(icmps[k], false),
				test_range(POLICY_TEST_ICMP_TYPE, (uint16_t)i->type,
					(uint16_t)i->type)}};
		if (i->code >= 0)
			term.v[term.n++] = test_range(
				POLICY_TEST_ICMP_CODE, (uint16_t)i->code, (uint16_t)i->code);
		clause_add(out, &term);
	}
}

static void clause_of_not_icmp(const struct writing *w, struct clause *out)
{
	const struct policy_icmp *i = &w->rule->not_icmp;
	out->always = i->type < 0;
	if (out->always)
		return;
	struct policy_term_tests others = {
		.n = 2, .v = {test_proto(IPPROTO_ICMP, true), test_proto(IPPROTO_ICMPV6, true)}};
	clause_add(out, &others);
	for (size_t k = 0; k < sizeof(icmps); k++) {
		struct policy_test type =
			test_range(POLICY_TEST_ICMP_TYPE, (uint16_t)i->type, (uint16_t)i->type);
		struct policy_test code =
			test_range(POLICY_TEST_ICMP_CODE, (uint16_t)i->code, (uint16_t)i->code);
		code.negated = true;
		struct policy_term_tests term = {
			.n = 3, .v = {test_proto(icmps[k], false), type, code}};
		if (i->code >= 0)
			clause_add(out, &term);
		term.v[1].negated = true;
		term.n = 2;
		clause_add(out, &term);
	}
}

/* Lines */

/* How many the product has; SIZE_MAX: too many to count. */
static size_t writing_lines(const struct writing *w)
{
	size_t product = 1;
	for (size_t i = 0; i < CLAUSES; i++) {
		const struct clause *c = &w->clauses[i];
		if (!c->always && __builtin_mul_overflow(product, c->n, &product))
			return SIZE_MAX;
	}
	return product;
}

/* Whether they are many, and more than what is written of the rule accounts for. */
static bool writing_is_large(const struct writing *w)
{
	size_t lines = writing_lines(w), terms = 0;
	for (size_t i = 0; i < CLAUSES; i++)
		terms += w->clauses[i].n;
	return lines > LINES_MANY && lines / 2 > terms;
}

/* Tests that no clause says: the protocol is with the ports. */
static void writing_base(struct writing *w)
{
	if (w->rule->not_proto) {
		struct policy_test t = test_proto(w->rule->not_proto, true);
		(void)policy_tests_add(&w->base, &t);
	}
}

static void writing_clauses(struct writing *w)
{
	bool is_in = w->l->direction == POLICY_INGRESS;
	enum policy_test_kind peer = is_in ? POLICY_TEST_SOURCE : POLICY_TEST_DESTINATION;
	enum policy_test_kind own = is_in ? POLICY_TEST_DESTINATION : POLICY_TEST_SOURCE;
	writing_base(w);
	clause_of_peers(w, peer, &w->clauses[CLAUSE_PEERS]);
	clause_of_self(w, own, &w->clauses[CLAUSE_SELF]);
	clause_of_ports(w);
	clause_of_sources(w, &w->clauses[CLAUSE_SOURCES]);
	clause_of_icmp(w, &w->clauses[CLAUSE_ICMP]);
	clause_of_not_icmp(w, &w->clauses[CLAUSE_NOT_ICMP]);
}

static void writing_clear(struct writing *w)
{
	for (size_t i = 0; i < CLAUSES; i++) {
		free(w->clauses[i].v);
		w->clauses[i] = (struct clause){0};
	}
	w->base.n = 0;
}

static bool tests_imply_family(const struct policy_term_tests *t)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].kind == POLICY_TEST_SOURCE || t->v[i].kind == POLICY_TEST_DESTINATION ||
			t->v[i].kind == POLICY_TEST_ADDR_PROTO_DPORT)
			return true;
	}
	return false;
}

static void line_add(const struct writing *w, const struct policy_chain_rule *rule,
	const struct policy_term_tests *tests, struct policy_draft *out)
{
	uint8_t af = family_af(w->family);
	struct policy_term_tests all = {0};
	if ((w->has_family || w->rule->family) && !tests_imply_family(tests)) {
		struct policy_test t = test_range(POLICY_TEST_FAMILY, af, af);
		(void)policy_tests_add(&all, &t);
	}
	(void)policy_tests_join(&all, tests);
	policy_draft_add(out, rule, &all);
}

/* Every choice of one term of each clause, as if counting with a wheel for each. */
static void writing_product(
	const struct writing *w, const struct policy_chain_rule *rule, struct policy_draft *out)
{
	size_t wheel[CLAUSES] = {0}, turned = 0;
	if (writing_lines(w) == 0)
		return;
	while (turned < CLAUSES) {
		struct policy_term_tests tests = {0};
		bool possible = true;
		for (size_t i = 0; i < CLAUSES && possible; i++)
			possible = w->clauses[i].always ||
				   policy_tests_join(&tests, &w->clauses[i].v[wheel[i]]);
		if (possible && policy_tests_join(&tests, &w->base))
			line_add(w, rule, &tests, out);
		for (turned = 0; turned < CLAUSES; turned++) {
			if (!w->clauses[turned].always && ++wheel[turned] < w->clauses[turned].n)
				break;
			wheel[turned] = 0;
		}
	}
}

/* What a rule does. Counters are the policy's, whatever becomes of its rules. */
static struct policy_chain_rule line_of_action(
	const struct policy_lines_for *l, enum policy_action action)
{
	static const struct {
		char counter[2];
		enum policy_verdict verdict;
		bool logs;
	} actions[] = {[POLICY_ALLOW] = {{POLICY_COUNTS_ALLOWED}, POLICY_VERDICT_ACCEPT, false},
		[POLICY_DENY] = {{POLICY_COUNTS_DENIED}, POLICY_VERDICT_DROP, true},
		[POLICY_PASS] = {"", POLICY_VERDICT_RETURN, false},
		[POLICY_LOG] = {{POLICY_COUNTS_LOGGED}, POLICY_VERDICT_NEXT, true}};
	struct policy_chain_rule rule = {.verdict = actions[action].verdict};
	const char *title = POLICY_STRING(l->policy);
	if (actions[action].counter[0]) {
		policy_object_name(actions[action].counter, title, strlen(title), rule.counter);
		policy_objects_counter(l->objects, rule.counter, title);
	}
	if (actions[action].logs) {
		struct text log = TEXT_ON(rule.log);
		text_add(
			&log, "%s %s", l->direction == POLICY_INGRESS ? "in" : "out", rule.counter);
	}
	return rule;
}

/* Lines of one family. true: those of the other one are others. */
static bool rule_of_family(const struct policy_lines_for *l, const struct policy_rule *r,
	enum family f, struct policy_draft *out)
{
	struct writing w = {.l = l, .rule = r, .family = f};
	struct policy_chain_rule line = line_of_action(l, r->action);
	writing_clauses(&w);
	if (writing_is_large(&w)) {
		writing_clear(&w);
		w.join_peers = true;
		writing_clauses(&w);
	}
	if (writing_is_large(&w)) {
		writing_clear(&w);
		w.list_ports = true;
		writing_clauses(&w);
	}
	writing_product(&w, &line, out);
	writing_clear(&w);
	return w.has_family;
}

static void rule_add(
	const struct policy_lines_for *l, const struct policy_rule *r, struct policy_draft *out)
{
	for (int f = IPV4; f < FAMILIES; f++) {
		if (r->family && r->family != family_af((enum family)f))
			continue;
		if (!rule_of_family(l, r, (enum family)f, out))
			return;
	}
}

void policy_lines_add(const struct policy_lines_for *l, struct policy_draft *out)
{
	for (size_t i = 0; i < l->policy->n_rules[l->direction]; i++)
		rule_add(l, &l->policy->rules[l->direction][i], out);
}

bool policy_lines_pass(const struct policy *p, enum policy_direction d)
{
	for (size_t i = 0; i < p->n_rules[d]; i++) {
		if (p->rules[d][i].action == POLICY_PASS)
			return true;
	}
	return false;
}

static bool rule_needs_sets(const struct policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		if (r->peers[i].has_sets)
			return true;
	}
	return r->self.has_sets;
}

bool policy_lines_need_sets(const struct policy *p, enum policy_direction d)
{
	for (size_t i = 0; i < p->n_rules[d]; i++) {
		if (rule_needs_sets(&p->rules[d][i]))
			return true;
	}
	return false;
}

static bool has_name(const struct policy_port *ports, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ports[i].name[0])
			return true;
	}
	return false;
}

bool policy_lines_need_ports(const struct policy *p, enum policy_direction d)
{
	for (size_t i = 0; d == POLICY_INGRESS && i < p->n_rules[d]; i++) {
		const struct policy_rule *r = &p->rules[d][i];
		if (has_name(r->ports, r->n_ports) || has_name(r->not_ports, r->n_not_ports))
			return true;
	}
	return false;
}
