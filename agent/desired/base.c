/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sources of the room need: memory of the result, its problems, and questions about one
 * address, node or pool.
 */
#include "agent/desired/base.h"

#include <sys/socket.h>

#include "lib/mem.h"

void *desired_memory(struct desired *d, size_t n, size_t size)
{
	d->memory = mem_grow(d->memory, &d->memory_room, d->n_memory + 1, sizeof(*d->memory));
	return d->memory[d->n_memory++] = mem_new(n ? n : 1, size);
}

const struct cidr *desired_own(const struct desiring *g, uint8_t family)
{
	return family == AF_INET ? &g->self->addr4 : &g->self->addr6;
}

struct addr desired_node_addr(const struct resource_node *n, uint8_t family)
{
	return n->addr[family_of(family)].addr;
}

bool desired_is_near(const struct desiring *g, const struct addr *node)
{
	const struct cidr *own = desired_own(g, node->family);
	return own->addr.family && cidr_contains(own, node);
}

bool desired_is_tunnel(const struct resource_pool *p)
{
	return p->ipip != ENCAP_NEVER || p->vxlan != ENCAP_NEVER;
}
