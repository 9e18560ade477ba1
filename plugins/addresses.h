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

/* The attachments of a network that GC keeps: those that the call names. A call that says nothing of
 * them (is_named false) leaves open who is valid: its caller fills in whoever
 * lives. */
struct addresses_valid {
	struct hash *owners; /* sorted, owned */
	size_t n;
	bool is_named;
};
int addresses_valid(const struct cni_request *r, struct addresses_valid *out, struct err *e);
void addresses_valid_done(struct addresses_valid *v); /* takes a zeroed one */
bool addresses_is_valid(const struct addresses_valid *v, const struct hash *owner);

/* The owners of this network that are not valid (heap, the caller's): to be released. When the call
 * names none, records of other main plugins stay: nobody here can tell who of them lives. */
int addresses_stale(struct node *n, const struct cni_request *r,
	const struct addresses_valid *valid, struct hash **out, size_t *count, struct err *e);

/* Whether prevResult has these addresses for the container's interface, as CHECK asks. */
int addresses_check(struct node *n, const struct cni_request *r, struct err *e);

/* Code 50 when this node cannot give addresses to any pod, ever, as it is: no agent has spoken, no pool
 * is there, the state cannot be read. That none is free is no error. Loads a cluster's pools into *c. */
int addresses_status(struct conf *c, struct err *e);
