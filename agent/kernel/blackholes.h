/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The routes that keep packets for unused addresses of this node's blocks from leaving it.
 */
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net.h"

/* Makes the blackhole routes of protocol 82 in the main table equal to the blocks. Other routes are
 * never touched. Returns how many were added or deleted, or the first error. -EEXIST: somebody
 * else's route has the place of one. */
int blackholes_sync(struct net *n, const struct cidr *blocks, size_t n_blocks, struct err *e);
