/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The sets and chains that rule sets are made of, by name, from one compilation to the next. What a compilation
 * uses is marked; what it did not use goes with the next sweep.
 */
#include <stdbool.h>
#include <stddef.h>

#include "policy/draft.h"
#include "policy/members.h"
#include "policy/ruleset.h"

#define POLICY_HAIRPIN_SET "hairpin" /* every link of the dispatch with itself */

struct policy_objects;
struct policy_objects *policy_objects_new(struct policy_members *m); /* borrowed */
void policy_objects_free(struct policy_objects *o);		     /* takes NULL */

/* Each puts an object there, if there is none of its content, and writes its name to out. Takes elements; they
 * are not empty. */
void policy_objects_nets(struct policy_objects *o, enum family f, struct policy_elements *e,
	char out[POLICY_OBJECT_NAME]);
void policy_objects_ports(
	struct policy_objects *o, struct policy_elements *e, char out[POLICY_OBJECT_NAME]);
void policy_objects_chain(struct policy_objects *o, char kind, const struct policy_draft *d,
	char out[POLICY_OBJECT_NAME]);

bool policy_objects_has_chain(const struct policy_objects *o, const char *chain);
/* All that these lines refer to, chains apart. */
bool policy_objects_have(const struct policy_objects *o, const struct policy_body *lines);

/* The set of a group. opens: what comes in may be allowed by it; closes: may be forbidden. */
void policy_objects_group(
	struct policy_objects *o, struct policy_group *g, bool opens, bool closes);

/* A counter and what it is about: the title of its policy; of POLICY_COUNTS_ISOLATED the way, then titles, a line
 * each. */
void policy_objects_counter(struct policy_objects *o, const char *name, const char *text);
const char *policy_objects_explain(
	const struct policy_objects *o, const char *counter); /* or NULL */

/* A compilation: begin, use of chains with all that they refer to, then what it used, sorted by name, into the
 * rule set (all but the hairpin set; true: it is needed). The sweep is behind that. */
void policy_objects_begin(struct policy_objects *o);
void policy_objects_use(struct policy_objects *o, const char *chain); /* "": none */
bool policy_objects_emit(const struct policy_objects *o, struct policy_ruleset *out);
bool policy_objects_forbid(
	const struct policy_objects *o); /* by the last settling of members, in sets in use */
void policy_objects_sweep(struct policy_objects *o);
