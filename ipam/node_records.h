/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lists that the agent keeps in the node state as they are told, a record for each element: for the sources
 * that implement such a list. Putting what is there already takes no write lock: the agent does it again and
 * again, so that a state that was lost gets its records back.
 */
#include <stddef.h>

#include "ipam/db.h"
#include "ipam/node.h"
#include "lib/err.h"

/* The record of element i: its key but for the kind, and its value. Keys rise. */
typedef void node_records_fn(const void *list, size_t i, struct db_entry *out);

/* The records of that kind are these and no others: 1 when something changed, 0 when it was so. */
int node_records_put(struct node *n, enum record_kind kind, node_records_fn *make, const void *list,
	size_t count, struct err *e);

/* The record of a name (record_key.name): 1, or 0 when there is none, as of a name that is too long for one. */
int node_records_get(struct node *n, enum record_kind kind, const char *name, struct db_value *out,
	struct err *e);
