/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who owns which block, in the cluster store. A block has one document, or none when it is free; a
 * second key under the node is always changed by the same transaction. A node uses a block only
 * after it has read its own name back from the store. docs/IPAM.md has the protocol, and what a
 * crash after each step leaves.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/keys.h"
#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "store/store.h"

enum block_state {
	BLOCK_OWNED,
	BLOCK_QUARANTINED, /* its node was removed by force: claimable by nobody */
};

struct block {
	struct cidr cidr;
	enum block_state state;
	char node[RESOURCE_NAME];
	int64_t revision; /* of the document */
};

/* {"node": "a", "state": "owned", "claimed": "2026-11-23T...", "nonce": "..."}; unknown keys are
 * fine. key is without the store's prefix. -EINVAL, -EBADMSG. */
int block_parse(
	const char *key, const char *value, int64_t revision, struct block *out, struct err *e);

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
void block_claim(struct block_txn *t, const struct cidr *block, const char *node,
	const char *pool_name, int64_t pool_revision);
/* The rest compares the block's document with what was read (b->revision). */
void block_return(struct block_txn *t, const struct block *b);	   /* becomes free */
void block_quarantine(struct block_txn *t, const struct block *b); /* keeps its node */
void block_take_back(struct block_txn *t, const struct block *b);  /* quarantined, owned again */

/* The candidate to claim of a pool: a walk that starts at a place derived from the node's name, so
 * that nodes rarely meet; is_taken says which blocks are not free. attempts (blocks already tried in
 * vain) are passed over. 1, or 0 when the pool has no free block. */
struct block_taken {
	const void *sorted; /* by cidr (block_compare()) */
	size_t n;
	size_t stride; /* bytes of an element, which begins with its cidr; 0: of a struct block */
	const struct cidr *tried;
	size_t n_tried;
};
int block_pick(
	const struct pool *p, const char *node, const struct block_taken *t, struct cidr *out);
int block_compare(const struct cidr *a, const struct cidr *b); /* address, then length */
