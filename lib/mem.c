/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation that cannot fail: out of memory ends the process (err_abort()), so that no caller
 * carries a branch that no test would reach. Inputs of strangers are limited where they enter.
 */
#include "lib/mem.h"

#include <string.h>

#include "lib/err.h"

void *mem_new(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	if (!p)
		err_abort("out of memory");
	return p;
}

void *mem_new_raw(size_t size)
{
	void *p = malloc(size);
	if (!p)
		err_abort("out of memory");
	return p;
}

void *mem_grow(void *array, size_t *room, size_t n, size_t size)
{
	if (n < *room)
		return array;
	size_t wanted = *room ? *room : 16;
	while (wanted <= n)
		wanted *= 2;
	char *p = reallocarray(array, wanted, size);
	if (!p)
		err_abort("out of memory");
	memset(p + *room * size, 0, (wanted - *room) * size);
	*room = wanted;
	return p;
}

char *mem_strdup(const char *s)
{
	char *copy = strdup(s);
	if (!copy)
		err_abort("out of memory");
	return copy;
}
