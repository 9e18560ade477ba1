/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all sources of the room need: memory of the result, its problems, and questions about one
 * address, node or pool.
 */
#include "agent/desired/base.h"

#include <string.h>

#include "agent/kernel/vtep.h"
#include "lib/mem.h"

void *desired_memory(struct desired *d, size_t n, size_t size)
{
	d->memory = mem_grow(d->memory, &d->memory_room, d->n_memory + 1, sizeof(*d->memory));
	return d->memory[d->n_memory++] = mem_new(n ? n : 1, size);
}

struct addr desired_other_addr(
	const struct desired_work *g, const struct replica_node *n, enum family f)
{
	return strcmp(n->name, g->conf->node) == 0 ? (struct addr){0} : n->spec.addr[f].addr;
}

bool desired_has_mac(const uint8_t mac[6])
{
	static const uint8_t none[6];
	return memcmp(mac, none, sizeof(none)) != 0;
}

struct addr desired_vtep(const struct resource_node *n, enum family f)
{
	if (f == IPV4 || !n->vxlan[f].family)
		return n->vxlan[f];
	return desired_has_mac(n->vxlan_mac[f]) ? vtep_link_local(n->vxlan_mac[f])
						: (struct addr){0};
}

bool desired_lends(const struct agent_conf *c, const struct replica *r)
{
	static const char podcidr[] = "kube-podcidr:";
	const struct replica_item *i = replica_item(r, RESOURCE_IPAMCONFIGURATION, "default");
	return strncmp(c->store.url, podcidr, strlen(podcidr)) != 0 &&
	       !(i && i->resource.ipam.strict);
}

bool desired_is_near(const struct desired_work *g, const struct addr *node)
{
	const struct cidr *own = &g->self->addr[family_of(node->family)];
	return own->addr.family && cidr_contains(own, node);
}

bool desired_is_tunnel(const struct resource_pool *p)
{
	return p->ipip != ENCAP_NEVER || p->vxlan != ENCAP_NEVER;
}
