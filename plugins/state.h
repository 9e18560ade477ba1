/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What roost and roost-ipam share between the request and the node state: opening it under the
 * guards of lib/deadline.h, and turning a request's wishes into what to assign.
 */
#include "ipam/node.h"
#include "lib/cni.h"
#include "lib/err.h"
#include "plugins/conf.h"

static inline void state_cleanup(struct node **n)
{
	node_close(*n);
}
#define CLEANUP_NODE __attribute__((cleanup(state_cleanup)))

/* Starts the timer of this call and prepares what it says; see deadline_doing(). */
void state_deadline(const struct cni_request *r, const struct conf *c, unsigned int seconds);

/* node_open() with the fault guard set; logs a state that was set aside. */
int state_open(const struct cni_request *r, const struct conf *c, enum node_mode mode,
	struct node **out, struct err *e);

/* For a configuration of a cluster's node: its pools and MTU are those of the copy in the node
 * state. -EAGAIN: no agent has spoken since boot, or no pool is for this node. */
int state_load(struct node *n, struct conf *c, struct err *e);

struct owner state_owner(const struct cni_request *r, bool foreign, uint64_t netns);

/* Assigns by the request's wishes; asks the agent when there is no free address. -EOPNOTSUPP for
 * two addresses of one family. */
int state_assign(struct node *n, const struct cni_request *r, const struct conf *c,
	const struct owner *owner, struct node_leases *out, struct err *e);

/* The owners of this network whom a GC call does not name (heap, the caller's): to be
 * released. */
int state_stale(struct node *n, const struct cni_request *r, struct hash **out, size_t *count,
	struct err *e);

/* The hashes of the attachments a GC call names, sorted (heap, the caller's). */
int state_valid(const struct cni_request *r, struct hash **out, size_t *count, struct err *e);
bool state_is_valid(const struct hash *valid, size_t count, const struct hash *owner);

/* Whether prevResult has these addresses for the container's interface, as CHECK asks. */
int state_check(struct node *n, const struct cni_request *r, struct err *e);

/* Code 50 unless an ADD would get its addresses now. Loads the pools of a cluster into *c. */
int state_status(const struct cni_request *r, struct conf *c, struct err *e);
