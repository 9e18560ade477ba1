/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the elements of sets.
 */
#include "policy/elements.h"

#include <stdlib.h>

#include "lib/mem.h"

struct policy_elements *policy_elements_new(size_t n, size_t stride)
{
	struct policy_elements *e = mem_new(1, sizeof(*e) + n * stride);
	e->refs = 1;
	e->n = n;
	e->stride = stride;
	return e;
}

struct policy_elements *policy_elements_ref(struct policy_elements *e)
{
	e->refs++;
	return e;
}

void policy_elements_unref(struct policy_elements *e)
{
	if (e && --e->refs == 0)
		free(e);
}
