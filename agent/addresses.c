/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's own addresses: agent/detect.h finds them, here is what it is given. The address that the
 * node had, or that its Node document names, is preferred, as peers know it.
 */
#include "agent/agent_impl.h"
#include "agent/detect.h"
#include "lib/log.h"

/* A pool that nobody uses yet may be a mistake: it must not take the node's address from it. */
static size_t list_pools_in_use(const struct agent *a, struct cidr out[POOL_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < a->replica.n_items && n < POOL_MAX; i++) {
		const struct resource *r = &a->replica.items[i]->resource;
		if (r->kind == RESOURCE_IPPOOL &&
			desired_is_in_use(&a->replica, &r->pool.pool.cidr))
			out[n++] = r->pool.pool.cidr;
	}
	return n;
}

static struct cidr preferred_address(const struct agent *a, enum family family)
{
	const struct replica_node *n = replica_node(&a->replica, a->conf.node);
	const struct cidr *now = &a->self.addr[family];
	return now->addr.family || !n ? *now : n->spec.addr[family];
}

static void detect_address(struct agent *a, const struct facts *f, enum family family,
	const struct cidr *pools, size_t n)
{
	const struct detect *how = &a->conf.detect[family];
	struct detect_want w = {
		.how = how,
		.family = family_af(family),
		.preferred = preferred_address(a, family),
		.avoid = pools,
		.n_avoid = n,
	};
	struct cidr found = {0};
	int link = 0;
	struct err e;
	if (how->method == DETECT_CAN_REACH)
		w.route_dev = kernel_route_dev(a->kernel, &how->target);
	/* Without IPv6 on the host nobody expects an IPv6 address. */
	if (detect_find(&w, f, &found, &link, &e) < 0 &&
		(family == IPV4 || how->method != DETECT_FIRST_FOUND))
		problems_add_as(&a->problems,
			family == IPV4 ? "own IPv4 address" : "own IPv6 address", "%s", e.text);
	if (!cidr_equal(&found, &a->self.addr[family]))
		log_info("address of this node: %s",
			found.addr.family ? CIDR_STRING(&found) : "none");
	a->self.addr[family] = found;
	a->self.link[family] = link;
}

void detect_addresses(struct agent *a, const struct facts *f)
{
	struct cidr pools[POOL_MAX];
	size_t n = list_pools_in_use(a, pools);
	for (enum family family = IPV4; family < FAMILIES; family++)
		detect_address(a, f, family, pools, n);
}
