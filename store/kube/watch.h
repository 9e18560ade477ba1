/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A list and a watch of one collection of an API server as a machine without a network: it says what
 * to ask, is given what came, and turns that into events.
 */
#include "store/kube/kube.h"
#include "lib/text.h"

struct kube_watch;

/* once: it ends with the list. s is copied. */
struct kube_watch *kube_watch_new(const struct kube_selection *s, bool once);
void kube_watch_free(struct kube_watch *w); /* takes NULL */

/* The next question. */
struct kube_ask {
	struct text path; /* with its query; the caller's */
	bool is_stream;
	const char *accept; /* media type */
};
void kube_watch_compose(const struct kube_watch *w, struct kube_ask *out);

enum kube_verdict {
	KUBE_FINE,
	KUBE_ANEW,	/* the next question is another one: ask it now */
	KUBE_AGAIN,	/* not now */
	KUBE_BUSY,	/* not now; the server says when */
	KUBE_UNKNOWN,	/* the server does not know who asks (401) */
	KUBE_FORBIDDEN, /* it knows (403) */
	KUBE_MISSING,	/* there is no such collection (404) */
	KUBE_LACKING,	/* the same, and that may be: not now */
};

/* What came: an answer, or a line of the stream (status 200). Not FINE: a sentence. FINE: ask
 * kube_watch_next() until it has nothing. */
enum kube_verdict kube_watch_take(
	struct kube_watch *w, int status, const char *text, size_t len, struct err *e);

/* The stream ended, as streams do after a while; the connection was lost; the answer was larger than
 * what we take. */
void kube_watch_ended(struct kube_watch *w);
void kube_watch_broken(struct kube_watch *w);
void kube_watch_too_large(struct kube_watch *w);

/* An event but for its id; false: what was taken is used up. Its strings live until the next call of
 * anything with w. */
bool kube_watch_next(struct kube_watch *w, struct kube_event *out);

bool kube_watch_is_done(const struct kube_watch *w);	 /* once: the list was told */
const char *kube_watch_path(const struct kube_watch *w); /* of the collection */
