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

/* Removes every link of an owner, also one that a killed ADD left without its label, and what a
 * second interface has in the pod's namespace, when that still lives (ns may be NULL). Nothing
 * there is fine. */
int wire_remove(struct net *host, const struct ns *ns, const char *ifname, const struct hash *owner,
	const struct owned_hints *hints, struct err *e);
