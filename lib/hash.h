/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * 128-bit content hashes (XXH3). They identify, they do not authenticate: what is hashed comes
 * from a container runtime, which is root. The value is stable across versions and machines,
 * since it is stored in link aliases.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash {
	uint8_t bytes[16];
};

#define HASH_TEXT 33 /* bytes of a formatted hash: 32 lower-case hexadecimal digits and NUL */

struct hash hash_of(const void *data, size_t len);
bool hash_equal(const struct hash *a, const struct hash *b);
uint64_t hash_slot(const struct hash *h);	/* a number that stands for it (lock_slot()) */
int hash_compare(const void *a, const void *b); /* struct hash *, for qsort and bsearch */
void hash_format(const struct hash *h, char out[HASH_TEXT]);

/* Reads 32 hexadecimal digits from the start of s; false when they are not there. */
bool hash_parse(const char *s, struct hash *out);
