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
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/kube/job.h"
#include "store/kube/table.h"
#include "store/kube/write.h"
#include "store/store_driver.h"

#define CLUSTER_PATH "/api/v1/namespaces/kube-system"
#define SOURCES_MAX 16

enum op_kind { OP_GET, OP_WRITE, OP_WATCH };

/* A watch of the API, of a part of the prefix. */
struct source {
	const struct kube_row *row;
	char name[KUBE_NAME]; /* "": all of the kind */
	uint64_t id;	      /* of the client; 0: not begun */
	bool began, current;
};

struct op {
	struct op *next;
	uint64_t id; /* the front's */
	enum op_kind kind;
	bool fail_fast, ready;
	int64_t deadline_ms; /* WRITE */
	char *key;	     /* of a GET; the prefix of a WATCH */
	struct kube_write *write;
	/* WATCH */
	bool once, told_restart, told_current;
	struct source sources[SOURCES_MAX];
	size_t n_sources;
	uint64_t asks_store; /* the request for it; 0: none */
	uint64_t store_id;
	/* ready: */
	struct store_event result;
	char *value; /* of the result */
	struct err why;
};

struct kube_driver {
	struct kube *kube;
	struct op *ops;
	struct op *told; /* it is over, but the caller holds its strings */
	char key[STORE_KEY_MAX];
	char *value; /* what was told last */
	char trouble[512];
};

/* ---- operations ---- */

static struct op *op_add(struct kube_driver *d, uint64_t id, enum op_kind kind)
{
	struct op *op = mem_new(1, sizeof(*op));
	struct op **end = &d->ops;
	op->id = id;
	op->kind = kind;
	while (*end)
		end = &(*end)->next;
	*end = op;
	return op;
}

static struct op *op_find(const struct kube_driver *d, uint64_t id)
{
	struct op *op = d->ops;
	while (op && op->id != id)
		op = op->next;
	return op;
}

static void op_unlink(struct kube_driver *d, struct op *op)
{
	struct op **p = &d->ops;
	while (*p != op)
		p = &(*p)->next;
	*p = op->next;
}

static void op_free(struct op *op)
{
	if (!op)
		return;
	kube_write_free(op->write);
	free(op->key);
	free(op->value);
	free(op);
}

static void op_fail(struct op *op, int error)
{
	op->result = (struct store_event){.kind = STORE_FAILED, .error = error};
	op->ready = true;
}

static void op_ask(struct kube_driver *d, struct op *op, enum kube_method method, const char *path,
	const json_t *body)
{
	int64_t left = op->deadline_ms - boot_now_ms();
	unsigned int timeout_ms = op->kind != OP_WRITE ? 0 : left > 1 ? (unsigned int)left : 1;
	uint64_t id = kube_start_request(d->kube, method, path, body, timeout_ms);
	kube_own(d->kube, id, op->id, op->fail_fast);
}

/* ---- a get ---- */

static void get_start(struct kube_driver *d, struct op *op)
{
	char name[KUBE_NAME];
	CLEANUP_TEXT struct text path = {0};
	const struct kube_row *row = kube_row_of(op->key, name);
	/* A document that cannot be there is not there, if there is a server that could say so. */
	if (row)
		kube_row_path(row, name, &path);
	op_ask(d, op, KUBE_GET, row ? path.buf : "/version", NULL);
}

static void get_refused(struct op *op, const struct kube_row *row, int status, const json_t *object)
{
	char message[KUBE_MESSAGE];
	int error = status == 403 ? EACCES : EIO;
	if (status == 404) {
		op_fail(op, kube_row_missing(row, &op->why));
		return;
	}
	(void)err_set(&op->why, error, "document %.300s cannot be read: %s", op->key,
		kube_message(status, object, message));
	op_fail(op, -error);
}

static void get_take(struct op *op, const struct kube_event *ev)
{
	char name[KUBE_NAME];
	const struct kube_row *row = kube_row_of(op->key, name);
	int64_t version = kube_version(ev->object);
	bool gone = !row || (ev->status == 404 && kube_is_gone(ev->object));
	if (ev->status != 200 && !gone) {
		get_refused(op, row, ev->status, ev->object);
		return;
	}
	op->result = (struct store_event){.kind = STORE_DELETE};
	op->ready = true;
	if (gone || version < 0)
		return;
	op->value = kube_row_value(row, ev->object);
	op->result = (struct store_event){.kind = STORE_PUT, .revision = version};
}

/* ---- a write ---- */

static void write_ask(struct kube_driver *d, struct op *op)
{
	CLEANUP_TEXT struct text path = {0};
	const json_t *body = NULL;
	enum kube_method method = kube_write_compose(op->write, &path, &body);
	op_ask(d, op, method, path.buf, body);
}

static void write_take_failure(struct kube_driver *d, struct op *op, const struct kube_event *ev)
{
	if (ev->error == -ETIMEDOUT)
		kube_write_lost(op->write);
	bool unknown = kube_write_is_unknown(op->write);
	if (unknown && boot_now_ms() < op->deadline_ms && ev->error == -ETIMEDOUT) {
		write_ask(d, op);
		return;
	}
	(void)err_set(&op->why, EIO, "%s", ev->what);
	if (unknown)
		err_add(&op->why, "whether this change was made is unknown");
	op_fail(op, unknown ? -ETIMEDOUT : ev->error);
}

static void write_take(struct kube_driver *d, struct op *op, const struct kube_event *ev)
{
	if (ev->kind == KUBE_FAILED)
		write_take_failure(d, op, ev);
	else if (kube_write_take(op->write, ev->status, ev->object, &op->result, &op->why))
		op->ready = true;
	else
		write_ask(d, op);
}

/* ---- a watch ---- */

static void watch_stop(struct kube_driver *d, struct op *op)
{
	for (size_t i = 0; i < op->n_sources; i++)
		kube_stop(d->kube, op->sources[i].id);
	kube_stop(d->kube, op->asks_store);
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
	size_t len = strlen(op->key);
	for (size_t i = 0; (row = kube_row(i)); i++) {
		size_t row_len = strlen(row->prefix);
		if (strncmp(op->key, row->prefix, len < row_len ? len : row_len) != 0)
			continue;
		if (len > row_len)
			watch_add_named(op, row, op->key + row_len);
		else
			watch_add_source(op, row, "");
	}
}

static void source_start(struct kube_driver *d, const struct op *op, struct source *s)
{
	CLEANUP_TEXT struct text path = {0}, field = {0};
	kube_row_path(s->row, NULL, &path);
	text_add(&field, "metadata.name=%s", s->name);
	const struct kube_selection what = {
		.path = path.buf, .field_selector = *s->name ? field.buf : NULL};
	s->id = op->once ? kube_start_list(d->kube, &what) : kube_start_watch(d->kube, &what);
	kube_own(d->kube, s->id, op->id, op->fail_fast);
}

static void watch_ask_store(struct kube_driver *d, struct op *op)
{
	op->asks_store = kube_start_request(d->kube, KUBE_GET, CLUSTER_PATH, NULL, 0);
	kube_own(d->kube, op->asks_store, op->id, false);
}

/* Everything is told (again). */
static void watch_begin(struct kube_driver *d, struct op *op)
{
	watch_stop(d, op);
	op->told_restart = false;
	op->told_current = false;
	if (op->once) {
		watch_find_sources(op);
		for (size_t i = 0; i < op->n_sources; i++)
			source_start(d, op, &op->sources[i]);
	} else {
		watch_ask_store(d, op);
	}
}

static void watch_take_store(struct kube_driver *d, struct op *op, const struct kube_event *ev)
{
	struct kube_identity id;
	op->asks_store = 0;
	if (ev->kind == KUBE_FAILED && ev->error != -EACCES) {
		watch_ask_store(d, op); /* it took its time, so this is no race */
		return;
	}
	if (ev->status == 403)
		kube_forgive(d->kube); /* one can do without */
	bool known = ev->kind == KUBE_ANSWER && ev->status == 200 && kube_identify(ev->object, &id);
	struct hash h = {0};
	op->store_id = 0;
	if (known) {
		h = hash_of(id.uid, strlen(id.uid));
		memcpy(&op->store_id, h.bytes, sizeof(op->store_id));
	}
	watch_find_sources(op);
	for (size_t i = 0; i < op->n_sources; i++)
		source_start(d, op, &op->sources[i]);
}

static bool watch_is_current(const struct op *op)
{
	for (size_t i = 0; i < op->n_sources; i++)
		if (!op->sources[i].current)
			return false;
	return true;
}

/* true: there is something to tell. */
static bool watch_tell_object(struct kube_driver *d, const struct op *op, const struct source *s,
	const struct kube_event *ev, struct store_event *out)
{
	bool gone = ev->kind == KUBE_GONE;
	kube_row_key(s->row, ev->name, d->key);
	if (strncmp(d->key, op->key, strlen(op->key)) != 0)
		return false;
	d->value = gone ? NULL : kube_row_value(s->row, ev->object);
	bool fits = d->value && strlen(d->value) <= STORE_VALUE_MAX;
	*out = (struct store_event){
		.kind = gone ? STORE_DELETE : STORE_PUT,
		.revision = ev->version,
		.key = d->key,
		.value = fits ? d->value : NULL,
	};
	return true;
}

static bool watch_take(
	struct kube_driver *d, struct op *op, const struct kube_event *ev, struct store_event *out)
{
	struct source *s = op->sources;
	while (s < op->sources + op->n_sources && s->id != ev->id)
		s++;
	if (s == op->sources + op->n_sources) {
		if (ev->id == op->asks_store)
			watch_take_store(d, op, ev);
		return false;
	}
	switch (ev->kind) {
	case KUBE_RESTART:
		if (s->began) {
			watch_begin(d, op);
			return false;
		}
		s->began = true;
		*out = (struct store_event){
			.kind = STORE_RESTART, .revision = ev->version, .store_id = op->store_id};
		bool first = !op->told_restart;
		op->told_restart = true;
		return first;
	case KUBE_CURRENT:
		s->current = true;
		*out = (struct store_event){.kind = STORE_CURRENT};
		return !op->told_current && (op->told_current = watch_is_current(op));
	case KUBE_EXISTS:
	case KUBE_GONE:
		return watch_tell_object(d, op, s, ev, out);
	default:
		(void)err_set(&op->why, EIO, "%s", ev->what);
		watch_stop(d, op);
		op_fail(op, ev->error);
		return false;
	}
}

/* A prefix under which nothing can be. */
static bool watch_tell_nothing(struct op *op, struct store_event *out)
{
	bool empty = op->kind == OP_WATCH && !op->n_sources && !op->asks_store && !op->ready;
	if (!empty || op->told_current)
		return false;
	*out = (struct store_event){
		.kind = op->told_restart ? STORE_CURRENT : STORE_RESTART, .store_id = op->store_id};
	op->told_current = op->told_restart;
	op->told_restart = true;
	return true;
}

/* ---- events ---- */

static void driver_over(struct kube_driver *d, struct op *op)
{
	op_unlink(d, op);
	d->told = op;
}

static bool driver_tell(struct kube_driver *d, uint64_t only, struct store_event *out)
{
	for (struct op *op = d->ops; op; op = op->next) {
		if (only && op->id != only)
			continue;
		if (watch_tell_nothing(op, out)) {
			out->id = op->id;
			if (op->once && op->told_current)
				driver_over(d, op);
			return true;
		}
		if (!op->ready)
			continue;
		*out = op->result;
		out->id = op->id;
		out->key = op->key;
		out->value = op->value;
		out->what = out->kind == STORE_FAILED ? op->why.text : NULL;
		driver_over(d, op);
		return true;
	}
	return false;
}

/* true: *out is an event of a watch. */
static bool driver_take(
	struct kube_driver *d, struct op *op, const struct kube_event *ev, struct store_event *out)
{
	switch (op->kind) {
	case OP_GET:
		if (ev->kind == KUBE_FAILED) {
			(void)err_set(&op->why, EIO, "%s", ev->what);
			op_fail(op, ev->error);
		} else {
			get_take(op, ev);
		}
		return false;
	case OP_WRITE:
		write_take(d, op, ev);
		return false;
	default:
		if (!watch_take(d, op, ev, out))
			return false;
		out->id = op->id;
		if (op->once && op->told_current)
			driver_over(d, op);
		return true;
	}
}

static bool driver_next(void *driver, uint64_t only, struct store_event *out)
{
	struct kube_driver *d = driver;
	struct kube_event ev;
	op_free(d->told);
	d->told = NULL;
	free(d->value);
	d->value = NULL;
	while (!driver_tell(d, only, out)) {
		if (!kube_next_owned(d->kube, only, &ev))
			return false;
		struct op *op = op_find(d, ev.owner);
		if (op && driver_take(d, op, &ev, out))
			return true;
		free(d->value);
		d->value = NULL;
	}
	return true;
}

/* ---- the front's requests ---- */

static void driver_write(
	void *driver, uint64_t id, const struct store_write *w, int64_t deadline_ms, bool fail_fast)
{
	struct kube_driver *d = driver;
	struct op *op = op_add(d, id, OP_WRITE);
	op->deadline_ms = deadline_ms;
	op->fail_fast = fail_fast;
	int r = kube_write_new(&op->write, w, &op->why);
	if (r < 0)
		op_fail(op, r);
	else
		write_ask(d, op);
}

static void driver_get(void *driver, uint64_t id, const char *key)
{
	struct kube_driver *d = driver;
	struct op *op = op_add(d, id, OP_GET);
	op->key = mem_strdup(key);
	op->fail_fast = true;
	get_start(d, op);
}

static void driver_watch(void *driver, uint64_t id, const char *prefix, bool once)
{
	struct kube_driver *d = driver;
	struct op *op = op_add(d, id, OP_WATCH);
	op->key = mem_strdup(prefix);
	op->once = op->fail_fast = once;
	watch_begin(d, op);
}

static void driver_cancel(void *driver, uint64_t id)
{
	struct kube_driver *d = driver;
	struct op *op = op_find(d, id);
	if (!op)
		return;
	kube_stop_owned(d->kube, id);
	op_unlink(d, op);
	op_free(op);
}

/* ---- life ---- */

static void driver_close(void *driver)
{
	struct kube_driver *d = driver;
	if (!d)
		return;
	op_free(d->told);
	while (d->ops)
		driver_cancel(d, d->ops->id);
	kube_close(d->kube);
	free(d->value);
	free(d);
}

static int driver_open(void **out, const struct store_options *o, const char *where, struct err *e)
{
	struct kube_driver *d = mem_new(1, sizeof(*d));
	const struct kube_options options = {
		.config = where, .server = o->server, .timeout_ms = o->timeout_ms};
	int r = 0;
	if (*where && *where != '/')
		r = err_set(e, EINVAL,
			"the kubeconfig in \"kube:%.128s\" must be an absolute path (\"kube:\" "
			"alone: "
			"the account of the pod)",
			where);
	else if (o->ca_file || o->cert_file || o->user)
		r = err_set(e, EINVAL,
			"certificates and users of the store are etcd's: for kube: they stand in "
			"the "
			"kubeconfig");
	else
		r = kube_open(&d->kube, &options, e);
	if (r < 0) {
		driver_close(d);
		return r;
	}
	*out = d;
	return 0;
}

static int driver_fd(const void *driver)
{
	const struct kube_driver *d = driver;
	return kube_fd(d->kube);
}

/* The client wakes by itself; what is ready here is told at once. */
static int64_t driver_deadline_ms(const void *driver)
{
	const struct kube_driver *d = driver;
	for (const struct op *op = d->ops; op; op = op->next)
		if (op->ready)
			return 0;
	return INT64_MAX;
}

static const char *driver_trouble(const void *driver, int64_t *since_s)
{
	const struct kube_driver *d = driver;
	return kube_trouble(d->kube, since_s);
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
	.fd = driver_fd,
	.deadline_ms = driver_deadline_ms,
	.trouble = driver_trouble,
};
