/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One watch of etcd. Its phases:
 *
 *	LIST	pages of PAGE documents, linearizable, all at the revision of the first. It grows
 *		smaller when a page is too large for us. Compacted in between: from the start.
 *	STREAM	changes from the revision behind the list, or behind the last change told.
 *	CHECK	after a stream broke: a small linearizable read. A store whose revision lies behind
 *		what it told us once, or which is another cluster, was restored or replaced; a
 *		watch "from the future" would keep silent there, so the list begins again: that of
 *		every watch, as one that told little may be behind the new store already.
 *
 * revision is the bookmark: everything up to it was told. It moves at the end of a message, not of
 * an event, and not in a fragment, as the events of one revision may be spread over fragments; it
 * is the revision of the last event, since the header of a message that catches up says what the
 * server has, not what it sent. Only a message without events (progress) says that by its header.
 * What was told of a message that broke off is told again.
 *
 * Keys that are no keys of ours (binary, too long) are left out: nobody can ask for them either.
 */
#include "store/etcd_watch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define PAGE 1000u
#define PAGE_GROWS_BELOW (1u << 20) /* bytes of the answer */

enum phase { LIST, CHECK, STREAM, DONE };

struct etcd_watch {
	char *prefix; /* with the store's */
	size_t skip;  /* bytes of it that are the store's */
	bool once;
	enum phase phase;
	unsigned int limit;
	struct text from;      /* LIST: where the next page begins; empty: at the prefix */
	int64_t list_revision; /* 0: the first page will tell */
	int64_t revision;      /* the bookmark */
	uint64_t cluster;
	bool found_other; /* by the last CHECK */
	bool distrusts;	  /* the next CHECK need not find it */
	/* What was taken and is not used up: */
	bool restart_due;
	bool taken;
	struct etcd_list kvs;
	bool more, fragment;
	int64_t reached; /* STREAM: the bookmark when all of it was told */
};

struct etcd_watch *etcd_watch_new(const char *prefix, const char *what, bool once)
{
	struct etcd_watch *w = mem_new(1, sizeof(*w));
	struct text whole = {0};
	text_add(&whole, "%s%s", prefix, what);
	*w = (struct etcd_watch){
		.prefix = whole.buf,
		.skip = strlen(prefix),
		.once = once,
		.limit = PAGE,
	};
	return w;
}

void etcd_watch_free(struct etcd_watch *w)
{
	if (!w)
		return;
	free(w->prefix);
	text_free(&w->from);
	free(w);
}

const char *etcd_watch_compose(const struct etcd_watch *w, struct text *body, bool *is_stream)
{
	assert(w->phase != DONE);
	*is_stream = w->phase == STREAM;
	if (w->phase == STREAM) {
		text_add(body, "{\"create_request\":{");
		etcd_add_range(body, w->prefix, NULL);
		text_add(body,
			",\"start_revision\":\"%" PRId64
			"\",\"progress_notify\":true,\"fragment\":true}}",
			w->revision + 1);
		return "/v3/watch";
	}
	text_add(body, "{");
	if (w->phase == CHECK) {
		text_add(body, "\"key\":");
		etcd_add_base64(body, w->prefix, strlen(w->prefix));
		text_add(body, ",\"keys_only\":true}");
		return "/v3/kv/range";
	}
	etcd_add_range(body, w->prefix, w->from.len ? &w->from : NULL);
	text_add(body, ",\"limit\":\"%u\"", w->limit);
	if (w->list_revision)
		text_add(body, ",\"revision\":\"%" PRId64 "\"", w->list_revision);
	text_add(body, "}");
	return "/v3/kv/range";
}

static void watch_forget_taken(struct etcd_watch *w)
{
	w->taken = false;
	w->kvs = (struct etcd_list){0};
	w->more = false;
	w->fragment = false;
	w->reached = w->revision;
}

static void watch_list_again(struct etcd_watch *w)
{
	watch_forget_taken(w);
	w->phase = LIST;
	w->from.len = 0;
	w->list_revision = 0;
	w->revision = 0;
}

static enum etcd_verdict watch_take_page(
	struct etcd_watch *w, const struct etcd_answer *a, size_t len, struct err *e)
{
	if (a->revision <= 0)
		return etcd_judge_foreign("a list without revision", e);
	if (!w->list_revision) {
		w->list_revision = a->revision;
		w->cluster = a->cluster;
		w->restart_due = true;
	}
	if (len < PAGE_GROWS_BELOW && w->limit < PAGE)
		w->limit = 2 * w->limit < PAGE ? 2 * w->limit : PAGE;
	w->kvs = a->kvs;
	w->more = a->more;
	w->taken = true;
	return ETCD_FINE;
}

static enum etcd_verdict watch_take_line(
	struct etcd_watch *w, const struct etcd_answer *a, struct err *e)
{
	if (a->canceled) {
		enum etcd_verdict v = etcd_judge_cancelled(a, e);
		if (v == ETCD_COMPACTED)
			watch_list_again(w);
		return v;
	}
	w->kvs = a->events;
	w->fragment = a->fragment;
	if (!a->events.at && !a->created && !a->fragment && a->revision > w->reached)
		w->reached = a->revision;
	w->taken = true;
	return ETCD_FINE;
}

enum etcd_verdict etcd_watch_take(
	struct etcd_watch *w, long status, char *text, size_t len, struct err *e)
{
	assert(!w->taken);
	struct etcd_answer a;
	int error;
	w->found_other = false;
	enum etcd_verdict v = etcd_judge(text, len, status, &a, &error, e);
	if (v == ETCD_COMPACTED)
		watch_list_again(w);
	if (v != ETCD_FINE)
		return v;
	switch (w->phase) {
	case LIST:
		return watch_take_page(w, &a, len, e);
	case CHECK:
		w->found_other = a.revision < w->revision || a.cluster != w->cluster;
		if (w->found_other || w->distrusts)
			watch_list_again(w);
		else
			w->phase = STREAM;
		w->distrusts = false;
		return ETCD_FINE;
	case STREAM:
		return watch_take_line(w, &a, e);
	default:
		return ETCD_FINE;
	}
}

void etcd_watch_too_large(struct etcd_watch *w)
{
	w->limit = w->limit > 8 ? w->limit / 8 : 1;
	if (w->phase == STREAM)
		watch_list_again(w);
}

void etcd_watch_broken(struct etcd_watch *w)
{
	watch_forget_taken(w);
	if (w->phase == STREAM)
		w->phase = CHECK;
}

bool etcd_watch_found_other(const struct etcd_watch *w)
{
	return w->found_other;
}

void etcd_watch_distrust(struct etcd_watch *w)
{
	if (w->phase == STREAM)
		etcd_watch_broken(w);
	w->distrusts = w->phase == CHECK;
}

/* Whether key lies behind where the page began; then the next one begins behind key. */
static bool watch_step(struct etcd_watch *w, const struct etcd_kv *kv)
{
	size_t shorter = kv->key_len < w->from.len ? kv->key_len : w->from.len;
	int order = shorter ? memcmp(kv->key, w->from.buf, shorter) : 0;
	if (order < 0 || (order == 0 && kv->key_len < w->from.len))
		return false;
	w->from.len = 0;
	text_add_bytes(
		&w->from, kv->key, kv->key_len + 1); /* and its NUL: the next key there can be */
	return true;
}

static bool is_ours(const struct etcd_watch *w, const struct etcd_kv *kv)
{
	return kv->key_len < STORE_KEY_MAX + w->skip && !memchr(kv->key, '\0', kv->key_len) &&
	       strncmp(kv->key, w->prefix, strlen(w->prefix)) == 0 &&
	       store_is_key(kv->key + w->skip);
}

static int watch_next_kv(struct etcd_watch *w, struct store_event *out, struct err *e)
{
	struct etcd_kv kv;
	for (;;) {
		int r = etcd_next_kv(&w->kvs, &kv, e);
		if (r <= 0)
			return r;
		if (w->phase == LIST && !watch_step(w, &kv))
			return err_set(e, EBADMSG, "an answer that is not etcd's: unsorted keys");
		if (w->phase == STREAM && kv.mod_revision > w->reached)
			w->reached = kv.mod_revision;
		if (is_ours(w, &kv))
			break;
	}
	*out = (struct store_event){
		.kind = kv.deleted ? STORE_DELETE : STORE_PUT,
		.revision = kv.mod_revision,
		.key = kv.key + w->skip,
		.value = kv.deleted ? NULL : kv.value,
	};
	return 1;
}

/* The end of a message. 1: the list is complete. */
static int watch_use_up(struct etcd_watch *w, struct store_event *out)
{
	bool more = w->more;
	bool fragment = w->fragment;
	int64_t reached = w->reached;
	watch_forget_taken(w);
	if (w->phase == STREAM) {
		w->reached = reached;
		if (!fragment)
			w->revision = reached;
		return 0;
	}
	if (w->phase != LIST || more)
		return 0;
	w->revision = w->list_revision;
	w->reached = w->revision;
	w->list_revision = 0;
	w->from.len = 0;
	w->phase = w->once ? DONE : STREAM;
	*out = (struct store_event){.kind = STORE_CURRENT};
	return 1;
}

int etcd_watch_next(struct etcd_watch *w, struct store_event *out, struct err *e)
{
	if (!w->taken)
		return 0;
	if (w->restart_due) {
		w->restart_due = false;
		*out = (struct store_event){.kind = STORE_RESTART,
			.revision = w->list_revision,
			.store_id = w->cluster};
		return 1;
	}
	bool was_empty_page = w->phase == LIST && w->more && !w->kvs.at;
	int r = was_empty_page
			? err_set(e, EBADMSG, "an answer that is not etcd's: a page of nothing")
			: watch_next_kv(w, out, e);
	return r != 0 ? r : watch_use_up(w, out);
}

bool etcd_watch_is_done(const struct etcd_watch *w)
{
	return w->phase == DONE && !w->taken;
}
