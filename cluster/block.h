/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who owns which block: the document of a block, and the walk that finds one to claim. Pure; the
 * transactions that change an owner are in cluster/block_txn.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/resource.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/schema.h"

enum block_state {
	BLOCK_OWNED,
	BLOCK_QUARANTINED, /* its node was removed by force: claimable by nobody */
	BLOCK_PENDING,	   /* its node is about to own it, and looks at the pool first */
};

const char *block_state_name(enum block_state s);

struct block {
	struct cidr cidr;
	enum block_state state;
	char node[RESOURCE_NAME];
	bool free_after_loans; /* quarantined only as addresses of it are lent: its node is gone for good */
	int64_t revision; /* of the document */
};

/* {"node": "a", "cidr": "100.66.0.0/26", "state": "owned", "since": "2026-11-23T...",
 * "nonce": "..."}; unknown keys are fine. key is without the store's prefix. -EINVAL, -EBADMSG. */
int block_parse(
	const char *key, const char *value, int64_t revision, struct block *out, struct err *e);

const struct schema *block_schema(void); /* for the test that holds deploy/crds/ against it */

/* The candidate to claim of a pool: a walk that starts at a place derived from the node's name, so
 * that nodes rarely meet; is_taken says which blocks are not free. attempts (blocks already tried in
 * vain) are passed over. 1, or 0 when the pool has no free block. */
struct block_taken {
	const void *sorted; /* by cidr (cidr_compare()) */
	size_t n;
	size_t stride; /* bytes of an element, which begins with its cidr; 0: of a struct block */
	const struct cidr *tried;
	size_t n_tried;
};
int block_pick(
	const struct pool *p, const char *node, const struct block_taken *t, struct cidr *out);
