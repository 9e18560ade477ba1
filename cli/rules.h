/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The rules between resources, on the set as it would be after a change: pools that overlap, blocks
 * that do not fit, nodes' addresses, exits. Pure. docs/resources/ippool.md and node.md state them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "cluster/block.h"
#include "cluster/resource.h"
#include "lib/err.h"

/* One resource of the set. */
struct rules_item {
	const struct resource *now;
	const struct resource *before; /* NULL: new */
};

struct rules_set {
	const struct rules_item *items;
	size_t n_items;
	const struct block *blocks;
	size_t n_blocks;
};

/* Whether item i may be so, coming from what it was. -EINVAL: the sentence says against what it stands;
 * *where is the field. */
int rules_check(const struct rules_set *s, size_t i, const char **where, struct err *e);

/* What is right and yet may surprise: limits that are passed already. false: nothing. */
bool rules_warn(const struct rules_set *s, size_t i, char text[256]);

/* Whether the change can break a rule together with another one made at the same time, so that it has to
 * be looked at again when it is written: addresses of pools and nodes. before NULL: new. */
bool rules_needs_recheck(const struct resource *before, const struct resource *now);

/* Whether the change gives other blocks than before: then none may be in use meanwhile. */
bool rules_moves_pool(const struct resource *before, const struct resource *now);

/* How many blocks of the prefix are in use, and by whom: "3 blocks of 2 nodes (a 2, b 1)". */
size_t rules_count_blocks(
	const struct block *blocks, size_t n, const struct cidr *c, char text[256]);
