/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB, kept at arm's length. Its pages have no checksums and it trusts its file, so the file is
 * looked at before LMDB maps it: magic, version, page size, the roots inside the file, and the
 * size. The file is sparse and has its full size from the beginning (LMDB itself would let it grow,
 * and need not write its last pages, so that a short file could be a sound one). A truncated file
 * is thereby seen at once, and no page of a sound one lies behind its end.
 *
 * A look may race with a writer that is just writing a meta page and then see halves of two; the
 * caller repeats it with the lock that keeps writers away before believing in damage. Damage that
 * the look cannot see ends as an error of LMDB, a record that does not parse, LMDB's assertion or a
 * fault (lib/fault.h); db_damage() reports them all. Whatever touches the map, LMDB or a copy of
 * ours, is therefore written in TRY().
 *
 * A full file system must keep no pod from ending. So the file has its first pages from the beginning
 * (a hole in a tmpfs cannot even be read when that is full: SIGBUS), LMDB's lock file has all of its
 * own, and who adds something first makes sure that RESERVE_PAGES more are there than are used:
 * db_reserve(). A release uses those, and pages that earlier ones gave back.
 *
 * Durability is not wanted: MDB_NOSYNC. Never MDB_WRITEMAP: a stray write must not reach the file.
 */
#include "ipam/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/fault.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/text.h"

#define RESERVE_PAGES 64L /* that the file has beyond those in use, before something is added */
#define LOCK_BYTES 40960  /* more than LMDB's lock file has, with READERS */
#define READERS 512	  /* slots for processes that read at the same time */

#define TRY(call) FAULT_TRY(call, MDB_PANIC)
#define TRY_VOID(call) ((void)FAULT_TRY((call, 0), MDB_PANIC))

struct db {
	MDB_env *env;
	MDB_txn *txn;	    /* NULL: none */
	MDB_dbi dbi;	    /* valid while txn is */
	MDB_cursor *scan;   /* of db_seek() and db_next(); NULL until used */
	MDB_cursor *lookup; /* of db_floor() */
	char mark[PATH_MAX];
	char path[PATH_MAX];
};

/* LMDB's meta page (struct MDB_meta of lmdb 0.9, data version 1), as far as it matters here. */
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define META_BYTES 152 /* with the page's header */
struct meta {
	uint32_t magic, version, page_size;
	uint64_t map_size, entries, free_root, root, last_page, txn;
};

static uint64_t meta_word(const uint8_t *p, size_t size)
{
	uint64_t v = 0;
	memcpy(&v, p, size); /* native order, as LMDB writes; roost runs on little-endian hosts */
	return v;
}

static struct meta read_meta(const uint8_t *page)
{
	return (struct meta){
		.magic = (uint32_t)meta_word(page + 16, 4),
		.version = (uint32_t)meta_word(page + 20, 4),
		.map_size = meta_word(page + 32, 8),
		.page_size = (uint32_t)meta_word(page + 40, 4),
		.free_root = meta_word(page + 80, 8),
		.entries = meta_word(page + 120, 8),
		.root = meta_word(page + 128, 8),
		.last_page = meta_word(page + 136, 8),
		.txn = meta_word(page + 144, 8),
	};
}

static bool is_root(uint64_t page, const struct meta *m)
{
	return page == UINT64_MAX || (page >= 2 && page <= m->last_page);
}

static const char *find_fault(const struct meta *m, uint64_t size)
{
	if (m->magic != META_MAGIC)
		return "it is not an LMDB file";
	if (m->version != META_VERSION)
		return "it has another LMDB version";
	if (m->page_size != (uint64_t)sysconf(_SC_PAGESIZE))
		return "it has another page size";
	if (m->entries == 0)
		return NULL;
	if (size != DB_SIZE || m->map_size != DB_SIZE)
		return "it does not have its full size";
	if (m->last_page >= size / m->page_size)
		return "its pages lie outside of it";
	return NULL;
}

/* Only of the meta page that counts: after a failed write LMDB leaves the other one with its old
 * number of pages beside its new roots. */
static const char *find_lost_root(const struct meta *m)
{
	if (m->entries == 0)
		return NULL;
	if (!is_root(m->root, m) || !is_root(m->free_root, m) || m->root == UINT64_MAX)
		return "its roots lie outside of it";
	return NULL;
}

int db_look(const char *path, enum db_look *out, struct err *e)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT) {
		*out = DB_ABSENT;
		return 0;
	}
	struct stat st = {0};
	if (fd < 0 ? errno != ELOOP : fstat(fd, &st) < 0)
		return err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
	*out = DB_DAMAGED;
	if (fd < 0 || !S_ISREG(st.st_mode)) {
		(void)err_set(e, EUCLEAN, "%s is damaged or foreign: it is not a plain file", path);
		return 0;
	}
	if (st.st_size == 0) {
		*out = DB_EMPTY;
		return 0;
	}
	uint8_t pages[2][META_BYTES] = {{0}};
	for (size_t i = 0; i < 2; i++)
		if (pread(fd, pages[i], META_BYTES, (off_t)i * sysconf(_SC_PAGESIZE)) < 0)
			return err_set(e, errno, "cannot read %s: %s", path, strerror(errno));
	struct meta first = read_meta(pages[0]);
	struct meta second = read_meta(pages[1]);
	const struct meta *m = second.txn > first.txn ? &second : &first;
	const char *fault = find_fault(&first, (uint64_t)st.st_size);
	if (!fault)
		fault = find_fault(&second, (uint64_t)st.st_size);
	if (!fault)
		fault = find_lost_root(m);
	if (fault)
		(void)err_set(e, EUCLEAN, "%s is damaged or foreign: %s", path, fault);
	else
		*out = m->entries ? DB_SOUND : DB_EMPTY;
	return 0;
}

static void leave_mark(const struct db *db)
{
	/* Best effort: the error is reported anyway. */
	CLEANUP_FD int fd =
		open(db->mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	(void)fd;
}

int db_damage(struct db *db, struct err *e, const char *what)
{
	leave_mark(db);
	int r = err_set(e, EUCLEAN, "the node state is damaged: %s", what);
	err_details(
		e, "the next command that may change it sets the file aside and begins a new one");
	return r;
}

static int db_fail(struct db *db, int rc, const char *doing, struct err *e)
{
	switch (rc) {
	case MDB_MAP_FULL:
		return err_set(e, ENOSPC, "the node state is full (%zu MiB)", DB_SIZE >> 20);
	case MDB_READERS_FULL:
		return err_set(e, EBUSY, "more than %d processes read the node state", READERS);
	default:
		/* Of LMDB's own errors all others say that the file is not as it should be. */
		if (rc < 0)
			return db_damage(db, e, mdb_strerror(rc));
		return err_set(
			e, rc, "cannot %s the node state %s: %s", doing, db->path, strerror(rc));
	}
}

static void on_assert(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	fault_raise();
}

static int open_env(struct db *db, const char *path, bool read_only)
{
	fault_install();
	int rc = mdb_env_create(&db->env);
	if (rc)
		return rc;
	(void)mdb_env_set_assert(db->env, on_assert);
	(void)mdb_env_set_mapsize(db->env, DB_SIZE);
	(void)mdb_env_set_maxreaders(db->env, READERS);
	unsigned int flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS | (read_only ? MDB_RDONLY : 0);
	rc = TRY(mdb_env_open(db->env, path, flags, 0600));
	int fd;
	/* LMDB 0.9 opens this one of its descriptors without O_CLOEXEC. */
	if (rc == 0 && mdb_env_get_fd(db->env, &fd) == 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return rc;
}

/* Of this boot: pods that it knows may live, so it is neither used nor set aside. */
static int refuse_format(const struct db *db, unsigned int format, struct err *e)
{
	int r = err_set(e, EMEDIUMTYPE,
		"the node state %s has format %u, which another version of roost wrote; this one "
		"(" ROOST_VERSION ") knows format %d",
		db->path, format, RECORD_FORMAT);
	err_details(e, "install the version that wrote it again, or drain this node and reboot it: "
		       "pods can end, none can start, and a node state ends with its boot");
	return r;
}

static int read_own_record(struct db *db, struct record_meta *meta, struct err *e)
{
	int r = db_begin(db, false, e);
	if (r < 0)
		return r;
	struct db_value v = {.len = 0};
	r = db_get(db, &(struct record_key){.kind = RECORD_META}, &v, e);
	db_abort(db);
	if (r < 0)
		return r;
	if (r > 0 && record_meta_parse(v.bytes, v.len, meta))
		return 0;
	char boot[BOOT_ID_TEXT], now[BOOT_ID_TEXT];
	unsigned int format = r > 0 ? record_meta_other_format(v.bytes, v.len, boot) : 0;
	if (format && boot_id(now, e) == 0 && strcmp(boot, now) == 0)
		return refuse_format(db, format, e);
	return db_damage(db, e, "it is of another program");
}

int db_open(struct db **out, const char *path, const char *mark, bool read_only,
	struct record_meta *meta, struct err *e)
{
	struct db *db = mem_new(1, sizeof(*db));
	(void)text_copy(db->mark, sizeof(db->mark), mark);
	(void)text_copy(db->path, sizeof(db->path), path);
	int rc = open_env(db, path, read_only);
	int r = rc ? db_fail(db, rc, "open", e) : 0;
	if (r == 0 && !read_only)
		TRY_VOID(mdb_reader_check(db->env, NULL)); /* slots of killed readers */
	if (r == 0)
		r = read_own_record(db, meta, e);
	if (r < 0) {
		db_close(db);
		return r;
	}
	*out = db;
	return 0;
}

/* Empty files of our own making (LMDB would follow a link) that have their pages nevertheless. */
static int make_file(const char *path, off_t bytes, struct err *e)
{
	CLEANUP_FD int fd = file_create(path, 0600, e);
	return fd < 0 ? fd : file_allocate(fd, path, bytes, e);
}

static int make_files(const char *path, struct err *e)
{
	char lock[PATH_MAX + 8];
	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	int r = make_file(path, 2 * RESERVE_PAGES * sysconf(_SC_PAGESIZE), e);
	return r < 0 ? r : make_file(lock, LOCK_BYTES, e);
}

int db_reserve(struct db *db, struct err *e)
{
	MDB_envinfo info;
	struct stat st;
	mdb_filehandle_t fd;
	(void)mdb_env_info(db->env, &info);
	if (mdb_env_get_fd(db->env, &fd) || fstat(fd, &st) < 0)
		return err_set(e, EIO, "cannot look at %s: %s", db->path, strerror(errno));
	off_t page = sysconf(_SC_PAGESIZE);
	off_t used = (off_t)(info.me_last_pgno + 1) * page;
	if (st.st_blocks * 512 >= used + RESERVE_PAGES * page)
		return 0;
	/* Twice as much, so that this is not asked for each time. */
	off_t wanted = used + 2 * RESERVE_PAGES * page;
	wanted = wanted < (off_t)DB_SIZE ? wanted : (off_t)DB_SIZE;
	int r = file_allocate(fd, db->path, wanted, e);
	if (r < 0)
		err_details(e, "free space in its file system; pods that end need none");
	return r;
}

int db_create(const char *path, const struct record_meta *meta, struct err *e)
{
	int r = make_files(path, e);
	if (r < 0)
		return r;
	struct db *db = mem_new(1, sizeof(*db));
	(void)text_copy(db->path, sizeof(db->path), path);
	int rc = open_env(db, path, false);
	r = rc ? db_fail(db, rc, "make", e) : 0;
	if (r == 0 && truncate(path, (off_t)DB_SIZE) < 0)
		r = err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
	if (r == 0)
		r = db_begin(db, true, e);
	if (r == 0) {
		struct db_value v;
		v.len = record_meta_format(meta, v.bytes);
		r = db_put(db, &(struct record_key){.kind = RECORD_META}, &v, e);
	}
	if (r == 0)
		r = db_commit(db, e);
	db_close(db);
	return r;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_abort(db);
	if (db->env)
		TRY_VOID(mdb_env_close(db->env));
	free(db);
}

static void close_cursors(struct db *db)
{
	if (db->scan)
		TRY_VOID(mdb_cursor_close(db->scan));
	if (db->lookup)
		TRY_VOID(mdb_cursor_close(db->lookup));
	db->scan = NULL;
	db->lookup = NULL;
}

int db_begin(struct db *db, bool write, struct err *e)
{
	assert(!db->txn);
	unsigned int flags = write ? 0 : MDB_RDONLY;
	int rc = TRY(mdb_txn_begin(db->env, NULL, flags, &db->txn));
	if (rc == MDB_READERS_FULL) {
		TRY_VOID(mdb_reader_check(db->env, NULL));
		rc = TRY(mdb_txn_begin(db->env, NULL, flags, &db->txn));
	}
	if (rc == 0)
		rc = TRY(mdb_dbi_open(db->txn, NULL, 0, &db->dbi));
	if (rc == 0)
		return 0;
	int r = db_fail(db, rc, write ? "change" : "read", e);
	db_abort(db);
	return r;
}

/* over: it was not left in its middle, so the transaction is no more. */
static int commit_txn(MDB_txn *txn, volatile bool *over)
{
	int rc = mdb_txn_commit(txn);
	*over = true;
	return rc;
}

int db_commit(struct db *db, struct err *e)
{
	close_cursors(db);
	MDB_txn *txn = db->txn;
	db->txn = NULL;
	volatile bool over = false;
	int rc = TRY(commit_txn(txn, &over));
	if (!over)
		db->txn = txn;
	return rc ? db_fail(db, rc, "change", e) : 0;
}

void db_abort(struct db *db)
{
	close_cursors(db);
	if (db->txn)
		TRY_VOID(mdb_txn_abort(db->txn));
	db->txn = NULL;
}

int db_finish(struct db *db, int r, struct err *e)
{
	int done = r < 0 ? r : db_commit(db, e);
	db_abort(db);
	return done < 0 ? done : r;
}

static int copy_value(struct db *db, const MDB_val *from, struct db_value *to, struct err *e)
{
	if (from->mv_size > sizeof(to->bytes))
		return db_damage(db, e, "a record is too long");
	if (!FAULT_TRY((memcpy(to->bytes, from->mv_data, from->mv_size), true), false))
		return db_fail(db, MDB_PANIC, "read", e);
	to->len = from->mv_size;
	return 1;
}

int db_get(struct db *db, const struct record_key *k, struct db_value *out, struct err *e)
{
	uint8_t bytes[RECORD_KEY_MAX];
	MDB_val key = {.mv_size = record_key_format(k, bytes), .mv_data = bytes};
	MDB_val value;
	int rc = TRY(mdb_get(db->txn, db->dbi, &key, &value));
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? db_fail(db, rc, "read", e) : copy_value(db, &value, out, e);
}

/* With a cursor of the transaction's, as mdb_put() and mdb_del() have theirs on the stack, where the end of
 * the transaction would look for it after a fault. */
static int change_entry(struct db *db, MDB_val *key, MDB_val *value)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(db->txn, db->dbi, &cursor);
	if (rc)
		return rc;
	rc = value ? mdb_cursor_put(cursor, key, value, 0)
		   : mdb_cursor_get(cursor, key, &(MDB_val){0}, MDB_SET);
	if (!value && !rc)
		rc = mdb_cursor_del(cursor, 0);
	mdb_cursor_close(cursor);
	return rc;
}

int db_put(struct db *db, const struct record_key *k, const struct db_value *v, struct err *e)
{
	uint8_t bytes[RECORD_KEY_MAX];
	MDB_val key = {.mv_size = record_key_format(k, bytes), .mv_data = bytes};
	MDB_val value = {.mv_size = v->len, .mv_data = (void *)v->bytes};
	int rc = TRY(change_entry(db, &key, &value));
	return rc ? db_fail(db, rc, "change", e) : 0;
}

int db_del(struct db *db, const struct record_key *k, struct err *e)
{
	uint8_t bytes[RECORD_KEY_MAX];
	MDB_val key = {.mv_size = record_key_format(k, bytes), .mv_data = bytes};
	int rc = TRY(change_entry(db, &key, NULL));
	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? db_fail(db, rc, "change", e) : 1;
}

static int cursor_move(
	struct db *db, MDB_cursor **cursor, MDB_cursor_op op, MDB_val *key, MDB_val *value)
{
	if (!*cursor) {
		int rc = TRY(mdb_cursor_open(db->txn, db->dbi, cursor));
		if (rc)
			return rc;
	}
	return TRY(mdb_cursor_get(*cursor, key, value, op));
}

/* What a cursor found: an entry of the kind that *out has already, or the end of that kind. */
static int cursor_found(struct db *db, int rc, const MDB_val *key, const MDB_val *value,
	struct db_entry *out, struct err *e)
{
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc)
		return db_fail(db, rc, "read", e);
	struct record_key k;
	if (!FAULT_TRY(record_key_parse(key->mv_data, key->mv_size, &k), false))
		return db_damage(db, e, "a key is not one of ours");
	if (k.kind != out->key.kind)
		return 0;
	out->key = k;
	return copy_value(db, value, &out->value, e);
}

int db_seek(struct db *db, const struct record_key *from, struct db_entry *out, struct err *e)
{
	uint8_t bytes[RECORD_KEY_MAX];
	MDB_val key = {.mv_size = record_key_format(from, bytes), .mv_data = bytes};
	MDB_val value = {0};
	int rc = cursor_move(db, &db->scan, MDB_SET_RANGE, &key, &value);
	out->key.kind = from->kind;
	return cursor_found(db, rc, &key, &value, out, e);
}

int db_next(struct db *db, struct db_entry *out, struct err *e)
{
	MDB_val key = {0};
	MDB_val value = {0};
	int rc = cursor_move(db, &db->scan, MDB_NEXT, &key, &value);
	return cursor_found(db, rc, &key, &value, out, e);
}

static bool is_key(const MDB_val *key, const uint8_t *bytes, size_t len)
{
	return key->mv_size == len && memcmp(key->mv_data, bytes, len) == 0;
}

int db_floor(struct db *db, const struct record_key *from, struct db_entry *out, struct err *e)
{
	uint8_t bytes[RECORD_KEY_MAX];
	size_t len = record_key_format(from, bytes);
	MDB_val key = {.mv_size = len, .mv_data = bytes};
	MDB_val value = {0};
	int rc = cursor_move(db, &db->lookup, MDB_SET_RANGE, &key, &value);
	MDB_cursor_op before = rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV;
	if (rc == 0)
		rc = TRY(is_key(&key, bytes, len) ? 0 : MDB_NOTFOUND);
	if (rc == MDB_NOTFOUND)
		rc = cursor_move(db, &db->lookup, before, &key, &value);
	out->key.kind = from->kind;
	return cursor_found(db, rc, &key, &value, out, e);
}
