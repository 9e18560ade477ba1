/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The host-wide forwarding switches. Off is never written: other software may need forwarding.
 */
#include <stdint.h>

#include "lib/err.h"
#include "lib/net.h"

/* Turns forwarding on for a family, in the caller's namespace; n belongs to it. Before that, for
 * IPv6, links whose default route came by router advertisement get accept_ra=2; their names are in
 * kept ("eth0 eth1", "" none; may be NULL), for the log. Writes always: look first
 * (net_get_host()). */
#define FORWARD_KEPT 128
int forward_on(struct net *n, uint8_t family, char kept[FORWARD_KEPT], struct err *e);
