/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel of this machine counted for policies, as its agent tells (docs/AGENT.md). The packets are the first
 * ones of connections. A policy that selects no pod of this node has no counters here.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "policy/rule.h"

struct counts {
	json_t *list; /* NULL: no agent was asked, or none answered */
};
/* Files have no kernel, so with them nobody is asked. An agent that is not there is no fault; what another fault
 * is, is said on stderr. */
void counts_ask(const struct options *o, struct counts *out);
void counts_done(struct counts *c);
#define CLEANUP_COUNTS __attribute__((cleanup(counts_done)))

/* Packets that a policy's rules allowed; that they denied, or that nothing allowed of pods that it isolates (alone or
 * with others, for each of which they count). false: it has no counters. */
struct counts_sum {
	uint64_t allowed, denied;
};
bool counts_sum(const struct counts *c, const struct policy *p, struct counts_sum *out);

/* All of it, for `policy show`: lines of a description; an object, null when no agent answered. */
void counts_print(const struct counts *c, const struct policy *p);
json_t *counts_object(const struct counts *c, const struct policy *p);
