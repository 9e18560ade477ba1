/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an API server says, read. Anybody may have written the objects, so what is handed on of one
 * (its name, its version) was looked at. Pure.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/text.h"

/* Names of objects and namespaces are 253 characters at most (apimachinery: validation). */
#define KUBE_NAME 254

/* The caller's. -EBADMSG. */
int kube_parse(const char *bytes, size_t len, json_t **out, struct err *e);

/* Who an object is. Strings are borrowed of it. */
struct kube_identity {
	const char *name, *namespace_; /* "" of the cluster */
	const char *uid;	       /* "" none */
	int64_t version;
};
/* false: it has no name that can be in a path, or no decimal resourceVersion. */
bool kube_identify(const json_t *object, struct kube_identity *out);

/* metadata.resourceVersion of a list, a bookmark, an object; -1: none, or no number. */
int64_t kube_version(const json_t *object);

/* The sentence of a Status, clean, or the name of the HTTP status; of a kind that is not there, what brings
 * it. Returns out. */
#define KUBE_MESSAGE 320
char *kube_message(int status, const json_t *object, char out[KUBE_MESSAGE]);

/* A value in a query, as it has to be written there. */
void kube_add_escaped(struct text *t, const char *value);
