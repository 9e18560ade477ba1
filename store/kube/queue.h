/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the front of the store asked of a driver over the API and has no last answer yet, in the order in
 * which it was asked; and what such drivers have in common beside: the client, its options, which cluster it
 * is. The two drivers stand on it (store/kube/driver.c, store/kube/podcidr_driver.c).
 */
#include "store/kube/kube.h"
#include "store/store_driver.h"

enum kube_op_kind { KUBE_OP_GET, KUBE_OP_WRITE, KUBE_OP_WATCH };

/* The first member of a driver's own struct. */
struct kube_op {
	struct kube_op *next;
	uint64_t id; /* the front's */
	enum kube_op_kind kind;
	bool fail_fast;
	char *key; /* of the document; the prefix of a WATCH */
	/* WATCH: */
	bool once, told_restart, told_current;
	/* It is over, but for being told: */
	bool ready;
	struct store_event result;
	char *value; /* of the result; the operation's own */
	struct err why;
};

/* The first member of a driver's struct. */
struct kube_queue {
	struct kube *kube;
	struct kube_op *first;
	size_t op_size;			     /* of a driver's own struct */
	void (*op_done)(struct kube_op *op); /* frees what it has beside ours */
	struct kube_op *told;		     /* it is over, but the caller holds its strings */
	/* For what a watch tells; value is freed at the next kube_queue_turn(). */
	char key[STORE_KEY_MAX];
	char *value;
};

/* scheme: "kube"; where: what stands behind it. -EINVAL: the options, or the kubeconfig. */
int kube_queue_open(struct kube_queue *q, const char *scheme, const struct store_options *o,
	const char *where, struct err *e);
void kube_queue_close(struct kube_queue *q); /* takes a zeroed one */

struct kube_op *kube_queue_add(
	struct kube_queue *q, uint64_t id, enum kube_op_kind kind, const char *key);
struct kube_op *kube_queue_find(const struct kube_queue *q, uint64_t id); /* NULL: none */
/* It ends untold, with the requests that it owns (kube_own()). NULL is fine. */
void kube_queue_cancel(struct kube_queue *q, struct kube_op *op);

/* Its last event. A sentence of a failure is in op->why. */
void kube_op_end(struct kube_op *op, enum store_event_kind kind, int64_t revision);
void kube_op_fail(struct kube_op *op, int error);
/* The client's own failure is the operation's. */
void kube_op_fail_as(struct kube_op *op, const struct kube_event *ev);

/* What was told before may be freed now. */
void kube_queue_turn(struct kube_queue *q);
/* Tells a ready operation's result, which ends it. */
void kube_queue_tell(struct kube_queue *q, struct kube_op *op, struct store_event *out);
/* A watch told an event of its own: one that goes on, or was asked for once and is complete. */
void kube_queue_told(struct kube_queue *q, struct kube_op *op, struct store_event *out);
bool kube_queue_is_ready(const struct kube_queue *q); /* something can be told without the client */

/* Which cluster: asks under an id (owner: kube_own()), and takes the answer. The identity of the namespace kube-system, which
 * lives as long as the cluster; 0 to who may not read it. false: it is not known, ask again. */
uint64_t kube_ask_cluster(struct kube *k, uint64_t owner);
bool kube_take_cluster(struct kube *k, const struct kube_event *ev, uint64_t *store_id);

/* A driver's functions. */
int kube_queue_fd(const void *driver);
const char *kube_queue_trouble(const void *driver, int64_t *since_s);
