/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash index with linear probing over an array without gaps. A slot holds the index of its value plus one.
 * Removal shifts the slots behind it back, so that no tombstones slow later searches down.
 *
 * Keys are compared, not their hashes alone: they hold names that strangers choose.
 */
#include "policy/table.h"

#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"

static uint64_t table_hash(const void *key, size_t len)
{
	struct hash h = hash_of(key, len);
	return hash_slot(&h);
}

/* The slot that leads to this key, or the free one where it belongs. */
static size_t table_slot(const struct policy_table *t, uint64_t hash, const void *key, size_t len)
{
	size_t slot = hash & (t->n_slots - 1);
	for (; t->slots[slot]; slot = (slot + 1) & (t->n_slots - 1)) {
		const struct policy_table_key *k = &t->keys[t->slots[slot] - 1];
		if (k->hash == hash && k->len == len && memcmp(k->bytes, key, len) == 0)
			break;
	}
	return slot;
}

static void table_reindex(struct policy_table *t)
{
	free(t->slots);
	t->n_slots = t->n_slots ? t->n_slots * 2 : 32;
	t->slots = mem_new(t->n_slots, sizeof(*t->slots));
	for (size_t i = 0; i < t->n; i++) {
		const struct policy_table_key *k = &t->keys[i];
		t->slots[table_slot(t, k->hash, k->bytes, k->len)] = (uint32_t)i + 1;
	}
}

size_t policy_table_find(const struct policy_table *t, const void *key, size_t len)
{
	if (!t->n)
		return POLICY_TABLE_NONE;
	uint32_t found = t->slots[table_slot(t, table_hash(key, len), key, len)];
	return found ? found - 1 : POLICY_TABLE_NONE;
}

size_t policy_table_add(struct policy_table *t, const void *key, size_t len, void *value)
{
	if ((t->n + 1) * 2 > t->n_slots)
		table_reindex(t);
	size_t at = t->n;
	t->v = mem_grow(t->v, &t->room, at, sizeof(*t->v));
	t->keys = mem_grow(t->keys, &t->keys_room, at, sizeof(*t->keys));
	uint8_t *bytes = mem_new(len, 1);
	memcpy(bytes, key, len);
	uint64_t hash = table_hash(key, len);
	t->slots[table_slot(t, hash, key, len)] = (uint32_t)at + 1;
	t->keys[at] = (struct policy_table_key){.hash = hash, .bytes = bytes, .len = (uint32_t)len};
	t->v[at] = value;
	t->n++;
	return at;
}

/* Frees a slot: each one behind it that would no longer be found moves into the gap. */
static void table_free_slot(struct policy_table *t, size_t gap)
{
	size_t mask = t->n_slots - 1;
	for (size_t i = (gap + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
		size_t home = t->keys[t->slots[i] - 1].hash & mask;
		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		t->slots[gap] = t->slots[i];
		gap = i;
	}
	t->slots[gap] = 0;
}

void policy_table_remove(struct policy_table *t, size_t at)
{
	const struct policy_table_key *gone = &t->keys[at];
	table_free_slot(t, table_slot(t, gone->hash, gone->bytes, gone->len));
	free(gone->bytes);
	size_t last = --t->n;
	if (at == last)
		return;
	const struct policy_table_key *k = &t->keys[last];
	t->slots[table_slot(t, k->hash, k->bytes, k->len)] = (uint32_t)at + 1;
	t->keys[at] = *k;
	t->v[at] = t->v[last];
}

void policy_table_done(struct policy_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->keys[i].bytes);
	free(t->v);
	free(t->keys);
	free(t->slots);
	*t = (struct policy_table){0};
}
