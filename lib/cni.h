/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The CNI protocol (spec 1.1.0), plugin side: one request from the environment and stdin, and
 * the error answer. What a plugin does with its own configuration keys is not here.
 * Sources: CNI SPEC.md sections 2 and 3, CONVENTIONS.md; docs/CNI.md has our choices.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/cni_args.h"
#include "lib/cni_env.h"
#include "lib/err.h"

/* In order: a later one is newer. */
enum cni_version {
	CNI_0_1_0,
	CNI_0_2_0,
	CNI_0_3_0,
	CNI_0_3_1,
	CNI_0_4_0,
	CNI_1_0_0,
	CNI_1_1_0,
};
const char *cni_version_text(enum cni_version v);
int cni_version_parse(const char *s, enum cni_version *out); /* -EPROTONOSUPPORT */

#define CNI_NETWORK_MAX 200 /* bytes of a network name we accept: it must fit into a link alias */

struct cni_request {
	enum cni_command command;
	enum cni_version version;
	char network[CNI_NETWORK_MAX + 1];
	const char *container; /* the environment's, or "" */
	const char *netns;
	const char *ifname;
	const char *path; /* CNI_PATH */
	char *input;	  /* stdin as it came, owned */
	size_t input_len;
	json_t *conf; /* stdin parsed, an object, owned */
	json_t *prev; /* prevResult, an object borrowed from conf; NULL when absent */
	struct cni_wishes wishes;
};

/* The whole edge. CNI_COMMAND absent: prints banner ("CNI roost plugin v0.1.0") and the versions on
 * stderr, returns 1 (exit 0). VERSION: prints the answer without touching stdin, returns 1.
 * Otherwise fills *out and returns 0, or a negative errno. For DEL everything that is not needed
 * to find the attachment is let through: *late then holds an error to report after the clean-up,
 * with its code set (text empty: none). After an error *out is good for cni_request_done() and
 * its version for cni_fail(). */
int cni_read(const char *banner, struct cni_request *out, struct err *late, struct err *e);
void cni_request_done(struct cni_request *r); /* takes a zeroed one */

/* The pure part of cni_read(): takes over input (heap, NUL-terminated) and reads it for an
 * environment that cni_env_check() let through. Writes *late only while its text is empty. */
int cni_request_parse(const struct cni_env *env, char *input, size_t len, struct cni_request *out,
	struct err *late, struct err *e);

/* The attachments a GC call names: 1, and a heap array (the caller's) of pairs borrowed from r->conf;
 * null is an empty one, none are valid. 0: the call says nothing of attachments (the key is absent),
 * which is no word on any of them. -EBADMSG: wrong types. */
struct cni_attachment {
	const char *container;
	const char *ifname;
};
int cni_valid_attachments(
	const struct cni_request *r, struct cni_attachment **out, size_t *n, struct err *e);

/* STATUS: an error becomes one of code 50 (the plugin cannot serve ADD; CNI SPEC.md, STATUS), but for
 * want of memory, which says nothing of the network. Returns the error. */
int cni_not_available(int error, struct err *e);

/* The one table from errno to CNI code (docs/CNI.md); e->code wins when set. */
unsigned int cni_code(int error, const struct err *e);

/* The error document as text (compact JSON and a newline), cut to fit size; version is the
 * request's, or the newest before it is known. */
void cni_error_format(
	char *buf, size_t size, enum cni_version version, int error, const struct err *e);

/* What a call says when it cannot go on for want of memory (err_abort()): an error of code 11, made
 * now, as there will be no room for it then. */
void cni_prepare_last_words(enum cni_version version);

/* Prints it on stdout. Returns the exit status, 1. */
int cni_fail(enum cni_version version, int error, const struct err *e);
