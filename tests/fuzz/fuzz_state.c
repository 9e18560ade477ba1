/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a whole file of the node state. It was sound, and the input says what became of it
 * (patched.h). Whatever that is, it is read to its end or named as damaged, with a sentence, and the
 * process goes on; what is read of it is what records can be. A file that was cut is written, too.
 */
#include "tests/fuzz/patched.h"

#include <errno.h>
#include <stdio.h>

#include "ipam/db.h"

#define ENTRIES 300
#define SEEN_MAX 100000 /* entries that a file of this size cannot have */

static char folder[] = "/tmp/roost-fuzz-XXXXXX";
static char mark[96];
static struct patched file;

static struct record_key key_of(uint32_t number)
{
	struct record_key k = {.kind = RECORD_ADDR, .addr.family = AF_INET};
	k.addr.bytes[0] = 10;
	k.addr.bytes[2] = (uint8_t)(number >> 8);
	k.addr.bytes[3] = (uint8_t)number;
	return k;
}

static void make_file(void)
{
	const struct record_meta meta = {.boot = "0b5f1a52-6f0e-4d2c-9a57-2f4f3b9be0d1", .id = 7};
	struct record_meta found;
	struct db *db;
	struct err e;
	CHECK(mkdtemp(folder));
	(void)snprintf(file.path, sizeof(file.path), "%s/state", folder);
	(void)snprintf(mark, sizeof(mark), "%s/mark", folder);
	CHECK(db_create(file.path, &meta, &e) == 0);
	CHECK(db_open(&db, file.path, mark, false, &found, &e) == 0);
	CHECK(db_begin(db, true, &e) == 0);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const struct record_key k = key_of(i);
		struct db_value v = {.len = 100};
		memset(v.bytes, (int)i, v.len);
		CHECK(db_put(db, &k, &v, &e) == 0);
	}
	CHECK(db_commit(db, &e) == 0);
	db_close(db);
	patched_remember(&file, 1 << 20);
}

static void read_all(struct db *db)
{
	const struct record_key from = key_of(0);
	struct db_entry entry;
	struct err e = {0};
	if (db_begin(db, false, &e) < 0) {
		CHECK(*e.text);
		return;
	}
	size_t n = 0;
	int r = db_seek(db, &from, &entry, &e);
	for (; r > 0 && n < SEEN_MAX; n++) {
		CHECK(entry.key.kind == RECORD_ADDR && entry.value.len <= RECORD_VALUE_MAX);
		r = db_next(db, &entry, &e);
	}
	CHECK(n < SEEN_MAX && (r == 0 || *e.text));
	db_abort(db);
}

static void change(struct db *db)
{
	const struct record_key k = key_of(17), other = key_of(ENTRIES + 1);
	struct db_value v = {.len = 50};
	struct err e = {0};
	int r = db_begin(db, true, &e);
	if (r == 0)
		r = db_put(db, &other, &v, &e);
	if (r >= 0)
		r = db_del(db, &k, &e);
	r = db_finish(db, r, &e);
	CHECK(r >= 0 || *e.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum db_look look = DB_ABSENT;
	struct record_meta meta;
	struct db *db;
	struct err e = {0};
	if (!file.sound)
		make_file();
	bool changed = patched_write(&file, data, size);
	CHECK(db_look(file.path, &look, &e) == 0);
	if (look != DB_SOUND)
		return 0;
	if (db_open(&db, file.path, mark, false, &meta, &e) < 0) {
		CHECK(*e.text);
		return 0;
	}
	read_all(db);
	if (!changed)
		change(db);
	read_all(db);
	db_close(db);
	return 0;
}
