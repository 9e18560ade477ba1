/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel does with a packet under a rule set, as policy/ruleset.h promises it: an interpreter for tests,
 * which fails on whatever the kernel would refuse or has no meaning.
 */
#include "policy/judge.h"
#include "policy/ruleset.h"

struct walk_packet {
	struct policy_flow flow;
	int iif, oif; /* interface indexes; 0: none of ours */
};

/* Through a chain to which the dispatch goes: POLICY_ALLOW or POLICY_DENY. "": POLICY_ALLOW. counter (may be NULL)
 * gets the last one on the way. */
enum policy_action walk_chain(const struct policy_ruleset *r, const char *chain,
	const struct walk_packet *p, const char **counter);

/* The dispatch of a link; NULL: none, packets are dropped while they are pending and let be otherwise. */
const struct policy_dispatch *walk_dispatch(const struct policy_ruleset *r, int link);

/* Names are sorted and unique, references lead somewhere, elements are sorted, chains are no deeper than the
 * limit: fails where not. */
void walk_check(const struct policy_ruleset *r);
