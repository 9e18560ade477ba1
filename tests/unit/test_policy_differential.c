/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiler against the evaluator: random clusters and policies, every pair of addresses, some packets for
 * each; what an interpreter of the rule set does with a packet must be what the evaluator says. The same
 * world then changes step by step, and the rule set that follows the changes must be, object by object, that
 * of a compiler that begins with the changed world.
 *
 * A disagreement is printed as the smallest case. With arguments: how many cases, and the first one's number.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/compile.h"
#include "policy/judge.h"
#include "tests/policy/random.h"
#include "tests/policy/walk.h"

#define STEPS 4
#define PROBES 4 /* of each pair of addresses */

static unsigned int n_cases = 100;
static uint64_t first_case = 1;

/* A case in the making: the world at its step, and what was compiled of it on the way there. */
struct trial {
	const struct random_case *c;
	struct policy_world *w;
	struct policy_local locals[RANDOM_PODS];
	size_t n_locals;
	struct policy_ruleset r;
	struct text *why; /* may be NULL */
};

static int link_of(const struct trial *t, const struct policy_pod *p)
{
	for (size_t i = 0; p && i < t->n_locals; i++) {
		if (strcmp(t->locals[i].name, p->name) == 0)
			return t->locals[i].link;
	}
	return 0;
}

enum way { WAY_OUT, WAY_IN, WAY_TO_HOST, WAYS };

static const char *chain_of(const struct policy_dispatch *d, enum way way)
{
	return way == WAY_IN ? d->ingress : way == WAY_OUT ? d->egress : d->to_host;
}

/* true: the two disagree. */
static bool packet_is_wrong(const struct trial *t, const struct walk_packet *p, enum way way)
{
	static const char *const ways[] = {"out", "in", "to the host"};
	struct policy_question q = {.flow = &p->flow,
		.direction = way == WAY_IN ? POLICY_INGRESS : POLICY_EGRESS,
		.pod = policy_world_owner(
			t->w, way == WAY_IN ? &p->flow.destination : &p->flow.source)};
	int link = link_of(t, q.pod);
	if (!link)
		return false;
	const struct policy_dispatch *d = walk_dispatch(&t->r, link);
	if (!d)
		fail_msg("link %d is in no dispatch", link);
	const char *counter = NULL;
	enum policy_action kernel = walk_chain(&t->r, chain_of(d, way), p, &counter);
	if (kernel == policy_judge(t->w, &q, NULL, NULL))
		return false;
	if (t->why)
		text_add(t->why,
			"%s of %s/%s: %s -> %s proto %u ports %u -> %u icmp %d/%d: the rule set %s "
			"(%s)\n",
			ways[way], q.pod->namespace, q.pod->name, ADDR_STRING(&p->flow.source),
			ADDR_STRING(&p->flow.destination), p->flow.proto, p->flow.sport,
			p->flow.dport, p->flow.icmp_type, p->flow.icmp_code,
			kernel == POLICY_ALLOW ? "allows" : "denies", counter ? counter : "");
	return true;
}

static bool pair_is_wrong(
	const struct trial *t, unsigned int n, const struct addr *from, const struct addr *to)
{
	struct walk_packet p = {.iif = link_of(t, policy_world_owner(t->w, from)),
		.oif = link_of(t, policy_world_owner(t->w, to))};
	for (unsigned int i = 0; i < PROBES && (p.iif || p.oif); i++) {
		p.flow = random_flow(t->c, n * PROBES + i, from, to);
		if (packet_is_wrong(t, &p, WAY_OUT) || packet_is_wrong(t, &p, WAY_IN))
			return true;
		struct walk_packet local = p;
		local.flow.to_node = true;
		local.oif = 0;
		if (packet_is_wrong(t, &local, WAY_TO_HOST))
			return true;
	}
	return false;
}

static bool packets_are_wrong(const struct trial *t)
{
	struct addr ends[RANDOM_ENDS];
	size_t n = random_ends(t->c, ends);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++) {
			if (ends[i].family == ends[k].family &&
				pair_is_wrong(t, (unsigned int)(i * n + k), &ends[i], &ends[k]))
				return true;
		}
	}
	return false;
}

/* Whether what came of following the changes differs from a new beginning. */
static bool following_is_wrong(const struct trial *t)
{
	CLEANUP_TEXT struct text followed = {0}, fresh = {0};
	text_add(&followed, "\n"); /* there may be nothing to say */
	text_add(&fresh, "\n");
	struct policy_compiler *c = policy_compiler_new(t->w);
	struct policy_ruleset r;
	policy_compile(c, t->locals, t->n_locals, &r);
	policy_ruleset_describe(&t->r, &followed);
	policy_ruleset_describe(&r, &fresh);
	bool wrong = strcmp(followed.buf, fresh.buf) != 0;
	if (wrong && t->why)
		text_add(t->why, "followed:\n%sanew:\n%s", followed.buf, fresh.buf);
	policy_ruleset_done(&r);
	policy_compiler_free(c);
	return wrong;
}

static bool case_is_wrong(const struct random_case *c, void *why)
{
	struct random_case at = *c;
	struct trial t = {.c = &at, .w = policy_world_new(), .why = why};
	struct policy_compiler *compiler = policy_compiler_new(t.w);
	bool wrong = false;
	for (at.step = 0; at.step <= c->step && !wrong; at.step++) {
		random_tell(&at, t.w);
		t.n_locals = random_locals(&at, t.w, t.locals);
		policy_compile(compiler, t.locals, t.n_locals, &t.r);
		walk_check(&t.r);
		wrong = packets_are_wrong(&t);
		if (!wrong && at.step > 0)
			wrong = following_is_wrong(&t);
		if (wrong && why)
			policy_ruleset_describe(&t.r, why);
		policy_ruleset_done(&t.r);
	}
	policy_compiler_free(compiler);
	policy_world_free(t.w);
	return wrong;
}

TEST(compiler_and_evaluator_agree_on_every_packet)
{
	for (unsigned int i = 0; i < n_cases; i++) {
		struct random_case c = {.seed = first_case + i, .step = STEPS};
		if (!case_is_wrong(&c, NULL))
			continue;
		CLEANUP_TEXT struct text why = {0};
		random_shrink(&c, case_is_wrong, NULL);
		random_describe(&c, &why);
		(void)case_is_wrong(&c, &why);
		(void)fputs(why.buf, stderr); /* cmocka's buffer is too short */
		fail_msg("case %llu", (unsigned long long)c.seed);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compiler_and_evaluator_agree_on_every_packet),
	};
	if (argc > 1)
		n_cases = (unsigned int)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_case = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
