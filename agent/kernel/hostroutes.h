/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the host's administrator has said about routing: routes of his own, and how strictly the
 * kernel looks at where packets come from. Used by agent/kernel/kernel.c.
 */
#include "agent/kernel/facts.h"
#include "lib/err.h"
#include "lib/net.h"

/* Fills f->routes: routes of the main table that people or DHCP made, of each destination the one that
 * the kernel takes. Walks through the kernel's whole table: not to be called for each pod. */
int hostroutes_list(struct net *n, struct facts *f, struct err *e);

/* Fills in strict of the links that have IPv4 addresses, and no_forward of these and of tunnels. */
int hostroutes_settings(struct net *n, struct facts *f, struct err *e);
