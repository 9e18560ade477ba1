/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pools, blocks and addresses as records of one transaction: each call keeps all indexes right.
 * Which address to take is decided in node_assign.c; nothing here looks at the clock or at the
 * configuration. All calls need a transaction (db_begin()); all that change need a writing one.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "ipam/db.h"
#include "ipam/pool.h"
#include "ipam/record.h"
#include "lib/addr.h"
#include "lib/err.h"

struct index_addr {
	struct addr addr;
	struct record_addr rec; /* its strings point into value: never copy the struct */
	struct db_value value;
};

struct index_block {
	struct cidr cidr;
	struct cidr pool;
	struct record_block rec;
};

/* Whether addresses of a block may be given; otherwise it is in no index that leads to one. */
static inline bool index_gives(const struct index_block *b)
{
	return !b->rec.draining && !b->rec.disowned;
}

/* 1 when there is a record, 0 when not. */
int index_get_addr(struct db *db, const struct addr *a, struct index_addr *out, struct err *e);
int index_get_owner(
	struct db *db, const struct hash *owner, uint8_t family, struct addr *out, struct err *e);
int index_get_pool(struct db *db, const struct cidr *pool, struct record_pool *out, struct err *e);
int index_block_of(struct db *db, const struct addr *a, struct index_block *out, struct err *e);

/* Walks, from INDEX_FIRST: the first pool or block at or behind *at, and *at moves behind it. 1,
 * or 0 at the end. What was found may be changed before the next step. */
#define INDEX_FIRST                                                                                \
	{                                                                                          \
		.addr = {.family = AF_INET }                                                       \
	}
int index_next_pool(
	struct db *db, struct cidr *at, struct cidr *pool, struct record_pool *rec, struct err *e);
int index_next_block(struct db *db, struct cidr *at, struct index_block *out, struct err *e);

/* The same for the addresses of a block that have a record; *at is an offset, from 0. */
int index_next_addr(struct db *db, const struct index_block *b, uint64_t *at,
	struct index_addr *out, struct err *e);

/* The last block that shares an address with c: 1 or 0. */
int index_overlap(struct db *db, const struct cidr *c, struct index_block *out, struct err *e);

/* The lowest never-used address of a pool's blocks; the address released first. 1 or 0. */
int index_fresh(struct db *db, const struct cidr *pool, struct addr *out, struct err *e);
int index_oldest(struct db *db, const struct cidr *pool, struct addr *out, uint64_t *released_ns,
	struct err *e);

/* The address, never used or released, becomes the owner's; one that is his is brought up to date.
 */
int index_use(
	struct db *db, const struct addr *a, const struct owner *o, int64_t wall_s, struct err *e);
/* Takes index_use() back: the address is what it was before. */
int index_unuse(struct db *db, const struct addr *a, struct err *e);
/* Whatever it was, it is released now, or forgotten when it is in no block. */
struct index_time {
	uint64_t now_ns; /* boot_now_ns() */
	int64_t wall_s;
};
int index_release(struct db *db, const struct addr *a, const struct index_time *t, struct err *e);
/* Reserved or quarantined; the address is nobody's. */
int index_hold(struct db *db, const struct addr *a, enum record_state state, int64_t wall_s,
	struct err *e);
/* Takes index_hold() of a reserved address back: it was never used. */
int index_unhold(struct db *db, const struct addr *a, struct err *e);

/* How many addresses of a block were never used (saturates). */
int index_count_fresh(struct db *db, const struct index_block *b, uint64_t *out, struct err *e);

/* Writes a block or a pool, moving its "next" over what is taken. For index_blocks.h. */
int index_put_block(struct db *db, struct index_block *b, struct err *e);
int index_put_pool(struct db *db, const struct cidr *pool, struct record_pool *rec, struct err *e);

/* A released address moves to the queue of another pool; from NULL: it is in none; to NULL: out of
 * every queue. */
int index_requeue(struct db *db, const struct addr *a, uint64_t released_ns,
	const struct cidr *from, const struct cidr *to, struct err *e);
