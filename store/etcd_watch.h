/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One watch of etcd as a machine without a network: it says what to send, is given what came,
 * and turns that into events. A list page by page at one revision, then the stream of changes
 * behind it; a stream that broke goes on behind the last change told, and where that is
 * impossible the list begins again.
 */
#include "store/etcd_judge.h"
#include "store/etcd_text.h"
#include "store/store.h"

struct etcd_watch;

/* prefix: the store's, keys are told without it; what: the caller's behind it, may be empty. once:
 * it ends with the list. */
struct etcd_watch *etcd_watch_new(const char *prefix, const char *what, bool once);
void etcd_watch_free(struct etcd_watch *w); /* takes NULL */

/* The next request: its body, and whether its answer is a stream. Returns the path. */
const char *etcd_watch_compose(const struct etcd_watch *w, struct text *body, bool *is_stream);

/* What came: an answer, or a line of the stream. It stays, and is changed, until etcd_watch_next()
 * said that it is used up or etcd_watch_broken() was called. */
enum etcd_verdict etcd_watch_take(
	struct etcd_watch *w, long status, char *text, size_t len, struct err *e);

/* The answer was larger than what we take: ask for less. */
void etcd_watch_too_large(struct etcd_watch *w);

/* The connection is gone, and with it what was taken last. */
void etcd_watch_broken(struct etcd_watch *w);

/* Whether what was taken last showed that the store is another one, or went back; and what the other
 * watches are told then: theirs may have grown past what they had told, so that they would not notice. */
bool etcd_watch_found_other(const struct etcd_watch *w);
void etcd_watch_distrust(struct etcd_watch *w);

/* 1: an event; its strings live as long as the text. 0: the text is used up. -EBADMSG. */
int etcd_watch_next(struct etcd_watch *w, struct store_event *out, struct err *e);

bool etcd_watch_is_done(const struct etcd_watch *w); /* once: the list was told */
