/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The limits of bandwidth of owners as records of one transaction: what shall hold for a pod (lib/shape.h), kept
 * as long as the pod has an address.
 */
#include "ipam/db.h"
#include "ipam/node_view.h"
#include "lib/bandwidth.h"
#include "lib/err.h"
#include "lib/hash.h"

/* NULL, and no limit in either direction: there is no record. */
int index_limits_put(
	struct db *db, const struct hash *owner, const struct bandwidths *limits, struct err *e);

/* 1; 0: no record, *out is zeroed. */
int index_limits_get(
	struct db *db, const struct hash *owner, struct bandwidths *out, struct err *e);

/* Everybody's, in the order of owners: a heap array, the caller's. */
int index_limits_list(struct db *db, struct node_limits **out, size_t *count, struct err *e);
