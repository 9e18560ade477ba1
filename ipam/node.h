/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The node state: which blocks this node owns and which attachment has which address. One
 * LMDB file per boot in a folder (0700), opened by every ADD; one write transaction is a whole
 * assign or release. Nothing is synced: after a reboot no pod of an earlier boot exists, so the
 * boot id is part of the file's name. Knows no kernel and no CNI. docs/IPAM.md has states and
 * invariants.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/node_view.h"
#include "ipam/node_want.h"
#include "ipam/owner.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/owned.h"

struct node;

enum node_mode {
	NODE_SHARED, /* ADD, DEL, changes by hand: many at once; makes the state when absent */
	NODE_AGENT,  /* as NODE_SHARED, past those who wait to be alone: an ADD may wait for it */
	NODE_EXCLUSIVE, /* GC, repair: alone; makes the state when absent. Not starved (lib/lock.h) */
	NODE_READ,	/* looks only; -ENOENT when there is no state of this boot */
};

/* Opens the state in dir, holding its lock until node_close(). Waits for locks: call it under a
 * deadline. A damaged or foreign file is set aside under another name and a new one begun (not for
 * NODE_READ: -EUCLEAN there). -EMEDIUMTYPE: another version of roost wrote it in this boot. */
int node_open(struct node **out, const char *dir, enum node_mode mode, struct err *e);
void node_close(struct node *n); /* takes NULL */

/* Whether a state that is not there could be made: 0, -ENOSPC, -EROFS. */
int node_check_room(const char *dir, struct err *e);

/* From now to node_close() no other process deals with this owner under this call's lock. */
int node_lock_owner(struct node *n, const struct hash *owner, struct err *e);

/* The same without waiting: 1, or 0 when another process deals with this owner. */
int node_try_lock_owner(struct node *n, const struct hash *owner, struct err *e);

/* The name a damaged file was given by this node_open(), else NULL; for the log. Borrowed. */
const char *node_set_aside(const struct node *n);

/* The file whose existence says that damage was met while the state was read; the next node_open() sets
 * the state aside. */
void node_fault_mark(const char *dir, char *out, size_t size);

/* A new state knows nothing; what lives already must be entered before anything is given away.
 * kernel is what is ours in the kernel now; NULL when the caller cannot look (then everything in
 * blocks claimed earlier in this boot is quarantined, and somebody who can look is still awaited).
 */
bool node_needs_adoption(const struct node *n, bool can_look);
int node_adopt(struct node *n, const struct owned *kernel, struct err *e);

/* Gives the owner its addresses, all families or none, claiming blocks as needed. Addresses the
 * owner has already are given again unless others are requested (then the old ones are released).
 * -EAGAIN: a pool is exhausted (details: counts; node_lacking()). -EADDRINUSE: a requested address
 * is not free; -EADDRNOTAVAIL: it is in no usable pool or, with cluster, in no block of ours. Also
 * -EINVAL when the configuration contradicts the state (block size), and -EBUSY when another state
 * folder of this host holds a block of the pool.
 */
int node_assign(struct node *n, const struct node_want *w, struct node_leases *out, struct err *e);

/* After -EAGAIN: the family of which there was no address. */
uint8_t node_lacking(const struct node *n);

/* Undoes node_assign() as far as it was new (was_ours false). Addresses go back as if never given.
 */
int node_unassign(
	struct node *n, const struct hash *owner, const struct node_leases *l, struct err *e);

/* Everything, as of one moment. */
int node_list(struct node *n, struct node_view *out, struct err *e);

/* The owner's addresses: how many (0: none), or an error. */
int node_find(struct node *n, const struct hash *owner, struct node_leases *out, struct err *e);

/* The host ports that an owner of addresses has: how many, and a heap array, the caller's (NULL: none). put:
 * it has these from now on. */
int node_ports(struct node *n, const struct hash *owner, struct port **out, struct err *e);
int node_put_ports(struct node *n, const struct hash *owner, const struct port *ports,
	size_t n_ports, struct err *e);

/* The same for its limits of bandwidth: 1, or 0 and zeros. */
int node_get_limits(
	struct node *n, const struct hash *owner, struct bandwidths *out, struct err *e);
int node_put_limits(
	struct node *n, const struct hash *owner, const struct bandwidths *limits, struct err *e);

/* Frees all addresses of these owners in one transaction: they begin to cool down. Unknown owners
 * are fine. Returns how many addresses. */
int node_release(struct node *n, const struct hash *owners, size_t count, struct err *e);

/* Frees one address whatever its state (release by hand, quarantine ended): it begins to cool
 * down. -ENOENT: not taken, or released already. */
int node_release_addr(struct node *n, const struct addr *a, struct err *e);

/* 0 when node_assign() could succeed for these pools, else its error. Changes nothing; takes the
 * state's write lock for a moment, after NODE_READ too. */
int node_can_assign(struct node *n, const struct pool *pools, size_t count, struct err *e);

/* Gives up blocks in which nothing is used, cooling or quarantined; cooling counts as idle when
 * cold is true. Blocks of the cluster stay: the agent returns them. *out (heap, the caller's)
 * names those given up, for their routes to be removed. Waits until nobody else uses the state. */
int node_return_blocks(struct node *n, bool cold, struct cidr **out, size_t *count, struct err *e);
