/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing what the cluster says now with what it said before, and choosing from it.
 */
#include "ipam/mirror.h"

#include <errno.h>
#include <string.h>

#include "lib/text.h"

static bool mirror_pool_equal(const struct mirror_pool *a, const struct mirror_pool *b)
{
	return cidr_equal(&a->pool.cidr, &b->pool.cidr) && a->pool.block_len == b->pool.block_len &&
	       a->pool.cooldown_s == b->pool.cooldown_s && a->assigns == b->assigns &&
	       strcmp(a->name, b->name) == 0;
}

bool mirror_reserved_equal(const struct mirror *a, const struct mirror *b)
{
	bool same = a->n_reserved == b->n_reserved;
	for (size_t i = 0; same && i < a->n_reserved; i++)
		same = cidr_equal(&a->reserved[i], &b->reserved[i]);
	return same;
}

bool mirror_lent_equal(const struct mirror *a, const struct mirror *b)
{
	bool same = a->n_lent == b->n_lent;
	for (size_t i = 0; same && i < a->n_lent; i++)
		same = cidr_equal(&a->lent[i], &b->lent[i]);
	return same;
}

bool mirror_equal(const struct mirror *a, const struct mirror *b)
{
	bool same = strcmp(a->node, b->node) == 0 && strcmp(a->socket, b->socket) == 0 &&
		    a->netns == b->netns && a->mtu[IPV4] == b->mtu[IPV4] &&
		    a->mtu[IPV6] == b->mtu[IPV6] && a->n_pools == b->n_pools &&
		    mirror_reserved_equal(a, b) && mirror_lent_equal(a, b);
	for (size_t i = 0; same && i < a->n_pools; i++)
		same = mirror_pool_equal(&a->pools[i], &b->pools[i]);
	return same;
}

static int refuse_no_pool(const struct mirror *m, struct err *e)
{
	char list[300];
	struct text t = TEXT_ON(list);
	for (size_t i = 0; i < m->n_pools; i++) {
		char cidr[CIDR_TEXT];
		cidr_format(&m->pools[i].pool.cidr, cidr);
		text_add(&t, "%s%s (%s)", i ? ", " : "", m->pools[i].name, cidr);
	}
	if (!m->n_pools)
		return err_set(e, EAGAIN, "the cluster has no pool: roostctl apply an IPPool");
	return err_set(e, EAGAIN,
		"no pool of the cluster gives addresses to pods of node %.100s: disabled, or for "
		"other nodes, are %s",
		m->node, list);
}

int mirror_pools(const struct mirror *m, struct pool out[POOL_MAX], size_t *n, struct err *e)
{
	size_t count = 0;
	for (size_t i = 0; i < m->n_pools; i++)
		if (m->pools[i].assigns)
			out[count++] = m->pools[i].pool;
	*n = count;
	return count ? 0 : refuse_no_pool(m, e);
}
