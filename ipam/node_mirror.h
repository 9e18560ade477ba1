/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The mirror as records of one transaction; what the sources of ipam/node_cluster.h share:
 * node_mirror.c (the mirror) and node_cluster.c (blocks and addresses).
 */
#include "ipam/index.h"
#include "ipam/mirror.h"

/* The mirror: 1, or 0 when there is none. */
int node_mirror_read(struct db *db, struct mirror *out, struct err *e);

/* Writes it in place of an old one, without a look at what follows for addresses. */
int node_mirror_write(
	struct db *db, const struct mirror *m, const struct mirror *old, struct err *e);

/* Free addresses of a block inside reserved prefixes become reserved, those that are lent lent. Writes. */
int node_mirror_hold(
	struct db *db, const struct index_block *b, const struct mirror *m, struct err *e);
