/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses of a VTEP that follow from other ones. Pure.
 */
#include <stdint.h>

#include "lib/addr.h"
#include "lib/family.h"

/* A locally administered address that is the same for a node's name at all times. */
void vtep_mac(const char *node, enum family f, uint8_t out[6]);

/* The link-local address of a VTEP, from its MAC (RFC 4291 appendix A): the next hop of IPv6 routes,
 * as the kernel refuses an onlink gateway that lies in a prefix it reaches another way, and a VTEP's
 * own address lies in the very block that the route is for. */
struct addr vtep_link_local(const uint8_t mac[6]);
