/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The evaluator: a connection and a world become a verdict, and the trail of why. Pure, and made from
 * policy/rule.h and policy/world.h alone: it is the oracle that the compiler is tested against, looks through
 * the connections after a change, and explains to people.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/text.h"
#include "policy/world.h"

/* The first packet of a connection as it is forwarded: behind the translation of its destination, before
 * that of its source. A pod that reaches itself by a service: each Kubernetes NetworkPolicy that selects it
 * allows that, at its place. */
struct policy_flow {
	struct addr source, destination;
	uint8_t proto;	       /* IPPROTO_* */
	uint16_t sport, dport; /* host order */
	int16_t icmp_type, icmp_code;
	bool from_node; /* sent by the node that the destination is on: always allowed in */
	/* For a socket of the node that the source is on: Kubernetes' NetworkPolicies do not count. */
	bool to_node;
};

/* One step of a judgement, in order. Texts are heap, of the trail. */
enum policy_step_kind {
	POLICY_STEP_TIER,   /* a tier with policies that may select the pod begins */
	POLICY_STEP_POLICY, /* one that does */
	POLICY_STEP_MISS, /* a rule that does not match; rule -1: a policy that does not select the pod */
	POLICY_STEP_MATCH,   /* the rule that does */
	POLICY_STEP_END,     /* of the tier: its own action, or the next one */
	POLICY_STEP_VERDICT, /* and why */
};
struct policy_step {
	enum policy_step_kind kind;
	enum policy_direction direction;
	const struct policy *policy; /* NULL where it is about none; borrowed from the world */
	int rule;		     /* index; -1: none */
	bool staged;		     /* counts for the report only */
	char *text;		     /* a sentence for people */
};
struct policy_trail {
	struct policy_step *v;
	size_t n, room;
};
void policy_trail_done(struct policy_trail *t);

/* The verdict for one pod and direction: POLICY_ALLOW or POLICY_DENY. pod: the end that is judged; NULL: no pod
 * of the cluster, allowed. by (may be NULL): the policy that decided, NULL for a tier's end or no policy.
 * trail (added to) may be NULL, which is fast. with_staged: staged policies count as if they were
 * enforced, and in the place of the one of their kind and name. */
struct policy_question {
	const struct policy_flow *flow;
	enum policy_direction direction;
	const struct policy_pod *pod;
	bool with_staged;
};
enum policy_action policy_judge(const struct policy_world *w, const struct policy_question *q,
	const struct policy **by, struct policy_trail *trail);

/* Both ends, found by their addresses: source's egress, then destination's ingress. */
enum policy_action policy_judge_flow(const struct policy_world *w, const struct policy_flow *flow,
	bool with_staged, struct policy_trail *trail);

/* Whether a policy selects a pod (in any direction). */
bool policy_selects(
	const struct policy_world *w, const struct policy *p, const struct policy_pod *pod);
