/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This node's own addresses: agent/detect.h finds them, here is what it is given. The address that the
 * node had, or that its Node document names, is preferred, as peers know it.
 */
#include "agent/agent_impl.h"
#include "agent/detect.h"
#include "lib/log.h"
#include "lib/text.h"

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

/* What the Node says, put into the way "kubernetes". As long as nobody knows, the node keeps the address that
 * it had; a Node without address of the family leaves it to what is found. */
static void fill_in(
	const struct agent *a, enum family family, const struct cidr *had, struct detect *how)
{
	const struct own_node *node = kubernetes_node(a->kubernetes);
	size_t room = sizeof(how->within) / sizeof(*how->within);
	if (how->method != DETECT_KUBERNETES)
		return;
	for (size_t i = 0; node && i < node->n_addrs && how->n_within < room; i++)
		if (family_of(node->addrs[i].family) == family)
			how->within[how->n_within++] = cidr_of_host(&node->addrs[i]);
	if (!node && had->addr.family)
		how->within[how->n_within++] = cidr_of_host(&had->addr);
	if (how->n_within || (!node && family == IPV4))
		return;
	how->method = family == IPV4 ? DETECT_FIRST_FOUND : DETECT_NONE;
	(void)text_copy(how->text, sizeof(how->text), family == IPV4 ? "first-found" : "none");
}

static void detect_address(struct agent *a, const struct facts *f, enum family family,
	const struct cidr *pools, size_t n)
{
	struct cidr had = preferred_address(a, family);
	struct detect filled = a->conf.detect[family];
	const struct detect *how = &filled;
	fill_in(a, family, &had, &filled);
	struct detect_want w = {
		.how = how,
		.family = family_af(family),
		.preferred = had,
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
