/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What store/store_db.c (opening) and store/store_docs.c (transactions) share. Internal to these two,
 * the only ones that know LMDB.
 */
#include <lmdb.h>
#include <sys/types.h>

#include "lib/fault.h"
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
	MDB_env *env; /* NULL: it is not usable, as why says */
	bool ruined;  /* damage was met since it was opened */
	size_t size;  /* bytes of the map, and at least of the file */
	struct err why;
	int64_t revision; /* the last that was seen */
	MDB_dbi docs, log, meta;
	MDB_cursor *cursor; /* of the read that runs: a fault leaves it open; NULL */
	uint64_t id;
	char *map; /* where the file is mapped, size bytes; NULL: not known */
	/* What was read of the map since pages were given back (store/store_docs.c): from, to, and
	 * about how much. */
	char *read_low, *read_high;
	size_t pages_read;
};

/* Around whatever touches the map: LMDB, or a copy of ours. */
#define STORE_TRY(call) FAULT_TRY(call, MDB_PANIC)
#define STORE_TRY_VOID(call) ((void)FAULT_TRY((call, 0), MDB_PANIC))

/* The sentence and -errno for an error of LMDB; remembers damage. */
int store_db_fail(struct store_db *db, int rc, struct err *e);

/* Whether it can be used: 0, -EUCLEAN, -ESTALE. Asked before each transaction. */
int store_db_usable(struct store_db *db, struct err *e);

/* mdb_txn_commit(); the transaction is over whatever happens. */
int store_db_end(MDB_txn *txn);

/* Whether all entries are there: LMDB would show a page of nonsense as one without any. Its result. */
int store_db_count(MDB_txn *txn, MDB_dbi dbi);

/* The lock of writers. -EBUSY: another process has it. */
int store_db_lock(struct store_db *db, struct err *e);
void store_db_unlock(struct store_db *db);
