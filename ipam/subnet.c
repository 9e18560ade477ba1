/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway makes the block a subnet on a link, where two addresses are no pod's: the first IPv6
 * one is the routers' anycast address (RFC 4291 section 2.6.1), answered by the gateway itself,
 * and the last IPv4 one is the broadcast address. A /30 is too small to lose one.
 *
 * What is reserved here stays so until it is released by hand: nobody can say when the last pod
 * that knows the gateway is gone.
 */
#include "ipam/subnet.h"

#include <sys/socket.h>

#include "ipam/messages.h"

bool subnet_is_gateway(const struct node_want *w, const struct addr *a)
{
	for (size_t i = 0; i < w->n_gateways; i++)
		if (addr_equal(&w->gateways[i], a))
			return true;
	return false;
}

static bool has_gateway(const struct node_want *w, uint8_t family)
{
	for (size_t i = 0; i < w->n_gateways; i++)
		if (w->gateways[i].family == family)
			return true;
	return false;
}

static bool find_special(const struct cidr *block, struct addr *out)
{
	bool v4 = block->addr.family == AF_INET;
	if (block->len > (v4 ? 29 : 126))
		return false;
	*out = v4 ? addr_plus(&block->addr, pool_block_size(block) - 1) : block->addr;
	return true;
}

int subnet_hold_special(struct db *db, const struct node_want *w, const struct cidr *block,
	int64_t wall_s, struct err *e)
{
	struct index_addr old;
	struct addr special;
	if (!has_gateway(w, block->addr.family) || !find_special(block, &special))
		return 0;
	int r = index_get_addr(db, &special, &old, e);
	if (r != 0 && (r < 0 || old.rec.state != RECORD_RELEASED))
		return r < 0 ? r : 0;
	return index_hold(db, &special, RECORD_RESERVED, wall_s, e);
}

int subnet_reserve(struct db *db, const struct node_want *w, int64_t wall_s, struct err *e)
{
	for (size_t i = 0; i < w->n_gateways; i++) {
		const struct addr *g = &w->gateways[i];
		const struct pool *p = pool_find(w->pools, w->n_pools, g);
		if (!p)
			continue;
		struct index_addr old;
		int r = index_get_addr(db, g, &old, e);
		if (r == 1 && old.rec.state == RECORD_USED) {
			r = messages_taken(g, &old.rec, e);
			err_add(e, "the gateway is not free");
		} else if (r == 0 || (r == 1 && old.rec.state == RECORD_RELEASED)) {
			r = index_hold(db, g, RECORD_RESERVED, wall_s, e);
		}
		struct cidr block = pool_block_of(p, g);
		if (r >= 0)
			r = subnet_hold_special(db, w, &block, wall_s, e);
		if (r < 0)
			return r;
	}
	return 0;
}
