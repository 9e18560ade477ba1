/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Connections that policies forbid are cut, and live on when they are allowed again: by a bit of the mark of
 * their entry in connection tracking, which the table of agent/policy/writer.h drops by. Entries are not
 * deleted: a server's next packet would open one the other way round.
 *
 * A look goes through all entries of this network namespace, judges those with an end among this node's pods, and
 * changes the marks that are wrong. Begin one behind each batch that may forbid or allow something, and when the agent
 * starts. It goes on in parts, so that the caller's loop does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "policy/compile.h"
#include "policy/judge.h"
#include "policy/world.h"

#define POLICY_CUT_MARK 0x00080000u

struct policy_cut;
int policy_cut_open(uint32_t mark, struct policy_cut **out, struct err *e); /* mark: one bit */
void policy_cut_close(struct policy_cut *c); /* takes NULL; marks stay */

/* A look; one that is under way begins anew. forgive: every mark is taken away, as when connections shall not be
 * cut any more. */
void policy_cut_begin(struct policy_cut *c, bool forgive);

/* What a look judges by; borrowed for the call. */
struct policy_cut_view {
	const struct policy_world *world;
	const struct policy_local
		*locals; /* pods of this node, by whose addresses entries are chosen */
	size_t n_locals;
	const struct addr
		*node; /* this node's own addresses: its processes reach their pods always */
	size_t n_node;
	bool stages; /* some policy is staged: what those would deny is noted */
};

/* The next part of a look, about a millisecond. 1: call again, soon; 0: none is under way. An error ends the look:
 * begin another one later. */
int policy_cut_step(struct policy_cut *c, const struct policy_cut_view *v, struct err *e);

/* Connections that are allowed, and would not be if staged policies were enforced: those that the last step met.
 * Borrowed until the next step. */
#define POLICY_CUT_STAGED 64 /* of a step at most */
struct policy_cut_staged {
	struct policy_flow flow;
	enum policy_direction direction; /* whose pod is judged */
};
size_t policy_cut_staged(const struct policy_cut *c, const struct policy_cut_staged **out);

struct policy_cut_numbers {
	uint64_t looks, seen, cut, restored;
};
struct policy_cut_numbers policy_cut_numbers(const struct policy_cut *c);
