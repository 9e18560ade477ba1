/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The compiler: a world and this node's pods become a rule set (policy/ruleset.h). Pure, but that it keeps
 * which addresses are members of which selectors, and of each policy the chains that it made of it: so a pod
 * that comes, goes or is relabelled costs its own memberships, and a policy its own chains.
 *
 * Chains are made for policies that select pods of this node alone, sets for selectors of those policies.
 * Pods of the same policies and the same numbers behind their named ports share a class chain.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/text.h"
#include "policy/ruleset.h"
#include "policy/world.h"

/* A pod of this node, as the node state and the kernel know it. */
struct policy_local {
	int link; /* interface index of the host end; 0: not yet there (staged) */
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME], uid[64]; /* uid "": not known */
	struct addr addrs
		[POLICY_ADDRESSES]; /* those that this node gave it; they count beside the world's */
	size_t n_addrs;
};

struct policy_compiler;
struct policy_compiler *policy_compiler_new(
	struct policy_world *w);		      /* takes the world's changes; borrowed */
void policy_compiler_free(struct policy_compiler *c); /* takes NULL */

/* The rule set as it shall be now. A local pod that the world lacks is in no dispatch (it waits, pending) unless
 * it was in one before: then it keeps its classes until its link goes. The caller ends *out. */
void policy_compile(struct policy_compiler *c, const struct policy_local *locals, size_t n,
	struct policy_ruleset *out);

/* The last rule set may forbid something that the one before allowed: connections want a look. */
bool policy_compiler_forbids(const struct policy_compiler *c);

/* What ADD has to know before the agent acts (ipam/node_policy.h): in which namespaces, and for which ways,
 * policies may select pods; and the same for a namespace that is not known. As of the last rule set, sorted by name; the
 * caller frees *out. */
struct policy_closed {
	char namespace[POLICY_NAMESPACE]; /* "": any that is not in the list */
	bool ways[POLICY_WAYS];
};
size_t policy_compiler_closed(const struct policy_compiler *c, struct policy_closed **out);

/* What a counter or the prefix of a log is about (policy/ruleset.h has the kinds). false: not known. */
struct policy_counted {
	char kind;   /* POLICY_COUNTS_... */
	char way[8]; /* of POLICY_COUNTS_ISOLATED: "in", "out", "host"; else "" */
	const char *
		titles; /* the policy; of POLICY_COUNTS_ISOLATED those that isolate, a line each. Good until the
			     * next compilation */
};
bool policy_compiler_counted(
	const struct policy_compiler *c, const char *counter, struct policy_counted *out);

/* The same for people: "NetworkPolicy ns/name"; of several the first ones. */
bool policy_compiler_explain_counter(
	const struct policy_compiler *c, const char *counter, struct text *out);
