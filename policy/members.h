/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which addresses belong to the pods that selectors match: groups, each a set of addresses that is kept right as
 * pods, namespaces and accounts change. A change costs what it touches: its own addresses are judged anew, by
 * the groups that an index finds for their labels.
 *
 * An address is of one pod: of the local one that this node gave it to, else of its owner in the world. A local
 * pod that the world lacks makes its addresses nobody's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/elements.h"
#include "policy/rule.h"
#include "policy/world.h"

struct policy_members;
struct policy_members *policy_members_new(const struct policy_world *w); /* borrowed */
void policy_members_free(struct policy_members *m);			 /* takes NULL */

/* The pods that one of these ends means (by own, namespaces, pods, accounts and account names alone); or those
 * of any namespace that the selector matches; or pods with one of these ports, as addresses with the numbers of
 * the ports. Equal ones are one group. Its members come with policy_members_settle(). */
struct policy_group;
struct policy_group *policy_members_of_ends(
	struct policy_members *m, const struct policy_end *const *ends, size_t n);
struct policy_group *policy_members_of_selector(
	struct policy_members *m, const struct policy_selector *s);
struct policy_group *policy_members_of_ports(
	struct policy_members *m, const struct policy_port *const *ports, size_t n);

const char *policy_group_name(const struct policy_group *g, enum family f); /* of its set */
enum policy_set_kind policy_group_kind(const struct policy_group *g);
struct policy_elements *policy_group_elements(const struct policy_group *g, enum family f);
bool policy_group_lost(const struct policy_group *g); /* members went at the last settling */
bool policy_group_gained(
	const struct policy_group *g); /* members came, in a group that is not new */
/* A group that was settled, and nobody needs any more. */
void policy_members_drop(struct policy_members *m, struct policy_group *g);

/* An address that this node gave to a pod; pod "": to none that counts. */
struct policy_given {
	struct addr addr;
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME], uid[64]; /* uid "": of any */
};

/* The world or the local pods changed; given: all of them. */
void policy_members_changed(
	struct policy_members *m, const struct policy_change *changes, size_t n, bool everything);
void policy_members_give(struct policy_members *m, const struct policy_given *given, size_t n);

/* Makes the elements of every group right: behind the above, and behind new groups. */
void policy_members_settle(struct policy_members *m);
