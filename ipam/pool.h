/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pools and the arithmetic of their blocks. A pool is a prefix cut into blocks of one size; every
 * address of a block can be given to a pod, the first and the last included.
 */
#include <jansson.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

#define POOL_MAX 64 /* pools of one configuration */
#define POOL_BLOCK_LEN4 26
#define POOL_BLOCK_LEN6 122
#define POOL_COOLDOWN_S 60
#define POOL_COOLDOWN_MAX_S 86400

struct pool {
	struct cidr cidr;
	uint8_t block_len; /* prefix length of a block, bits; at least cidr.len */
	uint32_t cooldown_s;
};

/* Reads [{"cidr": "100.66.0.0/16", "blockSize": 26, "cooldownSeconds": 60}, ...]; "name" is the
 * caller's to read. A pool smaller
 * than the default block is one block. Refused: unknown keys, host bits, a block larger than its
 * pool, loopback, multicast, link-local and unspecified prefixes, pools that overlap. where names
 * the array in errors. -EINVAL, -EBADMSG. */
int pool_parse_list(const json_t *array, const char *where, uint32_t cooldown_s,
	struct pool out[POOL_MAX], size_t *n, struct err *e);

/* What no pod can use and is in c, all of it or a part: "loopback addresses (127.0.0.0/8)"; NULL. */
const char *pool_special(const struct cidr *c);

uint64_t pool_block_count(const struct pool *p); /* saturates */
struct cidr pool_block(const struct pool *p, uint64_t index);
uint64_t pool_block_index(const struct pool *p, const struct addr *a); /* saturates */
struct cidr pool_block_of(const struct pool *p, const struct addr *a);
uint64_t pool_block_size(const struct cidr *block); /* addresses; saturates */
uint64_t pool_sum(uint64_t a, uint64_t b);	    /* of counts; saturates */

/* The pool that contains a; NULL. */
const struct pool *pool_find(const struct pool *pools, size_t n, const struct addr *a);
