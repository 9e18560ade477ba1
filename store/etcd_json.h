/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading the answers of etcd's JSON gateway. Pure. Bytes are base64 there and 64-bit numbers are
 * strings. Answers are read in place, without a tree: what is read costs no memory but its own
 * text.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* A list inside an answer, read once, element by element. */
struct etcd_list {
	char *at, *end; /* both NULL: there is none */
};

/* An answer, a line of a watch, or an element of "responses": whatever of these it has. */
struct etcd_answer {
	uint64_t cluster;	  /* header.cluster_id */
	int64_t revision;	  /* header.revision; 0: not told */
	bool succeeded;		  /* txn */
	bool more;		  /* range */
	bool created, canceled;	  /* watch */
	bool fragment;		  /* watch: more of the same revision follows */
	int64_t compact_revision; /* watch: 0: none */
	struct etcd_list kvs, responses, events;
	bool failed;	   /* "error" is there */
	int64_t code;	   /* gRPC's, with failed; -1: not told */
	char message[256]; /* cleaned: error or cancel_reason */
	char token[256];   /* authenticate; printable ASCII */
};

/* Checks the whole text, which must stay while the lists of *out are read. -EBADMSG. */
int etcd_read(char *text, size_t len, struct etcd_answer *out, struct err *e);

/* The elements of responses, as answers of their own. 1, 0 at the end, -EBADMSG. */
int etcd_next_response(struct etcd_list *l, struct etcd_answer *out, struct err *e);

/* The elements of kvs and events. Decodes in place: strings end with a NUL that is not counted. */
struct etcd_kv {
	bool deleted; /* event */
	char *key;
	size_t key_len;
	char *value; /* NULL: larger than a document may be */
	size_t value_len;
	int64_t mod_revision;
};
int etcd_next_kv(struct etcd_list *l, struct etcd_kv *out, struct err *e);
