/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A write of tests to which it does not matter what was there: it is read first, and again when somebody
 * was faster.
 */
#include <stdlib.h>

#include "store/store.h"

/* value NULL: nothing shall be there. 1, or -errno. */
static inline int overwrite(struct store *s, const char *key, const char *value, struct err *e)
{
	for (;;) {
		struct store_doc old = {0};
		int r = store_get(s, key, &old, e);
		const struct store_write w = {.key = key, .value = value, .revision = old.revision};
		free(old.key);
		free(old.value);
		if (r < 0 || (r == 0 && !value))
			return r < 0 ? r : 1;
		r = store_write(s, &w, e);
		if (r != 0)
			return r;
	}
}
