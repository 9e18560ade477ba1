/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services' prefixes, as BGPConfiguration names them, and what of them this node announces
 * (agent/services/announce.h). A prefix that overlaps a pool for pods is left out: nothing inside of
 * services' prefixes is learned from neighbours or put into the kernel, so pods would lose their routes.
 */
#include <stdlib.h>

#include "agent/desired/base.h"
#include "agent/services/announce.h"

static const struct desired_pool *pool_over(const struct desired_work *g, const struct cidr *c)
{
	for (size_t i = 0; i < g->n_pools; i++)
		if (cidr_overlaps(&g->pools[i].spec->pool.cidr, c))
			return &g->pools[i];
	return NULL;
}

static void add_ranges(
	struct desired_work *g, const struct resource_services *in, struct resource_services *out)
{
	for (enum service_use use = SERVICE_CLUSTER; use < SERVICE_USES; use++)
		for (size_t i = 0; i < in->n[use]; i++) {
			const struct cidr *c = &in->cidrs[use][i];
			const struct desired_pool *pool = pool_over(g, c);
			if (!pool)
				out->cidrs[use][out->n[use]++] = *c;
			else
				problems_add(&g->out->problems,
					"the services' prefix %s of BGPConfiguration default "
					"overlaps pool %s, which is for pods: it is not announced",
					CIDR_STRING(c), pool->name);
		}
	out->balancers_apart = in->balancers_apart;
}

static void put_ranges(struct desired_work *g, const struct resource_services *s)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct bird_family *out = &g->out->bird.family[f];
		struct cidr *all = desired_memory(
			g->out, (size_t)SERVICE_USES * RESOURCE_SERVICE_CIDRS, sizeof(*all));
		out->ranges = all;
		for (enum service_use use = SERVICE_CLUSTER; use < SERVICE_USES; use++)
			for (size_t i = 0; i < s->n[use]; i++)
				if (s->cidrs[use][i].addr.family == family_af(f))
					all[out->n_ranges++] = s->cidrs[use][i];
	}
}

static void put_services(struct desired_work *g, const struct cidr *list, size_t n)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct bird_family *out = &g->out->bird.family[f];
		struct cidr *all = desired_memory(g->out, n, sizeof(*all));
		out->services = all;
		for (size_t i = 0; i < n; i++)
			if (list[i].addr.family == family_af(f))
				all[out->n_services++] = list[i];
	}
}

void desired_services(struct desired_work *g)
{
	const struct replica_item *bgp = replica_item(g->r, RESOURCE_BGPCONFIGURATION, "default");
	struct resource_services ranges = {0};
	struct cidr *list = NULL;
	if (bgp)
		add_ranges(g, &bgp->resource.bgp.services, &ranges);
	const struct announce_input in = {
		.table = g->self->services,
		.before = g->self->services_before,
		.n_before = g->self->n_services_before,
		.ranges = &ranges,
		.excluded = json_object_get(g->labels, ANNOUNCE_EXCLUDE) != NULL,
	};
	size_t n = announce_make(&in, &list);
	put_ranges(g, &ranges);
	put_services(g, list, n);
	free(list);
}
