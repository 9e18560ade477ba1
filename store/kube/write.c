/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One write. Making a document is a POST, changing it a PUT with the resourceVersion that was read,
 * deleting it a DELETE with that version as a precondition. The server refuses all three with 409 when
 * the document is another one.
 *
 * When an answer was lost, or the server itself does not know (5xx), the document is read: says it what
 * was to be written, then that was done; is it as it was before, it is sent again, with the same
 * condition, so that of two that are carried out late one is refused. Whatever else it says, somebody
 * changed it, before us or after us: nobody knows, and that is what is told. A document that should go
 * and is gone, or another one, needs no such care.
 *
 * Values are unlike anybody else's, as the contract asks (store/store.h).
 */
#include "store/kube/write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "store/store_driver.h"

#define SENT_MAX 3 /* times, while the outcome is unknown */

struct kube_write {
	const struct kube_row *row;
	char name[KUBE_NAME];
	int64_t revision;
	bool deletes;
	json_t *body;
	bool unknown; /* an earlier attempt may have been carried out */
	bool reads;   /* the next question is what the document is */
	unsigned int sent;
};

static json_t *delete_options(int64_t revision)
{
	char version[24];
	json_t *options = json_object(), *conditions = json_object();
	(void)snprintf(version, sizeof(version), "%" PRId64, revision);
	json_put(conditions, "resourceVersion", json_string(version));
	json_put(options, "apiVersion", json_string("v1"));
	json_put(options, "kind", json_string("DeleteOptions"));
	json_put(options, "preconditions", conditions);
	return options;
}

int kube_write_new(struct kube_write **out, const struct store_write *w, struct err *e)
{
	char name[KUBE_NAME];
	json_t *body = NULL;
	const struct kube_row *row = kube_row_of(w->key, name);
	if (!row)
		return err_set(e, ENOTSUP,
			"the API server has no kind of objects for the document %s", w->key);
	if (w->value) {
		int r = kube_row_object(row, name, w->value, w->revision, &body, e);
		if (r < 0)
			return r;
	} else {
		body = delete_options(w->revision);
	}
	struct kube_write *made = mem_new(1, sizeof(*made));
	*made = (struct kube_write){
		.row = row, .revision = w->revision, .deletes = !w->value, .body = body};
	(void)text_copy(made->name, sizeof(made->name), name);
	*out = made;
	return 0;
}

void kube_write_free(struct kube_write *w)
{
	if (!w)
		return;
	json_decref(w->body);
	free(w);
}

enum kube_method kube_write_compose(
	const struct kube_write *w, struct text *path, const json_t **body)
{
	bool makes = !w->deletes && !w->revision && !w->reads;
	if (makes)
		kube_row_collection(w->row, w->name, path);
	else
		kube_row_path_of(w->row, w->name, path);
	*body = w->reads ? NULL : w->body;
	if (w->reads)
		return KUBE_GET;
	return w->deletes ? KUBE_DELETE : makes ? KUBE_POST : KUBE_PUT;
}

/* ---- what came ---- */

bool kube_is_gone(const json_t *status)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(status, "details"), "name"));
	return name && *name;
}

static bool write_over(struct store_event *out, enum store_event_kind kind, int64_t revision)
{
	*out = (struct store_event){.kind = kind, .revision = revision > 0 ? revision : 0};
	return true;
}

static bool write_failed(const struct kube_write *w, struct store_event *out, int error,
	const char *message, struct err *e)
{
	static const char *const verbs[] = {"made", "changed", "deleted"};
	const char *verb = verbs[w->deletes ? 2 : w->revision ? 1 : 0];
	int result = w->unknown && error != EINVAL ? ETIMEDOUT : error;
	(void)err_set(e, result, "%s %s is not %s: %s", w->row->kind, w->name, verb, message);
	if (result == ETIMEDOUT)
		(void)err_set(e, result, "whether %s %s was %s is unknown: %s", w->row->kind,
			w->name, verb, message);
	*out = (struct store_event){.kind = STORE_FAILED, .error = -result};
	return true;
}

static bool write_ask_what_is(struct kube_write *w)
{
	w->reads = true;
	return false;
}

static bool write_send_again(struct kube_write *w, struct store_event *out, struct err *e)
{
	w->reads = false;
	if (w->sent < SENT_MAX)
		return false;
	return write_failed(w, out, ETIMEDOUT, "the API server did not say so", e);
}

/* The document was read, to find out what happened. */
static bool write_take_read(struct kube_write *w, int status, const json_t *object,
	struct store_event *out, struct err *e)
{
	char message[KUBE_MESSAGE];
	int64_t version = kube_version(object);
	bool is = status == 200 && version >= 0;
	bool gone = status == 404 && kube_is_gone(object);
	if (!is && !gone)
		return write_failed(w, out, ETIMEDOUT, kube_message(status, object, message), e);
	if (is && version == w->revision)
		return write_send_again(w, out, e);
	if (w->deletes)
		return write_over(out, gone ? STORE_DONE : STORE_CONFLICT, 0);
	if (is && kube_row_same(w->row, object, w->body))
		return write_over(out, STORE_DONE, version);
	if (gone && !w->revision)
		return write_send_again(w, out, e);
	return write_failed(w, out, ETIMEDOUT, "somebody changed it since", e);
}

static bool write_take_refusal(struct kube_write *w, int status, const json_t *object,
	struct store_event *out, struct err *e)
{
	char message[KUBE_MESSAGE];
	(void)kube_message(status, object, message);
	switch (status) {
	case 400:
	case 413:
	case 415:
	case 422:
		return write_failed(w, out, EINVAL, message, e);
	case 401:
	case 403:
		return write_failed(w, out, EACCES, message, e);
	case 404: /* of the namespace, or of the kind */
		if (!kube_is_gone(object)) {
			(void)kube_row_missing(w->row, e);
			(void)text_copy(message, sizeof(message), e->text);
		}
		return write_failed(w, out, ENOENT, message, e);
	case 429:
		return write_failed(w, out, ECONNREFUSED, message, e);
	default:
		w->unknown = true;
		return write_ask_what_is(w);
	}
}

bool kube_write_take(struct kube_write *w, int status, const json_t *object,
	struct store_event *out, struct err *e)
{
	if (w->reads)
		return write_take_read(w, status, object, out, e);
	w->sent++;
	if (status >= 200 && status < 300)
		return write_over(out, STORE_DONE, w->deletes ? 0 : kube_version(object));
	bool other = status == 409 || (status == 404 && w->revision && kube_is_gone(object));
	if (!other)
		return write_take_refusal(w, status, object, out, e);
	return w->unknown ? write_ask_what_is(w) : write_over(out, STORE_CONFLICT, 0);
}

void kube_write_lost(struct kube_write *w)
{
	w->sent += !w->reads;
	w->unknown = true;
	w->reads = true;
}

bool kube_write_is_unknown(const struct kube_write *w)
{
	return w->unknown;
}
