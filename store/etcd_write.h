/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One write for etcd as a machine without a network: it says what to send, is given what
 * came, and finds out the truth when an answer was lost.
 */
#include "store/etcd_judge.h"
#include "store/etcd_text.h"
#include "store/store.h"

struct etcd_write;

struct etcd_write *etcd_write_new(const char *prefix, const struct store_write *w); /* copied */
void etcd_write_free(struct etcd_write *c);					    /* takes NULL */

/* The next request. Returns the path. */
const char *etcd_write_compose(const struct etcd_write *c, struct text *body);

/* What came. FINE: *out has its kind, or kind and error with a sentence in e; or there is a further
 * question, then *over is false. FINAL: *error. */
enum etcd_verdict etcd_write_take(struct etcd_write *c, long status, struct text *text,
	struct store_event *out, bool *over, struct err *e);

/* The answer was lost: what was sent may be carried out, now or soon. */
void etcd_write_lost(struct etcd_write *c);
bool etcd_write_is_unknown(const struct etcd_write *c);
