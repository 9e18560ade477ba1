/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding things in a node view. Entries and blocks are sorted by address, so an entry is found by
 * halving; blocks and pools are few.
 */
#include "ipam/node_view.h"

#include <stdlib.h>

#include "lib/search.h"

const char *node_state_text(enum node_addr_state s)
{
	static const char *const texts[] = {
		[NODE_USED] = "used",
		[NODE_COOLING] = "cooling",
		[NODE_RESERVED] = "reserved",
		[NODE_QUARANTINED] = "quarantined",
		[NODE_LENT] = "lent",
		[NODE_FREE] = "free",
	};
	return texts[s];
}

static int entry_compare(const void *element, const void *key)
{
	const struct node_entry *const *entry = element;
	return addr_compare(&(*entry)->addr, key);
}

const struct node_entry *node_view_entry(const struct node_view *v, const struct addr *a)
{
	const size_t each = sizeof(v->entries[0]); /* NOLINT(bugprone-sizeof-expression) */
	struct node_entry *const *found =
		search_find(v->entries, v->n_entries, each, a, entry_compare);
	return found ? *found : NULL;
}

const struct node_block *node_view_block(const struct node_view *v, const struct addr *a)
{
	for (size_t i = 0; i < v->n_blocks; i++)
		if (cidr_contains(&v->blocks[i].cidr, a))
			return &v->blocks[i];
	return NULL;
}

const struct node_pool *node_view_pool(const struct node_view *v, const struct addr *a)
{
	for (size_t i = 0; i < v->n_pools; i++)
		if (cidr_contains(&v->pools[i].pool.cidr, a))
			return &v->pools[i];
	return NULL;
}

bool node_view_is_orphan(const struct node_view *v, const struct node_block *b)
{
	for (size_t i = 0; i < v->n_pools; i++)
		if (cidr_equal(&v->pools[i].pool.cidr, &b->pool))
			return false;
	return true;
}

bool node_view_orphans(const struct node_view *v, struct node_pool *out)
{
	struct node_pool p = {0};
	for (size_t i = 0; i < v->n_blocks; i++) {
		const struct node_block *b = &v->blocks[i];
		if (!node_view_is_orphan(v, b))
			continue;
		p.blocks++;
		p.size = pool_sum(p.size, b->size);
		p.used = pool_sum(p.used, b->used);
		p.cooling = pool_sum(p.cooling, b->cooling);
		p.reserved = pool_sum(p.reserved, b->reserved);
		p.quarantined = pool_sum(p.quarantined, b->quarantined);
		p.free = pool_sum(p.free, b->free);
	}
	*out = p;
	return p.blocks != 0;
}

static int compare_limits(const void *a, const void *b)
{
	return hash_compare(
		&((const struct node_limits *)a)->owner, &((const struct node_limits *)b)->owner);
}

struct bandwidths node_limits_of(const struct node_limits *v, size_t n, const struct hash *owner)
{
	const struct node_limits key = {.owner = *owner};
	const struct node_limits *x = search_find(v, n, sizeof(key), &key, compare_limits);
	return x ? x->limits : (struct bandwidths){0};
}

void node_view_done(struct node_view *v)
{
	for (size_t i = 0; i < v->n_entries; i++)
		free(v->entries[i]);
	free(v->entries);
	free(v->pools);
	free(v->blocks);
	ports_list_done(&v->ports);
	free(v->limits);
	*v = (struct node_view){0};
}
