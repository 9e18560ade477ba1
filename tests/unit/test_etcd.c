/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the driver "etcd:" that know no network: texts, answers, the machines of a watch and
 * of a commit, fed with what etcd says.
 */
#include "tests/unit/check.h"

#include "store/etcd_write.h"
#include "store/etcd_watch.h"
#include "store/sieve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/mem.h"

/* ---- texts ---- */

#define TEN "[[[[[[[[[["
#define R "{\"result\":"
#define RESULTS R R R R R R R "{}}}}}}}}"
#define DEEP "{\"x\":" TEN TEN TEN TEN TEN TEN TEN TEN

TEST(base64_is_padded_and_comes_back)
{
	static const struct {
		const char *bytes, *text;
	} table[] = {{"", "\"\""}, {"f", "\"Zg==\""}, {"fo", "\"Zm8=\""}, {"foo", "\"Zm9v\""},
		{"foob", "\"Zm9vYg==\""}, {"\xff\xfe\xfb", "\"//77\""}, {">>>", "\"Pj4+\""}};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct text t = {0};
		struct etcd_kv kv;
		struct err e;
		etcd_add_base64(&t, table[i].bytes, strlen(table[i].bytes));
		assert_string_equal(t.buf, table[i].text);
		CLEANUP_FREE char *list = NULL;
		assert_true(asprintf(&list, "{\"key\":\"aw==\",\"value\":%s}", t.buf) > 0);
		struct etcd_list l = {list, list + strlen(list)};
		assert_int_equal(etcd_next_kv(&l, &kv, &e), 1);
		assert_string_equal(kv.key, "k");
		assert_string_equal(kv.value, table[i].bytes);
		text_free(&t);
	}
}

TEST(the_sieve_cuts_strings_and_nothing_else)
{
	size_t size = (size_t)2 * STORE_VALUE_MAX;
	CLEANUP_FREE char *in = mem_new(size + 64, 1);
	CLEANUP_FREE char *out = mem_new(size + 64, 1);
	int n = snprintf(in, 32, "{\"a\":\"x\\\"\",\"b\":\"");
	memset(in + n, 'A', size);
	size_t len = (size_t)n + size;
	len += (size_t)snprintf(in + len, 32, "\",\"c\":[1]}");
	struct sieve whole = {.max = ETCD_STRING_MAX};
	size_t kept = sieve_copy(&whole, in, len, out);
	assert_true(kept < STORE_VALUE_MAX / 3 * 4 + 64);
	assert_memory_equal(out, in, (size_t)n);
	assert_memory_equal(out + kept - 11, "!\",\"c\":[1]}", 11);
	/* In parts it does the same. */
	CLEANUP_FREE char *again = mem_new(size + 64, 1);
	struct sieve parts = {.max = ETCD_STRING_MAX};
	size_t at = 0;
	for (size_t i = 0; i < len; i += 4099)
		at += sieve_copy(&parts, in + i, len - i < 4099 ? len - i : 4099, again + at);
	assert_int_equal(at, kept);
	assert_memory_equal(out, again, kept);
}

TEST(answers_that_are_not_etcds_are_refused)
{
	static const char *const table[] = {"", "x", "[]", "{", "{}}", "{\"kvs\":{}}",
		"{\"kvs\":[}", "{\"more\":1}", "{\"header\":[]}", "{\"header\":{\"revision\":-1}}",
		"{\"header\":{\"revision\":\"99999999999999999999\"}}",
		"{\"header\":{\"revision\":\"\"}}", "{\"token\":\"a\\nb\"}", "{\"a\":\"",
		"{\"a\" 1}", "{\"a\":1 \"b\":2}", "{\"a\":}", RESULTS, DEEP};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_FREE char *text = mem_strdup(table[i]);
		struct etcd_answer a;
		struct err e;
		if (etcd_read(text, strlen(text), &a, &e) != -EBADMSG)
			fail_msg("%s was taken", table[i]);
		assert_says(e.text, "not etcd's");
	}
}

TEST(what_is_not_known_is_passed_over)
{
	char text[] =
		" {\"a\":[{\"kvs\":1},\"]}\"],\"header\":{\"revision\":7,\"x\":null},"
		"\"kvs\":null,\"error\":{\"grpc_code\":14,\"message\":\"a\\u0041\\u00e4\\n\"}}";
	struct etcd_answer a;
	struct err e;
	assert_int_equal(etcd_read(text, strlen(text), &a, &e), 0);
	assert_int_equal(a.revision, 7);
	assert_null(a.kvs.at);
	assert_true(a.failed);
	assert_int_equal(a.code, 14);
	assert_string_equal(a.message, "aA? ");
}

/* ---- the watch ---- */

#define HEADER(revision) "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"" #revision "\"}"
#define LINE(revision) "{\"result\":" HEADER(revision)
#define KV(key, revision)                                                                          \
	"{\"key\":\"" key "\",\"mod_revision\":\"" #revision "\",\"value\":\"dg==\"}"
#define KV_OTHER(key, revision)                                                                    \
	"{\"key\":\"" key "\",\"mod_revision\":\"" #revision "\",\"value\":\"dw==\"}"

/* /p/a, /p/b, /p/c */
#define A "L3AvYQ=="
#define B "L3AvYg=="
#define C "L3AvYw=="

/* Feeds a text and appends the events to out: "R", "+a", "-a", "C". */
static enum etcd_verdict feed(struct etcd_watch *w, const char *answer, char out[64])
{
	CLEANUP_FREE char *text = mem_strdup(answer);
	struct store_event ev;
	struct err e = {0};
	out[0] = '\0';
	enum etcd_verdict v = etcd_watch_take(w, 200, text, strlen(text), &e);
	if (v != ETCD_FINE)
		return v;
	int r;
	while ((r = etcd_watch_next(w, &ev, &e)) > 0) {
		size_t n = strlen(out);
		const char *mark = ev.kind == STORE_RESTART   ? "R"
				   : ev.kind == STORE_CURRENT ? "C"
				   : ev.kind == STORE_PUT     ? "+"
							      : "-";
		(void)snprintf(out + n, 64 - n, "%s%s", mark, ev.key ? ev.key : "");
	}
	return r < 0 ? ETCD_AGAIN : ETCD_FINE;
}

static void expect(struct etcd_watch *w, const char *answer, const char *events)
{
	char out[64];
	assert_int_equal(feed(w, answer, out), ETCD_FINE);
	assert_string_equal(out, events);
}

static void close_watch(struct etcd_watch **w)
{
	etcd_watch_free(*w);
}

#define CLEANUP_WATCH __attribute__((cleanup(close_watch)))

/* The next request must have these words. */
static void asks(struct etcd_watch *w, const char *path, const char *words)
{
	struct text body = {0};
	bool is_stream;
	assert_string_equal(etcd_watch_compose(w, &body, &is_stream), path);
	assert_int_equal(is_stream, strcmp(path, "/v3/watch") == 0);
	if (!strstr(body.buf, words))
		fail_msg("%s is not in %s", words, body.buf);
	text_free(&body);
}

static struct etcd_watch *streaming(int at)
{
	struct etcd_watch *w = etcd_watch_new("/p/", "", false);
	char page[128];
	(void)snprintf(
		page, sizeof(page), "{\"header\":{\"cluster_id\":\"1\",\"revision\":\"%d\"}}", at);
	expect(w, page, "RC");
	return w;
}

/* One watch of a restored store sees it by its revision; another one, which told less, would not. */
TEST(a_watch_that_is_told_of_another_store_lists_again)
{
	CLEANUP_WATCH struct etcd_watch *w = streaming(9);
	etcd_watch_distrust(w);
	etcd_watch_broken(w);
	expect(w, HEADER(20) "}", "");
	assert_false(etcd_watch_found_other(w)); /* it has heard of it: no news for the others */
	asks(w, "/v3/kv/range", "\"limit\":\"1000\"}");
	expect(w, HEADER(20) ",\"kvs\":[" KV(B, 15) "]}", "R+bC");
	etcd_watch_broken(w);
	expect(w, HEADER(21) "}", ""); /* once is enough */
	asks(w, "/v3/watch", "\"start_revision\":\"21\"");
	etcd_watch_broken(w);
	expect(w, HEADER(5) "}", "");
	assert_true(etcd_watch_found_other(w));
	asks(w, "/v3/kv/range", "\"limit\":\"1000\"}");
	etcd_watch_distrust(w); /* it lists already */
	expect(w, HEADER(5) "}", "RC");
	etcd_watch_broken(w);
	expect(w, HEADER(5) "}", "");
	asks(w, "/v3/watch", "\"start_revision\":\"6\"");
}

TEST(a_list_comes_in_pages_of_one_revision)
{
	CLEANUP_WATCH struct etcd_watch *w = etcd_watch_new("/p/", "", false);
	asks(w, "/v3/kv/range", "\"key\":\"L3Av\",\"range_end\":\"L3Aw\",\"limit\":\"1000\"}");
	expect(w, HEADER(9) ",\"kvs\":[" KV(A, 3) "," KV(B, 5) "],\"more\":true}", "R+a+b");
	asks(w, "/v3/kv/range", "\"key\":\"L3AvYgA=\""); /* /p/b and a NUL */
	asks(w, "/v3/kv/range", "\"revision\":\"9\"");
	expect(w, HEADER(12) ",\"kvs\":[" KV(C, 4) "]}", "+cC");
	asks(w, "/v3/watch", "\"start_revision\":\"10\"");
}

TEST(a_list_that_is_compacted_between_two_pages_begins_again)
{
	CLEANUP_WATCH struct etcd_watch *w = etcd_watch_new("/p/", "", false);
	char out[64];
	expect(w, HEADER(9) ",\"kvs\":[" KV(A, 3) "],\"more\":true}", "R+a");
	assert_int_equal(feed(w,
				 "{\"error\":\"etcdserver: mvcc: required revision has been "
				 "compacted\",\"code\":11}",
				 out),
		ETCD_COMPACTED);
	asks(w, "/v3/kv/range", "\"limit\":\"1000\"}");
	expect(w, HEADER(20) ",\"kvs\":[" KV(B, 15) "]}", "R+bC");
}

TEST(pages_that_make_no_progress_are_refused)
{
	static const char *const table[] = {
		HEADER(9) ",\"kvs\":[" KV(B, 3) "," KV(A, 3) "]}",
		HEADER(9) ",\"kvs\":[" KV(B, 3) "," KV(B, 3) "]}",
		HEADER(9) ",\"more\":true}",
		HEADER(9) ",\"kvs\":[{}]}",
		HEADER(9) ",\"kvs\":[{\"key\":\"%\"}]}",
		"{}",
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_WATCH struct etcd_watch *w = etcd_watch_new("/p/", "", false);
		char out[64];
		if (feed(w, table[i], out) != ETCD_AGAIN)
			fail_msg("%s was taken", table[i]);
		etcd_watch_broken(w);
		asks(w, "/v3/kv/range", "\"limit\"");
	}
}

TEST(a_page_that_is_too_large_is_asked_for_in_parts)
{
	CLEANUP_WATCH struct etcd_watch *w = etcd_watch_new("/p/", "", false);
	static const char *const limits[] = {"\"125\"", "\"15\"", "\"1\"", "\"1\""};
	for (size_t i = 0; i < COUNT(limits); i++) {
		etcd_watch_too_large(w);
		asks(w, "/v3/kv/range", limits[i]);
	}
	expect(w, HEADER(9) ",\"kvs\":[" KV(A, 3) "],\"more\":true}", "R+a");
	asks(w, "/v3/kv/range", "\"2\"");
}

TEST(a_broken_stream_goes_on_behind_what_was_told)
{
	CLEANUP_WATCH struct etcd_watch *w = streaming(9);
	expect(w, LINE(9) ",\"created\":true}}", "");
	/* The header says what the server has, not what it sent. */
	expect(w,
		LINE(40) ",\"events\":[{\"kv\":" KV(A, 11) "},{\"type\":\"DELETE\",\"kv\":"
							   "{\"key\":\"" B
							   "\",\"mod_revision\":\"12\"}}]}}",
		"+a-b");
	etcd_watch_broken(w);
	asks(w, "/v3/kv/range", "\"key\":\"L3Av\",\"keys_only\":true");
	expect(w, HEADER(40) "}", "");
	asks(w, "/v3/watch", "\"start_revision\":\"13\"");
	expect(w, LINE(50) "}}", ""); /* progress: everything up to there was sent */
	etcd_watch_broken(w);
	expect(w, HEADER(60) "}", "");
	asks(w, "/v3/watch", "\"start_revision\":\"51\"");
}

TEST(a_fragment_moves_the_bookmark_only_with_its_last)
{
	CLEANUP_WATCH struct etcd_watch *w = streaming(9);
	expect(w, LINE(12) ",\"fragment\":true,\"events\":[{\"kv\":" KV(A, 12) "}]}}", "+a");
	etcd_watch_broken(w);
	expect(w, HEADER(12) "}", "");
	asks(w, "/v3/watch", "\"start_revision\":\"10\"");
	expect(w, LINE(12) ",\"fragment\":true,\"events\":[{\"kv\":" KV(A, 12) "}]}}", "+a");
	expect(w, LINE(12) ",\"events\":[{\"kv\":" KV(B, 12) "}]}}", "+b");
	etcd_watch_broken(w);
	expect(w, HEADER(12) "}", "");
	asks(w, "/v3/watch", "\"start_revision\":\"13\"");
}

TEST(a_store_that_went_back_or_is_another_is_listed_again)
{
	static const char *const table[] = {
		HEADER(8) "}", "{\"header\":{\"cluster_id\":\"2\",\"revision\":\"99\"}}"};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_WATCH struct etcd_watch *w = streaming(9);
		etcd_watch_broken(w);
		expect(w, table[i], "");
		asks(w, "/v3/kv/range", "\"limit\"");
		expect(w, HEADER(8) ",\"kvs\":[" KV(A, 3) "]}", "R+aC");
	}
}

TEST(a_cancelled_watch_says_why)
{
	static const struct {
		const char *line;
		enum etcd_verdict verdict;
		const char *then;
	} table[] = {
		{LINE(9) ",\"canceled\":true,\"compact_revision\":\"30\"}}", ETCD_COMPACTED,
			"/v3/kv/range"},
		{LINE(9) ",\"created\":true,\"canceled\":true,\"cancel_reason\":\"rpc error: code "
			 "= "
			 "PermissionDenied desc = etcdserver: permission denied\"}}",
			ETCD_TOKEN, "/v3/watch"},
		{LINE(9) ",\"canceled\":true}}", ETCD_AGAIN, "/v3/watch"},
		{"{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"no leader\"}}",
			ETCD_AGAIN, "/v3/watch"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_WATCH struct etcd_watch *w = streaming(9);
		char out[64];
		assert_int_equal(feed(w, table[i].line, out), table[i].verdict);
		asks(w, table[i].then, "{");
	}
}

/* ---- the commit ---- */

static struct etcd_write *make_commit(int64_t revision)
{
	const struct store_write w = {.key = "a", .value = "v", .revision = revision};
	return etcd_write_new("/p/", &w);
}

static void close_commit(struct etcd_write **c)
{
	etcd_write_free(*c);
}

#define CLEANUP_COMMIT __attribute__((cleanup(close_commit)))

static enum etcd_verdict answer(
	struct etcd_write *c, const char *text, struct store_event *out, bool *over, struct err *e)
{
	struct text t = {0};
	text_add_bytes(&t, text, strlen(text));
	enum etcd_verdict v = etcd_write_take(c, 200, &t, out, over, e);
	text_free(&t);
	return v;
}

static void requires(struct etcd_write *c, const char *path, const char *words)
{
	struct text body = {0};
	assert_string_equal(etcd_write_compose(c, &body), path);
	if (!strstr(body.buf, words))
		fail_msg("%s is not in %s", words, body.buf);
	text_free(&body);
}

#define QUESTION_FAILED(kvs)                                                                       \
	HEADER(9)                                                                                  \
	",\"responses\":[{\"response_txn\":{\"header\":{},\"responses\":["                         \
	"{\"response_range\":{" kvs "}}]}}]}"

TEST(the_first_attempt_is_plain)
{
	CLEANUP_COMMIT struct etcd_write *c = make_commit(7);
	struct store_event ev;
	struct err e;
	bool over;
	requires(c, "/v3/kv/txn",
		"{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":\"7\","
		"\"key\":\"L3AvYQ==\"}],\"success\":[{\"request_put\":{\"key\":\"L3AvYQ==\","
		"\"value\":\"dg==\"}}]}");
	assert_int_equal(answer(c, HEADER(9) ",\"succeeded\":true}", &ev, &over, &e), ETCD_FINE);
	assert_true(over);
	assert_int_equal(ev.kind, STORE_DONE);
	assert_int_equal(ev.revision, 9);
	assert_int_equal(answer(c, HEADER(9) "}", &ev, &over, &e), ETCD_FINE);
	assert_int_equal(ev.kind, STORE_CONFLICT);
}

TEST(after_a_lost_answer_the_truth_is_found)
{
	static const struct {
		const char *text;
		enum store_event_kind kind;
		int64_t revision;
	} table[] = {
		/* It was done. */
		{HEADER(9) ",\"succeeded\":true,\"responses\":[{\"response_range\":{\"kvs\":[" KV(
			 A, 8) "]}}]}",
			STORE_DONE, 8},
		/* It was not, and is now. */
		{HEADER(9) ",\"responses\":[{\"response_txn\":{\"succeeded\":true}}]}", STORE_DONE,
			9},
		/* Somebody deleted the document. */
		{QUESTION_FAILED(""), STORE_CONFLICT, 0},
		/* Another comparison does not hold. */
		{QUESTION_FAILED("\"kvs\":[" KV(A, 7) "]"), STORE_CONFLICT, 0},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_COMMIT struct etcd_write *c = make_commit(7);
		struct store_event ev = {0};
		struct err e;
		bool over;
		etcd_write_lost(c);
		requires(c, "/v3/kv/txn", "\"target\":\"VALUE\"");
		assert_int_equal(answer(c, table[i].text, &ev, &over, &e), ETCD_FINE);
		assert_true(over);
		assert_int_equal(ev.kind, table[i].kind);
		assert_int_equal(ev.revision, table[i].revision);
	}
}

TEST(a_document_that_was_changed_since_is_followed_back)
{
	static const struct {
		const char *now;    /* the version that is there, at revision 9 */
		const char *before; /* the one at revision 8, where that is asked for */
		enum store_event_kind kind;
		int64_t revision;
	} table[] = {
		/* Ours is there still: only another document of the transaction was changed. */
		{HEADER(9) ",\"kvs\":[" KV(A, 9) "]}", NULL, STORE_DONE, 9},
		{HEADER(9) ",\"kvs\":[" KV_OTHER(A, 9) "]}", HEADER(9) ",\"kvs\":[" KV(A, 8) "]}",
			STORE_DONE, 8},
		{HEADER(9) ",\"kvs\":[" KV_OTHER(A, 9) "]}", HEADER(9) ",\"kvs\":[" KV(A, 7) "]}",
			STORE_CONFLICT, 0},
		{HEADER(9) ",\"kvs\":[" KV_OTHER(A, 9) "]}", HEADER(9) "}", STORE_CONFLICT, 0},
		{HEADER(9) ",\"kvs\":[" KV_OTHER(A, 9) "]}",
			"{\"error\":\"required revision has been compacted\",\"code\":11}",
			STORE_FAILED, 0},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_COMMIT struct etcd_write *c = make_commit(7);
		struct store_event ev = {0};
		struct err e;
		bool over;
		etcd_write_lost(c);
		assert_int_equal(
			answer(c, QUESTION_FAILED("\"kvs\":[" KV(A, 9) "]"), &ev, &over, &e),
			ETCD_FINE);
		assert_false(over);
		requires(c, "/v3/kv/range", "{\"revision\":\"9\",\"key\":\"L3AvYQ==\"}");
		assert_int_equal(answer(c, table[i].now, &ev, &over, &e), ETCD_FINE);
		if (table[i].before) {
			assert_false(over);
			requires(c, "/v3/kv/range", "{\"revision\":\"8\",\"key\":\"L3AvYQ==\"}");
			assert_int_equal(answer(c, table[i].before, &ev, &over, &e), ETCD_FINE);
		}
		assert_true(over);
		assert_int_equal(ev.kind, table[i].kind);
		assert_int_equal(ev.revision, table[i].revision);
	}
}

TEST(errors_that_come_before_anything_was_done_are_final)
{
	static const struct {
		const char *text;
		enum etcd_verdict verdict;
		int error;
	} table[] = {
		{"{\"error\":\"etcdserver: request is too large\",\"code\":3}", ETCD_FINAL,
			-EMSGSIZE},
		{"{\"error\":\"etcdserver: mvcc: database space exceeded\",\"code\":8}", ETCD_FINAL,
			-ENOSPC},
		{"{\"error\":\"etcdserver: too many requests\",\"code\":8}", ETCD_AGAIN, 0},
		{"{\"error\":\"etcdserver: request timed out\",\"code\":14}", ETCD_AGAIN, 0},
		{"{\"error\":\"etcdserver: invalid auth token\",\"code\":16}", ETCD_TOKEN, 0},
		{"{\"error\":\"etcdserver: revision of auth store is old\",\"code\":3}", ETCD_TOKEN,
			0},
		{"{\"error\":\"etcdserver: permission denied\",\"code\":7}", ETCD_DENIED, 0},
		{"{\"error\":\"etcdserver: bad\",\"code\":3}", ETCD_FINAL, -EINVAL},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		CLEANUP_COMMIT struct etcd_write *c = make_commit(7);
		struct store_event ev = {0};
		struct err e;
		bool over;
		assert_int_equal(answer(c, table[i].text, &ev, &over, &e), table[i].verdict);
		assert_int_equal(ev.error, table[i].error);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_padded_and_comes_back),
		cmocka_unit_test(the_sieve_cuts_strings_and_nothing_else),
		cmocka_unit_test(answers_that_are_not_etcds_are_refused),
		cmocka_unit_test(what_is_not_known_is_passed_over),
		cmocka_unit_test(a_watch_that_is_told_of_another_store_lists_again),
		cmocka_unit_test(a_list_comes_in_pages_of_one_revision),
		cmocka_unit_test(a_list_that_is_compacted_between_two_pages_begins_again),
		cmocka_unit_test(pages_that_make_no_progress_are_refused),
		cmocka_unit_test(a_page_that_is_too_large_is_asked_for_in_parts),
		cmocka_unit_test(a_broken_stream_goes_on_behind_what_was_told),
		cmocka_unit_test(a_fragment_moves_the_bookmark_only_with_its_last),
		cmocka_unit_test(a_store_that_went_back_or_is_another_is_listed_again),
		cmocka_unit_test(a_cancelled_watch_says_why),
		cmocka_unit_test(the_first_attempt_is_plain),
		cmocka_unit_test(after_a_lost_answer_the_truth_is_found),
		cmocka_unit_test(a_document_that_was_changed_since_is_followed_back),
		cmocka_unit_test(errors_that_come_before_anything_was_done_are_final),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
