/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A session with the node state, as every program has it: opened under a guard against faults, then
 * told what lives in the kernel if it knows nothing yet, closed by node_close(). session.c knows no
 * kernel, so that roost-ipam links none; session_kernel.c does.
 */
#include "ipam/node.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/owned.h"

/* node_open(). answer: what the process prints when reading the state ends in a fault
 * (deadline_guard_fault()). */
int session_open(
	struct node **out, const char *dir, enum node_mode mode, const char *answer, struct err *e);

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
