/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Searching sorted arrays by halving.
 */
#include <stddef.h>

/* Where key is or belongs among n elements of size bytes: the index of the first element that is not
 * before it, n when all are. compare gets an element and the key, in this order, and gives the sign of
 * their order. sorted may be NULL when n is 0. */
size_t search_lower_bound(const void *sorted, size_t n, size_t size, const void *key,
	int (*compare)(const void *element, const void *key));

/* The first element that equals key, or NULL. Borrowed. */
void *search_find(const void *sorted, size_t n, size_t size, const void *key,
	int (*compare)(const void *element, const void *key));
