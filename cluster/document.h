/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Resources as documents, between a manifest and the store. Only documents that resource_parse()
 * has let through.
 */
#include <jansson.h>
#include <stdbool.h>

#include "cluster/resource.h"
#include "lib/text.h"

/* What is kept of a manifest: apiVersion, kind, name, labels, annotations and spec, without nulls
 * and without what an export added. A new tree, the caller's. */
json_t *document_stored(const json_t *doc);

/* What the store of a pool tells apart its age by, metadata.creationTimestamp and uid: of old when there is
 * one, else anew. The API server of Kubernetes does the same by itself, whatever is written here. */
void document_stamp(json_t *doc, const json_t *old);

/* Whether two documents say the same, whatever a store adds to them. */
bool document_same(const json_t *a, const json_t *b);

/* The document as it may be shown: instead of each password {"hidden": true}, and where before (may be
 * NULL) has another one {"hidden": "another one"}. The document may be of any form. A new tree. */
json_t *document_hide(const json_t *doc, const json_t *before);

/* The other way: a hidden password is the one that old (may be NULL) has; where that has none, it is
 * stand_in, or stays hidden (NULL), which resource_parse() refuses. A new tree. */
json_t *document_reveal(const json_t *doc, const json_t *old, const char *stand_in);

/* The document of a Node after a manifest was applied: everything as in given, and of old (NULL: there
 * was none) what is not a manifest's. That is spec.drain when given has none; the label that the agent
 * makes; addresses and tunnels, when the node has an agent, or given has none. Both as document_stored()
 * makes them. A new tree, the caller's. */
json_t *document_merge_node(const json_t *old, const json_t *given, bool has_agent);

/* "spec.bgp.ipv4Address": what given says of the agent's fields and is not so in the merged document. */
void document_list_refused(const json_t *given, const json_t *merged, struct text *t);

/* The label that an agent makes: what selectors for one node are written with. A node's name may be four
 * times as long as a label's value, which gets its beginning, where names of hosts differ. */
#define DOCUMENT_NAME_LABEL "kubernetes.io/hostname"
void document_name_label(const char *name, char out[RESOURCE_LABEL]);
