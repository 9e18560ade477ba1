/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the namespaces of Kubernetes say of their pods' addresses: the agent mirrors it into the node state,
 * and ADD reads it there. Annotations are kept as they were written; who reads them judges them
 * (lib/cni_args.h). A namespace that says nothing has no record.
 */
#include <stdbool.h>
#include <stddef.h>

#include "ipam/node.h"
#include "lib/cni_args.h"
#include "lib/err.h"

struct node_namespace {
	char name[64]; /* RFC 1123 label */
	struct cni_annotation annotations[CNI_NAMESPACE_ANNOTATIONS];
};
bool node_namespace_is_silent(const struct node_namespace *n);

/* Makes the mirror equal to the list, which is sorted by name: 1 when something changed, 0 when it was so. */
int node_put_namespaces(
	struct node *n, const struct node_namespace *list, size_t count, struct err *e);

/* 1; 0: that namespace says nothing, or no agent has told of it. */
int node_get_namespace(struct node *n, const char *name, struct node_namespace *out, struct err *e);
