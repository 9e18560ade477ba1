/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list without order: there are as many entries as a node has blocks, and few of them at a time.
 */
#include "agent/pending.h"

#include <stdlib.h>

#include "cluster/pools.h"
#include "lib/mem.h"

void pending_free_pools(struct pending *p)
{
	if (p->pools)
		pools_read_done(p->pools);
	free(p->pools);
	p->pools = NULL;
}

void pending_done(struct pending_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		pending_free_pools(&l->v[i]);
	free(l->v);
	*l = (struct pending_list){0};
}

void pending_add(struct pending_list *l, const struct pending *p)
{
	l->v = mem_grow(l->v, &l->room, l->n, sizeof(*l->v));
	l->v[l->n++] = *p;
}

void pending_forget(struct pending_list *l, const struct cidr *block)
{
	for (size_t i = l->n; i-- > 0;)
		if (cidr_equal(&l->v[i].block, block))
			l->v[i] = l->v[--l->n];
}

void pending_settle(struct pending_list *l, const struct cidr *block)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->v[i].kind != PENDING_CONFIRMED && cidr_equal(&l->v[i].block, block))
			l->v[i] = l->v[--l->n];
}

void pending_forget_kind(struct pending_list *l, enum pending_kind kind)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->v[i].kind == kind)
			l->v[i] = l->v[--l->n];
}

void pending_expire(struct pending_list *l, int64_t now_s)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->v[i].until_s && l->v[i].until_s <= now_s)
			l->v[i] = l->v[--l->n];
}

bool pending_is_under_way(const struct pending *p)
{
	return p->kind <= PENDING_LOAN;
}

const struct pending *pending_find(
	const struct pending_list *l, const struct cidr *block, enum pending_kind kind)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == kind && cidr_equal(&l->v[i].block, block))
			return &l->v[i];
	return NULL;
}

const struct pending *pending_find_step(const struct pending_list *l, const struct cidr *block)
{
	for (size_t i = 0; i < l->n; i++)
		if (pending_is_under_way(&l->v[i]) && cidr_equal(&l->v[i].block, block))
			return &l->v[i];
	return NULL;
}

struct pending *pending_find_step_of(const struct pending_list *l, uint64_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (pending_is_under_way(&l->v[i]) && l->v[i].id == id)
			return &l->v[i];
	return NULL;
}
