/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which blocks are this node's, as records of one transaction: claims, adoption, return, and what
 * a change of the configured pools means for them. All calls need a writing transaction.
 */
#include <stdbool.h>

#include "ipam/ledger.h"
#include "ipam/pool.h"

/* Makes the recorded pool equal to the configured one and gives it the adopted blocks inside.
 * -EINVAL when blocks stand against that: cut to another size, or of another pool that overlaps. */
int blocks_sync_pool(struct db *db, const struct pool *p, struct err *e);

/* The lowest block of a synced pool that is not this node's: 1, or 0 when there is none. */
int blocks_unclaimed(struct db *db, const struct pool *p, struct cidr *out, struct err *e);

/* A block of a synced pool becomes this node's. quarantined: it was somebody's. */
struct blocks_claim {
	struct cidr pool;
	struct cidr block;
	bool quarantined;
	int64_t wall_s; /* now */
};
int blocks_claim(struct db *db, const struct blocks_claim *c, struct err *e);

/* An own block of an earlier state becomes this node's, quarantined. It joins its pool when that is
 * known, or in blocks_sync_pool(). 1, or 0 when a block is there already. */
int blocks_adopt(struct db *db, const struct cidr *block, int64_t wall_s, struct err *e);

/* Forgets a block with its released addresses, and its pool when that was the last one. */
int blocks_drop(struct db *db, const struct ledger_block *b, struct err *e);
