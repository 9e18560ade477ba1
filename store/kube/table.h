/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Documents of the cluster store as objects of the API, and back. Pure.
 *
 *	resources/ippools/default	IPPool default: the object itself, by Calico's apiVersion
 *	resources/nodes/n1		RoostNode n1
 *	blocks/100.66.0.0-26		IPBlock 100-66-0-0-26: the document is its spec
 *	loans/n2.100.66.0.5-32		IPLoan n2.100-66-0-5-32: the same
 *	status/n1, status/n1/newcomer	NodeStatus n1, n1.newcomer: the same
 *	resources/networkpolicies/a.b	NetworkPolicy b of the namespace a: the object itself
 *
 * Where a name is spoken of below, it is that of the whole cluster: "a.b" of the last one.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/text.h"
#include "store/kube/answer.h"
#include "store/store.h"

struct kube_row {
	const char *prefix; /* of keys */
	const char *plural, *kind;
	const char *stored_kind; /* of the document; NULL: the document is the object's spec */
	int names;		 /* how they stand in keys; store/kube/table.c */
	bool optional; /* came later than others: a server that has it not has no such documents */
};

/* The i-th kind; NULL: there are no more. */
#define KUBE_ROWS 18
const struct kube_row *kube_row(size_t i);

/* Of a key, and its object's name. NULL: such a document cannot be in the API. */
const struct kube_row *kube_row_of(const char *key, char name[KUBE_NAME]);

/* The name that a key's rest ("n1", "100.66.0.0-26") stands for; false: none. */
bool kube_row_name(const struct kube_row *row, const char *rest, char name[KUBE_NAME]);
/* Of an object, as the API names it; namespace_ "" of the cluster. */
void kube_row_key(const struct kube_row *row, const char *namespace_, const char *name,
	char key[STORE_KEY_MAX]);

/* "/apis/roost.io/v1/PLURAL", of all namespaces. */
void kube_row_path(const struct kube_row *row, struct text *out);
/* The collection that an object is in, "/apis/roost.io/v1/namespaces/a/PLURAL", and the object in it. */
void kube_row_collection(const struct kube_row *row, const char *name, struct text *out);
void kube_row_path_of(const struct kube_row *row, const char *name, struct text *out);
/* What metadata.name says: behind the namespace. */
const char *kube_row_own_name(const struct kube_row *row, const char *name);

/* The sentence of a 404 that speaks of the whole collection. Returns -ENOENT. */
int kube_row_missing(const struct kube_row *row, struct err *e);

/* The object that says what a document says. revision 0: it has none. The caller's. -EINVAL. */
int kube_row_object(const struct kube_row *row, const char *name, const char *value,
	int64_t revision, json_t **out, struct err *e);

/* The document in an object; the caller frees it. */
char *kube_row_value(const struct kube_row *row, const json_t *object);

/* Whether both objects say the same. */
bool kube_row_same(const struct kube_row *row, const json_t *a, const json_t *b);
