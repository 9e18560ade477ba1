/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The documents of the driver "file:" in an LMDB file, with a log of what changed. Internal to
 * store/store_file.c. Nothing here waits, but for the disk, and opening, which may wait some
 * seconds for another process that is just writing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "store/store.h"

#define STORE_DB_LOG_MAX 16384 /* changes that are remembered */

struct store_db;

/* Makes the folder (0700) and what is in it, unless it has to be an existing store: then -ENOENT, and
 * nothing is made. -EUCLEAN. Stores of one process in one folder share it. */
int store_db_open(struct store_db **out, const char *folder, bool existing, struct err *e);
void store_db_close(struct store_db *db); /* takes NULL */

/* Made at random when the store was made. */
uint64_t store_db_id(const struct store_db *db);

/* A file in the folder that is touched after each change; for inotify. */
const char *store_db_changed(const struct store_db *db);

/* 1: done, at *revision; 0: the document is another one. -EBUSY: another process is writing (its id
 * in e's sentence), nothing was done. -ENOSPC, -EUCLEAN, -ESTALE. */
int store_db_write(
	struct store_db *db, const struct store_write *w, int64_t *revision, struct err *e);

/* Copies of documents. */
struct store_db_item {
	bool deleted;
	char *key, *value; /* value NULL: deleted, or larger than a document may be */
	int64_t revision;
};
struct store_db_page {
	struct store_db_item *items;
	size_t count, room;
	size_t bytes;
	bool more;	  /* not all of it fitted */
	int64_t revision; /* list: of the store. changes: up to here everything is told */
};
void store_db_page_clear(struct store_db_page *p); /* frees; takes a zeroed one */

/* Documents under prefix whose key is larger than after ("": all). all: in one page, however
 * many. */
int store_db_list(struct store_db *db, const char *prefix, const char *after, bool all,
	struct store_db_page *out, struct err *e);

/* What changed after that revision, each document once, as it is now. 1; 0: that is too long
 * ago. */
int store_db_changes(struct store_db *db, const char *prefix, int64_t after,
	struct store_db_page *out, struct err *e);

int store_db_get(struct store_db *db, const char *key, struct store_db_page *out, struct err *e);

int store_db_revision(struct store_db *db, int64_t *out, struct err *e);

/* From time to time, and after an error of the store itself: slots of killed readers are freed. A store
 * that is damaged, removed or replaced is let go, and what has its name is opened when it is a sound
 * one: 1, then everything has to be read anew. -EUCLEAN, -ENOENT, -EBUSY: not now. */
int store_db_check(struct store_db *db, struct err *e);
