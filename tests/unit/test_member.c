/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may act under a node's name: earlier processes of this installation are taken over, clones are
 * found out, and both sides say so. The documents are events as a watch tells them.
 */
#include "tests/unit/values.h"

#include "agent/member.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "tests/unit/folder.h"
#include "tests/overwrite.h"

#define US "11111111-2222-3333-4444-555555555555"
#define OTHERS "99999999-2222-3333-4444-555555555555"
#define BOOT1 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeee01"
#define BOOT2 "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeee02"
#define THEM "aaaaaaaa-bbbb-cccc-dddd-000000000000"
#define KEY "status/n1"
#define NOTE "status/n1/newcomer"
#define STALE_S 35

static const struct member_place here = {
	.boot = BOOT1, .machine = "m1", .netns = "7", .host = "host-1"};

/* A member and its store, in which the others write. */
struct lab {
	struct member m;
	struct store *store;
	uint64_t watch;
	char folder[32];
	int64_t now_s;
};

static void begin(struct lab *l)
{
	struct err e;
	*l = (struct lab){.now_s = 1000, .folder = "/tmp/roost-member-XXXXXX"};
	assert_non_null(mkdtemp(l->folder));
	char url[64];
	(void)snprintf(url, sizeof(url), "file:%s", l->folder);
	const struct store_options o = {.url = url};
	ok(store_open(&l->store, &o, &e));
	member_init(&l->m, "n1", US, &here);
}

static void end(struct lab *l)
{
	member_done(&l->m);
	store_close(l->store);
	assert_int_equal(folder_remove(l->folder), 0);
}

/* Everything that the store tells; true: something of it matters. */
static bool hear(struct lab *l)
{
	struct store_event ev;
	bool matters = false;
	if (!l->watch)
		l->watch = store_start_watch(l->store, l->m.key);
	while (store_next(l->store, &ev))
		if (ev.id == l->watch || ev.id == l->m.commit)
			matters |= member_take(&l->m, &ev, l->now_s);
	return matters;
}

/* A document of an agent; "": what cannot be read; NULL: it goes. */
static void put_text(struct lab *l, const char *key, const char *text)
{
	struct err e;
	ok(overwrite(l->store, key, text, &e));
}

static bool put(struct lab *l, const char *key, const struct status *s)
{
	CLEANUP_JSON json_t *doc = status_format(s);
	CLEANUP_FREE char *text = json_text(doc);
	put_text(l, key, text);
	return hear(l);
}

static struct status status_of(const char *boot, int64_t heartbeat_s)
{
	struct status s = {.installation = US,
		.instance = THEM,
		.machine = "m1",
		.netns = "7",
		.host = "host-2",
		.interval_s = 10,
		.heartbeat_s = heartbeat_s};
	(void)snprintf(s.boot, sizeof(s.boot), "%s", boot);
	return s;
}

/* The member says what it has to say. */
static void say(struct lab *l, bool stopped)
{
	struct status what = {.interval_s = 10, .stopped = stopped};
	member_say(&l->m, l->store, &what, l->now_s);
	(void)hear(l);
	assert_int_equal(l->m.commit, 0);
}

/* 1: a document of this host; 0: none, or somebody else's. */
static int is_ours(struct lab *l, const char *key)
{
	struct store_doc doc;
	struct status s;
	struct err e;
	int r = store_get(l->store, key, &doc, &e);
	if (r != 1)
		return 0;
	ok(status_parse(doc.value, &s, &e));
	bool ours = strcmp(s.host, here.host) == 0 && strcmp(s.boot, here.boot) == 0 &&
		    strcmp(s.machine, here.machine) == 0 && strcmp(s.netns, here.netns) == 0;
	status_done(&s);
	free(doc.key);
	free(doc.value);
	return ours;
}

/* After a look the member has the document, or has not. */
#define has(l, is)                                                                                 \
	do {                                                                                       \
		say(l, false);                                                                     \
		assert_int_equal(is_ours(l, KEY), is);                                             \
		assert_int_equal((l)->m.joined, is);                                               \
	} while (0)

TEST(an_earlier_process_of_this_boot_is_taken_over_at_once)
{
	struct lab l;
	begin(&l);
	struct status s = status_of(BOOT1, 5000);
	(void)put(&l, KEY, &s);
	assert_string_equal(l.m.waits, "");
	has(&l, 1);
	end(&l);
}

TEST(an_agent_that_said_goodbye_in_another_boot_is_taken_over_at_once)
{
	struct lab l;
	begin(&l);
	struct status s = status_of(BOOT2, 5000);
	s.stopped = true;
	(void)put(&l, KEY, &s);
	has(&l, 1);
	end(&l);
}

/* Where the document says that it was written; its heartbeats do not move. */
TEST(a_silent_agent_of_another_place_is_taken_over_when_it_is_stale)
{
	static const struct {
		const char *boot, *machine, *netns;
	} places[] = {
		{BOOT2, "m1", "7"}, /* a reboot without a goodbye */
		{BOOT2, "m2", "3"}, /* restored on another machine */
		{BOOT1, "m1", "8"}, /* containers on one kernel */
		{BOOT1, "m2", ""},
	};
	for (size_t i = 0; i < COUNT(places); i++) {
		struct lab l;
		begin(&l);
		struct status s = status_of(places[i].boot, 5000);
		(void)snprintf(s.machine, sizeof(s.machine), "%s", places[i].machine);
		(void)snprintf(s.netns, sizeof(s.netns), "%s", places[i].netns);
		(void)put(&l, KEY, &s);
		assert_says(l.m.waits, "until that agent has been silent for 35 s");
		has(&l, 0);
		l.now_s += STALE_S - 1;
		(void)put(&l, KEY, &s); /* the same once more is no sign of life */
		has(&l, 0);
		assert_false(l.m.noted);
		l.now_s++;
		has(&l, 1);
		assert_string_equal(l.m.waits, "");
		end(&l);
	}
}

static void heartbeat(struct lab *l, struct status *s)
{
	l->now_s += 10;
	s->heartbeat_s += 10;
	(void)put(l, KEY, s);
}

TEST(a_clone_is_refused_for_good_and_leaves_a_note)
{
	struct lab l;
	begin(&l);
	struct status s = status_of(BOOT2, 5000);
	(void)put(&l, KEY, &s);
	heartbeat(&l, &s);
	assert_false(l.m.refused); /* it may have been under way while its author died */
	s.heartbeat_s += 10;
	assert_true(put(&l, KEY, &s));
	assert_true(l.m.refused);
	assert_says(l.m.waits, "n1 runs on another machine (host host-2)");
	has(&l, 0);
	assert_true(is_ours(&l, NOTE));
	s.stopped = true; /* not even now: it will come back */
	heartbeat(&l, &s);
	l.now_s += 1000;
	has(&l, 0);
	assert_says(l.m.waits, "n1 runs on another machine");
	l.now_s += 1000;
	assert_true(member_has_word(&l.m));
	say(&l, true);
	assert_false(is_ours(&l, NOTE));
	assert_false(member_has_word(&l.m));
	end(&l);
}

TEST(who_has_the_name_says_who_wants_it_until_the_note_is_old)
{
	struct lab l;
	struct store_doc doc;
	struct err e;
	begin(&l);
	(void)hear(&l);
	has(&l, 1);
	struct status s = status_of(BOOT2, 5000);
	assert_true(put(&l, NOTE, &s));
	assert_says(l.m.newcomer, "another machine (host host-2) has a copy of this one's data");
	(void)snprintf(s.installation, sizeof(s.installation), "%s", OTHERS);
	(void)put(&l, NOTE, &s);
	assert_says(l.m.newcomer, "another machine (host host-2) wants the name n1 too");
	l.now_s += STALE_S - 1;
	say(&l, false);
	assert_int_equal(store_get(l.store, NOTE, &doc, &e), 1);
	free(doc.key);
	free(doc.value);
	l.now_s++;
	l.m.beat_s = l.now_s; /* a heartbeat is due as well, as it may be each time */
	say(&l, false);
	assert_int_equal(store_get(l.store, NOTE, &doc, &e), 0);
	assert_string_equal(l.m.newcomer, "");
	put_text(&l, NOTE, "no document");
	(void)hear(&l);
	l.now_s += 2;
	say(&l, false);
	assert_int_equal(store_get(l.store, NOTE, &doc, &e), 0);
	assert_true(l.m.joined);
	end(&l);
}

/* By a store that was restored, say. */
TEST(an_agent_whose_document_is_overwritten_goes_on_when_the_author_is_silent)
{
	struct lab l;
	begin(&l);
	(void)hear(&l);
	has(&l, 1);
	struct status s = status_of(BOOT1, 4000);
	(void)put(&l, KEY, &s);
	l.now_s++;
	has(&l, 1);
	(void)snprintf(s.boot, sizeof(s.boot), "%s", BOOT2);
	(void)snprintf(s.instance, sizeof(s.instance), "%s", BOOT2);
	assert_true(put(&l, KEY, &s));
	has(&l, 0);
	l.now_s += STALE_S;
	has(&l, 1);
	end(&l);
}

TEST(an_agent_whose_document_is_overwritten_by_a_living_one_gives_way)
{
	struct lab l;
	begin(&l);
	(void)hear(&l);
	has(&l, 1);
	struct status s = status_of(BOOT2, 4000);
	for (int i = 0; i < 3; i++)
		heartbeat(&l, &s);
	assert_true(l.m.refused);
	l.now_s += 1000;
	has(&l, 0);
	end(&l);
}

TEST(what_cannot_be_read_is_nobodys)
{
	struct lab l;
	begin(&l);
	put_text(&l, KEY, "no document");
	(void)hear(&l);
	has(&l, 1);
	put_text(&l, KEY, NULL);
	(void)hear(&l);
	assert_false(l.m.joined);
	l.now_s++;
	has(&l, 1);
	end(&l);
}

TEST(another_installation_never_gets_the_name)
{
	struct lab l;
	begin(&l);
	struct status s = status_of(BOOT1, 5000);
	(void)snprintf(s.installation, sizeof(s.installation), "%s", OTHERS);
	(void)put(&l, KEY, &s);
	assert_says(l.m.refusal, "the node name is taken by another installation (99999999");
	assert_true(member_has_word(&l.m));
	say(&l, true);
	assert_true(is_ours(&l, NOTE)); /* all that is ever heard of it, so it stays */
	assert_false(is_ours(&l, KEY));
	end(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_earlier_process_of_this_boot_is_taken_over_at_once),
		cmocka_unit_test(an_agent_that_said_goodbye_in_another_boot_is_taken_over_at_once),
		cmocka_unit_test(a_silent_agent_of_another_place_is_taken_over_when_it_is_stale),
		cmocka_unit_test(a_clone_is_refused_for_good_and_leaves_a_note),
		cmocka_unit_test(who_has_the_name_says_who_wants_it_until_the_note_is_old),
		cmocka_unit_test(
			an_agent_whose_document_is_overwritten_goes_on_when_the_author_is_silent),
		cmocka_unit_test(an_agent_whose_document_is_overwritten_by_a_living_one_gives_way),
		cmocka_unit_test(what_cannot_be_read_is_nobodys),
		cmocka_unit_test(another_installation_never_gets_the_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
