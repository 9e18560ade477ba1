/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations are few (an agent has four watches and a write or two), so that a list is what they need. One
 * that is over leaves the list when it is told, and lives until the next turn, as its strings are the
 * caller's meanwhile.
 */
#include "store/kube/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/mem.h"
#include "store/kube/answer.h"
#include "store/kube/job.h"

#define CLUSTER_PATH "/api/v1/namespaces/kube-system"

/* ---- life ---- */

static void op_free(const struct kube_queue *q, struct kube_op *op)
{
	if (!op)
		return;
	q->op_done(op);
	free(op->key);
	free(op->value);
	free(op);
}

int kube_queue_open(struct kube_queue *q, const char *scheme, const struct store_options *o,
	const char *where, struct err *e)
{
	const struct kube_options options = {
		.config = where, .server = o->server, .timeout_ms = o->timeout_ms};
	if (*where && *where != '/')
		return err_set(e, EINVAL,
			"the kubeconfig in \"%s:%.128s\" must be an absolute path (\"%s:\" alone: "
			"the account of the pod)",
			scheme, where, scheme);
	if (o->ca_file || o->cert_file || o->user)
		return err_set(e, EINVAL,
			"certificates and users of the store are etcd's: for %s: they stand in the "
			"kubeconfig",
			scheme);
	return kube_open(&q->kube, &options, e);
}

void kube_queue_close(struct kube_queue *q)
{
	if (!q->kube)
		return;
	kube_queue_turn(q);
	while (q->first)
		kube_queue_cancel(q, q->first);
	kube_close(q->kube);
}

/* ---- operations ---- */

struct kube_op *kube_queue_add(
	struct kube_queue *q, uint64_t id, enum kube_op_kind kind, const char *key)
{
	struct kube_op *op = mem_new(1, q->op_size);
	struct kube_op **end = &q->first;
	op->id = id;
	op->kind = kind;
	op->key = mem_strdup(key);
	while (*end)
		end = &(*end)->next;
	*end = op;
	return op;
}

struct kube_op *kube_queue_find(const struct kube_queue *q, uint64_t id)
{
	struct kube_op *op = q->first;
	while (op && op->id != id)
		op = op->next;
	return op;
}

static void queue_unlink(struct kube_queue *q, struct kube_op *op)
{
	struct kube_op **p = &q->first;
	while (*p != op)
		p = &(*p)->next;
	*p = op->next;
}

void kube_queue_cancel(struct kube_queue *q, struct kube_op *op)
{
	if (!op)
		return;
	kube_stop_owned(q->kube, op->id);
	queue_unlink(q, op);
	op_free(q, op);
}

void kube_op_end(struct kube_op *op, enum store_event_kind kind, int64_t revision)
{
	op->result = (struct store_event){.kind = kind, .revision = revision};
	op->ready = true;
}

void kube_op_fail(struct kube_op *op, int error)
{
	op->result = (struct store_event){.kind = STORE_FAILED, .error = error};
	op->ready = true;
}

void kube_op_fail_as(struct kube_op *op, const struct kube_event *ev)
{
	(void)err_set(&op->why, EIO, "%s", ev->what);
	kube_op_fail(op, ev->error);
}

/* ---- telling ---- */

void kube_queue_turn(struct kube_queue *q)
{
	op_free(q, q->told);
	q->told = NULL;
	free(q->value);
	q->value = NULL;
}

static void queue_over(struct kube_queue *q, struct kube_op *op)
{
	queue_unlink(q, op);
	q->told = op;
}

void kube_queue_tell(struct kube_queue *q, struct kube_op *op, struct store_event *out)
{
	*out = op->result;
	out->id = op->id;
	out->key = op->kind == KUBE_OP_GET ? op->key : NULL;
	out->value = op->value;
	out->what = out->kind == STORE_FAILED ? op->why.text : NULL;
	queue_over(q, op);
}

void kube_queue_told(struct kube_queue *q, struct kube_op *op, struct store_event *out)
{
	out->id = op->id;
	if (op->once && op->told_current)
		queue_over(q, op);
}

bool kube_queue_is_ready(const struct kube_queue *q)
{
	for (const struct kube_op *op = q->first; op; op = op->next)
		if (op->ready)
			return true;
	return false;
}

/* ---- which cluster ---- */

uint64_t kube_ask_cluster(struct kube *k, uint64_t owner)
{
	uint64_t id = kube_start_request(k, KUBE_GET, CLUSTER_PATH, NULL, 0);
	kube_own(k, id, owner, false);
	return id;
}

bool kube_take_cluster(struct kube *k, const struct kube_event *ev, uint64_t *store_id)
{
	struct kube_identity id;
	if (ev->kind == KUBE_FAILED && ev->error != -EACCES)
		return false; /* it took its time, so asking again is no race */
	if (ev->status == 403)
		kube_forgive(k); /* one can do without */
	*store_id = 0;
	if (ev->kind != KUBE_ANSWER || ev->status != 200 || !kube_identify(ev->object, &id))
		return true;
	struct hash h = hash_of(id.uid, strlen(id.uid));
	memcpy(store_id, h.bytes, sizeof(*store_id));
	return true;
}

/* ---- a driver's functions ---- */

int kube_queue_fd(const void *driver)
{
	const struct kube_queue *q = driver;
	return kube_fd(q->kube);
}

const char *kube_queue_trouble(const void *driver, int64_t *since_s)
{
	const struct kube_queue *q = driver;
	return kube_trouble(q->kube, since_s);
}
