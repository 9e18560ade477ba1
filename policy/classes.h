/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The chain that a pod's packets go through, of the policies that select it: tier by tier, in order. Pods of the
 * same policies and the same numbers behind their named ports have one chain, as it is named by its content.
 *
 *   class c_: of each tier: the lines of its policies, or jumps to their chains p_ where they are many; then its
 *             end.
 *   tier t_:  the same, apart, where a rule of the tier passes: to pass is to return. Policies with such rules
 *             stand in it line by line, as their return would end their own chain alone.
 */
#include <stdbool.h>
#include <stddef.h>

#include "policy/members.h"
#include "policy/objects.h"
#include "policy/term.h"
#include "policy/world.h"

struct policy_classes;
struct policy_classes *policy_classes_new(const struct policy_world *w, struct policy_members *m,
	struct policy_objects *o);		    /* all borrowed */
void policy_classes_free(struct policy_classes *c); /* takes NULL */

/* The world changed. true: classes may be others than they were, whatever the pod; else ask for each change. */
bool policy_classes_changed(
	struct policy_classes *c, const struct policy_change *changes, size_t n, bool everything);

/* A pod's classes by name, "": no policy says anything; and hashes of the names of policies of all namespaces that
 * select it. Zeroed: not made yet. */
struct policy_class {
	char names[POLICY_WAYS][POLICY_OBJECT_NAME];
	struct policy_ids wide;
};
void policy_class_done(struct policy_class *c);
void policy_classes_make(
	struct policy_classes *c, const struct policy_bearer *b, struct policy_class *out);

/* Whether a change (of any kind of object) may make a pod's classes others than they were made. */
bool policy_classes_touched(const struct policy_classes *c, const struct policy_change *change,
	const struct policy_bearer *b, const struct policy_class *was);

/* Behind the sweep of objects: chains that went are made anew when they are needed again. */
void policy_classes_sweep(struct policy_classes *c);
