/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching sorted arrays by halving. Elements before low are before the key, elements from high on
 * are not; the two meet at the answer. bsearch() gives any of equal elements, none when the key is
 * absent, and takes no NULL for an empty array.
 */
#include "lib/search.h"

size_t search_lower_bound(const void *sorted, size_t n, size_t size, const void *key,
	int (*compare)(const void *element, const void *key))
{
	size_t low = 0;
	for (size_t high = n; low < high;) {
		size_t middle = low + (high - low) / 2;
		if (compare((const char *)sorted + middle * size, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void *search_find(const void *sorted, size_t n, size_t size, const void *key,
	int (*compare)(const void *element, const void *key))
{
	size_t at = search_lower_bound(sorted, n, size, key, compare);
	if (at == n) /* of an empty array even the begin may not be computed */
		return NULL;
	const char *element = (const char *)sorted + at * size;
	return compare(element, key) == 0 ? (void *)element : NULL;
}
