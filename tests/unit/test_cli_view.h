/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A node view as a test writes it: blocks and entries as text. Everything is static data of the
 * test or of this file's arrays, nothing is freed.
 */
#include "tests/unit/values.h"

#include "ipam/node.h"

#define VIEW_MAX 16

struct test_view {
	struct node_view view;
	struct node_pool pools[VIEW_MAX];
	struct node_block blocks[VIEW_MAX];
	struct node_entry entries[VIEW_MAX];
	struct node_entry *order[VIEW_MAX];
};

static inline void test_view_init(struct test_view *t)
{
	memset(t, 0, sizeof(*t));
	t->view = (struct node_view){.pools = t->pools, .blocks = t->blocks, .entries = t->order};
}

static inline struct node_pool *test_view_pool(struct test_view *t, const char *prefix, uint8_t len)
{
	struct node_pool *p = &t->pools[t->view.n_pools++];
	p->pool = (struct pool){.cidr = cidr(prefix), .block_len = len, .cooldown_s = 60};
	p->size = pool_block_size(&p->pool.cidr);
	p->free = p->size;
	return p;
}

/* A block of the pool added last. */
static inline struct node_block *test_view_block(struct test_view *t, const char *prefix)
{
	struct node_block *b = &t->blocks[t->view.n_blocks++];
	b->cidr = cidr(prefix);
	b->pool = t->pools[t->view.n_pools - 1].pool.cidr;
	b->size = pool_block_size(&b->cidr);
	b->free = b->size;
	t->pools[t->view.n_pools - 1].blocks++;
	return b;
}

static inline void test_view_count(struct node_block *b, enum node_addr_state s)
{
	uint64_t *counts[] = {&b->used, &b->cooling, &b->reserved, &b->quarantined};
	++*counts[s];
	b->free--;
}

static inline struct node_entry *test_view_entry(
	struct test_view *t, const char *address, enum node_addr_state s, const struct owner *o)
{
	struct node_entry *n = &t->entries[t->view.n_entries];
	t->order[t->view.n_entries++] = n;
	*n = (struct node_entry){.addr = addr(address), .state = s, .since_s = 1700000000};
	if (o)
		n->owner = *o;
	for (size_t i = 0; i < t->view.n_blocks; i++)
		if (cidr_contains(&t->blocks[i].cidr, &n->addr))
			test_view_count(&t->blocks[i], s);
	return n;
}
