/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Resources as documents, between a manifest and the store. Only documents that resource_parse()
 * has let through.
 */
#include <jansson.h>

#include "cluster/resource.h"

/* What is kept of a manifest: apiVersion, kind, name, labels, annotations and spec, without nulls
 * and without what an export added. A new tree, the caller's. */
json_t *document_stored(const json_t *doc);

/* The document as it may be shown: instead of each password {"hidden": true}, and where before (may be
 * NULL) has another one {"hidden": "another one"}. The document may be of any form. A new tree. */
json_t *document_hide(const json_t *doc, const json_t *before);

/* The other way: a hidden password is the one that old (may be NULL) has; where that has none, it is
 * stand_in, or stays hidden (NULL), which resource_parse() refuses. A new tree. */
json_t *document_reveal(const json_t *doc, const json_t *old, const char *stand_in);

/* The document of a Node after a manifest was applied: everything as in given, and of old (NULL:
 * there was none) what agents own and given does not speak of: addresses and tunnel fields. Both as
 * document_stored() makes them. A new tree, the caller's. */
json_t *document_merge_node(const json_t *old, const json_t *given);
