/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XXH3-128 from xxHash's single header, inlined here and nowhere else. The canonical (big-endian)
 * form is what is stored and printed, so that it means the same on every machine.
 */
#include "lib/hash.h"

#include <string.h>

#include "lib/text.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct hash hash_of(const void *data, size_t len)
{
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
	struct hash h;
	memcpy(h.bytes, canonical.digest, sizeof(h.bytes));
	return h;
}

bool hash_equal(const struct hash *a, const struct hash *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

uint64_t hash_slot(const struct hash *h)
{
	uint64_t slot;
	memcpy(&slot, h->bytes, sizeof(slot));
	return slot;
}

int hash_compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct hash));
}

void hash_format(const struct hash *h, char out[HASH_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < sizeof(h->bytes); i++) {
		out[2 * i] = digits[h->bytes[i] >> 4];
		out[2 * i + 1] = digits[h->bytes[i] & 15];
	}
	out[HASH_TEXT - 1] = '\0';
}

/* Only the form that hash_format() writes. */
static int hash_digit(char c)
{
	return c >= 'A' && c <= 'F' ? -1 : text_hex_digit(c);
}

bool hash_parse(const char *s, struct hash *out)
{
	struct hash h;
	for (size_t i = 0; i < sizeof(h.bytes); i++) {
		int high = hash_digit(s[2 * i]);
		int low = high < 0 ? -1 : hash_digit(s[2 * i + 1]);
		if (low < 0)
			return false;
		h.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*out = h;
	return true;
}
