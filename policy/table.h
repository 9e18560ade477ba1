/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Values by keys of bytes: pointers in an array without gaps, in no order, and a hash index over it. Each has
 * two numbers of its owner's beside it. Indexes are good until the next addition or removal.
 */
#include <stddef.h>
#include <stdint.h>

struct policy_table_key {
	uint64_t hash;
	uint8_t *bytes; /* owned */
	uint32_t len;
	uint32_t source, mark; /* the owner's */
};
struct policy_table { /* zeroed: empty */
	void **v;
	struct policy_table_key *keys;
	size_t n, room, keys_room;
	uint32_t *slots; /* index + 1; 0: free. A power of two of them, half of them free */
	size_t n_slots;
};
#define POLICY_TABLE_NONE SIZE_MAX

size_t policy_table_find(const struct policy_table *t, const void *key, size_t len); /* or NONE */

/* A key that is not there yet. The table takes no part in the life of values. Returns the index. */
size_t policy_table_add(struct policy_table *t, const void *key, size_t len, void *value);

/* The last one moves to this index. */
void policy_table_remove(struct policy_table *t, size_t at);

void policy_table_done(struct policy_table *t);
