/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Single addresses that other nodes lend to this one, as the sources of ipam/node.h see them: blocks of one
 * address each, in no pool's indexes. They are few, so they are looked for one by one, and only when
 * nothing else is free. All calls need a transaction.
 */
#include "ipam/index.h"
#include "ipam/pool.h"

/* One of a pool that can be given: never used here, or released for the pool's cool-down. 1 or 0. */
int node_loans_free(
	struct db *db, const struct pool *p, uint64_t now_ns, struct addr *out, struct err *e);

/* One that was released before *released_ns: 1, and both are its; 0 none was. */
int node_loans_oldest(struct db *db, const struct pool *p, struct addr *out, uint64_t *released_ns,
	struct err *e);

/* Adds those of a pool that can be given, and those that cool down. */
int node_loans_count(
	struct db *db, const struct pool *p, uint64_t *now_free, uint64_t *cooling, struct err *e);
