/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Of pools that overlap the oldest counts, for every reader alike: for agents, for claims, for roostctl.
 * Nothing in a store keeps two people from writing pools that overlap at the same moment, so all readers
 * need one answer. A pool that overlaps an older one is left out, whether or not that one is left
 * out itself: so what counts never changes because a pool goes that it does not touch.
 *
 * That alone would not keep addresses apart: of two pools that are made at the same moment the younger may be
 * seen first, by somebody who claims of it. So each claim looks at all pools afresh.
 */
#include <stdbool.h>
#include <stddef.h>

#include "cluster/resource.h"

/* By the time at which the store was given the document, then by uid, then by name. A document without a
 * time, of an earlier version or written past roostctl, is younger than all that have one: nobody gains
 * another one's prefix by leaving it out. */
bool pools_is_older(const struct resource *pool, const struct resource *than);

/* Of each pool the oldest one that it overlaps, if that is older, so that the pool is left out; NULL: it
 * counts. over has n places. */
void pools_judge(const struct resource *const *pools, size_t n, const struct resource **over);

/* The same of one pool. Others among all may be of any kind, or NULL, or the pool itself. */
const struct resource *pools_over(
	const struct resource *pool, const struct resource *const *all, size_t n);

/* Pools as a list of the store tells them. Zeroed: none yet. */
struct pools_read {
	struct resource *v; /* heap */
	size_t n, room;
};
void pools_read_add(
	struct pools_read *p, const char *value); /* what cannot be read gives nothing */
void pools_read_done(struct pools_read *p);	  /* zeroed again */

/* [C3] Whether this pool may give the block: it is there, enabled, cut like that, and counts. *meets: another pool
 * has the block's addresses, too, so a block of that one may be there already. */
bool pools_read_give(
	const struct pools_read *p, const char *name, const struct cidr *block, bool *meets);
