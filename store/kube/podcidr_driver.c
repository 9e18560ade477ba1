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
 * The one thing that is written to the API is the annotation of the own Node, by its uid: a Node that was made
 * anew has none until its agent knows that it is another one. A merge patch of it can be repeated, so it is,
 * when its answer was lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/kube/answer.h"
#include "store/kube/job.h"
#include "store/kube/podcidr.h"
#include "store/kube/queue.h"

#define NODES_PATH "/api/v1/nodes"
#define STATUS "status/"
#define NOBODYS 0 /* of no operation: what all of them wait for */

struct op {
	struct kube_op base;
	/* WRITE */
	struct store_write *write; /* until it was judged */
	json_t *patch;		   /* of the own Node, while it is under way */
	unsigned int tries;
	/* WATCH */
	char at[STORE_KEY_MAX];		  /* the round got so far */
	uint64_t told_change, this_round; /* before the round; when it began */
};

struct podcidr_driver {
	struct kube_queue queue;
	struct podcidr *docs;
	uint64_t nodes_watch, asks_store;
	uint64_t store_id;
	int64_t version;
	bool knows_store, is_complete;
};

static struct op *op_of(struct kube_op *base)
{
	return (struct op *)base;
}

static void op_done(struct kube_op *base)
{
	struct op *op = op_of(base);
	store_write_free(op->write);
	json_decref(op->patch);
}

/* ---- the API ---- */

static void take_store(struct podcidr_driver *d, const struct kube_event *ev)
{
	d->knows_store = kube_take_cluster(d->queue.kube, ev, &d->store_id);
	d->asks_store = d->knows_store ? 0 : kube_ask_cluster(d->queue.kube, NOBODYS);
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
	text_add(&path, NODES_PATH "/%s", strrchr(op->base.key, '/') + 1);
	uint64_t id = kube_start_request(d->queue.kube, KUBE_PATCH, path.buf, op->patch, 0);
	kube_own(d->queue.kube, id, op->base.id, op->base.fail_fast);
}

static void take_patch(struct podcidr_driver *d, struct op *op, const struct kube_event *ev)
{
	char message[KUBE_MESSAGE];
	if (ev->kind == KUBE_FAILED && ev->error == -ETIMEDOUT && op->tries++ == 0) {
		ask_patch(d, op);
	} else if (ev->kind == KUBE_FAILED) {
		kube_op_fail_as(&op->base, ev);
	} else if (ev->status == 200) {
		podcidr_take(d->docs, ev->object);
		kube_op_end(&op->base, STORE_DONE, kube_version(ev->object));
	} else if (ev->status == 404 || ev->status == 409 || ev->status == 422) {
		kube_op_end(&op->base, STORE_CONFLICT, d->version); /* it is gone, or another one */
	} else {
		(void)err_set(&op->base.why, EACCES,
			"the annotation " PODCIDR_ANNOTATION " of the Node is not written: %s",
			kube_message(ev->status, ev->object, message));
		kube_op_fail(&op->base, ev->status == 403 ? -EACCES : -EIO);
	}
}

static void driver_take(struct podcidr_driver *d, const struct kube_event *ev)
{
	if (ev->id == d->nodes_watch) {
		take_node(d, ev);
		return;
	}
	if (ev->id == d->asks_store) {
		take_store(d, ev);
		return;
	}
	struct kube_op *op = kube_queue_find(&d->queue, ev->owner);
	if (op)
		take_patch(d, op_of(op), ev);
}

/* ---- what is ready ---- */

static bool is_whole(const struct podcidr_driver *d)
{
	return d->is_complete && d->knows_store;
}

static void get_judge(struct podcidr_driver *d, struct op *op)
{
	const struct podcidr_doc *doc = podcidr_get(d->docs, op->base.key);
	bool is = doc && doc->value;
	op->base.value = is ? mem_strdup(doc->value) : NULL;
	kube_op_end(&op->base, is ? STORE_PUT : STORE_DELETE, is ? doc->revision : 0);
}

static void write_judge(struct podcidr_driver *d, struct op *op)
{
	int64_t revision = 0;
	int r = podcidr_write(d->docs, op->write, &revision, &op->patch, &op->base.why);
	store_write_free(op->write);
	op->write = NULL;
	if (r < 0)
		kube_op_fail(&op->base, r);
	else if (r == 2)
		ask_patch(d, op);
	else
		kube_op_end(&op->base, r == 1 ? STORE_DONE : STORE_CONFLICT, revision);
}

/* Those that waited for the Nodes; a tool's fail when the server is away. */
static void ops_judge(struct podcidr_driver *d)
{
	const char *trouble = is_whole(d) ? NULL : kube_trouble(d->queue.kube, NULL);
	for (struct kube_op *base = d->queue.first; base; base = base->next) {
		struct op *op = op_of(base);
		if (base->ready)
			continue;
		if (is_whole(d) && op->base.kind == KUBE_OP_GET) {
			get_judge(d, op);
		} else if (is_whole(d) && op->write) {
			write_judge(d, op);
		} else if (trouble && op->base.fail_fast) {
			(void)err_set(&op->base.why, ECONNREFUSED, "%s", trouble);
			kube_op_fail(&op->base, -ECONNREFUSED);
		}
	}
}

/* ---- watches ---- */

static bool watch_tell_begin(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	op->base.told_restart = true;
	op->this_round = podcidr_change(d->docs);
	*out = (struct store_event){
		.kind = STORE_RESTART, .revision = d->version, .store_id = d->store_id};
	return true;
}

/* The next document that is another one than told. */
static bool watch_tell_doc(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	const struct podcidr_doc *doc = podcidr_next(d->docs, op->at, op->told_change);
	size_t len = strlen(op->base.key);
	while (doc && (strncmp(doc->key, op->base.key, len) != 0 ||
			      (!doc->value && !op->base.told_current))) {
		if (strncmp(doc->key, op->base.key, len) > 0) /* behind all of the prefix */
			return false;
		(void)text_copy(op->at, sizeof(op->at), doc->key);
		doc = podcidr_next(d->docs, op->at, op->told_change);
	}
	if (!doc)
		return false;
	(void)text_copy(op->at, sizeof(op->at), doc->key);
	(void)text_copy(d->queue.key, sizeof(d->queue.key), doc->key);
	d->queue.value = doc->value ? mem_strdup(doc->value) : NULL;
	*out = (struct store_event){
		.kind = doc->value ? STORE_PUT : STORE_DELETE,
		.revision = doc->revision,
		.key = d->queue.key,
		.value = d->queue.value,
	};
	return true;
}

static bool watch_tell(struct podcidr_driver *d, struct op *op, struct store_event *out)
{
	if (!is_whole(d))
		return false;
	if (!op->base.told_restart)
		return watch_tell_begin(d, op, out);
	if (watch_tell_doc(d, op, out))
		return true;
	/* The round is over. */
	op->told_change = op->this_round;
	op->this_round = podcidr_change(d->docs);
	op->at[0] = '\0';
	if (op->base.told_current)
		return op->this_round > op->told_change && watch_tell_doc(d, op, out);
	op->base.told_current = true;
	*out = (struct store_event){.kind = STORE_CURRENT};
	return true;
}

/* ---- events ---- */

static bool driver_tell(struct podcidr_driver *d, uint64_t only, struct store_event *out)
{
	for (struct kube_op *op = d->queue.first; op; op = op->next) {
		if (only && op->id != only)
			continue;
		if (op->ready) {
			kube_queue_tell(&d->queue, op, out);
			return true;
		}
		if (op->kind == KUBE_OP_WATCH && watch_tell(d, op_of(op), out)) {
			kube_queue_told(&d->queue, op, out);
			return true;
		}
	}
	return false;
}

static bool driver_next(void *driver, uint64_t only, struct store_event *out)
{
	struct podcidr_driver *d = driver;
	struct kube_event ev;
	kube_queue_turn(&d->queue);
	for (;;) {
		ops_judge(d);
		if (driver_tell(d, only, out))
			return true;
		if (!kube_next(d->queue.kube, &ev)) {
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
	struct op *op = op_of(kube_queue_add(&d->queue, id, KUBE_OP_WRITE, w->key));
	op->write = store_write_copy(w);
	op->base.fail_fast = fail_fast;
}

static void driver_get(void *driver, uint64_t id, const char *key)
{
	struct podcidr_driver *d = driver;
	kube_queue_add(&d->queue, id, KUBE_OP_GET, key)->fail_fast = true;
}

static void driver_watch(void *driver, uint64_t id, const char *prefix, bool once)
{
	struct podcidr_driver *d = driver;
	struct op *op = op_of(kube_queue_add(&d->queue, id, KUBE_OP_WATCH, prefix));
	op->base.once = op->base.fail_fast = once;
	/* An agent follows its own status, and so says who it is. */
	const char *own = prefix + strlen(STATUS);
	if (!once && strncmp(prefix, STATUS, strlen(STATUS)) == 0 && text_is_dns_name(own))
		podcidr_set_own(d->docs, own);
}

static void driver_cancel(void *driver, uint64_t id)
{
	struct podcidr_driver *d = driver;
	kube_queue_cancel(&d->queue, kube_queue_find(&d->queue, id));
}

/* ---- life ---- */

static void driver_close(void *driver)
{
	struct podcidr_driver *d = driver;
	if (!d)
		return;
	kube_queue_close(&d->queue);
	podcidr_free(d->docs);
	free(d);
}

static int driver_open(void **out, const struct store_options *o, const char *where, struct err *e)
{
	struct podcidr_driver *d = mem_new(1, sizeof(*d));
	const struct kube_selection nodes = {.path = NODES_PATH};
	d->queue = (struct kube_queue){.op_size = sizeof(struct op), .op_done = op_done};
	int r = o->pools_file ? podcidr_new(&d->docs, o->pools_file, e)
			      : err_set(e, EINVAL,
					"\"kube-podcidr:\" needs a file with the cluster's pools: "
					"\"firstPools\"");
	if (r == 0)
		r = kube_queue_open(&d->queue, "kube-podcidr", o, where, e);
	if (r < 0) {
		driver_close(d);
		return r == -ENOENT ? -EINVAL : r;
	}
	d->nodes_watch = kube_start_watch(d->queue.kube, &nodes);
	kube_own(d->queue.kube, d->nodes_watch, NOBODYS, false);
	d->asks_store = kube_ask_cluster(d->queue.kube, NOBODYS);
	*out = d;
	return 0;
}

/* The client wakes by itself; what became ready without it is told at once. */
static int64_t driver_deadline_ms(const void *driver)
{
	const struct podcidr_driver *d = driver;
	for (struct kube_op *base = d->queue.first; base; base = base->next) {
		const struct op *op = op_of(base);
		bool behind = base->kind == KUBE_OP_WATCH &&
			      (!base->told_current || op->this_round != podcidr_change(d->docs));
		if (base->ready ||
			(is_whole(d) && (behind || base->kind == KUBE_OP_GET || op->write)))
			return 0;
	}
	return INT64_MAX;
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
	.fd = kube_queue_fd,
	.deadline_ms = driver_deadline_ms,
	.trouble = kube_queue_trouble,
};
