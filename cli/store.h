/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cluster store as commands use it: found by the options, the environment and the agent's
 * configuration (cli/config.h).
 */
#include <stdlib.h>

#include "cli/options.h"
#include "lib/err.h"
#include "store/store.h"

/* Opens it; the caller ends it with store_close(). */
int store_from_options(const struct options *o, struct store **out, struct err *e);

static inline void store_cleanup(struct store **s)
{
	store_close(*s);
}
#define CLEANUP_STORE __attribute__((cleanup(store_cleanup)))

/* What store_get() has filled in, or nothing. */
static inline void store_cleanup_doc(const struct store_doc *doc)
{
	free(doc->key);
	free(doc->value);
}
#define CLEANUP_DOC __attribute__((cleanup(store_cleanup_doc)))
