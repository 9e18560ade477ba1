/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver "kube:" of the cluster store: documents are objects of the API group roost.io
 * (store/kube/table.h). What the front asks is an operation; it has requests and watches of the client
 * (store/kube/kube.h) under way, which carry the operation's id, so that answers find it.
 *
 * A watch of a prefix is as many watches of the API as there are kinds under it, which begin and go on
 * by themselves. To the front they are one: RESTART when the first of them begins, CURRENT when all of
 * them are complete. When one of them has to begin anew all do, as "what was told before may be
 * gone" cannot be said of a part. Which store it is, is asked before: the uid of the namespace
 * kube-system, which lives as long as the cluster.
 *
 * A prefix that ends within a name is taken for the document of that name and those below it, as its
 * only user means it (an agent's own status): a watch of all statuses in each agent would cost
 * the square of the number of nodes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/kube/job.h"
#include "store/kube/queue.h"
#include "store/kube/table.h"
#include "store/kube/write.h"

/* A watch of the API, of a part of the prefix. */
struct source {
	const struct kube_row *row;
	char name[KUBE_NAME]; /* "": all of the kind */
	uint64_t id;	      /* of the client; 0: not begun */
	bool began, current;
};

struct op {
	struct kube_op base;
	/* WRITE */
	int64_t deadline_ms;
	struct kube_write *write;
	/* WATCH */
	struct source sources[KUBE_ROWS];
	size_t n_sources;
	uint64_t asks_store; /* the request for it; 0: none */
	uint64_t store_id;
};

static struct op *op_of(struct kube_op *base)
{
	return (struct op *)base;
}

static void op_done(struct kube_op *base)
{
	kube_write_free(op_of(base)->write);
}

static void op_ask(struct kube_queue *q, struct op *op, enum kube_method method, const char *path,
	const json_t *body)
{
	int64_t left = op->deadline_ms - boot_now_ms();
	unsigned int timeout_ms = op->base.kind != KUBE_OP_WRITE ? 0
				  : left > 1			 ? (unsigned int)left
								 : 1;
	uint64_t id = kube_start_request(q->kube, method, path, body, timeout_ms);
	kube_own(q->kube, id, op->base.id, op->base.fail_fast);
}

/* ---- a get ---- */

static void get_start(struct kube_queue *q, struct op *op)
{
	char name[KUBE_NAME];
	CLEANUP_TEXT struct text path = {0};
	const struct kube_row *row = kube_row_of(op->base.key, name);
	/* A document that cannot be there is not there, if there is a server that could say so. */
	if (row)
		kube_row_path_of(row, name, &path);
	op_ask(q, op, KUBE_GET, row ? path.buf : "/version", NULL);
}

static void get_refused(struct op *op, const struct kube_row *row, int status, const json_t *object)
{
	char message[KUBE_MESSAGE];
	int error = status == 403 ? EACCES : EIO;
	if (status == 404) {
		kube_op_fail(&op->base, kube_row_missing(row, &op->base.why));
		return;
	}
	(void)err_set(&op->base.why, error, "document %.300s cannot be read: %s", op->base.key,
		kube_message(status, object, message));
	kube_op_fail(&op->base, -error);
}

static void get_take(struct op *op, const struct kube_event *ev)
{
	char name[KUBE_NAME];
	const struct kube_row *row = kube_row_of(op->base.key, name);
	int64_t version = kube_version(ev->object);
	bool gone = !row || (ev->status == 404 && kube_is_gone(ev->object));
	if (ev->status != 200 && !gone) {
		get_refused(op, row, ev->status, ev->object);
		return;
	}
	bool is = !gone && version >= 0;
	op->base.value = is ? kube_row_value(row, ev->object) : NULL;
	kube_op_end(&op->base, is ? STORE_PUT : STORE_DELETE, is ? version : 0);
}

/* ---- a write ---- */

static void write_ask(struct kube_queue *q, struct op *op)
{
	CLEANUP_TEXT struct text path = {0};
	const json_t *body = NULL;
	enum kube_method method = kube_write_compose(op->write, &path, &body);
	op_ask(q, op, method, path.buf, body);
}

static void write_take_failure(struct kube_queue *q, struct op *op, const struct kube_event *ev)
{
	if (ev->error == -ETIMEDOUT)
		kube_write_lost(op->write);
	bool unknown = kube_write_is_unknown(op->write);
	if (unknown && boot_now_ms() < op->deadline_ms && ev->error == -ETIMEDOUT) {
		write_ask(q, op);
		return;
	}
	(void)err_set(&op->base.why, EIO, "%s", ev->what);
	if (unknown)
		err_add(&op->base.why, "whether this change was made is unknown");
	kube_op_fail(&op->base, unknown ? -ETIMEDOUT : ev->error);
}

static void write_take(struct kube_queue *q, struct op *op, const struct kube_event *ev)
{
	if (ev->kind == KUBE_FAILED)
		write_take_failure(q, op, ev);
	else if (kube_write_take(
			 op->write, ev->status, ev->object, &op->base.result, &op->base.why))
		op->base.ready = true;
	else
		write_ask(q, op);
}

/* ---- a watch ---- */

static void watch_stop(struct kube_queue *q, struct op *op)
{
	for (size_t i = 0; i < op->n_sources; i++)
		kube_stop(q->kube, op->sources[i].id);
	kube_stop(q->kube, op->asks_store);
	op->n_sources = 0;
	op->asks_store = 0;
}

static void watch_add_source(struct op *op, const struct kube_row *row, const char *name)
{
	struct source *s = &op->sources[op->n_sources++];
	*s = (struct source){.row = row};
	(void)text_copy(s->name, sizeof(s->name), name);
}

/* The documents below one: a status may have a note beside it. */
static void watch_add_named(struct op *op, const struct kube_row *row, const char *rest)
{
	char name[KUBE_NAME], below[STORE_KEY_MAX];
	struct text t = TEXT_ON(below);
	if (kube_row_name(row, rest, name))
		watch_add_source(op, row, name);
	text_add(&t, "%s/newcomer", rest);
	if (!t.cut && kube_row_name(row, below, name))
		watch_add_source(op, row, name);
}

static void watch_find_sources(struct op *op)
{
	const struct kube_row *row;
	size_t len = strlen(op->base.key);
	for (size_t i = 0; (row = kube_row(i)); i++) {
		size_t row_len = strlen(row->prefix);
		if (strncmp(op->base.key, row->prefix, len < row_len ? len : row_len) != 0)
			continue;
		if (len > row_len)
			watch_add_named(op, row, op->base.key + row_len);
		else
			watch_add_source(op, row, "");
	}
}

static void source_start(struct kube_queue *q, const struct op *op, struct source *s)
{
	CLEANUP_TEXT struct text path = {0}, field = {0};
	bool whole = !*s->name;
	if (whole)
		kube_row_path(s->row, &path);
	else
		kube_row_collection(s->row, s->name, &path);
	text_add(&field, "metadata.name=%s", kube_row_own_name(s->row, s->name));
	const struct kube_selection what = {
		.path = path.buf,
		.field_selector = whole ? NULL : field.buf,
		/* Of who asks for all kinds, not of who asks for this one. */
		.may_lack = s->row->optional && strlen(op->base.key) < strlen(s->row->prefix),
	};
	s->id = op->base.once ? kube_start_list(q->kube, &what) : kube_start_watch(q->kube, &what);
	kube_own(q->kube, s->id, op->base.id, op->base.fail_fast);
}

static void watch_ask_store(struct kube_queue *q, struct op *op)
{
	op->asks_store = kube_ask_cluster(q->kube, op->base.id);
}

/* Everything is told (again). */
static void watch_begin(struct kube_queue *q, struct op *op)
{
	watch_stop(q, op);
	op->base.told_restart = false;
	op->base.told_current = false;
	if (op->base.once) {
		watch_find_sources(op);
		for (size_t i = 0; i < op->n_sources; i++)
			source_start(q, op, &op->sources[i]);
	} else {
		watch_ask_store(q, op);
	}
}

static void watch_take_store(struct kube_queue *q, struct op *op, const struct kube_event *ev)
{
	op->asks_store = 0;
	if (!kube_take_cluster(q->kube, ev, &op->store_id)) {
		watch_ask_store(q, op);
		return;
	}
	watch_find_sources(op);
	for (size_t i = 0; i < op->n_sources; i++)
		source_start(q, op, &op->sources[i]);
}

static bool watch_is_current(const struct op *op)
{
	for (size_t i = 0; i < op->n_sources; i++)
		if (!op->sources[i].current)
			return false;
	return true;
}

/* true: there is something to tell. */
static bool watch_tell_object(struct kube_queue *q, const struct op *op, const struct source *s,
	const struct kube_event *ev, struct store_event *out)
{
	bool gone = ev->kind == KUBE_GONE;
	kube_row_key(s->row, ev->namespace_, ev->name, q->key);
	if (strncmp(q->key, op->base.key, strlen(op->base.key)) != 0)
		return false;
	q->value = gone ? NULL : kube_row_value(s->row, ev->object);
	bool fits = q->value && strlen(q->value) <= STORE_VALUE_MAX;
	*out = (struct store_event){
		.kind = gone ? STORE_DELETE : STORE_PUT,
		.revision = ev->version,
		.key = q->key,
		.value = fits ? q->value : NULL,
	};
	return true;
}

static bool watch_take(
	struct kube_queue *q, struct op *op, const struct kube_event *ev, struct store_event *out)
{
	struct source *s = op->sources;
	while (s < op->sources + op->n_sources && s->id != ev->id)
		s++;
	if (s == op->sources + op->n_sources) {
		if (ev->id == op->asks_store)
			watch_take_store(q, op, ev);
		return false;
	}
	switch (ev->kind) {
	case KUBE_RESTART:
		if (s->began) {
			watch_begin(q, op);
			return false;
		}
		s->began = true;
		*out = (struct store_event){
			.kind = STORE_RESTART, .revision = ev->version, .store_id = op->store_id};
		bool first = !op->base.told_restart;
		op->base.told_restart = true;
		return first;
	case KUBE_CURRENT:
		s->current = true;
		*out = (struct store_event){.kind = STORE_CURRENT};
		return !op->base.told_current && (op->base.told_current = watch_is_current(op));
	case KUBE_EXISTS:
	case KUBE_GONE:
		return watch_tell_object(q, op, s, ev, out);
	default:
		watch_stop(q, op);
		kube_op_fail_as(&op->base, ev);
		return false;
	}
}

/* A prefix under which nothing can be. */
static bool watch_tell_nothing(struct op *op, struct store_event *out)
{
	bool empty = op->base.kind == KUBE_OP_WATCH && !op->n_sources && !op->asks_store &&
		     !op->base.ready;
	if (!empty || op->base.told_current)
		return false;
	*out = (struct store_event){.kind = op->base.told_restart ? STORE_CURRENT : STORE_RESTART,
		.store_id = op->store_id};
	op->base.told_current = op->base.told_restart;
	op->base.told_restart = true;
	return true;
}

/* ---- events ---- */

static bool driver_tell(struct kube_queue *q, uint64_t only, struct store_event *out)
{
	for (struct kube_op *op = q->first; op; op = op->next) {
		if (only && op->id != only)
			continue;
		if (op->ready) {
			kube_queue_tell(q, op, out);
			return true;
		}
		if (watch_tell_nothing(op_of(op), out)) {
			kube_queue_told(q, op, out);
			return true;
		}
	}
	return false;
}

/* true: *out is an event of a watch. */
static bool driver_take(
	struct kube_queue *q, struct op *op, const struct kube_event *ev, struct store_event *out)
{
	switch (op->base.kind) {
	case KUBE_OP_GET:
		if (ev->kind == KUBE_FAILED)
			kube_op_fail_as(&op->base, ev);
		else
			get_take(op, ev);
		return false;
	case KUBE_OP_WRITE:
		write_take(q, op, ev);
		return false;
	default:
		if (!watch_take(q, op, ev, out))
			return false;
		kube_queue_told(q, &op->base, out);
		return true;
	}
}

static bool driver_next(void *driver, uint64_t only, struct store_event *out)
{
	struct kube_queue *q = driver;
	struct kube_event ev;
	kube_queue_turn(q);
	while (!driver_tell(q, only, out)) {
		if (!kube_next_owned(q->kube, only, &ev))
			return false;
		struct kube_op *op = kube_queue_find(q, ev.owner);
		if (op && driver_take(q, op_of(op), &ev, out))
			return true;
		free(q->value);
		q->value = NULL;
	}
	return true;
}

/* ---- the front's requests ---- */

static void driver_write(
	void *driver, uint64_t id, const struct store_write *w, int64_t deadline_ms, bool fail_fast)
{
	struct kube_queue *q = driver;
	struct op *op = op_of(kube_queue_add(q, id, KUBE_OP_WRITE, w->key));
	op->deadline_ms = deadline_ms;
	op->base.fail_fast = fail_fast;
	int r = kube_write_new(&op->write, w, &op->base.why);
	if (r < 0)
		kube_op_fail(&op->base, r);
	else
		write_ask(q, op);
}

static void driver_get(void *driver, uint64_t id, const char *key)
{
	struct op *op = op_of(kube_queue_add(driver, id, KUBE_OP_GET, key));
	op->base.fail_fast = true;
	get_start(driver, op);
}

static void driver_watch(void *driver, uint64_t id, const char *prefix, bool once)
{
	struct op *op = op_of(kube_queue_add(driver, id, KUBE_OP_WATCH, prefix));
	op->base.once = op->base.fail_fast = once;
	watch_begin(driver, op);
}

static void driver_cancel(void *driver, uint64_t id)
{
	kube_queue_cancel(driver, kube_queue_find(driver, id));
}

/* ---- life ---- */

static void driver_close(void *driver)
{
	if (driver)
		kube_queue_close(driver);
	free(driver);
}

static int driver_open(void **out, const struct store_options *o, const char *where, struct err *e)
{
	struct kube_queue *q = mem_new(1, sizeof(*q));
	*q = (struct kube_queue){.op_size = sizeof(struct op), .op_done = op_done};
	int r = kube_queue_open(q, "kube", o, where, e);
	if (r < 0) {
		driver_close(q);
		return r;
	}
	*out = q;
	return 0;
}

/* The client wakes by itself; what is ready here is told at once. */
static int64_t driver_deadline_ms(const void *driver)
{
	return kube_queue_is_ready(driver) ? 0 : INT64_MAX;
}

const struct store_driver store_kube_driver = {
	.timeout_ms = 5000,
	.open = driver_open,
	.close = driver_close,
	.write = driver_write,
	.get = driver_get,
	.watch = driver_watch,
	.cancel = driver_cancel,
	.next = driver_next,
	.fd = kube_queue_fd,
	.deadline_ms = driver_deadline_ms,
	.trouble = kube_queue_trouble,
};
