/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The addresses of a request, as roost and roost-ipam deal with them: assigned by its wishes,
 * checked against prevResult, found stale by GC, usable or not for STATUS. The node state is
 * open, see plugins/guard.h.
 */
#include "ipam/node.h"
#include "lib/cni.h"
#include "lib/err.h"
#include "plugins/conf.h"

/* For a configuration of a cluster's node: its pools and MTU are those of the mirror in the node
 * state. -EAGAIN: no agent has spoken since boot, or no pool is for this node. */
int addresses_load(struct node *n, struct conf *c, struct err *e);

struct owner addresses_owner(const struct cni_request *r, bool foreign, uint64_t netns);

/* Assigns by the request's wishes; asks the agent when there is no free address. -EOPNOTSUPP for
 * two addresses of one family. */
int addresses_assign(struct node *n, const struct cni_request *r, const struct conf *c,
	const struct owner *owner, struct node_leases *out, struct err *e);

/* The owners of this network whom a GC call does not name (heap, the caller's): to be
 * released. */
int addresses_stale(struct node *n, const struct cni_request *r, struct hash **out, size_t *count,
	struct err *e);

/* The hashes of the attachments a GC call names, sorted (heap, the caller's). */
int addresses_valid(const struct cni_request *r, struct hash **out, size_t *count, struct err *e);
bool addresses_is_valid(const struct hash *valid, size_t count, const struct hash *owner);

/* Whether prevResult has these addresses for the container's interface, as CHECK asks. */
int addresses_check(struct node *n, const struct cni_request *r, struct err *e);

/* Code 50 when this node cannot give addresses to any pod, ever, as it is: no agent has spoken, no pool
 * is there, the state cannot be read. That none is free is no error. Loads a cluster's pools into *c. */
int addresses_status(struct conf *c, struct err *e);
