/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of an owner's pod besides its name, as records of one transaction, kept as long as the pod has
 * an address.
 */
#include "ipam/db.h"
#include "ipam/node_policy.h"
#include "lib/err.h"

/* uid and labels "": nothing is kept. */
int index_pod_put(struct db *db, const struct node_identity *pod, struct err *e);
int index_pod_del(struct db *db, const struct hash *owner, struct err *e);
int index_pod_list(struct db *db, struct node_identity **out, size_t *count, struct err *e);
