/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Settings of the whole host that pods need: packet forwarding and the IPv6 source check. Looked
 * at by every ADD, changed when a look shows that they are not so.
 */
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_route.h"
#include "plugins/pod.h"

/* look: what net_get_host() said a moment ago. */
int host_prepare(const struct pod *p, const struct net_host *look, const char *prefix,
	struct net *host, struct err *e);
