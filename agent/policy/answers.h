/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What people ask of network policy at the agent's socket: why a connection is allowed or not, and what the rules
 * counted. docs/AGENT.md has requests and answers.
 */
#include <jansson.h>
#include <stdbool.h>

#include "agent/policy/writer.h"
#include "lib/err.h"
#include "policy/compile.h"
#include "policy/world.h"

struct answers_view {
	const struct policy_world *world;
	const struct policy_compiler *compiler;
	struct policy_writer *writer;
	bool told; /* the world is known to its end */
};

/* "policy-explain": both directions, by the evaluator. -EINVAL: the request; -ENOENT: there is no such pod;
 * -EAGAIN: nothing is known yet. *out is the caller's. */
int answers_explain(
	const struct answers_view *v, const json_t *request, json_t **out, struct err *e);

/* "policy": every policy with its problems, and the counters of the kernel. "policy-counters": those alone. */
json_t *answers_policies(const struct answers_view *v);
json_t *answers_counters(const struct answers_view *v);
