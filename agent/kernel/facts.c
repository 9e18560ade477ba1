/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain value through which the kernel reaches everything that decides: how a node's address is
 * chosen and what is desired are functions of it and so can be tested without a kernel. Links are
 * sorted by index; names are searched one by one, as there are
 * few links here (those of pods are left out where this is filled in).
 */
#include "agent/kernel/facts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/search.h"

void facts_done(struct facts *f)
{
	free(f->links);
	free(f->addrs);
	*f = (struct facts){0};
}

static int compare_index(const void *element, const void *key)
{
	int a = ((const struct facts_link *)element)->index;
	int b = *(const int *)key;
	return (a > b) - (a < b);
}

const struct facts_link *facts_link(const struct facts *f, int index)
{
	return search_find(f->links, f->n_links, sizeof(*f->links), &index, compare_index);
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
	return a->index == b->index && a->master == b->master && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->kind, b->kind) == 0 && a->mtu == b->mtu && a->group == b->group &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0 && a->up == b->up &&
	       a->running == b->running && a->loopback == b->loopback && a->strict == b->strict &&
	       a->no_forward == b->no_forward && addr_equal(&a->far, &b->far) &&
	       addr_equal(&a->near, &b->near);
}

static bool is_same_addr(const struct facts_addr *a, const struct facts_addr *b)
{
	return a->link == b->link && a->usable == b->usable && cidr_equal(&a->addr, &b->addr);
}

static bool is_same_route(const struct facts_route *a, const struct facts_route *b)
{
	return a->link == b->link && cidr_equal(&a->dst, &b->dst) && addr_equal(&a->via, &b->via);
}

bool facts_equal(const struct facts *a, const struct facts *b)
{
	bool same = a->n_links == b->n_links && a->n_addrs == b->n_addrs &&
		    a->n_routes == b->n_routes &&
		    memcmp(a->forwards, b->forwards, sizeof(a->forwards)) == 0;
	for (size_t i = 0; same && i < a->n_links; i++)
		same = is_same_link(&a->links[i], &b->links[i]);
	for (size_t i = 0; same && i < a->n_addrs; i++)
		same = is_same_addr(&a->addrs[i], &b->addrs[i]);
	for (enum family i = IPV4; same && i < FAMILIES; i++)
		same = is_same_route(&a->defaults[i], &b->defaults[i]);
	for (size_t i = 0; same && i < a->n_routes; i++)
		same = is_same_route(&a->routes[i], &b->routes[i]);
	return same;
}
