/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writing as commands do it: one document at a time, with the revision that it was seen at, and pools
 * held still while their blocks are counted.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/inventory.h"
#include "lib/err.h"
#include "store/store.h"

/* Writes the document under key, which was seen at revision (0: there was none). doc NULL: it is deleted.
 * 1 done, 0 somebody else was faster, -errno. */
int commit_write(
	struct store *s, const char *key, int64_t revision, const json_t *doc, struct err *e);

/* Deletes what earlier versions kept beside the pools. Whether it is there does not matter. */
void commit_drop_guard(struct store *s);

/* What became of a resource: one more entry of the list, or (NULL) a line on stdout. */
void commit_report(json_t *list, enum resource_kind kind, const char *name, const char *result);

/* A pool that is disabled for a moment: claims look at it before they are done, so from now on no new
 * block of it comes into use, and those that exist, or are pending, can be counted. */
struct commit_hold {
	char key[STORE_KEY_MAX];
	json_t *before;
	int64_t revision; /* of the disabled document */
};
/* 1 done, 0 somebody else was faster, -errno. */
int commit_hold(
	struct store *s, const struct inventory_item *pool, struct commit_hold *out, struct err *e);
/* Puts it back as it was, unless somebody has changed it since. */
int commit_release(struct store *s, const struct commit_hold *h, struct err *e);
void commit_hold_done(struct commit_hold *h);
