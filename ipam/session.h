/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A session with the node state, as every program has it: node_open(), then it is told what lives in
 * the kernel if it knows nothing yet, closed by node_close(). Apart from ipam/node.h, so that roost-ipam
 * links no netlink.
 */
#include "ipam/node.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/owned.h"

/* node_adopt(), when the state awaits what the kernel shows: once in a boot, or after a state was
 * lost; the usual session costs no look. Not for NODE_READ. net as for session_kernel(). */
int session_adopt(struct node *n, struct net **net, struct err *e);

/* What of ours the kernel has in the caller's namespace, for owned_done(). *net NULL: opens it,
 * and the caller closes it. */
int session_kernel(struct net **net, struct owned *out, struct err *e);

static inline void session_cleanup(struct node **n)
{
	node_close(*n);
}
#define CLEANUP_SESSION __attribute__((cleanup(session_cleanup)))
