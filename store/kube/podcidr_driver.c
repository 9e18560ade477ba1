/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver "kube-podcidr:" of the cluster store: one watch of the cluster's Nodes, whose documents
 * (store/kube/podcidr.h) the front's requests are answered from. Nothing is answered before the first list
 * of Nodes is complete; after that, what was told stays while the API server is away, and a list that is
 * told anew only shows as the differences.
 *
 * A watch goes through the documents in the order of their keys, again and again as long as something
 * changed since its last round began; it tells what changed since then. So a document that changes while
 * a round is on is told once more at the most.
 *
 * The one thing that is written to the API is the annotation of the own Node. A merge patch of it can be
 * repeated, so it is, when its answer was lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/kube/answer.h"
#include "store/kube/job.h"
#include "store/kube/podcidr.h"
#include "store/store_driver.h"

#define NODES_PATH "/api/v1/nodes"
#define CLUSTER_PATH "/api/v1/namespaces/kube-system"
#define STATUS "status/"

enum op_kind { OP_GET, OP_WRITE, OP_WATCH };

struct op {
	struct op *next;
	uint64_t id; /* the front's */
	enum op_kind kind;
	bool fail_fast, ready;
	char *key;		   /* GET: the document's. WATCH: the prefix */
	struct store_write *write; /* until it was judged */
	json_t *patch;		   /* of the own Node, while it is under way */
	uint64_t request;
	unsigned int tries;
	/* WATCH */
	bool once, told_restart, told_current;
	char at[STORE_KEY_MAX];		  /* the round got so far */
	uint64_t told_change, this_round; /* before the round; when it began */
	struct store_event result;
	struct err why;
};

struct podcidr_driver {
	struct kube *kube;
	struct podcidr *docs;
	struct op *ops;
	struct op *told; /* it is over, but the caller holds its strings */
	uint64_t nodes_watch, asks_store;
	uint64_t store_id;
	int64_t version;
	bool knows_store, is_complete;
	char key[STORE_KEY_MAX];
	char *value; /* what was told last */
};

/* ---- operations ---- */

static struct op *op_add(struct podcidr_driver *d, uint64_t id, enum op_kind kind)
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

static void op_unlink(struct podcidr_driver *d, struct op *op)
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
	store_write_free(op->write);
	json_decref(op->patch);
	free(op->key);
	free(op);
}

static void op_done(struct op *op, enum store_event_kind kind, int64_t revision)
{
	op->result = (struct store_event){.kind = kind, .revision = revision};
	op->ready = true;
}

static void op_fail(struct op *op, int error)
{
	op->result = (struct store_event){.kind = STORE_FAILED, .error = error};
	op->ready = true;
}

/* ---- the API ---- */

static void ask_store(struct podcidr_driver *d)
{
	d->asks_store = kube_start_request(d->kube, KUBE_GET, CLUSTER_PATH, NULL, 0);
}

static void take_store(struct podcidr_driver *d, const struct kube_event *ev)
{
	struct kube_identity id;
	d->asks_store = 0;
	if (ev->kind == KUBE_FAILED && ev->error != -EACCES) {
		ask_store(d); /* it took its time, so this is no race */
		return;
	}
	d->knows_store = true;
	if (ev->status == 403)
		kube_forgive(d->kube); /* one can do without */
	if (ev->kind != KUBE_ANSWER || ev->status != 200 || !kube_identify(ev->object, &id))
		return;
	struct hash h = hash_of(id.uid, strlen(id.uid));
	memcpy(&d->store_id, h.bytes, sizeof(d->store_id));
}

static void take_node(struct podcidr_driver *d, const struct kube_event *ev)
{
	switch (ev->kind) {
	case KUBE_RESTART:
		podcidr_begin(d->docs);
		break;
	case KUBE_EXISTS:
		podcidr_take(d->docs, ev->object);
		break;
	case KUBE_GONE:
		podcidr_drop(d->docs, ev->name);
		break;
	case KUBE_CURRENT:
		podcidr_end(d->docs, ev->version);
		d->version = ev->version;
		d->is_complete = true;
		break;
	default:
		break;
	}
	if (ev->version > d->version)
		d->version = ev->version;
}

static void ask_patch(struct podcidr_driver *d, struct op *op)
{
	CLEANUP_TEXT struct text path = {0};
	text_add(&path, NODES_PATH "/%s", strrchr(op->key, '/') + 1);
	op->request = kube_start_request(d->kube, KUBE_PATCH, path.buf, op->patch, 0);
}

static void take_patch(struct podcidr_driver *d, struct op *op, const struct kube_event *ev)
{
	char message[KUBE_MESSAGE];
	if (ev->kind == KUBE_FAILED && ev->error == -ETIMEDOUT && op->tries++ == 0) {
		ask_patch(d, op);
	} else if (ev->kind == KUBE_FAILED) {
		(void)err_set(&op->why, EIO, "%s", ev->what);
		op_fail(op, ev->error);
	} else if (ev->status == 200) {
		podcidr_take(d->docs, ev->object);
		op_done(op, STORE_DONE, kube_version(ev->object));
	} else {
		(void)err_set(&op->why, EACCES, "the annotation " PODCIDR_ANNOTATION
						" of the Node is not written: %s",
			kube_message(ev->status, ev->object, message));
		op_fail(op, ev->status == 403 ? -EACCES : -EIO);
	}
}

static void driver_take(struct podcidr_driver *d, const struct kube_event *ev)
{
	struct op *op = d->ops;
	if (ev->id == d->nodes_watch) {
		take_node(d, ev);
		return;
	}
	if (ev->id == d->asks_store) {
		take_store(d, ev);
		return;
	}
	while (op && (op->request != ev->id || op->kind != OP_WRITE))
		op = op->next;
	if (op)
		take_patch(d, op, ev);
}

/* ---- what is ready ---- */

static bool is_whole(const struct podcidr_driver *d)
{
	return d->is_complete && d->knows_store;
}

static void get_judge(struct podcidr_driver *d, struct op *op)
{
	const struct podcidr_doc *doc = podcidr_get(d->docs, op->key);
	op_done(op, doc ? STORE_PUT : STORE_DELETE, doc ? doc->revision : 0);
}

static void write_judge(struct podcidr_driver *d, struct op *op)
{
	int64_t revision = 0;
	int r = podcidr_write(d->docs, op->write, &revision, &op->patch, &op->why);
	store_write_free(op->write);
	op->write = NULL;
	if (r < 0)
		op_fail(op, r);
	else if (r == 2)
		ask_patch(d, op);
	else
		op_done(op, r == 1 ? STORE_DONE : STORE_CONFLICT, revision);
}

/* Those that waited for the Nodes; a tool's fail when the server is away. */
static void ops_judge(struct podcidr_driver *d)
{
	const char *trouble = is_whole(d) ? NULL : kube_trouble(d->kube, NULL);
	for (struct op *op = d->ops; op; op = op->next) {
		if (op->ready)
			continue;
		if (is_whole(d) && op->kind == OP_GET) {
			get_judge(d, op);
		} else if (is_whole(d) && op->write) {
			write_judge(d, op);
		} else if (trouble && op->fail_fast) {
			(void)err_set(&op->why, ECONNREFUSED, "%s", trouble);
			op_fail(op, -ECONNREFUSED);
		}
	}
}

/* ---- watches ---- */

static bool watch_tell_begin(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	op->told_restart = true;
	op->this_round = podcidr_change(d->docs);
	*out = (struct store_event){
		.kind = STORE_RESTART, .revision = d->version, .store_id = d->store_id};
	return true;
}

/* The next document that is another one than told. */
static bool watch_tell_doc(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	const struct podcidr_doc *doc = podcidr_next(d->docs, op->at, op->told_change);
	size_t len = strlen(op->key);
	while (doc && (strncmp(doc->key, op->key, len) != 0 || (!doc->value && !op->told_current))) {
		if (strncmp(doc->key, op->key, len) > 0) /* behind all of the prefix */
			return false;
		(void)text_copy(op->at, sizeof(op->at), doc->key);
		doc = podcidr_next(d->docs, op->at, op->told_change);
	}
	if (!doc)
		return false;
	(void)text_copy(op->at, sizeof(op->at), doc->key);
	(void)text_copy(d->key, sizeof(d->key), doc->key);
	d->value = doc->value ? mem_strdup(doc->value) : NULL;
	*out = (struct store_event){
		.kind = doc->value ? STORE_PUT : STORE_DELETE,
		.revision = doc->revision,
		.key = d->key,
		.value = d->value,
	};
	return true;
}

static bool watch_tell(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	if (!is_whole(d))
		return false;
	if (!op->told_restart)
		return watch_tell_begin(d, op, out);
	if (watch_tell_doc(d, op, out))
		return true;
	/* The round is over. */
	op->told_change = op->this_round;
	op->this_round = podcidr_change(d->docs);
	op->at[0] = '\0';
	if (op->told_current)
		return op->this_round > op->told_change && watch_tell_doc(d, op, out);
	op->told_current = true;
	*out = (struct store_event){.kind = STORE_CURRENT};
	return true;
}

/* ---- events ---- */

static void driver_over(struct podcidr_driver *d, struct op *op)
{
	op_unlink(d, op);
	d->told = op;
}

static void op_tell(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	const struct podcidr_doc *doc =
		op->result.kind == STORE_PUT ? podcidr_get(d->docs, op->key) : NULL;
	*out = op->result;
	out->id = op->id;
	out->key = op->kind == OP_GET ? op->key : NULL;
	d->value = doc ? mem_strdup(doc->value) : NULL;
	out->value = d->value;
	out->what = out->kind == STORE_FAILED ? op->why.text : NULL;
	driver_over(d, op);
}

static bool driver_tell(struct podcidr_driver *d, uint64_t only, struct store_event *out)
{
	for (struct op *op = d->ops; op; op = op->next) {
		if (only && op->id != only)
			continue;
		if (op->ready) {
			op_tell(d, op, out);
			return true;
		}
		if (op->kind != OP_WATCH || !watch_tell(d, op, out))
			continue;
		out->id = op->id;
		if (op->once && op->told_current)
			driver_over(d, op);
		return true;
	}
	return false;
}

static bool driver_next(void *driver, uint64_t only, struct store_event *out)
{
	struct podcidr_driver *d = driver;
	struct kube_event ev;
	op_free(d->told);
	d->told = NULL;
	free(d->value);
	d->value = NULL;
	for (;;) {
		ops_judge(d);
		if (driver_tell(d, only, out))
			return true;
		if (!kube_next(d->kube, &ev)) {
			ops_judge(d); /* what it found out may be a trouble */
			return driver_tell(d, only, out);
		}
		driver_take(d, &ev);
	}
}

/* ---- the front's requests ---- */

static void driver_write(
	void *driver, uint64_t id, const struct store_write *w, int64_t deadline_ms, bool fail_fast)
{
	struct podcidr_driver *d = driver;
	(void)deadline_ms; /* a request of the client has one that is as good */
	struct op *op = op_add(d, id, OP_WRITE);
	op->key = mem_strdup(w->key);
	op->write = store_write_copy(w);
	op->fail_fast = fail_fast;
}

static void driver_get(void *driver, uint64_t id, const char *key)
{
	struct op *op = op_add(driver, id, OP_GET);
	op->key = mem_strdup(key);
	op->fail_fast = true;
}

static void driver_watch(void *driver, uint64_t id, const char *prefix, bool once)
{
	struct podcidr_driver *d = driver;
	struct op *op = op_add(d, id, OP_WATCH);
	op->key = mem_strdup(prefix);
	op->once = op->fail_fast = once;
	/* An agent follows its own status, and so says who it is. */
	const char *own = prefix + strlen(STATUS);
	if (!once && strncmp(prefix, STATUS, strlen(STATUS)) == 0 && text_is_dns_name(own))
		podcidr_set_own(d->docs, own);
}

static void driver_cancel(void *driver, uint64_t id)
{
	struct podcidr_driver *d = driver;
	struct op *op = d->ops;
	while (op && op->id != id)
		op = op->next;
	if (!op)
		return;
	kube_stop(d->kube, op->request);
	op_unlink(d, op);
	op_free(op);
}

/* ---- life ---- */

static void driver_close(void *driver)
{
	struct podcidr_driver *d = driver;
	if (!d)
		return;
	op_free(d->told);
	while (d->ops)
		driver_cancel(d, d->ops->id);
	kube_close(d->kube);
	podcidr_free(d->docs);
	free(d->value);
	free(d);
}

static int driver_open(void **out, const struct store_options *o, const char *where, struct err *e)
{
	struct podcidr_driver *d = mem_new(1, sizeof(*d));
	const struct kube_selection nodes = {.path = NODES_PATH};
	const struct kube_options options = {
		.config = where, .server = o->server, .timeout_ms = o->timeout_ms};
	int r = o->pools_file
			? podcidr_new(&d->docs, o->pools_file, e)
			: err_set(e, EINVAL,
				  "\"kube-podcidr:\" needs a file with the cluster's pools: \"firstPools\"");
	if (r == 0)
		r = kube_open(&d->kube, &options, e);
	if (r < 0) {
		driver_close(d);
		return r == -ENOENT ? -EINVAL : r;
	}
	d->nodes_watch = kube_start_watch(d->kube, &nodes);
	ask_store(d);
	*out = d;
	return 0;
}

static int driver_fd(const void *driver)
{
	const struct podcidr_driver *d = driver;
	return kube_fd(d->kube);
}

/* The client wakes by itself; what became ready without it is told at once. */
static int64_t driver_deadline_ms(const void *driver)
{
	const struct podcidr_driver *d = driver;
	for (const struct op *op = d->ops; op; op = op->next) {
		bool behind = op->kind == OP_WATCH &&
			      (!op->told_current || op->this_round != podcidr_change(d->docs));
		if (op->ready || (is_whole(d) && (behind || op->kind == OP_GET || op->write)))
			return 0;
	}
	return INT64_MAX;
}

static const char *driver_trouble(const void *driver, int64_t *since_s)
{
	const struct podcidr_driver *d = driver;
	return kube_trouble(d->kube, since_s);
}

const struct store_driver store_podcidr_driver = {
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
