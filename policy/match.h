/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether a rule matches a connection, and if not, by how little: what policy/judge.c asks rule after rule.
 */
#include <stdbool.h>

#include "lib/text.h"
#include "policy/judge.h"

/* A connection as one of its ends sees it. */
struct policy_view {
	const struct policy_world *w;
	const struct policy_flow *flow;
	enum policy_direction direction;
	const struct policy_pod *pod;  /* whose policies are asked */
	const struct policy_pod *peer; /* the other end; NULL: no pod's address */
};
const struct addr *policy_view_own(const struct policy_view *v); /* address of the pod's end */
const struct addr *policy_view_other(const struct policy_view *v);

/* why (may be NULL, which is fast) gets the first thing that does not match. */
bool policy_rule_matches(
	const struct policy_view *v, const struct policy_rule *r, struct text *why);

/* Whether a policy selects the pod, whatever its directions; why as above. */
bool policy_selects_pod(const struct policy_world *w, const struct policy *p,
	const struct policy_pod *pod, struct text *why);

/* For people: "80/TCP", "ICMP type 8", "a/web (10.0.0.1)", "10.0.0.1". */
void policy_say_proto(struct text *t, uint8_t proto);
void policy_say_ports(struct text *t, const struct policy_port *p, size_t n);
void policy_say_port(struct text *t, uint8_t proto, uint16_t port);
void policy_say_flow(struct text *t, const struct policy_flow *f); /* its protocol and port */
void policy_say_end(struct text *t, const struct policy_pod *pod, const struct addr *a);
