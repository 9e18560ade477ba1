/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch of a collection. Its phases:
 *
 *	CHECK	one object is listed, to see the collection's version. Before everything is told; and after
 *		a stream broke: a version that lies behind ours means that the cluster was restored from a
 *		backup, where a watch "from the future" would stay silent, so everything is told anew.
 *	START	one stream that tells first what exists (WatchList, KEP 3157), up to a bookmark that
 *		says so, then changes. A server that cannot (before 1.32, or with an etcd before 3.5:
 *		400, 422, or an ERROR in the stream) is never asked so again.
 *	LIST	the same in pages, by limit and continue, all of one version.
 *	STREAM	changes behind the version up to which everything was told. Bookmarks move it on.
 *
 * A version that the server no longer has (410) begins everything anew, too. A stream that ends in
 * order goes on behind the last version. An ERROR in it is asked again; a third one in a row is taken
 * for a version that the server cannot go on from.
 *
 * An object without a name that we could ask for is not told. Nothing is remembered of what was told.
 *
 * A collection that may lack, and is not there a few times in a row, is told as an empty one, once; then it is
 * asked for again and again, quietly, and begins anew when it is there. Once is not enough: what a server lacks
 * that begins to serve, or that was asked by way of another one, is nothing that anybody deleted.
 */
#include "store/kube/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "store/kube/answer.h"

#define PAGE 200u
#define PAGE_GROWS_BELOW (512u << 10) /* bytes of the answer */
#define ERRORS_MAX 3u
#define MISSED_MAX 3u	  /* times, until a collection lacks */
#define STREAM_MIN_S 300u /* until the server ends a stream, so that it may spread its clients */

enum phase { CHECK, START, LIST, STREAM, DONE };

struct kube_watch {
	char *path, *fields, *labels; /* selectors: NULL none */
	bool metadata_only, once, may_lack;
	bool lists; /* the server has no WatchList */
	enum phase phase;
	unsigned int limit, errors, missed;
	bool lacks;	 /* and that was told */
	char *next_page; /* LIST: NULL at the first */
	/* STREAM: everything up to it was told. START, LIST: of the list. CHECK: 0 nothing was told yet */
	int64_t version;
	/* What was taken and is not used up: */
	json_t *taken; /* the answer, or the line */
	size_t at;     /* LIST: of items */
	bool restart_due, current_due;
};

struct kube_watch *kube_watch_new(const struct kube_selection *s, bool once)
{
	struct kube_watch *w = mem_new(1, sizeof(*w));
	*w = (struct kube_watch){
		.path = mem_strdup(s->path),
		.fields = s->field_selector ? mem_strdup(s->field_selector) : NULL,
		.labels = s->label_selector ? mem_strdup(s->label_selector) : NULL,
		.metadata_only = s->metadata_only,
		.once = once,
		.may_lack = s->may_lack,
		.lists = once,
		.phase = once ? LIST : CHECK,
		.limit = PAGE,
		.restart_due = true,
	};
	return w;
}

static void watch_forget_taken(struct kube_watch *w)
{
	json_decref(w->taken);
	w->taken = NULL;
	w->at = 0;
}

void kube_watch_free(struct kube_watch *w)
{
	if (!w)
		return;
	watch_forget_taken(w);
	free(w->path);
	free(w->fields);
	free(w->labels);
	free(w->next_page);
	free(w);
}

const char *kube_watch_path(const struct kube_watch *w)
{
	return w->path;
}

static void watch_anew(struct kube_watch *w)
{
	watch_forget_taken(w);
	free(w->next_page);
	w->next_page = NULL;
	w->phase = w->lists ? LIST : CHECK;
	w->version = 0;
	w->errors = 0;
	w->restart_due = true;
	w->current_due = false;
}

/* ---- what to ask ---- */

static const char *watch_accept(const struct kube_watch *w)
{
#define PARTIAL(kind) "application/json;as=" kind ";g=meta.k8s.io;v=v1"
	if (!w->metadata_only)
		return "application/json";
	return w->phase == START || w->phase == STREAM ? PARTIAL("PartialObjectMetadata")
						       : PARTIAL("PartialObjectMetadataList");
#undef PARTIAL
}

static void add_selectors(const struct kube_watch *w, struct text *t)
{
	if (w->fields) {
		text_add(t, "&fieldSelector=");
		kube_add_escaped(t, w->fields);
	}
	if (w->labels) {
		text_add(t, "&labelSelector=");
		kube_add_escaped(t, w->labels);
	}
}

void kube_watch_compose(const struct kube_watch *w, struct kube_ask *out)
{
	unsigned int seconds = STREAM_MIN_S + arc4random_uniform(STREAM_MIN_S);
	struct text t = {0};
	text_add(&t, "%s?", w->path);
	switch (w->phase) {
	case START:
		text_add(&t,
			"watch=1&sendInitialEvents=true&resourceVersion=%" PRId64
			"&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
			"&timeoutSeconds=%u",
			w->version, seconds);
		break;
	case STREAM:
		text_add(&t,
			"watch=1&resourceVersion=%" PRId64
			"&allowWatchBookmarks=true&timeoutSeconds=%u",
			w->version, seconds);
		break;
	default:
		text_add(&t, "limit=%u", w->phase == CHECK ? 1 : w->limit);
	}
	if (w->phase == LIST && w->next_page) {
		text_add(&t, "&continue=");
		kube_add_escaped(&t, w->next_page);
	}
	add_selectors(w, &t);
	*out = (struct kube_ask){
		.path = t,
		.is_stream = w->phase == START || w->phase == STREAM,
		.accept = watch_accept(w),
	};
}

/* ---- what came ---- */

static enum kube_verdict watch_judge_missing(struct kube_watch *w)
{
	if (!w->may_lack)
		return KUBE_MISSING;
	if (w->lacks || (!w->once && ++w->missed < MISSED_MAX))
		return KUBE_LACKING;
	watch_anew(w);
	w->lacks = w->current_due = true;
	if (w->once)
		w->phase = DONE;
	return KUBE_FINE;
}

static enum kube_verdict watch_judge_error(
	struct kube_watch *w, int status, const json_t *object, struct err *e)
{
	char message[KUBE_MESSAGE];
	(void)err_set(e, EIO, "%s", kube_message(status, object, message));
	if (w->phase == START && status != 401 && status != 403 && status != 404 && status != 429 &&
		status < 500) {
		w->lists = true;
		watch_anew(w);
		return KUBE_ANEW;
	}
	switch (status) {
	case 401:
		return KUBE_UNKNOWN;
	case 403:
		return KUBE_FORBIDDEN;
	case 404:
		return watch_judge_missing(w);
	case 410:
		watch_anew(w);
		return KUBE_ANEW;
	case 429:
	case 503:
		return KUBE_BUSY;
	default:
		return KUBE_AGAIN;
	}
}

/* An ERROR in the stream, whose status was 200. */
static enum kube_verdict watch_judge_line_error(
	struct kube_watch *w, const json_t *object, struct err *e)
{
	int64_t code = json_integer_value(json_object_get(object, "code"));
	char message[KUBE_MESSAGE];
	(void)err_set(e, EIO, "%s", kube_message((int)code, object, message));
	bool again = w->phase == STREAM && code != 410 && ++w->errors < ERRORS_MAX;
	if (again)
		return KUBE_AGAIN;
	w->lists |= w->phase == START;
	watch_anew(w);
	return KUBE_ANEW;
}

static bool ends_the_list(const json_t *object)
{
	const json_t *notes = json_object_get(json_object_get(object, "metadata"), "annotations");
	const char *says = json_string_value(json_object_get(notes, "k8s.io/initial-events-end"));
	return says && strcmp(says, "true") == 0;
}

static enum kube_verdict watch_take_bookmark(
	struct kube_watch *w, const json_t *object, struct err *e)
{
	int64_t version = kube_version(object);
	if (version < 0) {
		(void)err_set(e, EBADMSG, "a bookmark without resourceVersion");
		return KUBE_AGAIN;
	}
	if (w->phase == STREAM && version < w->version) {
		(void)err_set(e, EBADMSG, "the collection went back to an earlier version");
		watch_anew(w);
		return KUBE_ANEW;
	}
	if (w->phase == START && !ends_the_list(object))
		return KUBE_FINE;
	w->version = version;
	w->errors = 0;
	w->current_due = w->phase == START;
	w->phase = STREAM;
	return KUBE_FINE;
}

static enum kube_verdict watch_take_line(struct kube_watch *w, json_t *line, struct err *e)
{
	static const char *const types[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"};
	const char *type = json_string_value(json_object_get(line, "type"));
	const json_t *object = json_object_get(line, "object");
	int which = type ? TEXT_INDEX(type, types) : -1;
	enum kube_verdict v = KUBE_FINE;
	if (which < 0 || !json_is_object(object)) {
		(void)err_set(e, EBADMSG, "an answer that is no event of a watch");
		v = KUBE_AGAIN;
	} else if (which == 4) {
		v = watch_judge_line_error(w, object, e);
	} else if (which == 3) {
		v = watch_take_bookmark(w, object, e);
	} else {
		w->taken = line;
		return KUBE_FINE;
	}
	json_decref(line);
	return v;
}

static enum kube_verdict watch_take_check(struct kube_watch *w, json_t *list, struct err *e)
{
	int64_t version = kube_version(list);
	json_decref(list);
	if (version < 0) {
		(void)err_set(e, EBADMSG, "a list without resourceVersion");
		return KUBE_AGAIN;
	}
	bool goes_on = w->version && version >= w->version;
	if (!goes_on) {
		watch_anew(w);
		w->version = version;
	}
	w->phase = goes_on ? STREAM : w->lists ? LIST : START;
	return KUBE_FINE;
}

static enum kube_verdict watch_take_page(
	struct kube_watch *w, json_t *list, size_t len, struct err *e)
{
	int64_t version = kube_version(list);
	const char *next =
		json_string_value(json_object_get(json_object_get(list, "metadata"), "continue"));
	const json_t *items = json_object_get(list, "items");
	bool has_items = json_is_array(items) || !items || json_is_null(items);
	bool stands = next && *next && w->next_page && strcmp(next, w->next_page) == 0;
	if (version < 0 || !has_items || stands) {
		json_decref(list);
		(void)err_set(e, EBADMSG, "an answer that is no list");
		return KUBE_AGAIN;
	}
	if (len < PAGE_GROWS_BELOW && w->limit < PAGE)
		w->limit = 2 * w->limit < PAGE ? 2 * w->limit : PAGE;
	if (!w->next_page)
		w->version = version;
	free(w->next_page);
	w->next_page = next && *next ? mem_strdup(next) : NULL;
	w->taken = list;
	w->at = 0;
	return KUBE_FINE;
}

enum kube_verdict kube_watch_take(
	struct kube_watch *w, int status, const char *text, size_t len, struct err *e)
{
	json_t *doc = NULL;
	int r = kube_parse(text, len, &doc, e);
	if (status != 200) {
		enum kube_verdict v = watch_judge_error(w, status, doc, e);
		json_decref(doc);
		return v;
	}
	if (r < 0) {
		err_add(e, "an answer that cannot be read");
		return KUBE_AGAIN;
	}
	w->restart_due |= w->lacks;
	w->lacks = false;
	w->missed = 0;
	if (w->phase == START || w->phase == STREAM)
		return watch_take_line(w, doc, e);
	return w->phase == CHECK ? watch_take_check(w, doc, e) : watch_take_page(w, doc, len, e);
}

void kube_watch_ended(struct kube_watch *w)
{
	if (w->phase == START)
		watch_anew(w);
}

void kube_watch_broken(struct kube_watch *w)
{
	watch_forget_taken(w);
	if (w->phase == STREAM)
		w->phase = CHECK;
	else if (w->phase == START)
		watch_anew(w);
}

void kube_watch_too_large(struct kube_watch *w)
{
	w->limit = w->limit > 8 ? w->limit / 8 : 1;
	if (w->phase == START || w->phase == STREAM)
		watch_anew(w);
}

/* ---- events ---- */

static bool watch_tell(
	struct kube_watch *w, const json_t *object, bool gone, struct kube_event *out)
{
	struct kube_identity id;
	if (!kube_identify(object, &id))
		return false;
	if (w->phase == STREAM && id.version > w->version)
		w->version = id.version;
	w->errors = 0;
	*out = (struct kube_event){
		.kind = gone ? KUBE_GONE : KUBE_EXISTS,
		.object = object,
		.name = id.name,
		.namespace_ = id.namespace_,
		.version = id.version,
	};
	return true;
}

static bool watch_next_of_page(struct kube_watch *w, struct kube_event *out)
{
	const json_t *items = json_object_get(w->taken, "items");
	while (w->at < json_array_size(items))
		if (watch_tell(w, json_array_get(items, w->at++), false, out))
			return true;
	watch_forget_taken(w);
	if (w->next_page)
		return false;
	w->phase = w->once ? DONE : STREAM;
	w->errors = 0;
	*out = (struct kube_event){.kind = KUBE_CURRENT, .version = w->version};
	return true;
}

static bool watch_next_of_line(struct kube_watch *w, struct kube_event *out)
{
	const json_t *object = json_object_get(w->taken, "object");
	const char *type = json_string_value(json_object_get(w->taken, "type"));
	if (w->at++ > 0 || !watch_tell(w, object, strcmp(type, "DELETED") == 0, out)) {
		watch_forget_taken(w);
		return false;
	}
	return true;
}

bool kube_watch_next(struct kube_watch *w, struct kube_event *out)
{
	if (w->restart_due && (w->taken || w->current_due)) {
		w->restart_due = false;
		*out = (struct kube_event){.kind = KUBE_RESTART, .version = w->version};
		return true;
	}
	if (w->current_due) {
		w->current_due = false;
		*out = (struct kube_event){.kind = KUBE_CURRENT, .version = w->version};
		return true;
	}
	if (!w->taken)
		return false;
	return w->phase == LIST ? watch_next_of_page(w, out) : watch_next_of_line(w, out);
}

bool kube_watch_is_done(const struct kube_watch *w)
{
	return w->phase == DONE && !w->taken && !w->current_due;
}
