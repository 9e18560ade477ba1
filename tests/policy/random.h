/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Random clusters and policies for tests that compare two ways to judge. A case is a number, a step, and a list of
 * items that are left out: every item (a pod, a policy, a rule of it, a peer of the rule) draws its own dice, so
 * that leaving one out changes nothing of the others, and a case shrinks by leaving out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"
#include "policy/compile.h"
#include "policy/judge.h"
#include "policy/world.h"

#define RANDOM_ITEMS 2048
#define RANDOM_PODS 10
#define RANDOM_LINK 100 /* interface index of the first pod */
#define RANDOM_ENDS 64	/* addresses that flows go between */

struct random_case {
	uint64_t seed;
	unsigned int step; /* some items differ from one step to the next */
	uint8_t off[RANDOM_ITEMS / 8];
};

/* Tells the world every object of the case, as complete lists of every source: what it had before goes. */
void random_tell(const struct random_case *c, struct policy_world *w);

/* The pods of this node: those that own all their addresses. */
size_t random_locals(const struct random_case *c, const struct policy_world *w,
	struct policy_local out[RANDOM_PODS]);

/* Addresses: of pods, and of nobody. */
size_t random_ends(const struct random_case *c, struct addr out[RANDOM_ENDS]);

/* A packet between two addresses of one family. */
struct policy_flow random_flow(const struct random_case *c, unsigned int n, const struct addr *from,
	const struct addr *to);

/* Leaves out what it can while still_wrong(c, context) holds. */
void random_shrink(struct random_case *c, bool (*still_wrong)(const struct random_case *, void *),
	void *context);

/* What the case has, for people. */
void random_describe(const struct random_case *c, struct text *out);
