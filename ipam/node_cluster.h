/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The agent's side of the node state: the mirror of what the cluster says to this node, and the
 * blocks that this node owns in the cluster store. ADD reads the mirror when its configuration
 * names no pools; so pods start from it while the store, the agent and BIRD are down.
 *
 * The agent opens the state (NODE_AGENT) around each piece of work and closes it: an open one
 * keeps GC out, and a process has one handle of a folder at a time. As ADD does, it adopts first
 * (node_needs_adoption(n, true), node_adopt()), then puts the mirror, then adds its blocks; after a
 * state was lost all three happen again, since each call compares with what is there.
 */
#include <stdbool.h>
#include <stdint.h>

#include "ipam/mirror.h"
#include "ipam/node.h"
#include "lib/addr.h"
#include "lib/err.h"

/* Makes the mirror equal to m: returns 1 when something changed, 0 when it was so already. Reserved
 * addresses of own blocks become reserved unless used (then when they are released). -EINVAL: a
 * pool contradicts blocks that stand (other block size, or claimed by a configuration). */
int node_put_mirror(struct node *n, const struct mirror *m, struct err *e);

/* 1; 0: no agent has spoken in this boot. */
int node_get_mirror(struct node *n, struct mirror *out, struct err *e);

/* 0 when an ADD would get an address of each family now, without the agent. Else the error of
 * mirror_pools() or node_can_assign(). */
int node_can_assign_mirror(struct node *n, const struct mirror *m, struct err *e);

/* Free addresses of a family in blocks that give, of pools that assign. Reads own blocks only, and
 * of them only what was released: cheap enough for once a second. */
int node_count_free(
	struct node *n, uint8_t family, uint64_t *now_free, uint64_t *cooling, struct err *e);

/* A block that the store says is ours: ready to give addresses (quarantined when a lost state had
 * it in this boot). 1 new, 0 known already (draining and disowning end). -EINVAL: no pool of the
 * mirror fits. -EBUSY: another state folder of this host has it. */
int node_add_block(struct node *n, const struct cidr *block, struct err *e);

/* A single address of another node's block, which its agent lends: a block of one address that is given when
 * no other is free. As node_add_block(), draining and all; whatever pool of the mirror has it. */
int node_add_loan(struct node *n, const struct cidr *addr, struct err *e);

/* The other side. An address of an own block is kept from pods, and stands in the mirror's list of those that
 * are lent, until node_put_mirror() says otherwise; then it cools down. cold: one that cools down is as good as
 * free. 1: it is lent, by this call. 0: it is not free, or MIRROR_LENT are lent already; *instead is a free
 * one of the same block, family 0: there is none. */
int node_lend(
	struct node *n, const struct addr *wish, bool cold, struct addr *instead, struct err *e);

/* Return of a block, in steps that survive a crash each. drain: in one transaction the block is
 * verified to be empty (cooling addresses count as used unless cold) and marked; -EBUSY when it
 * is not, -ENOENT when there is none. drop: forgets a draining or empty block; -EBUSY; none is
 * fine. */
int node_drain_block(struct node *n, const struct cidr *block, bool cold, struct err *e);
int node_drop_block(struct node *n, const struct cidr *block, struct err *e);

/* The store says it is somebody else's: nothing more is given from it. Its pods stay. */
int node_disown_block(struct node *n, const struct cidr *block, struct err *e);

/* An address for the node's end of a tunnel ("vxlan"), recorded as used by the network
 * OWNER_TUNNEL, which no GC names. The same one again when there is one already. */
int node_assign_tunnel(
	struct node *n, const char *what, uint8_t family, struct addr *out, struct err *e);
int node_release_tunnel(struct node *n, const char *what, uint8_t family, struct err *e);
