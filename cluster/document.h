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

/* The document of a Node after a manifest was applied: everything as in given, and of old (NULL:
 * there was none) what agents own and given does not speak of: addresses and tunnel fields. Both as
 * document_stored() makes them. A new tree, the caller's. */
json_t *document_merge_node(const json_t *old, const json_t *given);
