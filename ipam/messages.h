/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The sentences with which node_assign() refuses, for the operator who reads them at night: which
 * address or pool, who has it, how full it is, what to do. Each sets *e and returns the negative
 * errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/node.h"
#include "ipam/record.h"

/* -EADDRNOTAVAIL: the requested address is in no usable pool. */
int messages_outside(const struct node_want *w, const struct addr *a, struct err *e);

/* -EADDRINUSE: somebody has it, or it is reserved or quarantined. */
int messages_taken(const struct addr *a, const struct record_addr *rec, struct err *e);

/* -EADDRNOTAVAIL: the requested address's block is not this node's (NULL), or gives nothing now. */
int messages_not_ours(const struct addr *a, const struct record_block *block, struct err *e);

/* -EINVAL: a configuration names a pool that is the cluster's. */
int messages_cluster_pool(const struct cidr *pool, struct err *e);

/* -EAGAIN: every usable pool of the family is full. Within a transaction. */
int messages_exhausted(struct node *n, const struct node_want *w, uint8_t family, struct err *e);
