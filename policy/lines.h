/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rules of a policy as rules of a chain: what they mean is in policy/rule.h, what a chain can say in
 * policy/ruleset.h.
 */
#include <stdbool.h>

#include "policy/draft.h"
#include "policy/members.h"
#include "policy/objects.h"
#include "policy/rule.h"
#include "policy/world.h"

struct policy_lines_for {
	const struct policy_world *world;
	struct policy_members *members;
	struct policy_objects *objects;
	const struct policy *policy;
	enum policy_direction direction;
	/* The pod that is selected: ports that rules of ingress name are its. */
	const struct policy_pod *pod;
};

/* Adds the rules of one direction. Allow accepts, deny counts, logs and drops, pass returns; what no rule matches
 * goes on behind them. */
void policy_lines_add(const struct policy_lines_for *l, struct policy_draft *out);

bool policy_lines_pass(const struct policy *p, enum policy_direction d); /* some rule passes */
/* What the lines depend on beside the policy: network sets, named ports of the pod. */
bool policy_lines_need_sets(const struct policy *p, enum policy_direction d);
bool policy_lines_need_ports(const struct policy *p, enum policy_direction d);
