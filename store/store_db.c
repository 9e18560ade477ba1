/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver "file:"'s documents, in FOLDER/store.mdb (LMDB 0.9, three databases in one file):
 *
 *	docs	key -> revision (8 bytes), text
 *	log	revision (8 bytes, big-endian), number within it (2) -> '+' or '-', key
 *	meta	"revision" -> the store's, "cutoff" -> the last one that left the log, "format" -> 1,
 *		"id" -> a random number, so that a store that was made anew is another one
 *
 * Numbers are in the machine's order unless it says otherwise. Every commit that changes something
 * has the next revision; the log keeps the last STORE_DB_LOG_MAX changes, whole revisions only.
 *
 * Commits are synced, meta page included: this state survives a loss of power. A process that is
 * killed loses its transaction and nothing else; its reader slots are freed by the others.
 *
 * Writers take FOLDER/lock (flock, never waiting for it) before LMDB's own writer lock, which
 * cannot be tried: so nobody ever blocks on a process that was stopped while it wrote. The lock
 * file holds the id of its last holder, for the sentence about it; its times change whenever the lock
 * becomes free, for those that open the store and wait for it.
 *
 * LMDB forbids to open a file twice in one process (closing one drops the POSIX locks of both), so
 * the open ones are listed in a variable of this file, by device and inode of the folder. That
 * is process state by its nature, as the locks are.
 *
 * The file is sparse and has its full size from the beginning, as LMDB need not write its last
 * pages: so a page that lies behind its end is one that was cut off. It is made as store.mdb.new and
 * renamed when it is complete: so whatever else has its name is damage, which is named and never
 * removed. LMDB has no checksums; other damage ends as its error, or as a fault, which is an error too
 * (lib/fault.h).
 *
 * A store can be damaged, removed or replaced while it is open. Then every transaction says so, until
 * store_db_check() finds a sound one under its name, whose every document it reads first. Who waits
 * for that needs no restart.
 */
#include "store/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "store/store_driver.h"

#define OPEN_WAIT_MS 5000 /* for another process' commit, when opening */
#define FORMAT 1
#define LOCK_BYTES 40960 /* more than LMDB's lock file has, with STORE_DB_READERS */

static struct store_db *opened;

static size_t map_size(const struct store_db *db)
{
	MDB_envinfo info;
	return mdb_env_info(db->env, &info) ? 0 : info.me_mapsize;
}

static int ruined(struct store_db *db, const char *how, struct err *e)
{
	db->ruined = true;
	(void)err_set(&db->why, EUCLEAN, "the store in %s is damaged: %s", db->folder, how);
	*e = db->why;
	return -EUCLEAN;
}

int store_db_fail(struct store_db *db, int rc, struct err *e)
{
	switch (rc) {
	case MDB_MAP_FULL:
		return err_set(e, ENOSPC, "the store in %s is full (%zu MiB)", db->folder,
			map_size(db) >> 20);
	case MDB_READERS_FULL:
		return err_set(e, EBUSY, "more than %d processes read the store in %s",
			STORE_DB_READERS, db->folder);
	default:
		break;
	}
	if (rc > 0)
		return err_set(
			e, rc, "cannot use the store in %s: %s", db->folder, mdb_strerror(rc));
	/* Of LMDB's own errors all others say that the file is not as it should be. */
	return ruined(db, mdb_strerror(rc), e);
}

static void on_assert(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	fault_raise();
}

static int end_txn(MDB_txn *txn, volatile bool *over)
{
	int rc = mdb_txn_commit(txn);
	*over = true;
	return rc;
}

int store_db_end(MDB_txn *txn)
{
	volatile bool over = false; /* not left in its middle */
	int rc = STORE_TRY(end_txn(txn, &over));
	if (!over)
		STORE_TRY_VOID(mdb_txn_abort(txn));
	return rc;
}

/* ---- the lock ---- */

int store_db_lock(struct store_db *db, struct err *e)
{
	char text[16] = "";
	if (flock(db->lock, LOCK_EX | LOCK_NB) < 0) {
		ssize_t n = pread(db->lock, text, sizeof(text) - 1, 0);
		text[n > 0 ? strspn(text, "0123456789") : 0] = '\0';
		return err_set(e, errno == EWOULDBLOCK ? EBUSY : errno,
			"the store in %s is locked by process %s", db->folder,
			*text ? text : "of an unknown id");
	}
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	ssize_t n = pwrite(db->lock, text, (size_t)len, 0);
	(void)n; /* only for a sentence */
	return 0;
}

void store_db_unlock(struct store_db *db)
{
	(void)flock(db->lock, LOCK_UN);
	(void)futimens(db->lock, NULL); /* for whoever waits in lock_soon() */
}

/* Waits for the lock until OPEN_WAIT_MS have passed. Each change of the lock file's times and each
 * closing of it says that it may be free. The closing by a process that is killed comes a moment before
 * its lock goes; who is that fast has the last try, when time is up. */
static int lock_soon(struct store_db *db, const char *path, struct err *e)
{
	const int64_t deadline = boot_now_ms() + OPEN_WAIT_MS;
	int r = store_db_lock(db, e);
	if (r != -EBUSY)
		return r;
	CLEANUP_FD int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (events < 0 || inotify_add_watch(events, path, IN_ATTRIB | IN_CLOSE_WRITE) < 0)
		return err_set(e, errno, "cannot watch %s: %s", path, strerror(errno));
	for (;;) {
		int64_t left = deadline - boot_now_ms();
		r = store_db_lock(db, e);
		if (r != -EBUSY || left <= 0)
			return r;
		struct pollfd p = {.fd = events, .events = POLLIN};
		(void)poll(&p, 1, (int)left);
		char ignored[4096];
		while (read(events, ignored, sizeof(ignored)) > 0)
			;
	}
}

/* ---- opening ---- */

/* A number of meta: what is there, else *number is put there, unless it has to be there. */
static int keep_number(
	struct store_db *db, MDB_txn *txn, const char *name, bool existing, MDB_val number)
{
	MDB_val key = {.mv_size = strlen(name), .mv_data = (char *)name};
	MDB_val found;
	int rc = mdb_get(txn, db->meta, &key, &found);
	if (rc == MDB_NOTFOUND && !existing)
		return mdb_put(txn, db->meta, &key, &number, 0);
	if (!rc && found.mv_size == number.mv_size)
		memcpy(number.mv_data, found.mv_data, number.mv_size);
	return rc;
}

static int set_format(struct store_db *db, MDB_txn *txn, bool existing)
{
	uint32_t format = FORMAT;
	int rc = keep_number(db, txn, "format", existing, (MDB_val){sizeof(format), &format});
	return rc || format == FORMAT ? rc : MDB_VERSION_MISMATCH;
}

/* A store of a version without ids gets one when it is opened. */
static int set_id(struct store_db *db, MDB_txn *txn)
{
	uint64_t id;
	if (getrandom(&id, sizeof(id), 0) != sizeof(id))
		err_abort("the kernel gives no random numbers");
	int rc = keep_number(db, txn, "id", false, (MDB_val){sizeof(id), &id});
	db->id = id;
	return rc;
}

/* flags: MDB_CREATE the first time; a file that lacks one later is not ours. */
static int open_databases(struct store_db *db, unsigned int flags)
{
	MDB_txn *txn = NULL;
	int rc = STORE_TRY(mdb_txn_begin(db->env, NULL, 0, &txn));
	if (!rc)
		rc = STORE_TRY(mdb_dbi_open(txn, "docs", flags, &db->docs));
	if (!rc)
		rc = STORE_TRY(mdb_dbi_open(txn, "log", flags, &db->log));
	if (!rc)
		rc = STORE_TRY(mdb_dbi_open(txn, "meta", flags, &db->meta));
	if (!rc)
		rc = STORE_TRY(set_format(db, txn, !flags));
	if (!rc)
		rc = STORE_TRY(set_id(db, txn));
	if (!rc)
		return store_db_end(txn);
	if (txn)
		STORE_TRY_VOID(mdb_txn_abort(txn));
	return rc;
}

static int no_store(const char *folder, struct err *e)
{
	return err_set(e, ENOENT, "there is no store in %s: no store.mdb is there", folder);
}

/* The pages of the file must lie inside of it. */
static int check_size(struct store_db *db, struct err *e)
{
	mdb_filehandle_t fd;
	MDB_envinfo info;
	struct stat st = {0};
	(void)mdb_env_get_fd(db->env, &fd);
	(void)mdb_env_info(db->env, &info);
	size_t needed = (info.me_last_pgno + 1) * (size_t)sysconf(_SC_PAGESIZE);
	if (fstat(fd, &st) < 0 || (size_t)st.st_size < needed)
		return ruined(db, "its file was cut", e);
	return 0;
}

/* LMDB maps its lock file, too: a hole in it would be a fault when the disk is full. */
static int allocate_lock(const char *path, struct err *e)
{
	char lock[PATH_MAX];
	(void)snprintf(lock, sizeof(lock), "%s-lock", path);
	CLEANUP_FD int fd = file_open(lock, O_RDWR | O_CREAT, NULL, e);
	return fd < 0 ? fd : file_allocate(fd, lock, LOCK_BYTES, e);
}

/* LMDB does not tell where its map is. NULL: it was not found. */
static char *find_map(const char *path, size_t size)
{
	char line[PATH_MAX + 128];
	const char *name = strrchr(path, '/');
	char *found = NULL;
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && !found && fgets(line, sizeof(line), maps)) {
		char *rest = line;
		uintptr_t low = strtoull(rest, &rest, 16);
		uintptr_t high = *rest == '-' ? strtoull(rest + 1, &rest, 16) : low;
		rest[strcspn(rest, "\n")] = '\0';
		const char *shown = strrchr(rest, '/');
		if (high - low == size && shown && name && strcmp(shown, name) == 0)
			found = (char *)low; /* NOLINT(performance-no-int-to-ptr) */
	}
	if (maps)
		(void)fclose(maps);
	return found;
}

static int open_env(struct store_db *db, const char *path, size_t size, struct err *e)
{
	mdb_filehandle_t fd;
	int dead;
	int r = allocate_lock(path, e);
	if (r < 0)
		return r;
	fault_install();
	db->size = size;
	int rc = mdb_env_create(&db->env);
	if (rc)
		return store_db_fail(db, rc, e);
	(void)mdb_env_set_assert(db->env, on_assert);
	(void)mdb_env_set_mapsize(db->env, size);
	(void)mdb_env_set_maxreaders(db->env, STORE_DB_READERS);
	(void)mdb_env_set_maxdbs(db->env, 3);
	rc = STORE_TRY(mdb_env_open(db->env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600));
	if (rc)
		return store_db_fail(db, rc, e);
	STORE_TRY_VOID(mdb_reader_check(db->env, &dead));
	(void)mdb_env_get_fd(db->env, &fd);
	/* LMDB 0.9 opens this one of its descriptors without O_CLOEXEC. */
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	db->map = find_map(path, size);
	return 0;
}

static void close_env(struct store_db *db)
{
	if (db->env)
		STORE_TRY_VOID(mdb_env_close(db->env));
	db->env = NULL;
	db->pages_read = 0;
}

/* The whole file, under another name. */
static int make_env(struct store_db *db, const char *path, struct err *e)
{
	mdb_filehandle_t fd;
	int r = open_env(db, path, STORE_DB_SIZE, e);
	if (r < 0)
		return r;
	(void)mdb_env_get_fd(db->env, &fd);
	if (ftruncate(fd, (off_t)STORE_DB_SIZE) < 0)
		return err_set(e, errno, "cannot make %s: %s", path, strerror(errno));
	int rc = open_databases(db, MDB_CREATE);
	return rc ? store_db_fail(db, rc, e) : 0;
}

/* Makes store.mdb: it has its name when it is complete, so that a small or empty file of this name is
 * never the beginning of one. What a killed maker left has the other name. */
static int make_file(struct store_db *db, struct err *e)
{
	char path[PATH_MAX];
	char lock[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/store.mdb.new", db->folder);
	(void)snprintf(lock, sizeof(lock), "%s/store.mdb.new-lock", db->folder);
	(void)unlink(path);
	(void)unlink(lock);
	int r = make_env(db, path, e);
	close_env(db);
	(void)unlink(lock);
	if (r == 0 && rename(path, db->path) < 0)
		r = err_set(e, errno, "cannot make %s: %s", db->path, strerror(errno));
	if (r < 0) {
		(void)unlink(path);
		return r;
	}
	return file_sync_dir(db->folder, e);
}

/* 1: there is a file that LMDB may open, of *size; 0: there is none. A file without LMDB's two
 * first pages was cut, and LMDB would begin an empty one anew. */
static int find_file(const char *folder, const char *path, size_t *size, struct err *e)
{
	struct stat st;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (lstat(path, &st) < 0)
		return errno == ENOENT
			       ? 0
			       : err_set(e, errno, "cannot use %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(
			e, EUCLEAN, "the store in %s is damaged: store.mdb is no file", folder);
	if ((size_t)st.st_size < 2 * page)
		return err_set(e, EUCLEAN,
			"the store in %s is damaged: store.mdb has only %zu bytes", folder,
			(size_t)st.st_size);
	*size = (size_t)st.st_size - (size_t)st.st_size % page;
	return 1;
}

/* The map is as large as the file, whatever it was made with. */
static int open_store(struct store_db *db, bool existing, struct err *e)
{
	size_t size = STORE_DB_SIZE;
	int r = find_file(db->folder, db->path, &size, e);
	if (r == 0)
		r = existing ? no_store(db->folder, e) : make_file(db, e);
	if (r >= 0)
		r = open_env(db, db->path, size, e);
	if (r == 0)
		r = check_size(db, e);
	if (r < 0)
		return r;
	int rc = open_databases(db, 0);
	return rc ? store_db_fail(db, rc, e) : 0;
}

static char *join(const char *folder, const char *name)
{
	char path[PATH_MAX];
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return mem_strdup(path);
}

static void close_files(struct store_db *db)
{
	close_env(db);
	mem_cleanup_fd(&db->lock);
	mem_cleanup_fd(&db->changed_fd);
	db->lock = db->changed_fd = -1;
}

static int open_files(struct store_db *db, const char *path, struct err *e)
{
	db->lock = file_open(path, O_RDWR | O_CREAT, NULL, e);
	if (db->lock < 0)
		return db->lock;
	db->changed_fd = file_open(db->changed, O_RDWR | O_CREAT, NULL, e);
	return db->changed_fd < 0 ? db->changed_fd : 0;
}

static int open_locked(struct store_db *db, bool existing, struct err *e)
{
	CLEANUP_FREE char *path = join(db->folder, "lock");
	int r = open_files(db, path, e);
	if (r == 0)
		r = lock_soon(db, path, e);
	if (r < 0)
		return r;
	r = open_store(db, existing, e);
	store_db_unlock(db);
	return r;
}

/* The folder: of a store that is there, or made. */
static int open_folder(const char *folder, bool existing, struct err *e)
{
	if (strlen(folder) > PATH_MAX - 32)
		return err_set(e, ENAMETOOLONG, "the path of the store is too long");
	if (!existing)
		return file_make_dir(folder, 0700, e);
	CLEANUP_FREE char *path = join(folder, "store.mdb");
	size_t size;
	int r = find_file(folder, path, &size, e);
	return r == 0 ? no_store(folder, e) : r;
}

int store_db_open(struct store_db **out, const char *folder, bool existing, struct err *e)
{
	struct stat st;
	int r = open_folder(folder, existing, e);
	if (r < 0)
		return r;
	if (stat(folder, &st) < 0)
		return err_set(e, errno, "cannot use %s: %s", folder, strerror(errno));
	struct store_db *db = opened;
	while (db && (db->dev != st.st_dev || db->ino != st.st_ino))
		db = db->next;
	if (db) {
		db->users++;
		*out = db;
		return 0;
	}
	db = mem_new(1, sizeof(*db));
	*db = (struct store_db){
		.users = 1,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.folder = mem_strdup(folder),
		.path = join(folder, "store.mdb"),
		.changed = join(folder, "changed"),
		.lock = -1,
		.changed_fd = -1,
		.next = opened,
	};
	opened = db;
	r = open_locked(db, existing, e);
	if (r < 0) {
		store_db_close(db);
		return r;
	}
	*out = db;
	return 0;
}

void store_db_close(struct store_db *db)
{
	if (!db || --db->users > 0)
		return;
	struct store_db **p = &opened;
	while (*p != db)
		p = &(*p)->next;
	*p = db->next;
	close_files(db);
	free(db->folder);
	free(db->path);
	free(db->changed);
	free(db);
}

uint64_t store_db_id(const struct store_db *db)
{
	return db->id;
}

const char *store_db_changed(const struct store_db *db)
{
	return db->changed;
}

int store_db_count(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_cursor *cursor;
	MDB_stat stat;
	MDB_val key;
	size_t n = 0;
	int rc = mdb_stat(txn, dbi, &stat);
	if (!rc)
		rc = mdb_cursor_open(txn, dbi, &cursor);
	if (rc)
		return rc;
	while (!(rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)))
		n++;
	mdb_cursor_close(cursor);
	if (rc != MDB_NOTFOUND)
		return rc;
	return n == stat.ms_entries ? 0 : MDB_CORRUPTED;
}

/* Each entry, and each byte of it. */
static int walk_in(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_cursor *cursor;
	MDB_val key;
	MDB_val value;
	unsigned int sum = 0;
	int rc = mdb_cursor_open(txn, dbi, &cursor);
	if (rc)
		return rc;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	while (!rc) {
		const volatile unsigned char *bytes = value.mv_data;
		for (size_t i = 0; i < value.mv_size; i++)
			sum += bytes[i];
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	(void)sum;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int walk(struct store_db *db)
{
	MDB_txn *txn = NULL;
	int rc = STORE_TRY(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn));
	const MDB_dbi all[] = {db->docs, db->log, db->meta};
	for (size_t i = 0; !rc && i < sizeof(all) / sizeof(all[0]); i++) {
		rc = STORE_TRY(store_db_count(txn, all[i]));
		if (!rc)
			rc = STORE_TRY(walk_in(txn, all[i]));
	}
	if (txn)
		STORE_TRY_VOID(mdb_txn_abort(txn));
	return rc;
}

/* Whether what has the store's name is what is open, in its full size. */
static int look_at_file(struct store_db *db, struct err *e)
{
	struct stat now;
	struct stat then;
	mdb_filehandle_t fd;
	(void)mdb_env_get_fd(db->env, &fd);
	if (fstat(fd, &then) < 0 || stat(db->path, &now) < 0 || now.st_dev != then.st_dev ||
		now.st_ino != then.st_ino)
		return err_set(e, ESTALE,
			"the store in %s was removed or replaced while it was in use", db->folder);
	if ((size_t)then.st_size >= db->size)
		return 0;
	return ruined(db, "its file was cut", e);
}

int store_db_usable(struct store_db *db, struct err *e)
{
	if (db->env && !db->ruined)
		return look_at_file(db, e);
	*e = db->why;
	return -EUCLEAN;
}

/* Waits for nobody: whoever asks has other things to do. */
static int open_anew(struct store_db *db, struct err *e)
{
	struct stat st;
	CLEANUP_FREE char *path = join(db->folder, "lock");
	close_files(db);
	db->ruined = false;
	db->revision = 0;
	int r = open_folder(db->folder, true, e);
	if (r >= 0)
		r = open_files(db, path, e);
	if (r == 0)
		r = store_db_lock(db, e);
	if (r < 0)
		return r;
	r = open_store(db, true, e);
	store_db_unlock(db);
	if (r == 0 && stat(db->folder, &st) == 0) {
		db->dev = st.st_dev;
		db->ino = st.st_ino;
	}
	int rc = r ? 0 : walk(db);
	return rc ? store_db_fail(db, rc, e) : r;
}

int store_db_check(struct store_db *db, struct err *e)
{
	int dead;
	if (store_db_usable(db, e) == 0) {
		STORE_TRY_VOID(mdb_reader_check(db->env, &dead));
		return 0;
	}
	int r = open_anew(db, e);
	if (r == 0)
		return 1;
	close_files(db);
	db->why = *e;
	return r;
}
