/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an answer of etcd means for who asked. Pure.
 */
#include "store/etcd_json.h"

enum etcd_verdict {
	ETCD_FINE,
	ETCD_AGAIN,	/* not now, or not there; what was asked for may have been done */
	ETCD_TOKEN,	/* nothing was done: log in, then again */
	ETCD_DENIED,	/* nothing was done: -EACCES */
	ETCD_COMPACTED, /* the revision asked for is no longer there */
	ETCD_FINAL,	/* nothing was done, and again would change nothing */
};

/* Reads an answer, or a line of a stream, into *a. status: HTTP's; in a stream 200. Leaves a sentence
 * unless FINE; with FINAL *error says which errno. */
enum etcd_verdict etcd_judge(
	char *text, size_t len, long status, struct etcd_answer *a, int *error, struct err *e);

/* The reason of a watch that the server cancelled. */
enum etcd_verdict etcd_judge_cancelled(const struct etcd_answer *a, struct err *e);

/* AGAIN: the answer is well-formed, but etcd would not give it. */
enum etcd_verdict etcd_judge_foreign(const char *what, struct err *e);
