/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One transaction for etcd as a machine without a network: it says what to send, is given what
 * came, and finds out the truth when an answer was lost.
 */
#include "store/etcd_judge.h"
#include "store/etcd_text.h"
#include "store/store.h"

struct etcd_commit;

struct etcd_commit *etcd_commit_new(const char *prefix, const struct store_txn *t); /* copied */
void etcd_commit_free(struct etcd_commit *c);					    /* takes NULL */

/* The next request. Returns the path. */
const char *etcd_commit_compose(const struct etcd_commit *c, struct text *body);

/* What came. FINE: *out has its kind, or kind and error with a sentence in e; or there is a further
 * question, then *over is false. FINAL: *error. */
enum etcd_verdict etcd_commit_take(struct etcd_commit *c, long status, struct text *text,
	struct store_event *out, bool *over, struct err *e);

/* The answer was lost: what was sent may be carried out, now or soon. */
void etcd_commit_lost(struct etcd_commit *c);
bool etcd_commit_is_unknown(const struct etcd_commit *c);
