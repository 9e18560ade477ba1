/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transactions of the driver "file:": writes and reads on what store/store_db.c opened, whose
 * essay has the layout. No transaction outlives the call that began it, so no page of the
 * file is held from being used again, and no two ever meet in one process. What is read is
 * copied out.
 *
 * What was read stays mapped, which counts as this process' memory although it is the kernel's page
 * cache: an agent that lists a large store would seem as large as the file. So the pages of every
 * few documents are given back (MADV_DONTNEED): the cache keeps them, and looking again costs a
 * minor fault. Only addresses that a reading transaction gave are: those lie in the one map of
 * the file, while a writing one may show its own copies.
 *
 * The file belongs to us and its bytes are trusted as far as LMDB trusts them: sizes are checked,
 * meaning is not. But a store that seems to have lost something is damaged, not empty: its revision
 * never goes back, and before each list its documents are counted. Documents are anybody's text.
 */
#include "store/store_lmdb.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"

#define PAGE_ITEMS 256
#define PAGE_BYTES (256u << 10)
#define PUT '+' /* in the log */
#define DELETED '-'
#define LOG_KEY 10    /* bytes */
#define KEPT_PAGES 64 /* about, that stay mapped */

/* ---- small parts of transactions ---- */

static MDB_val val_of(const char *s)
{
	return (MDB_val){.mv_size = strlen(s), .mv_data = (char *)s};
}

/* A number of meta; 0 when there is none. */
static int get_number(struct store_db *db, MDB_txn *txn, const char *name, int64_t *out)
{
	MDB_val key = val_of(name);
	MDB_val value;
	*out = 0;
	int rc = mdb_get(txn, db->meta, &key, &value);
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (value.mv_size != sizeof(*out))
		return MDB_CORRUPTED;
	memcpy(out, value.mv_data, sizeof(*out));
	return 0;
}

/* mdb_put() and (value NULL) mdb_del(), with a cursor of the transaction's: theirs is on the stack, where the
 * end of the transaction would look for it after a fault. */
static int change_entry(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned int flags)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, dbi, &cursor);
	if (rc)
		return rc;
	rc = value ? mdb_cursor_put(cursor, key, value, flags)
		   : mdb_cursor_get(cursor, key, &(MDB_val){0}, MDB_SET);
	if (!value && !rc)
		rc = mdb_cursor_del(cursor, 0);
	mdb_cursor_close(cursor);
	return rc;
}

static int put_number(struct store_db *db, MDB_txn *txn, const char *name, int64_t number)
{
	MDB_val key = val_of(name);
	MDB_val value = {.mv_size = sizeof(number), .mv_data = &number};
	return change_entry(txn, db->meta, &key, &value, 0);
}

/* A value is the document's revision and what follows it, its text. */
static int split_value(MDB_val *value, int64_t *revision)
{
	if (value->mv_size < sizeof(*revision))
		return MDB_CORRUPTED;
	memcpy(revision, value->mv_data, sizeof(*revision));
	value->mv_data = (char *)value->mv_data + sizeof(*revision);
	value->mv_size -= sizeof(*revision);
	return 0;
}

/* The revision of a document, 0 when there is none, and its text. */
static int get_doc(
	struct store_db *db, MDB_txn *txn, const char *name, int64_t *revision, MDB_val *text)
{
	MDB_val key = val_of(name);
	*revision = 0;
	int rc = mdb_get(txn, db->docs, &key, text);
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	return split_value(text, revision);
}

/* What follows the number was that of a change among several, in earlier versions. */
static void log_key(int64_t revision, unsigned char out[LOG_KEY])
{
	memset(out, 0, LOG_KEY);
	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)((uint64_t)revision >> (56 - 8 * i));
}

static int64_t log_revision(const MDB_val *key)
{
	uint64_t revision = 0;
	for (size_t i = 0; i < 8 && i < key->mv_size; i++)
		revision = revision << 8 | ((const unsigned char *)key->mv_data)[i];
	return (int64_t)revision;
}

/* ---- writing ---- */

/* 0 and *holds, or LMDB's error. */
static int compare_doc(struct store_db *db, MDB_txn *txn, const struct store_write *w, bool *holds)
{
	int64_t revision;
	MDB_val text;
	int rc = get_doc(db, txn, w->key, &revision, &text);
	*holds = revision == w->revision;
	return rc;
}

static int change_doc(
	struct store_db *db, MDB_txn *txn, const struct store_write *w, int64_t revision)
{
	MDB_val key = val_of(w->key);
	if (!w->value)
		return change_entry(txn, db->docs, &key, NULL, 0);
	size_t len = strlen(w->value);
	MDB_val value = {.mv_size = sizeof(revision) + len};
	int rc = change_entry(txn, db->docs, &key, &value, MDB_RESERVE);
	if (rc)
		return rc;
	memcpy(value.mv_data, &revision, sizeof(revision));
	memcpy((char *)value.mv_data + sizeof(revision), w->value, len);
	return 0;
}

/* Forgets the oldest revisions of a log that is too long. */
static int trim_log(struct store_db *db, MDB_txn *txn)
{
	MDB_stat stat;
	MDB_cursor *cursor;
	int rc = mdb_stat(txn, db->log, &stat);
	if (rc || stat.ms_entries <= STORE_DB_LOG_MAX)
		return rc;
	size_t excess = stat.ms_entries - STORE_DB_LOG_MAX;
	rc = mdb_cursor_open(txn, db->log, &cursor);
	if (rc)
		return rc;
	MDB_val key;
	MDB_val value;
	int64_t cutoff = 0;
	size_t gone = 0;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	while (!rc && (gone < excess || log_revision(&key) == cutoff)) {
		cutoff = log_revision(&key);
		gone++;
		rc = mdb_cursor_del(cursor, 0);
		if (!rc)
			rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	}
	mdb_cursor_close(cursor);
	return rc && rc != MDB_NOTFOUND ? rc : put_number(db, txn, "cutoff", cutoff);
}

static int log_change(
	struct store_db *db, MDB_txn *txn, const struct store_write *w, int64_t revision)
{
	unsigned char at[LOG_KEY];
	char entry[1 + STORE_KEY_MAX];
	log_key(revision, at);
	int len = snprintf(entry, sizeof(entry), "%c%s", w->value ? PUT : DELETED, w->key);
	MDB_val key = {.mv_size = sizeof(at), .mv_data = at};
	MDB_val value = {.mv_size = (size_t)len, .mv_data = entry};
	return change_entry(txn, db->log, &key, &value, MDB_APPEND);
}

/* *revision is the store's afterwards, and the document's. */
static int write_doc(
	struct store_db *db, MDB_txn *txn, const struct store_write *w, int64_t *revision)
{
	int64_t before;
	int rc = get_number(db, txn, "revision", &before);
	*revision = before + 1;
	if (!rc)
		rc = change_doc(db, txn, w, *revision);
	if (!rc)
		rc = log_change(db, txn, w, *revision);
	if (!rc)
		rc = put_number(db, txn, "revision", *revision);
	return rc ? rc : trim_log(db, txn);
}

static int write_locked(
	struct store_db *db, const struct store_write *w, int64_t *revision, struct err *e)
{
	MDB_txn *txn = NULL;
	bool holds = false;
	int rc = STORE_TRY(mdb_txn_begin(db->env, NULL, 0, &txn));
	if (!rc)
		rc = STORE_TRY(compare_doc(db, txn, w, &holds));
	int64_t reached = 0;
	if (!rc && holds)
		rc = STORE_TRY(write_doc(db, txn, w, &reached));
	if (rc || !holds) {
		if (txn)
			STORE_TRY_VOID(mdb_txn_abort(txn));
		return rc ? store_db_fail(db, rc, e) : 0;
	}
	rc = store_db_end(txn);
	if (rc)
		return store_db_fail(db, rc, e);
	*revision = reached;
	return 1;
}

int store_db_write(
	struct store_db *db, const struct store_write *w, int64_t *revision, struct err *e)
{
	int r = store_db_usable(db, e);
	if (r == 0)
		r = store_db_lock(db, e);
	if (r < 0)
		return r;
	r = write_locked(db, w, revision, e);
	if (r > 0)
		(void)futimens(db->changed_fd, NULL); /* who misses it checks within seconds */
	store_db_unlock(db);
	return r;
}

/* ---- reading ---- */

void store_db_page_clear(struct store_db_page *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->items[i].key);
		free(p->items[i].value);
	}
	free(p->items);
	*p = (struct store_db_page){0};
}

static char *copy_bytes(const void *bytes, size_t len)
{
	char *s = mem_new(len + 1, 1);
	memcpy(s, bytes, len);
	return s;
}

/* Remembers where the map was read. A text without bytes was not there, nor is one of which a damaged page
 * says so: whatever memory lies there is not the file's. */
static void note_read(struct store_db *db, const MDB_val *text)
{
	char *low = text->mv_data;
	if (!text->mv_size || !db->map || low < db->map || text->mv_size > db->size ||
		low + text->mv_size > db->map + db->size)
		return;
	if (!db->pages_read || low < db->read_low)
		db->read_low = low;
	if (!db->pages_read || low + text->mv_size > db->read_high)
		db->read_high = low + text->mv_size;
	db->pages_read += 1 + text->mv_size / 4096;
}

/* No pointer into the map is used afterwards. */
static void end_read(struct store_db *db, MDB_txn *txn)
{
	if (db->cursor)
		mdb_cursor_close(db->cursor);
	db->cursor = NULL;
	STORE_TRY_VOID(mdb_txn_abort(txn));
	if (db->pages_read < KEPT_PAGES)
		return;
	char *page = db->read_low - (uintptr_t)db->read_low % (uintptr_t)sysconf(_SC_PAGESIZE);
	/* It cannot fail in a way that matters: what stays mapped is only counted. */
	(void)madvise(page, (size_t)(db->read_high - page), MADV_DONTNEED);
	db->pages_read = 0;
}

static void add_item(struct store_db_page *p, const MDB_val *key, const MDB_val *text,
	int64_t revision, bool deleted)
{
	p->items = mem_grow(p->items, &p->room, p->count, sizeof(*p->items));
	bool usable = !deleted && text->mv_size <= STORE_VALUE_MAX &&
		      !memchr(text->mv_data, '\0', text->mv_size);
	p->items[p->count++] = (struct store_db_item){
		.deleted = deleted,
		.key = copy_bytes(key->mv_data, key->mv_size),
		.value = usable ? copy_bytes(text->mv_data, text->mv_size) : NULL,
		.revision = revision,
	};
	p->bytes += key->mv_size + (usable ? text->mv_size : 0);
}

static bool is_full(const struct store_db_page *p)
{
	return p->count >= PAGE_ITEMS || p->bytes >= PAGE_BYTES;
}

static bool has_prefix(const MDB_val *key, const char *prefix)
{
	size_t len = strlen(prefix);
	return key->mv_size >= len && memcmp(key->mv_data, prefix, len) == 0;
}

static int begin_read(struct store_db *db, MDB_txn **txn, int64_t *revision, struct err *e)
{
	*txn = NULL;
	int r = store_db_usable(db, e);
	if (r < 0)
		return r;
	int rc = STORE_TRY(mdb_txn_begin(db->env, NULL, MDB_RDONLY, txn));
	if (!rc)
		rc = STORE_TRY(get_number(db, *txn, "revision", revision));
	if (!rc && *revision < db->revision)
		rc = MDB_CORRUPTED;
	if (!rc) {
		db->revision = *revision;
		return 0;
	}
	if (*txn)
		STORE_TRY_VOID(mdb_txn_abort(*txn));
	return store_db_fail(db, rc, e);
}

static int list_in(struct store_db *db, MDB_txn *txn, const char *prefix, const char *after,
	bool all, struct store_db_page *out)
{
	int rc = mdb_cursor_open(txn, db->docs, &db->cursor);
	if (rc)
		return rc;
	MDB_cursor *cursor = db->cursor;
	MDB_val key = val_of(*after ? after : prefix);
	MDB_val text;
	rc = mdb_cursor_get(cursor, &key, &text, key.mv_size ? MDB_SET_RANGE : MDB_FIRST);
	while (!rc && has_prefix(&key, prefix)) {
		out->more = !all && is_full(out);
		if (out->more)
			break;
		int64_t revision;
		rc = split_value(&text, &revision);
		if (rc)
			break;
		note_read(db, &text);
		if (!*after || key.mv_size != strlen(after) ||
			memcmp(key.mv_data, after, key.mv_size) != 0)
			add_item(out, &key, &text, revision, false);
		rc = mdb_cursor_get(cursor, &key, &text, MDB_NEXT);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* rc: LMDB's result of what was read into page. */
static int finish_read(struct store_db *db, MDB_txn *txn, int rc, struct store_db_page *page,
	struct store_db_page *out, struct err *e)
{
	end_read(db, txn);
	if (rc) {
		store_db_page_clear(page);
		return store_db_fail(db, rc, e);
	}
	*out = *page;
	return 0;
}

int store_db_list(struct store_db *db, const char *prefix, const char *after, bool all,
	struct store_db_page *out, struct err *e)
{
	MDB_txn *txn;
	struct store_db_page page = {0};
	int r = begin_read(db, &txn, &page.revision, e);
	if (r < 0)
		return r;
	int rc = *after ? 0 : STORE_TRY(store_db_count(txn, db->docs));
	if (!rc)
		rc = STORE_TRY(list_in(db, txn, prefix, after, all, &page));
	return finish_read(db, txn, rc, &page, out, e);
}

/* One entry of the log: told unless a later one tells of the same document. */
static int add_change(struct store_db *db, MDB_txn *txn, const MDB_val *entry, int64_t revision,
	struct store_db_page *out)
{
	char key[1 + STORE_KEY_MAX];
	int64_t now;
	MDB_val text = {0};
	if (entry->mv_size >= sizeof(key))
		return MDB_CORRUPTED;
	memcpy(key, entry->mv_data, entry->mv_size);
	key[entry->mv_size] = '\0';
	int rc = get_doc(db, txn, key + 1, &now, &text);
	bool is_last = key[0] == DELETED ? now == 0 : now == revision;
	MDB_val name = val_of(key + 1);
	note_read(db, &text);
	if (!rc && is_last)
		add_item(out, &name, &text, revision, now == 0);
	return rc;
}

static int changes_in(struct store_db *db, MDB_txn *txn, const char *prefix, int64_t after,
	struct store_db_page *out)
{
	int rc = mdb_cursor_open(txn, db->log, &db->cursor);
	if (rc)
		return rc;
	MDB_cursor *cursor = db->cursor;
	unsigned char at[LOG_KEY];
	log_key(after + 1, at);
	MDB_val key = {.mv_size = sizeof(at), .mv_data = at};
	MDB_val entry;
	int64_t told = after;
	rc = mdb_cursor_get(cursor, &key, &entry, MDB_SET_RANGE);
	while (!rc) {
		int64_t revision = log_revision(&key);
		out->more = revision != told && is_full(out);
		if (out->more)
			break;
		told = revision;
		MDB_val name = {entry.mv_size - 1, (char *)entry.mv_data + 1};
		if (entry.mv_size < 2)
			rc = MDB_CORRUPTED;
		else if (has_prefix(&name, prefix))
			rc = add_change(db, txn, &entry, revision, out);
		if (!rc)
			rc = mdb_cursor_get(cursor, &key, &entry, MDB_NEXT);
	}
	if (out->more)
		out->revision = told;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_db_changes(struct store_db *db, const char *prefix, int64_t after,
	struct store_db_page *out, struct err *e)
{
	MDB_txn *txn;
	struct store_db_page page = {0};
	int64_t cutoff = 0;
	int r = begin_read(db, &txn, &page.revision, e);
	if (r < 0)
		return r;
	int rc = STORE_TRY(get_number(db, txn, "cutoff", &cutoff));
	bool known = after >= cutoff && after <= page.revision;
	if (!rc && known)
		rc = STORE_TRY(changes_in(db, txn, prefix, after, &page));
	r = finish_read(db, txn, rc, &page, out, e);
	return r < 0 ? r : known;
}

static int get_in(struct store_db *db, MDB_txn *txn, const char *key, struct store_db_page *out)
{
	int64_t revision;
	MDB_val text = {0};
	int rc = get_doc(db, txn, key, &revision, &text);
	MDB_val name = val_of(key);
	note_read(db, &text);
	if (!rc)
		add_item(out, &name, &text, revision, revision == 0);
	return rc;
}

int store_db_get(struct store_db *db, const char *key, struct store_db_page *out, struct err *e)
{
	MDB_txn *txn;
	struct store_db_page page = {0};
	int64_t revision;
	int r = begin_read(db, &txn, &revision, e);
	if (r < 0)
		return r;
	int rc = STORE_TRY(get_in(db, txn, key, &page));
	return finish_read(db, txn, rc, &page, out, e);
}

int store_db_revision(struct store_db *db, int64_t *out, struct err *e)
{
	MDB_txn *txn;
	int r = begin_read(db, &txn, out, e);
	if (r == 0)
		end_read(db, txn);
	return r;
}
