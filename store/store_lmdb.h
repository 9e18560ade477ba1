/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What store/store_db.c (opening) and store/store_docs.c (transactions) share. Internal to these two,
 * the only ones that know LMDB.
 */
#include <lmdb.h>
#include <sys/types.h>

#include "store/store_db.h"

#define STORE_DB_SIZE ((size_t)1 << 30)
#define STORE_DB_READERS 512 /* processes that read at the same time */

struct store_db {
	struct store_db *next; /* of the open ones */
	unsigned int users;
	dev_t dev;
	ino_t ino;
	char *folder, *path, *changed;
	int lock, changed_fd;
	MDB_env *env;
	MDB_dbi docs, log, meta;
	/* What was read of the map since pages were given back (store/store_docs.c): from, to, and
	 * about how much. */
	char *read_low, *read_high;
	size_t pages_read;
};

/* The sentence and -errno for an error of LMDB. */
int store_db_fail(const struct store_db *db, int rc, struct err *e);

/* The lock of writers. -EBUSY: another process has it. */
int store_db_lock(struct store_db *db, struct err *e);
void store_db_unlock(struct store_db *db);
