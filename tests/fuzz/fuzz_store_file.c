/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the embedded store's documents and its whole file, which was sound once (patched.h). Whatever
 * became of it, it is read (and written, if it was only cut), or named as damaged, with a sentence, and the process goes on; keys
 * and values that are handed out are within the bounds of the interface.
 */
#include "tests/fuzz/patched.h"

#include <stdio.h>

#include "store/store_db.h"

#define DOCUMENTS 120

static char folder[] = "/tmp/roost-fuzz-XXXXXX";
static struct patched file;

static int commit(
	struct store_db *db, const char *key, const char *value, int64_t revision, struct err *e)
{
	const struct store_write w = {.key = key, .value = value, .revision = revision};
	int64_t reached;
	return store_db_write(db, &w, &reached, e);
}

static void make_file(void)
{
	struct store_db *db;
	struct err e;
	CHECK(mkdtemp(folder));
	(void)snprintf(file.path, sizeof(file.path), "%s/store.mdb", folder);
	CHECK(store_db_open(&db, folder, false, &e) == 0);
	for (int i = 0; i < DOCUMENTS; i++) {
		char key[32], value[128];
		(void)snprintf(key, sizeof(key), "blocks/10.0.%d.0-26", i);
		(void)snprintf(value, sizeof(value), "{\"node\":\"n%d\",\"state\":\"owned\"}", i);
		CHECK(commit(db, key, value, 0, &e) == 1);
	}
	store_db_close(db);
	patched_remember(&file, 1 << 20);
}

static void check_page(int r, struct store_db_page *p, const struct err *e)
{
	CHECK(r >= 0 || *e->text);
	for (size_t i = 0; i < p->count; i++) {
		const struct store_db_item *item = &p->items[i];
		CHECK(item->key);
		CHECK(!item->value || strlen(item->value) <= STORE_VALUE_MAX);
	}
	store_db_page_clear(p);
}

static void use(struct store_db *db, bool writes)
{
	struct store_db_page page = {0};
	struct err e = {0};
	check_page(store_db_list(db, "", "", true, &page, &e), &page, &e);
	check_page(store_db_list(db, "blocks/", "blocks/10.0.7", false, &page, &e), &page, &e);
	check_page(store_db_changes(db, "", 3, &page, &e), &page, &e);
	check_page(store_db_get(db, "blocks/10.0.17.0-26", &page, &e), &page, &e);
	CHECK(!writes || commit(db, "blocks/10.0.5.0-26", NULL, 6, &e) >= 0 || *e.text);
	CHECK(!writes || commit(db, "a", "{}", 0, &e) >= 0 || *e.text);
	check_page(store_db_list(db, "", "", true, &page, &e), &page, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct store_db *db;
	struct err e = {0};
	if (!file.sound)
		make_file();
	bool changed = patched_write(&file, data, size);
	if (store_db_open(&db, folder, true, &e) < 0) {
		CHECK(*e.text);
		return 0;
	}
	use(db, !changed);
	store_db_close(db);
	return 0;
}
