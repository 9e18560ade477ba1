/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Carrying out a plan: a veth pair, its settings, addresses and routes, in two batches on the host
 * and one in the pod. What exists afterwards is described by docs/ROUTES.md.
 */
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_route.h"
#include "lib/ns.h"
#include "plugins/pod.h"

/* Wires the pod or leaves nothing behind. host and inside are sockets in the two namespaces. When
 * another owner has the planned name, p->host becomes the second choice. -EEXIST: the interface
 * exists in the pod, or a link or route belongs to somebody alive, who is named. */
int wire_apply(
	struct pod *p, const struct ns *ns, struct net *host, struct net *inside, struct err *e);

/* Whether it is a second interface's way to the gateway, which is not where packets go by default. */
bool wire_is_near_second(const struct net_route *r);

/* Removes what a second interface has in the pod's namespace (policy rules), if the interface of
 * that name is this owner's. The rest goes with the link: owned_remove_owner(). */
int wire_remove_inside(struct net *host, const struct ns *ns, const char *ifname,
	const struct hash *owner, struct err *e);
