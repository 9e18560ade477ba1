/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every store does, whatever its driver: the same tests over "file:" (the default, in
 * temporary folders) and over the store whose URL is the argument (tests/store/etcd_test.py), each
 * in a prefix of its own.
 */
#include "tests/unit/check.h"
#include "tests/unit/folder.h"

#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/store_db.h"
#include "tests/overwrite.h"

#define WAIT_MS 15000 /* for an event that has to come */

static const char *given_url;

struct world {
	char folder[32], url[64], prefix[32];
	struct store *s;
};

static struct store *open_again(const struct world *w)
{
	struct store_options o = {.url = given_url ? given_url : w->url, .prefix = w->prefix};
	struct store *s = NULL;
	struct err e;
	ok(store_open(&s, &o, &e));
	return s;
}

/* Etcd's prefix is new each time; the API has none. */
static int empty(struct store *s)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	struct err e;
	int r = store_list(s, "", &docs, &n, &e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = overwrite(s, docs[i].key, NULL, &e) < 0 ? -1 : 0;
	if (r < 0)
		print_message("%s\n", e.text);
	store_docs_free(docs, n);
	return r;
}

static int set_up_in(void **state, const char *folder)
{
	static unsigned int n;
	struct world *w = mem_new(1, sizeof(*w));
	(void)snprintf(w->folder, sizeof(w->folder), "%s/roost-store-XXXXXX", folder);
	if (!mkdtemp(w->folder))
		return -1;
	(void)snprintf(w->url, sizeof(w->url), "file:%s/a/b", w->folder);
	(void)snprintf(w->prefix, sizeof(w->prefix), "/test%d.%u/", (int)getpid(), n++);
	w->s = open_again(w);
	*state = w;
	return empty(w->s);
}

static int set_up(void **state)
{
	return set_up_in(state, "/tmp");
}

/* For thousands of writes, each of which is synced: a disk would take a minute. */
static int set_up_in_memory(void **state)
{
	return set_up_in(state, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static int tear_down(void **state)
{
	struct world *w = *state;
	store_close(w->s);
	(void)folder_remove(w->folder);
	free(w);
	return 0;
}

/* ---- the API of Kubernetes ---- */

/*
 * Documents of "kube:" are objects of known kinds. So the short keys of this suite stand for some of each
 * kind there, and its short values for one member of their spec; tests see nothing of it.
 */
static const struct {
	const char *ours, *theirs;
	bool is_resource;
} places[] = {{"a/", "status/", false}, {"b/", "resources/ippools/", true},
	{"c/", "resources/bgppeers/", true}, {"", "resources/bgpfilters/", true}};

static bool over_kube(void)
{
	return given_url && strncmp(given_url, "kube:", 5) == 0;
}

static size_t place_of(const char *key, bool is_ours)
{
	size_t i = 0;
	while (i + 1 < COUNT(places) &&
		strncmp(key, is_ours ? places[i].ours : places[i].theirs,
			strlen(is_ours ? places[i].ours : places[i].theirs)) != 0)
		i++;
	return i;
}

struct sent {
	char key[STORE_KEY_MAX], value[256];
};

/* What the store is given for a key (or a prefix) and a value. */
static const char *key_to(const char *key, struct sent *out)
{
	size_t i = place_of(key, true);
	if (!over_kube() || !*key)
		return key;
	(void)snprintf(
		out->key, sizeof(out->key), "%s%s", places[i].theirs, key + strlen(places[i].ours));
	return out->key;
}

static const char *value_to(const char *key, const char *value, struct sent *out)
{
	bool is_resource = places[place_of(key, true)].is_resource;
	if (!over_kube() || !value)
		return value;
	CLEANUP_JSON json_t *spec = json_pack("{s:s}", "v", value);
	CLEANUP_JSON json_t *doc =
		is_resource ? json_pack("{s:O}", "spec", spec) : json_incref(spec);
	CLEANUP_FREE char *text = json_text(doc);
	(void)snprintf(out->value, sizeof(out->value), "%s", text);
	return out->value;
}

/* And back. */
static const char *key_from(const char *key, struct sent *out)
{
	size_t i = key ? place_of(key, false) : 0;
	if (!over_kube() || !key)
		return key;
	(void)snprintf(
		out->key, sizeof(out->key), "%s%s", places[i].ours, key + strlen(places[i].theirs));
	return out->key;
}

static const char *value_from(const char *value, struct sent *out)
{
	if (!over_kube() || !value)
		return value;
	CLEANUP_JSON json_t *doc = json_loads(value, 0, NULL);
	const json_t *spec = json_object_get(doc, "spec");
	const char *v = json_string_value(json_object_get(spec ? spec : doc, "v"));
	(void)snprintf(out->value, sizeof(out->value), "%s", v ? v : "?");
	return out->value;
}

/* ---- shorthands ---- */

static struct store_event next_event(struct store *s)
{
	struct store_event ev;
	uint64_t until = boot_now_ns() + WAIT_MS * (uint64_t)1000000;
	while (!store_next(s, &ev)) {
		struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
		if (poll(&p, 1, WAIT_MS) == 0 || boot_now_ns() > until)
			fail_msg("no event came");
	}
	static struct sent told;
	ev.key = key_from(ev.key, &told);
	ev.value = value_from(ev.value, &told);
	return ev;
}

static uint64_t begin_watch(struct store *s, const char *prefix)
{
	struct sent to;
	return store_start_watch(s, key_to(prefix, &to));
}

static uint64_t begin_list(struct store *s, const char *prefix)
{
	struct sent to;
	return store_start_list(s, key_to(prefix, &to));
}

/* Of a document that is not there. */
static uint64_t begin_write(struct store *s, const char *key, const char *value)
{
	struct sent to;
	return store_start_write(s,
		&(struct store_write){.key = key_to(key, &to), .value = value_to(key, value, &to)},
		60000);
}

static void expect(struct store *s, uint64_t id, enum store_event_kind kind, const char *key,
	const char *value)
{
	struct store_event ev = next_event(s);
	assert_int_equal(ev.id, id);
	if (ev.kind == STORE_FAILED)
		print_message("%s\n", ev.what);
	assert_int_equal(ev.kind, kind);
	assert_string_equal(ev.key ? ev.key : "", key ? key : "");
	assert_string_equal(ev.value ? ev.value : "", value ? value : "");
}

static int write_at(struct store *s, const struct store_write *w)
{
	struct err e = {0};
	int r = store_write(s, w, &e);
	if (r < 0)
		print_message("%s\n", e.text);
	return r;
}

/* Puts, or deletes when value is NULL; revision < 0: whatever is there. */
static int change(struct store *s, const char *key, const char *value, int64_t revision)
{
	struct err e = {0};
	struct sent to;
	const char *at = key_to(key, &to), *what = value_to(key, value, &to);
	if (revision < 0)
		return overwrite(s, at, what, &e);
	return write_at(s, &(struct store_write){at, what, revision});
}

/* The revision of a document that must have this value; 0: there must be none. */
static int64_t have(struct store *s, const char *key, const char *value)
{
	struct store_doc doc = {0};
	struct err e;
	struct sent to, from;
	int r = store_get(s, key_to(key, &to), &doc, &e);
	ok(r);
	assert_int_equal(r, value != NULL);
	if (!value)
		return 0;
	assert_string_equal(key_from(doc.key, &from), key);
	assert_string_equal(value_from(doc.value, &from), value);
	free(doc.key);
	free(doc.value);
	assert_true(doc.revision > 0);
	return doc.revision;
}

/* ---- the suite ---- */

static void what_was_put_can_be_read_changed_and_deleted(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	(void)have(s, "a/b", NULL);
	assert_int_equal(change(s, "a/b", "{\"n\":1}", -1), 1);
	int64_t first = have(s, "a/b", "{\"n\":1}");
	assert_int_equal(change(s, "a/b", "{\"n\":2}", -1), 1);
	assert_true(have(s, "a/b", "{\"n\":2}") > first);
	assert_int_equal(change(s, "a/b", NULL, -1), 1);
	(void)have(s, "a/b", NULL);
}

static void a_comparison_that_does_not_hold_changes_nothing(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	assert_int_equal(change(s, "a", "1", 0), 1);
	int64_t first = have(s, "a", "1");
	assert_int_equal(change(s, "a", "2", 0), 0);
	assert_int_equal(change(s, "a", "2", first + 1), 0);
	assert_int_equal(change(s, "b", "2", first), 0);
	(void)have(s, "b", NULL);
	assert_int_equal(have(s, "a", "1"), first);
	assert_int_equal(change(s, "a", "2", first), 1);
	assert_int_equal(change(s, "a", NULL, first), 0);
	assert_int_equal(change(s, "a", NULL, have(s, "a", "2")), 1);
	assert_int_equal(change(s, "a", "3", 0), 1);
}

static void expect_refusal(struct store *s, const struct store_write *w, const char *sentence)
{
	struct err e = {0};
	int r = store_write(s, w, &e);
	assert_true(r == -EINVAL || r == -EMSGSIZE);
	assert_string_equal(e.text, sentence);
	uint64_t id = store_start_write(s, w, 0);
	struct store_event ev = next_event(s);
	assert_int_equal(ev.id, id);
	assert_int_equal(ev.kind, STORE_FAILED);
	assert_int_equal(ev.error, r);
	assert_string_equal(ev.what, sentence);
}

static void what_cannot_be_written_is_refused_with_a_sentence(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	CLEANUP_FREE char *large = mem_new(STORE_VALUE_MAX + 2, 1);
	memset(large, 'x', STORE_VALUE_MAX + 1);
	expect_refusal(s, &(struct store_write){.key = "two words", .value = "v"},
		"\"two words\" is no key of the store");
	expect_refusal(s, &(struct store_write){.key = "a", .value = large},
		"document a has more than 1048576 bytes");
	expect_refusal(s, &(struct store_write){.key = "a", .value = "v", .revision = -1},
		"document a cannot be written at revision -1");
	expect_refusal(s, &(struct store_write){.key = "a"}, "document a cannot go at revision 0");
	(void)have(s, "a", NULL);
}

static void a_list_reads_afresh_and_ends(void **state)
{
	struct world *w = *state;
	struct store *other = open_again(w);
	assert_int_equal(change(w->s, "a/1", "x", 0), 1);
	uint64_t id = begin_list(w->s, "a/");
	expect(w->s, id, STORE_RESTART, NULL, NULL);
	expect(w->s, id, STORE_PUT, "a/1", "x");
	expect(w->s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(other, "a/2", "y", 0), 1);
	id = begin_list(w->s, "a/");
	expect(w->s, id, STORE_RESTART, NULL, NULL);
	expect(w->s, id, STORE_PUT, "a/1", "x");
	expect(w->s, id, STORE_PUT, "a/2", "y");
	expect(w->s, id, STORE_CURRENT, NULL, NULL);
	store_close(other);
}

TEST(keys_are_printable_ascii_of_at_most_511_bytes)
{
	char key[STORE_KEY_MAX + 1];
	memset(key, 'k', sizeof(key));
	key[STORE_KEY_MAX - 1] = '\0';
	assert_true(store_is_key(key));
	key[STORE_KEY_MAX - 1] = 'k';
	key[STORE_KEY_MAX] = '\0';
	assert_false(store_is_key(key));
	static const char *const bad[] = {"", " ", "a b", "a\n", "a\x7f", "\xc3\xa4", "\x80"};
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(store_is_key(bad[i]));
	assert_true(store_is_key("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"));
}

static void keys_and_values_come_back_as_they_were(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	char longest[STORE_KEY_MAX];
	memset(longest, 'k', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	static const char *const values[] = {"", "x", "\"\\/\b\f\n\r\t\x01", "\xc3\xa4\xe2\x82\xac",
		"\xff\xfe no text", "null", "=+/"};
	assert_int_equal(change(s, longest, "longest", 0), 1);
	(void)have(s, longest, "longest");
	for (size_t i = 0; i < COUNT(values); i++) {
		const char *key = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
		assert_int_equal(change(s, key, values[i], -1), 1);
		(void)have(s, key, values[i]);
	}
}

static void the_largest_document_fits(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	CLEANUP_FREE char *large = mem_new(STORE_VALUE_MAX + 1, 1);
	memset(large, 'x', STORE_VALUE_MAX);
	assert_int_equal(change(s, "large", large, 0), 1);
	(void)have(s, "large", large);
	uint64_t id = begin_watch(s, "");
	expect(s, id, STORE_RESTART, NULL, NULL);
	expect(s, id, STORE_PUT, "large", large);
	expect(s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(s, "large", large, -1), 1);
	expect(s, id, STORE_PUT, "large", large);
}

static void a_list_is_in_order_and_of_its_prefix_only(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	static const char *const keys[] = {"b/2", "a", "b/10", "b", "b/1", "b0", "c/1", "b.x"};
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_int_equal(change(s, keys[i], keys[i], 0), 1);
	struct store_doc *docs = NULL;
	size_t n = 0;
	struct err e;
	struct sent to, from;
	assert_int_equal(store_list(s, key_to("b/", &to), &docs, &n, &e), 0);
	assert_int_equal(n, 3);
	static const char *const expected[] = {"b/1", "b/10", "b/2"};
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(key_from(docs[i].key, &from), expected[i]);
		assert_string_equal(value_from(docs[i].value, &from), expected[i]);
		assert_int_equal(docs[i].revision, have(s, expected[i], expected[i]));
	}
	store_docs_free(docs, n);
	assert_int_equal(store_list(s, "", &docs, &n, &e), 0);
	assert_int_equal(n, 8);
	store_docs_free(docs, n);
	assert_int_equal(store_list(s, key_to("d", &to), &docs, &n, &e), 0);
	assert_int_equal(n, 0);
	store_docs_free(docs, n);
}

static void a_watch_from_empty_tells_each_change(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	uint64_t id = begin_watch(s, "");
	expect(s, id, STORE_RESTART, NULL, NULL);
	expect(s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(s, "a", "1", 0), 1);
	expect(s, id, STORE_PUT, "a", "1");
	assert_int_equal(change(s, "a", "2", -1), 1);
	expect(s, id, STORE_PUT, "a", "2");
	assert_int_equal(change(s, "a", NULL, -1), 1);
	expect(s, id, STORE_DELETE, "a", NULL);
	assert_int_equal(change(s, "a", "3", 0), 1);
	struct store_event ev = next_event(s);
	assert_int_equal(ev.kind, STORE_PUT);
	assert_int_equal(ev.revision, have(s, "a", "3"));
}

static void a_watch_tells_what_exists_and_then_changes_of_its_prefix(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	assert_int_equal(change(s, "a/1", "x", 0), 1);
	assert_int_equal(change(s, "b/1", "y", 0), 1);
	uint64_t id = begin_watch(s, "b/");
	expect(s, id, STORE_RESTART, NULL, NULL);
	expect(s, id, STORE_PUT, "b/1", "y");
	expect(s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(s, "a/2", "x", 0), 1);
	assert_int_equal(change(s, "b", "x", 0), 1);
	assert_int_equal(change(s, "b0", "x", 0), 1);
	assert_int_equal(change(s, "b/2", "z", 0), 1);
	expect(s, id, STORE_PUT, "b/2", "z");
}

/* By what a list begins with an agent finds out that its store was replaced. */
static void a_list_says_of_which_store_it_is_and_how_far_that_got(void **state)
{
	struct world *w = *state;
	assert_int_equal(change(w->s, "a", "1", 0), 1);
	uint64_t first = begin_watch(w->s, "");
	struct store_event ev = next_event(w->s);
	assert_int_equal(ev.kind, STORE_RESTART);
	assert_int_not_equal(ev.store_id, 0);
	const uint64_t store_id = ev.store_id;
	const int64_t revision = ev.revision;
	expect(w->s, first, STORE_PUT, "a", "1");
	expect(w->s, first, STORE_CURRENT, NULL, NULL);
	struct store *other = open_again(w);
	assert_int_equal(change(other, "b", "1", 0), 1);
	(void)begin_watch(other, "");
	ev = next_event(other);
	assert_int_equal(ev.kind, STORE_RESTART);
	assert_int_equal(ev.store_id, store_id);
	assert_true(ev.revision > revision);
	store_close(other);
}

static void another_client_is_heard(void **state)
{
	struct world *w = *state;
	struct store *other = open_again(w);
	uint64_t id = begin_watch(w->s, "");
	expect(w->s, id, STORE_RESTART, NULL, NULL);
	expect(w->s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(other, "a", "1", 0), 1);
	expect(w->s, id, STORE_PUT, "a", "1");
	assert_int_equal(change(w->s, "a", "2", -1), 1);
	(void)have(other, "a", "2");
	store_close(other);
}

static void two_watches_are_told_the_same(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	uint64_t ids[2];
	for (int i = 0; i < 2; i++) {
		ids[i] = begin_watch(s, i ? "a/" : "");
		expect(s, ids[i], STORE_RESTART, NULL, NULL);
		expect(s, ids[i], STORE_CURRENT, NULL, NULL);
	}
	assert_int_not_equal(ids[0], ids[1]);
	assert_int_equal(change(s, "a/1", "x", 0), 1);
	bool heard[2] = {false, false};
	for (int i = 0; i < 2; i++) {
		struct store_event ev = next_event(s);
		assert_int_equal(ev.kind, STORE_PUT);
		assert_string_equal(ev.key, "a/1");
		heard[ev.id == ids[1]] = true;
	}
	assert_true(heard[0] && heard[1]);
}

#define MANY 40

struct replica {
	char values[MANY][16]; /* of the keys k00.. */
	bool current;
};

static void take(struct replica *r, const struct store_event *ev)
{
	if (ev->kind == STORE_CURRENT)
		r->current = true;
	if (ev->kind != STORE_PUT && ev->kind != STORE_DELETE)
		return;
	unsigned long i = strtoul(ev->key + 1, NULL, 10);
	assert_in_range(i, 0, MANY - 1);
	memset(r->values[i], 0, sizeof(r->values[i]));
	(void)snprintf(r->values[i], sizeof(r->values[i]), "%s", ev->value ? ev->value : "");
}

static void put_many(struct store *s, struct replica *truth, unsigned int round)
{
	for (unsigned int i = 0; i < MANY; i++) {
		char key[16];
		char *value = truth->values[i];
		(void)snprintf(key, sizeof(key), "k%02u", i);
		bool gone = (i + round) % 7 == 0;
		memset(value, 0, sizeof(truth->values[i]));
		if (!gone)
			(void)snprintf(value, sizeof(truth->values[i]), "%u", round * MANY + i);
		assert_int_equal(change(s, key, gone ? NULL : value, -1), 1);
	}
}

static void a_watch_ends_with_the_truth_however_fast_another_client_writes(void **state)
{
	struct world *w = *state;
	struct store *other = open_again(w);
	struct replica truth = {0};
	struct replica seen = {0};
	put_many(other, &truth, 0);
	uint64_t id = begin_watch(w->s, "");
	for (unsigned int round = 1; round < 5; round++) {
		struct store_event ev;
		put_many(other, &truth, round);
		for (int i = 0; i < 10 && store_next(w->s, &ev); i++)
			take(&seen, &ev);
	}
	while (!seen.current || memcmp(seen.values, truth.values, sizeof(seen.values)) != 0) {
		struct store_event ev = next_event(w->s);
		assert_int_equal(ev.id, id);
		take(&seen, &ev);
	}
	store_close(other);
}

static void fill(struct store *s, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "f%06u", i);
		(void)begin_write(s, key, "{}");
		if (i % 64 < 63 && i + 1 < n)
			continue;
		for (unsigned int k = 0; k <= i % 64; k++)
			assert_int_equal(next_event(s).kind, STORE_DONE);
	}
}

static void a_list_of_several_pages_is_whole_and_in_order(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	fill(s, 2500);
	uint64_t id = begin_watch(s, "");
	expect(s, id, STORE_RESTART, NULL, NULL);
	for (unsigned int i = 0; i < 2500; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "f%06u", i);
		expect(s, id, STORE_PUT, key, "{}");
	}
	expect(s, id, STORE_CURRENT, NULL, NULL);
}

static void waiting_forms_leave_the_events_of_others(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	uint64_t watch = begin_watch(s, "");
	expect(s, watch, STORE_RESTART, NULL, NULL);
	expect(s, watch, STORE_CURRENT, NULL, NULL);
	uint64_t id = begin_write(s, "a", "1");
	assert_int_equal(change(s, "b", "2", 0), 1);
	struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	bool done = false;
	unsigned int told = 0;
	while (!done || told < 2) {
		struct store_event ev = next_event(s);
		assert_true(ev.kind == STORE_DONE ? ev.id == id : ev.id == watch);
		done = done || ev.kind == STORE_DONE;
		told += ev.kind == STORE_PUT;
	}
	(void)have(s, "a", "1");
}

static void the_descriptor_is_quiet_when_there_is_nothing(void **state)
{
	struct store *s = ((struct world *)*state)->s;
	uint64_t id = begin_watch(s, "");
	expect(s, id, STORE_RESTART, NULL, NULL);
	expect(s, id, STORE_CURRENT, NULL, NULL);
	struct store_event ev;
	unsigned int woken = 0;
	struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
	/* What connections say while they begin: kube: has one for each kind of object. */
	while (poll(&p, 1, 300) > 0 && woken++ < 100)
		assert_false(store_next(s, &ev));
	assert_in_range(woken, 0, 50);
	int64_t since;
	assert_null(store_trouble(s, &since));
}

static void closing_with_requests_under_way_is_fine(void **state)
{
	struct world *w = *state;
	struct store *s = open_again(w);
	(void)begin_write(s, "a", "1");
	(void)begin_watch(s, "");
	store_close(s);
	store_close(NULL);
	store_docs_free(NULL, 0);
}

TEST(what_is_no_store_is_refused_with_a_sentence)
{
	static const struct {
		struct store_options o;
		const char *reason;
	} table[] = {
		{{.url = "x"}, "\"x\" is no store: it must begin with file:, etcd:, kube: or "
			       "kube-podcidr:"},
		{{.url = "kube:x"}, "the kubeconfig in \"kube:x\" must be an absolute path "
				    "(\"kube:\" alone: the "
				    "account of the pod)"},
		{{.url = "kube:/x", .user = "u", .password_file = "/p"},
			"certificates and users of the store are etcd's: for kube: they stand in "
			"the "
			"kubeconfig"},
		{{.url = "kube:", .server = "https://a"},
			"there is no service account of a pod: /var/run/secrets/kubernetes.io/"
			"serviceaccount/token: No such file or directory (outside of a pod, name a "
			"kubeconfig)"},
		{{.url = "kube-podcidr:/x"},
			"\"kube-podcidr:\" needs a file with the cluster's pools: \"firstPools\""},
		{{.url = "file:x"}, "the store's folder in \"file:x\" must be an absolute path"},
		{{.url = "etcd:"},
			"\"\" must begin with http:// or https:// to be an endpoint of etcd"},
		{{.url = "etcd:http://a:1,b"},
			"\"b\" must begin with http:// or https:// to be an endpoint of etcd"},
		{{.url = "etcd:http://a:x"}, "\"http://a:x\" is no URL: Port number was not a "
					     "decimal number between 0 and 65535"},
		{{.url = "etcd:http://u@a/"},
			"\"http://...@a/\" must be a host and a port, without user, path or query "
			"(etcd.user and etcd.passwordFile name a user)"},
		{{.url = "etcd:http://a/v3"},
			"\"http://a/v3\" must be a host and a port, without user, path or query "
			"(etcd.user and etcd.passwordFile name a user)"},
		{{.url = "etcd:http://a", .prefix = ""},
			"the prefix of the store's keys must be 1 to 511 printable characters "
			"without white space"},
		{{.url = "etcd:http://a", .user = "u"},
			"a user of etcd needs a name and a password file"},
		{{.url = "etcd:https://a", .cert_file = "/c"},
			"a client certificate needs both its certificate file and its key file"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct store *s = NULL;
		struct err e;
		refused_with(store_open(&s, &table[i].o, &e), EINVAL, table[i].reason);
		assert_null(s);
	}
}

/* ---- file: only ---- */

static void a_watch_that_slept_too_long_lists_again(void **state)
{
	struct world *w = *state;
	struct store *other = open_again(w);
	assert_int_equal(change(other, "gone", "1", 0), 1);
	uint64_t id = begin_watch(w->s, "");
	expect(w->s, id, STORE_RESTART, NULL, NULL);
	expect(w->s, id, STORE_PUT, "gone", "1");
	expect(w->s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(other, "gone", NULL, -1), 1);
	int64_t revision = 0;
	for (unsigned int i = 0; i <= STORE_DB_LOG_MAX; i++) {
		const struct store_write one = {.key = "kept", .value = "{}", .revision = revision};
		(void)store_start_write(other, &one, 0);
		struct store_event ev = next_event(other);
		assert_int_equal(ev.kind, STORE_DONE);
		revision = ev.revision;
	}
	expect(w->s, id, STORE_RESTART, NULL, NULL);
	expect(w->s, id, STORE_PUT, "kept", "{}");
	expect(w->s, id, STORE_CURRENT, NULL, NULL);
	assert_int_equal(change(other, "kept", NULL, revision), 1);
	expect(w->s, id, STORE_DELETE, "kept", NULL);
	store_close(other);
}

static void the_folder_is_for_its_owner_only(void **state)
{
	struct world *w = *state;
	struct stat st;
	assert_int_equal(stat(w->url + strlen("file:"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* Whether the process waits for the lock: it has an inotify descriptor then. */
static bool waits_for_the_lock(pid_t pid)
{
	char path[64];
	char target[64];
	for (int fd = 0; fd < 64; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strcmp(target, "anon_inode:inotify") == 0)
			return true;
	}
	return false;
}

/* Opens the store in another process, which has to wait for the lock, as we have it. */
static pid_t open_elsewhere(const struct world *w, int lock)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct store_db *db;
		struct err e;
		(void)close(lock);
		_exit(store_db_open(&db, w->url + strlen("file:"), false, &e) < 0);
	}
	uint64_t until = boot_now_ns() + WAIT_MS * (uint64_t)1000000;
	while (!waits_for_the_lock(pid))
		if (waitpid(pid, NULL, WNOHANG) != 0 || boot_now_ns() > until)
			fail_msg("it does not wait for the lock");
	return pid;
}

static void opening_waits_until_the_lock_is_free(void **state)
{
	struct world *w = *state;
	char path[128];
	int status;
	store_close(w->s);
	w->s = NULL;
	(void)snprintf(path, sizeof(path), "%s/a/b/lock", w->folder);
	int lock = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	pid_t pid = open_elsewhere(w, lock);
	assert_int_equal(flock(lock, LOCK_UN), 0);
	assert_int_equal(futimens(lock, NULL), 0); /* as store_db_unlock() does */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	pid = open_elsewhere(w, lock);
	(void)close(lock); /* as if its process was killed */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_file_that_was_cut_is_refused(void **state)
{
	struct world *w = *state;
	char path[128];
	fill(w->s, 500);
	store_close(w->s);
	w->s = NULL;
	(void)snprintf(path, sizeof(path), "%s/store.mdb", w->url + strlen("file:"));
	assert_int_equal(truncate(path, 16384), 0);
	struct store_options o = {.url = w->url};
	struct err e;
	refused(store_open(&w->s, &o, &e), EUCLEAN, "is damaged: its file was cut");
	assert_null(w->s);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, len), len);
	(void)close(fd);
}

static void a_damaged_file_is_named_and_never_replaced(void **state)
{
	static const char garbage[20000] = "not a store";
	static const struct {
		off_t cut; /* -1: garbage of len bytes instead */
		size_t len;
	} table[] = {{12288, 0}, {8192, 0}, {8191, 0}, {4096, 0}, {100, 0}, {0, 0}, {-1, 12},
		{-1, 8192}, {-1, sizeof(garbage)}};
	struct world *w = *state;
	char path[128];
	struct stat st;
	assert_int_equal(change(w->s, "a", "1", 0), 1);
	store_close(w->s);
	w->s = NULL;
	(void)snprintf(path, sizeof(path), "%s/store.mdb", w->url + strlen("file:"));
	for (size_t i = 0; i < 2 * sizeof(table) / sizeof(table[0]); i++) {
		off_t cut = table[i / 2].cut;
		struct store_options o = {.url = w->url, .existing = i % 2};
		struct err e;
		if (cut < 0)
			write_file(path, garbage, table[i / 2].len);
		else
			assert_int_equal(truncate(path, cut), 0);
		refused(store_open(&w->s, &o, &e), EUCLEAN, "is damaged: ");
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, cut < 0 ? (off_t)table[i / 2].len : cut);
	}
}

/* The descriptor and the time of the driver, as a loop has them. */
static void wait_for_trouble(struct store *s, bool wanted)
{
	uint64_t until = boot_now_ns() + WAIT_MS * (uint64_t)1000000;
	struct store_event ev;
	int64_t since;
	while ((store_trouble(s, &since) != NULL) != wanted) {
		struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
		assert_false(store_next(s, &ev));
		(void)poll(&p, 1, 100);
		if (boot_now_ns() > until)
			fail_msg("the trouble is not as it should be");
	}
}

static void write_from(const char *path, off_t from, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(fd, bytes, len, from), len);
	(void)close(fd);
}

static char *bytes_of(const char *path, size_t *len)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	*len = 512 << 10; /* what the tests write; behind it are holes */
	char *bytes = mem_new(*len, 1);
	assert_int_equal(pread(fd, bytes, *len, 0), *len);
	(void)close(fd);
	return bytes;
}

/* Whichever page goes, and however: no request crashes, each ends with a sentence, and when the file is
 * whole again the watch tells everything anew. */
static void a_store_that_is_ruined_while_it_is_open_is_told_and_opened_when_mended(void **state)
{
	static const char nonsense[64 << 10] = "nonsense";
	static const struct {
		off_t from;
		bool cut;
	} table[] = {{0, true}, {8192, true}, {40000, true}, {8192, false}, {16384, false}};
	struct world *w = *state;
	char path[128];
	size_t len;
	fill(w->s, 500);
	(void)snprintf(path, sizeof(path), "%s/store.mdb", w->url + strlen("file:"));
	CLEANUP_FREE char *whole = bytes_of(path, &len);
	uint64_t id = begin_watch(w->s, "");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		expect(w->s, id, STORE_RESTART, NULL, NULL);
		for (unsigned int k = 0; k < 500; k++)
			assert_int_equal(next_event(w->s).kind, STORE_PUT);
		expect(w->s, id, STORE_CURRENT, NULL, NULL);
		if (table[i].cut)
			assert_int_equal(truncate(path, table[i].from), 0);
		else
			write_from(path, table[i].from, nonsense, sizeof(nonsense));
		assert_int_equal(change(w->s, "f000007", "1", -1), -EUCLEAN);
		wait_for_trouble(w->s, true);
		int64_t since;
		assert_says(store_trouble(w->s, &since), "is damaged");
		assert_int_equal(change(w->s, "f000007", "1", -1), -EUCLEAN);
		assert_int_equal(truncate(path, (off_t)1 << 30), 0);
		write_from(path, 0, whole, len);
	}
	expect(w->s, id, STORE_RESTART, NULL, NULL);
	assert_int_equal(change(w->s, "z", "new", 0), 1);
}

static void what_a_killed_maker_left_is_made_again(void **state)
{
	struct world *w = *state;
	char path[128];
	char left[128];
	store_close(w->s);
	(void)snprintf(path, sizeof(path), "%s/store.mdb", w->url + strlen("file:"));
	(void)snprintf(left, sizeof(left), "%s.new", path);
	assert_int_equal(rename(path, left), 0);
	assert_int_equal(truncate(left, 100), 0);
	w->s = open_again(w);
	assert_int_equal(change(w->s, "a", "1", 0), 1);
	assert_int_equal(access(left, F_OK), -1);
}

static void an_existing_store_is_opened_and_never_made(void **state)
{
	struct world *w = *state;
	char url[80];
	struct store *s = NULL;
	struct err e;
	struct store_options o = {.url = url, .existing = true};
	(void)snprintf(url, sizeof(url), "%s/typo/store", w->url);
	refused(store_open(&s, &o, &e), ENOENT, "there is no store in ");
	(void)snprintf(url, sizeof(url), "%s/typo", w->url);
	assert_int_equal(access(url + strlen("file:"), F_OK), -1);
	assert_int_equal(mkdir(url + strlen("file:"), 0700), 0);
	refused(store_open(&s, &o, &e), ENOENT, "there is no store in ");
	assert_int_equal(rmdir(url + strlen("file:")), 0); /* nothing is in it */
	(void)snprintf(url, sizeof(url), "%s", w->url);
	ok(store_open(&s, &o, &e));
	store_close(s);
}

static void a_store_that_was_removed_says_so(void **state)
{
	struct world *w = *state;
	assert_int_equal(change(w->s, "a", "1", 0), 1);
	(void)folder_remove(w->folder);
	assert_int_equal(change(w->s, "a", "2", 1), -ESTALE);
	int64_t since;
	assert_says(store_trouble(w->s, &since), "was removed or replaced");
}

static void a_full_store_is_an_error_sentence_and_can_be_read(void **state)
{
	struct world *w = *state;
	char path[128];
	store_close(w->s);
	(void)snprintf(path, sizeof(path), "%s/store.mdb", w->url + strlen("file:"));
	assert_int_equal(truncate(path, 8 << 20), 0); /* the unused part of it */
	w->s = open_again(w);
	CLEANUP_FREE char *large = mem_new(STORE_VALUE_MAX + 1, 1);
	memset(large, 'x', STORE_VALUE_MAX);
	int r = 1;
	for (unsigned int i = 0; i < 9 && r == 1; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%u", i);
		r = change(w->s, key, large, 0);
	}
	assert_int_equal(r, -ENOSPC);
	int64_t since;
	assert_says(store_trouble(w->s, &since), "is full (8 MiB)");
	(void)have(w->s, "k0", large);
	assert_int_equal(change(w->s, "k0", NULL, -1), 1);
	assert_null(store_trouble(w->s, &since));
}

/* KiB of the store's file that count as this process' memory. */
static unsigned long mapped_kib(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	unsigned long kib = 0;
	bool ours = false;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] >= 'a' || (line[0] >= '0' && line[0] <= '9'))
			ours = strstr(line, "/store.mdb") != NULL;
		else if (ours && strncmp(line, "Rss:", 4) == 0)
			kib += strtoul(line + 4, NULL, 10);
	}
	(void)fclose(f);
	return kib;
}

static void a_large_store_that_was_read_is_not_kept_in_memory(void **state)
{
	struct world *w = *state;
	enum { DOCS = 128, BYTES = 64000 };
	CLEANUP_FREE char *text = mem_new(BYTES + 1, 1);
	memset(text, 'x', BYTES);
	for (unsigned int i = 0; i < DOCS; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%04u", i);
		assert_int_equal(change(w->s, key, text, 0), 1);
	}
	uint64_t id = begin_watch(w->s, "");
	unsigned int told = 0;
	struct store_event ev = {.kind = STORE_RESTART};
	while (ev.kind != STORE_CURRENT) {
		ev = next_event(w->s);
		assert_int_equal(ev.id, id);
		told += ev.kind == STORE_PUT;
		assert_in_range(mapped_kib(), 0, 2048); /* of 8 MiB */
	}
	assert_int_equal(told, DOCS);
	for (unsigned int i = 0; i < DOCS; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "k%04u", i);
		(void)have(w->s, key, text);
	}
	assert_in_range(mapped_kib(), 0, 2048);
}

#define SUITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define MANY_WRITES(test) cmocka_unit_test_setup_teardown(test, set_up_in_memory, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest suite[] = {
		SUITE(what_was_put_can_be_read_changed_and_deleted),
		SUITE(a_comparison_that_does_not_hold_changes_nothing),
		SUITE(what_cannot_be_written_is_refused_with_a_sentence),
		SUITE(a_list_reads_afresh_and_ends),
		SUITE(keys_are_printable_ascii_of_at_most_511_bytes),
		SUITE(a_list_is_in_order_and_of_its_prefix_only),
		SUITE(a_watch_from_empty_tells_each_change),
		SUITE(a_watch_tells_what_exists_and_then_changes_of_its_prefix),
		SUITE(a_list_says_of_which_store_it_is_and_how_far_that_got),
		SUITE(another_client_is_heard),
		SUITE(two_watches_are_told_the_same),
		SUITE(a_watch_ends_with_the_truth_however_fast_another_client_writes),
		MANY_WRITES(a_list_of_several_pages_is_whole_and_in_order),
		SUITE(waiting_forms_leave_the_events_of_others),
		SUITE(the_descriptor_is_quiet_when_there_is_nothing),
		SUITE(closing_with_requests_under_way_is_fine),
		SUITE(what_is_no_store_is_refused_with_a_sentence),
	};
	/* Objects of the API have names of their own, and documents in them. */
	static const struct CMUnitTest of_bytes[] = {
		SUITE(keys_and_values_come_back_as_they_were),
		SUITE(the_largest_document_fits),
	};
	static const struct CMUnitTest of_files[] = {
		MANY_WRITES(a_watch_that_slept_too_long_lists_again),
		SUITE(the_folder_is_for_its_owner_only),
		SUITE(opening_waits_until_the_lock_is_free),
		SUITE(a_file_that_was_cut_is_refused),
		SUITE(a_store_that_is_ruined_while_it_is_open_is_told_and_opened_when_mended),
		SUITE(a_damaged_file_is_named_and_never_replaced),
		SUITE(what_a_killed_maker_left_is_made_again),
		SUITE(an_existing_store_is_opened_and_never_made),
		SUITE(a_store_that_was_removed_says_so),
		SUITE(a_full_store_is_an_error_sentence_and_can_be_read),
		SUITE(a_large_store_that_was_read_is_not_kept_in_memory),
	};
	given_url = argc > 1 ? argv[1] : NULL;
	int failed = cmocka_run_group_tests(suite, NULL, NULL);
	if (!over_kube())
		failed += cmocka_run_group_tests(of_bytes, NULL, NULL);
	if (!given_url)
		failed += cmocka_run_group_tests(of_files, NULL, NULL);
	return failed;
}
