/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what an API server says to a list and watch. The input is a row of answers, one a line,
 * each behind one character: a digit is a status (0: 200), 'b' the connection breaks, 'e' the stream
 * ends, 'l' the answer is too large. Whatever comes, the next question is one that can be asked, and
 * names that are told are clean.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/mem.h"
#include "store/kube/answer.h"
#include "store/kube/watch.h"

static void check_name(const char *name)
{
	for (; *name; name++)
		CHECK(*name > ' ' && *name <= '~' && *name != '/');
}

static void check_question(const struct kube_watch *w)
{
	struct kube_ask ask;
	kube_watch_compose(w, &ask);
	CHECK(strncmp(ask.path.buf, "/api/v1/pods?", 13) == 0);
	check_name(ask.path.buf + 13);
	text_free(&ask.path);
}

static void tell_all(struct kube_watch *w)
{
	struct kube_event ev;
	while (kube_watch_next(w, &ev)) {
		if (ev.kind != KUBE_EXISTS && ev.kind != KUBE_GONE)
			continue;
		CHECK(*ev.name && strlen(ev.name) < KUBE_NAME && ev.version >= 0);
		check_name(ev.name);
		check_name(ev.namespace_);
	}
}

static void feed(struct kube_watch *w, char how, const char *text, size_t len)
{
	static const int statuses[] = {200, 200, 400, 401, 403, 404, 410, 422, 429, 500};
	struct err e = {0};
	if (how == 'b')
		kube_watch_broken(w);
	else if (how == 'e')
		kube_watch_ended(w);
	else if (how == 'l')
		kube_watch_too_large(w);
	else if (how >= '0' && how <= '9') {
		enum kube_verdict v = kube_watch_take(w, statuses[how - '0'], text, len, &e);
		CHECK(v == KUBE_FINE || *e.text);
		tell_all(w);
	}
}

static void run(const char *bytes, size_t len, bool once)
{
	const struct kube_selection s = {.path = "/api/v1/pods"};
	struct kube_watch *w = kube_watch_new(&s, once);
	while (len && !kube_watch_is_done(w)) {
		const char *end = memchr(bytes, '\n', len);
		size_t n = end ? (size_t)(end - bytes) : len;
		if (n)
			feed(w, bytes[0], bytes + 1, n - 1);
		if (!kube_watch_is_done(w))
			check_question(w);
		bytes += end ? n + 1 : n;
		len -= end ? n + 1 : n;
	}
	kube_watch_free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy without slack, so that the sanitizers see a step too far. */
	char *copy = mem_new_raw(size ? size : 1);
	memcpy(copy, data, size);
	run(copy, size, false);
	run(copy, size, true);
	free(copy);
	return 0;
}
