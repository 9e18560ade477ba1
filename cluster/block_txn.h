/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Changing who owns a block, in the cluster store. A block has one document, or none when it is free;
 * a second key under the node is always changed by the same transaction. A node uses a block only
 * after it has read its own name back from the store. docs/IPAM.md has the protocol, and what a
 * crash after each step leaves.
 */
#include <stdint.h>

#include "cluster/block.h"
#include "store/store.h"

/* Transactions, ready to be committed; they own their texts, hold pointers into themselves (never
 * copy one). claim compares that the block is absent and that the pool's document is still the one
 * at pool_revision, so that a pool that was disabled or deleted meanwhile gives nothing. */
struct block_txn {
	struct store_txn txn;
	struct store_compare compares[2];
	struct store_change changes[2];
	char keys[3][STORE_KEY_MAX];
	char value[512];
};
void block_txn_claim(struct block_txn *t, const struct cidr *block, const char *node,
	const char *pool_name, int64_t pool_revision);
/* The rest compares the block's document with what was read (b->revision). */
void block_txn_return(struct block_txn *t, const struct block *b);     /* becomes free */
void block_txn_quarantine(struct block_txn *t, const struct block *b); /* keeps its node */
void block_txn_take_back(struct block_txn *t, const struct block *b); /* quarantined, owned again */
