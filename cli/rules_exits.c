/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits stand in two kinds, and pools in a third: a change of any of them can break the rule. A
 * prefix that contains a pool is fine (0.0.0.0/0 contains all), as pods' blocks are longer and win.
 */
#include "cli/rules_exits.h"

#include <errno.h>

/* All prefixes of a resource, one after the other; NULL: no more. */
static const struct cidr *cidr_at(const struct resource *r, size_t i)
{
	if (r->kind == RESOURCE_BGPPEER)
		return i < r->peer.n_exits ? &r->peer.exits[i] : NULL;
	if (r->kind != RESOURCE_BGPCONFIGURATION)
		return NULL;
	for (size_t k = 0; k < r->bgp.exits.n; k++) {
		if (i < r->bgp.exits.list[k].n_cidrs)
			return &r->bgp.exits.list[k].cidrs[i];
		i -= r->bgp.exits.list[k].n_cidrs;
	}
	return NULL;
}

static bool has_cidr(const struct resource *r, const struct cidr *c)
{
	const struct cidr *one = NULL;
	for (size_t i = 0; r && (one = cidr_at(r, i)); i++)
		if (cidr_equal(one, c))
			return true;
	return false;
}

static bool is_inside(const struct cidr *exit, const struct resource *pool)
{
	const struct cidr *p = &pool->pool.pool.cidr;
	return pool->kind == RESOURCE_IPPOOL && exit->len >= p->len &&
	       cidr_contains(p, &exit->addr);
}

static int refuse(const struct cidr *exit, const struct resource *of, const struct resource *pool,
	struct err *e)
{
	char a[CIDR_TEXT], b[CIDR_TEXT];
	cidr_format(exit, a);
	cidr_format(&pool->pool.pool.cidr, b);
	return err_set(e, EINVAL, "the exit %s of %s %.100s is inside %s of IPPool %.100s", a,
		resource_kind_text(of->kind), of->name, b, pool->name);
}

static int check_pool(const struct rules_set *s, const struct rules_item *pool, struct err *e)
{
	const struct cidr *exit = NULL;
	if (pool->before && !rules_moves_pool(pool->before, pool->now))
		return 0;
	for (size_t i = 0; i < s->n_items; i++)
		for (size_t k = 0; (exit = cidr_at(s->items[i].now, k)); k++)
			if (is_inside(exit, pool->now))
				return refuse(exit, s->items[i].now, pool->now, e);
	return 0;
}

int rules_check_exits(const struct rules_set *s, size_t i, const char **where, struct err *e)
{
	const struct rules_item *item = &s->items[i];
	const struct cidr *exit = NULL;
	if (item->now->kind == RESOURCE_IPPOOL) {
		*where = "spec.cidr";
		return check_pool(s, item, e);
	}
	*where = "spec.exits";
	for (size_t k = 0; (exit = cidr_at(item->now, k)); k++)
		for (size_t n = 0; n < s->n_items && !has_cidr(item->before, exit); n++)
			if (is_inside(exit, s->items[n].now))
				return refuse(exit, item->now, s->items[n].now, e);
	return 0;
}
