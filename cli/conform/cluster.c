/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions about the cluster of a conformance run. A node's address is the one the store says; where
 * that is not known, the first address on the device of the default route, else on the first
 * device that is neither a loopback nor a tunnel nor a pod's.
 */
#include "cli/conform/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/family.h"
#include "lib/mem.h"

void conform_cluster_done(struct conform_cluster *c)
{
	for (size_t i = 0; i < c->n; i++)
		conform_facts_done(&c->members[i].facts);
	free(c->members);
	free(c->pools);
	free(c->blocks);
	*c = (struct conform_cluster){0};
}

size_t conform_cluster_nodes(const struct conform_cluster *c)
{
	return c->n - c->has_outside;
}

const struct conform_member *conform_cluster_outside(const struct conform_cluster *c)
{
	return c->has_outside && c->members[c->n - 1].alive ? &c->members[c->n - 1] : NULL;
}

const struct conform_pool *conform_cluster_pool(
	const struct conform_cluster *c, const struct addr *a)
{
	for (size_t i = 0; i < c->n_pools; i++)
		if (cidr_contains(&c->pools[i].cidr, a))
			return &c->pools[i];
	return NULL;
}

static bool is_link_local(const struct addr *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

static bool is_usable(const struct conform_facts *l, const struct conform_address *a, bool strict)
{
	const struct conform_link *link = conform_facts_link(l, a->dev);
	if (is_link_local(&a->addr.addr) || strcmp(a->dev, "lo") == 0)
		return false;
	if (strict)
		return strcmp(a->dev, l->uplink) == 0;
	return link && !conform_facts_tunnel(l, a->dev);
}

static void find_address(struct conform_member *m, enum family f, bool strict)
{
	for (size_t i = 0; i < m->facts.n_addresses && !m->addr[f].family; i++) {
		const struct conform_address *a = &m->facts.addresses[i];
		if (a->addr.addr.family == family_af(f) && is_usable(&m->facts, a, strict))
			m->addr[f] = a->addr.addr;
	}
}

void conform_member_find_addresses(struct conform_member *m)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		find_address(m, f, true);
		find_address(m, f, false);
		for (size_t i = 0; i < m->facts.n_addresses; i++) {
			const struct cidr *c = &m->facts.addresses[i].addr;
			if (addr_equal(&c->addr, &m->addr[f]))
				m->subnet[f] = cidr_masked(&c->addr, c->len);
		}
	}
}

bool conform_member_has(const struct conform_member *m, const struct addr *a)
{
	for (size_t i = 0; i < m->facts.n_addresses; i++)
		if (addr_equal(&m->facts.addresses[i].addr.addr, a))
			return true;
	return false;
}

static const struct conform_link *facts_find_link(
	const struct conform_link *links, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, name) == 0)
			return &links[i];
	return NULL;
}

const struct conform_link *conform_facts_link(const struct conform_facts *l, const char *name)
{
	return facts_find_link(l->links, l->n_links, name);
}

const struct conform_link *conform_facts_tunnel(const struct conform_facts *l, const char *name)
{
	return facts_find_link(l->tunnels, l->n_tunnels, name);
}

const struct conform_route *conform_facts_route(
	const struct conform_facts *l, const struct addr *to)
{
	const struct conform_route *best = NULL;
	for (size_t i = 0; i < l->n_routes; i++) {
		const struct conform_route *r = &l->routes[i];
		if (cidr_contains(&r->dst, to) && (!best || r->dst.len > best->dst.len))
			best = r;
	}
	return best;
}

char *conform_pod_name(size_t pod, char out[4])
{
	out[0] = pod == CONFORM_NODE ? '\0' : (char)('a' + pod % 26);
	out[1] = '\0';
	return out;
}

char *conform_place_format(const struct conform_member *m, size_t pod, char out[CONFORM_PLACE])
{
	(void)snprintf(out, CONFORM_PLACE, "%s%s%s", m->name, pod == CONFORM_NODE ? "" : "/",
		CONFORM_POD_NAME(pod));
	return out;
}
