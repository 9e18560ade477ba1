/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what comes from etcd's port. The input is a conversation, one answer or line of a
 * stream to a line, as a watch and a commit would get it. Whatever comes, what they tell is within
 * the limits of the interface, and they end up asking something sensible.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "store/etcd_write.h"
#include "store/etcd_watch.h"
#include "store/sieve.h"
#include "lib/mem.h"

static void check_event(const struct store_event *ev)
{
	if (ev->kind != STORE_PUT && ev->kind != STORE_DELETE)
		return;
	CHECK(store_is_key(ev->key));
	CHECK(!ev->value || strlen(ev->value) <= STORE_VALUE_MAX);
	CHECK(ev->revision >= 0);
}

/* A line through the sieve, without slack behind it but for the terminator. */
static struct text sieve(const char *line, size_t len)
{
	CLEANUP_FREE char *out = mem_new(len + 1, 1);
	struct sieve s = {.max = ETCD_STRING_MAX};
	size_t n = sieve_copy(&s, line, len, out);
	CHECK(n <= len);
	struct text t = {.buf = mem_new(n + 1, 1), .size = n + 1, .len = n, .grows = true};
	memcpy(t.buf, out, n);
	return t;
}

static void tell_watch(struct etcd_watch *w, const char *line, size_t len)
{
	struct text t = sieve(line, len);
	struct store_event ev;
	struct err e;
	bool is_stream;
	int r = 0;
	if (etcd_watch_is_done(w)) {
		text_free(&t);
		return;
	}
	if (etcd_watch_take(w, 200, t.buf, t.len, &e) == ETCD_FINE)
		while ((r = etcd_watch_next(w, &ev, &e)) > 0)
			check_event(&ev);
	else
		r = -1;
	if (r < 0)
		etcd_watch_broken(w);
	text_free(&t);
	if (etcd_watch_is_done(w))
		return;
	struct text body = {0};
	CHECK(etcd_watch_compose(w, &body, &is_stream)[0] == '/');
	CHECK(body.buf[body.len - 1] == '}');
	text_free(&body);
}

/* true: it is over. */
static bool tell_commit(struct etcd_write *c, const char *line, size_t len)
{
	struct text t = sieve(line, len);
	struct store_event ev = {0};
	struct err e;
	bool over;
	enum etcd_verdict v = etcd_write_take(c, 200, &t, &ev, &over, &e);
	text_free(&t);
	if (v == ETCD_AGAIN)
		etcd_write_lost(c);
	CHECK(!over || ev.kind <= STORE_FAILED);
	struct text body = {0};
	CHECK(etcd_write_compose(c, &body)[0] == '/');
	text_free(&body);
	return over;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct store_write write = {.key = "a", .value = "v", .revision = 7};
	struct etcd_watch *watch = etcd_watch_new("/p/", "", false);
	struct etcd_watch *once = etcd_watch_new("/p/", "a", true);
	struct etcd_write *commit = etcd_write_new("/p/", &write);
	bool over = false;
	const char *at = (const char *)data;
	const char *end = at + size;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);
		tell_watch(watch, at, len);
		tell_watch(once, at, len);
		over = over || tell_commit(commit, at, len);
		at += len + 1;
	}
	etcd_watch_free(watch);
	etcd_watch_free(once);
	etcd_write_free(commit);
	return 0;
}
