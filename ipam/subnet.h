/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a configured gateway reserves: itself, and what its presence makes special in its block. All
 * calls need a writing transaction.
 */
#include <stdbool.h>

#include "ipam/index.h"
#include "ipam/node_want.h"

bool subnet_is_gateway(const struct node_want *w, const struct addr *a);

/* Reserves the gateways that lie in a pool, and the special addresses of their blocks.
 * -EADDRINUSE: a pod has one. */
int subnet_reserve(struct db *db, const struct node_want *w, int64_t wall_s, struct err *e);

/* The special addresses of a new block, when its family has a gateway. */
int subnet_hold_special(struct db *db, const struct node_want *w, const struct cidr *block,
	int64_t wall_s, struct err *e);
