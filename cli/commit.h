/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Transactions as commands make them: documents with the revisions they were seen at, the guard of
 * the pools beside them, and pools held still while their blocks are counted.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/inventory.h"
#include "lib/err.h"
#include "store/store.h"

#define COMMIT_BYTES 524288 /* of one transaction; etcd takes 1.5 MiB in a request */

struct commit {
	struct store_compare compares[STORE_TXN_MAX];
	struct store_change changes[STORE_TXN_MAX];
	char keys[STORE_TXN_MAX][STORE_KEY_MAX];
	char *texts[STORE_TXN_MAX];
	size_t n;
	size_t bytes;
};

/* Adds a change of the document under key, which was seen at revision (0: absent). doc NULL: it is
 * deleted. false: it does not fit any more, commit what is there first. */
bool commit_add(struct commit *c, const char *key, int64_t revision, const json_t *doc);
/* Compares and changes the guard. There is always room for it. */
void commit_add_guard(struct commit *c, int64_t revision);
/* 1 done, 0 somebody else was faster, -errno. Empties c. */
int commit_run(struct commit *c, struct store *s, struct err *e);
void commit_done(struct commit *c);
#define CLEANUP_COMMIT __attribute__((cleanup(commit_done)))

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
