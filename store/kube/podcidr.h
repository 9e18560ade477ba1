/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The documents of a cluster whose pods have the addresses of Node.spec.podCIDRs, made of its Nodes and a
 * file of pools: blocks with their owners, Node documents, and what only this node's agent says. Pure
 * but for reading the file once.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "store/store.h"

/* On a Node: the spec of its Node document, JSON. Each agent writes its own. */
#define PODCIDR_ANNOTATION "roost.io/node"
/* Of one podCIDR at most. Each is a route on every node; a /64 would have as many as one can count. */
#define PODCIDR_BLOCKS4 64
#define PODCIDR_BLOCKS6 4

struct podcidr_doc {
	char *key, *value; /* value NULL: it is gone */
	char *node;	   /* of blocks and Node documents; NULL: nobody's */
	int64_t revision;
	uint64_t change; /* grows: when it was last another one */
};

struct podcidr;

/* file: an array of IPPools, JSON. -EINVAL, -EBADMSG, and what open() says. */
int podcidr_new(struct podcidr **out, const char *file, struct err *e);
void podcidr_free(struct podcidr *p); /* takes NULL */

/* Whose agent this is for. */
void podcidr_set_own(struct podcidr *p, const char *node);

/* The list of Nodes begins; one of them, as it is; it is gone; the list is complete. */
void podcidr_begin(struct podcidr *p);
void podcidr_take(struct podcidr *p, const json_t *node);
void podcidr_drop(struct podcidr *p, const char *name);
void podcidr_end(struct podcidr *p, int64_t version);

/* NULL: there is none. */
const struct podcidr_doc *podcidr_get(const struct podcidr *p, const char *key);
/* The first one behind a key ("": of all) that changed after a change (0: any); gone ones too. */
const struct podcidr_doc *podcidr_next(const struct podcidr *p, const char *key, uint64_t after);
uint64_t podcidr_change(const struct podcidr *p); /* the last one */

/* What becomes of a write: 1 done, at *revision; 0 the document is another one; 2 it is an annotation of
 * our Node, *patch is a merge patch, the caller's. -ENOTSUP: with a sentence. */
int podcidr_write(struct podcidr *p, const struct store_write *w, int64_t *revision, json_t **patch,
	struct err *e);
