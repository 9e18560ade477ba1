/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The LMDB file of the node state: opening, transactions, ordered access. The only place in ipam/
 * that knows LMDB. One transaction at a time. Values are copied out, so nothing read goes stale
 * when something is written. Any sign of damage is -EUCLEAN, and leaves a mark (a file) for the
 * next process to see.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/record.h"
#include "lib/err.h"

struct db;

#define DB_SIZE ((size_t)256 << 20) /* bytes of the file, sparse, and of the mapping */

#define DB_BIRTH_BYTES ((uint64_t)640 << 10) /* about what db_create() takes of the file system */
#define DB_BIRTH_FILES 4

/* What a look at the file (without LMDB, which trusts it) tells. */
enum db_look {
	DB_ABSENT,
	DB_EMPTY, /* nothing was ever written: as good as absent */
	DB_SOUND,
	DB_DAMAGED, /* or not ours; e says how */
};
int db_look(const char *path, enum db_look *out, struct err *e);

/* Makes a new file with its own record in it, and LMDB's lock file, in the place of what has these names;
 * nobody else makes it. */
int db_create(const char *path, const struct record_meta *meta, struct err *e);

/* Opens a file that db_look() found sound, and reads its own record. mark: path of the file to make
 * when damage is found. -EUCLEAN. -EMEDIUMTYPE: another version of roost wrote it in this boot. */
int db_open(struct db **out, const char *path, const char *mark, bool read_only,
	struct record_meta *meta, struct err *e);
void db_close(struct db *db); /* takes NULL; gives up an open transaction */

/* begin: waits for other writers. -ENOSPC from commit and put: the file is full. */
int db_begin(struct db *db, bool write, struct err *e);
int db_commit(struct db *db, struct err *e);
/* Before something is added: there will be room for releases afterwards. -ENOSPC and others: the file
 * system is full, nothing may be added. */
int db_reserve(struct db *db, struct err *e);
void db_abort(struct db *db); /* fine when there is none */
/* The end of a writing transaction whose work returned r: commits, or gives up when that is an
 * error. Returns r or the error. */
int db_finish(struct db *db, int r, struct err *e);

struct db_value {
	uint8_t bytes[RECORD_VALUE_MAX];
	size_t len;
};

struct db_entry {
	struct record_key key;
	struct db_value value;
};

/* 1 found, 0 not. */
int db_get(struct db *db, const struct record_key *k, struct db_value *out, struct err *e);
int db_put(struct db *db, const struct record_key *k, const struct db_value *v, struct err *e);
int db_del(struct db *db, const struct record_key *k, struct err *e); /* 1 deleted, 0 absent */

/* The first entry at or after a key, and the ones behind it, of the same kind: 1, or 0 at the end.
 * Nothing may be written between the two. */
int db_seek(struct db *db, const struct record_key *from, struct db_entry *out, struct err *e);
int db_next(struct db *db, struct db_entry *out, struct err *e);

/* The last entry at or before a key, of the same kind; does not disturb db_next(). */
int db_floor(struct db *db, const struct record_key *from, struct db_entry *out, struct err *e);

/* Says that the content is wrong, leaves the mark, returns -EUCLEAN. */
int db_damage(struct db *db, struct err *e, const char *what);
