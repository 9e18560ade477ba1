/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain value through which the kernel reaches everything that decides: how a node's address is
 * chosen and what is desired are functions of it and so can be tested without a kernel. Links are
 * sorted by index, so looking one up is a bisection; names are searched one by one, as there are
 * few links here (those of pods are left out by who fills this in).
 */
#include "agent/kernel/facts.h"

#include <stdlib.h>
#include <string.h>

void facts_done(struct facts *f)
{
	free(f->links);
	free(f->addrs);
	*f = (struct facts){0};
}

const struct facts_link *facts_link(const struct facts *f, int index)
{
	size_t low = 0, high = f->n_links;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->links[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->n_links && f->links[low].index == index ? &f->links[low] : NULL;
}

const struct facts_link *facts_named(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->n_links; i++)
		if (strcmp(f->links[i].name, name) == 0)
			return &f->links[i];
	return NULL;
}

static bool is_same_link(const struct facts_link *a, const struct facts_link *b)
{
	return a->index == b->index && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->kind, b->kind) == 0 && a->mtu == b->mtu && a->group == b->group &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->up == b->up &&
	       a->running == b->running && a->loopback == b->loopback && a->strict == b->strict &&
	       addr_equal(&a->far, &b->far) && addr_equal(&a->near, &b->near);
}

static bool is_same_addr(const struct facts_addr *a, const struct facts_addr *b)
{
	return a->link == b->link && a->usable == b->usable && cidr_equal(&a->addr, &b->addr);
}

static bool is_same_default(const struct facts_default *a, const struct facts_default *b)
{
	return a->family == b->family && a->link == b->link && addr_equal(&a->via, &b->via);
}

static bool has_same_routes(const struct facts *a, const struct facts *b)
{
	if (a->n_routes != b->n_routes)
		return false;
	for (size_t i = 0; i < a->n_routes; i++)
		if (!cidr_equal(&a->routes[i].dst, &b->routes[i].dst) ||
			!addr_equal(&a->routes[i].via, &b->routes[i].via) ||
			a->routes[i].link != b->routes[i].link)
			return false;
	return true;
}

bool facts_equal(const struct facts *a, const struct facts *b)
{
	if (a->n_links != b->n_links || a->n_addrs != b->n_addrs ||
		a->n_defaults != b->n_defaults || a->forwards[IPV4] != b->forwards[IPV4] ||
		a->forwards[IPV6] != b->forwards[IPV6] || !has_same_routes(a, b))
		return false;
	for (size_t i = 0; i < a->n_links; i++)
		if (!is_same_link(&a->links[i], &b->links[i]))
			return false;
	for (size_t i = 0; i < a->n_addrs; i++)
		if (!is_same_addr(&a->addrs[i], &b->addrs[i]))
			return false;
	for (size_t i = 0; i < a->n_defaults; i++)
		if (!is_same_default(&a->defaults[i], &b->defaults[i]))
			return false;
	return true;
}
