/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is announced: each prefix of BGPConfiguration as a whole, from every node, and beside it single
 * addresses, whose longer prefix wins at the router:
 *
 *	traffic policy Local      from nodes with an endpoint of the address' family
 *	traffic policy Cluster    from every node, when no whole prefix speaks of it: the prefix in the
 *	                          configuration is that address, or addresses are announced apart
 *
 * Outside of the prefixes nothing is announced, whatever a service says: whoever may write a Service
 * must not be able to pull any address of the network here. Two services may share an address; it is
 * announced as long as one of them asks for it, as everything is made anew each time.
 *
 * After a start the lists are not there yet. Routers must not lose an address because an agent or an API
 * server restarted, so what was announced goes on until it is known. Prefixes do not wait.
 *
 * The internal policy counts for cluster addresses: a node's proxy treats packets to them as the
 * cluster's own, from wherever they come.
 */
#include "agent/services/announce.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* What endpoints are here for, sorted by service. */
struct here {
	struct hash *services[FAMILIES];
	size_t n[FAMILIES];
};

static void list_endpoints(const struct service_table *t, struct here *h)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		h->services[f] = mem_new(t->n_slices + 1, sizeof(struct hash));
		for (size_t i = 0; i < t->n_slices; i++)
			if (t->slices[i].family == f)
				h->services[f][h->n[f]++] = t->slices[i].service;
		if (h->n[f])
			qsort(h->services[f], h->n[f], sizeof(struct hash), hash_compare);
	}
}

static bool has_endpoint(const struct here *h, const struct service *s, const struct addr *a)
{
	enum family f = family_of(a->family);
	return h->n[f] &&
	       bsearch(&s->id, h->services[f], h->n[f], sizeof(struct hash), hash_compare);
}

/* The longest prefix of this use around the address; NULL: none. */
static const struct cidr *range_of(
	const struct resource_services *r, const struct service_address *a)
{
	const struct cidr *best = NULL;
	for (size_t i = 0; i < r->n[a->use]; i++) {
		const struct cidr *c = &r->cidrs[a->use][i];
		if (cidr_contains(c, &a->addr) && (!best || c->len > best->len))
			best = c;
	}
	return best;
}

/* Whether a prefix speaks for all addresses in it. */
static bool is_whole(const struct resource_services *r, const struct cidr *c, enum service_use use)
{
	return c->len < addr_bits(&c->addr) && !(use == SERVICE_BALANCER && r->balancers_apart);
}

static bool is_local(const struct service *s, enum service_use use)
{
	return s->external_local || (use == SERVICE_CLUSTER && s->internal_local);
}

static bool was_announced(const struct announce_input *in, const struct addr *a)
{
	struct cidr host = cidr_of_host(a);
	return cidr_is_among(in->before, in->n_before, &host);
}

static bool is_announced(const struct announce_input *in, const struct here *h,
	const struct service *s, const struct service_address *a)
{
	const struct cidr *range = range_of(in->ranges, a);
	if (!range)
		return false;
	if (!is_local(s, a->use))
		return !is_whole(in->ranges, range, a->use);
	return in->table->complete[SERVICE_TABLE_SLICES] ? has_endpoint(h, s, &a->addr)
							 : was_announced(in, &a->addr);
}

static size_t add_ranges(const struct resource_services *r, struct cidr *out)
{
	size_t n = 0;
	for (enum service_use use = SERVICE_CLUSTER; use < SERVICE_USES; use++)
		for (size_t i = 0; i < r->n[use]; i++)
			if (is_whole(r, &r->cidrs[use][i], use))
				out[n++] = r->cidrs[use][i];
	return n;
}

static size_t add_services(const struct announce_input *in, struct cidr *out)
{
	const struct service_table *t = in->table;
	struct here here = {0};
	size_t n = 0;
	list_endpoints(t, &here);
	for (size_t i = 0; i < t->n_services; i++)
		for (size_t k = 0; k < t->services[i].n_addrs; k++)
			if (is_announced(in, &here, &t->services[i], &t->services[i].addrs[k]))
				out[n++] = cidr_of_host(&t->services[i].addrs[k].addr);
	for (enum family f = IPV4; f < FAMILIES; f++)
		free(here.services[f]);
	return n;
}

static bool is_inside(const struct resource_services *r, const struct addr *a)
{
	for (enum service_use use = SERVICE_CLUSTER; use < SERVICE_USES; use++)
		if (cidr_any_contains(r->cidrs[use], r->n[use], a))
			return true;
	return false;
}

static size_t add_before(const struct announce_input *in, struct cidr *out)
{
	size_t n = 0;
	for (size_t i = 0; i < in->n_before; i++)
		if (is_inside(in->ranges, &in->before[i].addr))
			out[n++] = in->before[i];
	return n;
}

size_t announce_make(const struct announce_input *in, struct cidr **out)
{
	bool told = in->table && in->table->complete[SERVICE_TABLE_SERVICES];
	size_t most = (size_t)SERVICE_USES * RESOURCE_SERVICE_CIDRS + in->n_before;
	for (size_t i = 0; in->table && i < in->table->n_services; i++)
		most += in->table->services[i].n_addrs;
	struct cidr *all = mem_new(most, sizeof(*all));
	size_t n = 0;
	if (!in->excluded)
		n = add_ranges(in->ranges, all);
	if (!in->excluded)
		n += told ? add_services(in, all + n) : add_before(in, all + n);
	if (n)
		qsort(all, n, sizeof(*all), cidr_compare_first);
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || !cidr_equal(&all[kept - 1], &all[i]))
			all[kept++] = all[i];
	*out = all;
	return kept;
}
