/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which blocks are this node's, as records of one transaction: claims, adoption, return, and what
 * a change of the configured pools means for them. All calls need a writing transaction.
 */
#include <stdbool.h>

#include "ipam/index.h"
#include "ipam/pool.h"

/* Makes the recorded pool equal to the configured one and gives it the adopted blocks inside.
 * -EINVAL when blocks stand against that: cut to another size, or of another pool that overlaps. */
int index_blocks_sync_pool(struct db *db, const struct pool *p, struct err *e);

/* The lowest block of a synced pool that is not this node's: 1, or 0 when there is none. */
int index_blocks_unclaimed(struct db *db, const struct pool *p, struct cidr *out, struct err *e);

/* A block of a synced pool becomes this node's. quarantined: it was somebody's. */
struct index_blocks_claim {
	struct cidr pool;
	struct cidr block;
	bool quarantined;
	bool cluster;	/* the store says that it is */
	bool disowned;	/* the store did not say so yet */
	int64_t wall_s; /* now */
};
int index_blocks_claim(struct db *db, const struct index_blocks_claim *c, struct err *e);

/* An own block of an earlier state becomes this node's, quarantined. It joins its pool when that is
 * known, or in index_blocks_sync_pool(). 1, or 0 when a block is there already. */
int index_blocks_adopt(struct db *db, const struct cidr *block, int64_t wall_s, struct err *e);

/* Begins and ends that nothing is given from a block (draining, disowned), as its record says now;
 * gave: whether something was until now. */
int index_blocks_put_giving(struct db *db, struct index_block *b, bool gave, struct err *e);

/* Whether every address of a block is as good as free: none used or quarantined, none released
 * after a moment. 1 or 0. */
int index_blocks_is_idle(
	struct db *db, const struct index_block *b, uint64_t cooled_before_ns, struct err *e);

/* Releases of a block's addresses up to this moment have cooled down; now_ns UINT64_MAX: all. */
int index_blocks_cooled_before(
	struct db *db, const struct index_block *b, uint64_t now_ns, uint64_t *out, struct err *e);

/* Whether a prefix overlaps a pool of the mirror: 1 (*out is that pool) or 0. */
int index_blocks_in_cluster(struct db *db, const struct cidr *c, struct cidr *out, struct err *e);

/* Forgets a block with its released addresses, and its pool when that was the last one. */
int index_blocks_drop(struct db *db, const struct index_block *b, struct err *e);
