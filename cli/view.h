/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Finding things in a node view.
 */
#include <stdbool.h>

#include "ipam/node.h"

/* The entry of an address, the block and the pool that contain it; NULL. */
const struct node_entry *view_entry(const struct node_view *v, const struct addr *a);
const struct node_block *view_block(const struct node_view *v, const struct addr *a);
const struct node_pool *view_pool(const struct node_view *v, const struct addr *a);

/* A state that was rebuilt from the kernel has blocks whose pool it has not heard of yet:
 * whether b is such a block; and all of them as one pool without prefix (sums), false when there
 * is none. */
bool view_is_orphan(const struct node_view *v, const struct node_block *b);
bool view_orphans(const struct node_view *v, struct node_pool *out);
