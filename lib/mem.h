/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory and scope-bound cleanup. Allocation never returns NULL: running out of memory aborts
 * (err_abort("out of memory"), which has a CNI executable answer first), which is why everything a
 * stranger controls has a size limit.
 */
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* Zeroed memory for n objects of size bytes each; the caller frees it. */
void *mem_new(size_t n, size_t size);

/* The same, not zeroed: for large objects of which most is rarely used. */
void *mem_new_raw(size_t size);

/* Grows *array (elements of size bytes, *room of them allocated) so that index n fits; old
 * elements are kept, new ones are zeroed. Returns the array, which may have moved. */
void *mem_grow(void *array, size_t *room, size_t n, size_t size);

/* A heap copy of a string; the caller frees it. */
char *mem_strdup(const char *s);

static inline void mem_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void mem_cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define CLEANUP_FREE __attribute__((cleanup(mem_cleanup_free)))
#define CLEANUP_FD __attribute__((cleanup(mem_cleanup_fd))) /* initialise with -1 */
