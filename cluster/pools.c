/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of pools. Anybody may have written thousands of them, so they are judged in one walk: of two
 * prefixes that overlap one contains the other, so sorted by prefix, those that contain a pool are the
 * ones on a stack when its turn comes, and those inside of it leave the stack before it does.
 */
#include "cluster/pools.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"

/* Whoever leaves the time out is no older for it. */
static int64_t pools_since_s(const struct resource *pool)
{
	return pool->created_s ? pool->created_s : INT64_MAX;
}

bool pools_is_older(const struct resource *pool, const struct resource *than)
{
	if (pools_since_s(pool) != pools_since_s(than))
		return pools_since_s(pool) < pools_since_s(than);
	int order = strcmp(pool->uid, than->uid);
	return order ? order < 0 : strcmp(pool->name, than->name) < 0;
}

/* Either may be NULL. */
static const struct resource *pools_older(const struct resource *a, const struct resource *b)
{
	return !a || (b && pools_is_older(b, a)) ? b : a;
}

const struct resource *pools_over(
	const struct resource *pool, const struct resource *const *all, size_t n)
{
	const struct resource *over = NULL;
	for (size_t i = 0; i < n; i++)
		if (all[i] && all[i]->kind == RESOURCE_IPPOOL && pools_is_older(all[i], pool) &&
			cidr_overlaps(&all[i]->pool.pool.cidr, &pool->pool.pool.cidr))
			over = pools_older(over, all[i]);
	return over;
}

struct pools_place {
	const struct resource *pool;
	size_t index;
	struct pools_place *around; /* the pool that contains it; NULL */
	const struct resource *above,
		*below; /* the oldest of those that contain it, or are inside */
};

static int pools_compare(const void *a, const void *b)
{
	const struct pools_place *p = a, *q = b;
	return cidr_compare(&p->pool->pool.pool.cidr, &q->pool->pool.pool.cidr);
}

/* The walk has left the pool. Returns what was around it. */
static struct pools_place *pools_leave(struct pools_place *p, const struct resource **over)
{
	const struct resource *oldest = pools_older(p->above, p->below);
	over[p->index] = oldest && pools_is_older(oldest, p->pool) ? oldest : NULL;
	if (p->around)
		p->around->below = pools_older(p->around->below, pools_older(p->pool, p->below));
	return p->around;
}

void pools_judge(const struct resource *const *pools, size_t n, const struct resource **over)
{
	CLEANUP_FREE struct pools_place *places = mem_new(n + 1, sizeof(*places));
	struct pools_place *top = NULL;
	for (size_t i = 0; i < n; i++)
		places[i] = (struct pools_place){.pool = pools[i], .index = i};
	qsort(places, n, sizeof(*places), pools_compare);
	for (size_t i = 0; i < n; i++) {
		const struct cidr *c = &places[i].pool->pool.pool.cidr;
		while (top && !cidr_overlaps(&top->pool->pool.pool.cidr, c))
			top = pools_leave(top, over);
		places[i].around = top;
		if (top)
			places[i].above = pools_older(top->above, top->pool);
		top = &places[i];
	}
	while (top)
		top = pools_leave(top, over);
}

void pools_read_add(struct pools_read *p, const char *value)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct resource r = {0};
	char where[RESOURCE_WHERE];
	struct err ignored;
	if (!value || json_parse(value, strlen(value), &doc, &ignored) < 0 ||
		resource_parse(doc, &r, where, &ignored) < 0)
		return;
	p->v = mem_grow(p->v, &p->room, p->n, sizeof(*p->v));
	p->v[p->n++] = r;
}

void pools_read_done(struct pools_read *p)
{
	for (size_t i = 0; i < p->n; i++)
		resource_done(&p->v[i]);
	free(p->v);
	*p = (struct pools_read){0};
}

bool pools_read_give(
	const struct pools_read *p, const char *name, const struct cidr *block, bool *meets)
{
	const struct resource *pool = NULL;
	*meets = false;
	for (size_t i = 0; i < p->n && !pool; i++)
		if (p->v[i].kind == RESOURCE_IPPOOL && strcmp(p->v[i].name, name) == 0)
			pool = &p->v[i];
	if (!pool || pool->pool.disabled || pool->pool.balancer ||
		pool->pool.pool.block_len != block->len ||
		!cidr_contains(&pool->pool.pool.cidr, &block->addr))
		return false;
	for (size_t i = 0; i < p->n; i++) {
		const struct resource *other = &p->v[i];
		if (other == pool || other->kind != RESOURCE_IPPOOL)
			continue;
		if (pools_over(pool, &other, 1))
			return false;
		*meets = *meets || cidr_overlaps(&other->pool.pool.cidr, block);
	}
	return true;
}
