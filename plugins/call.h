/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One call of roost: what its verbs work with, opened step by step and closed as a whole. A verb
 * is a function of a call: add(), del(), gc() have a file each, the short ones are in roost.c.
 */
#include "ipam/node.h"
#include "lib/cni.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_route.h"
#include "lib/ns.h"
#include "plugins/conf.h"

struct call {
	const struct cni_request *request; /* borrowed */
	struct conf conf;
	struct ns ns;	  /* the pod's */
	struct net *host; /* netlink sockets in the two namespaces */
	struct net *inside;
	struct node *node; /* with our own IPAM */
	int lock;	   /* without: the state folder's lock alone */
};

#define CALL_OF(r)                                                                                 \
	{                                                                                          \
		.request = (r), .ns = NS_NONE, .lock = -1                                          \
	}

/* The pod's namespace and a socket inside. */
int call_open_pod(struct call *c, struct err *e);

/* The node state with its lock, and a new state told what lives in the kernel (c->host is open).
 * With a foreign IPAM the lock alone. */
int call_open_state(struct call *c, enum node_mode mode, struct err *e);

/* From here on no other call deals with this attachment. */
int call_lock_attachment(struct call *c, struct err *e);

/* The attachment this call is about. */
struct hash call_owner(const struct call *c);

/* Closes whatever is open. */
void call_done(struct call *c);

/* The verbs that have their own files. */
int call_add(struct call *c, struct err *e);
int call_del(struct call *c, struct err *e);
int call_gc(struct call *c, struct err *e);
