/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The next hop that every pod sees, the same on every node: 169.254.1.1, which belongs to nobody
 * and is answered for by a permanent neighbour and proxy ARP, and the fixed link-local address of
 * the host end, which its fixed MAC ee:ee:ee:ee:ee:ee gives (RFC 4291 appendix A).
 */
#include <stdint.h>

#include "lib/addr.h"

extern const uint8_t gateway_mac[6]; /* ee:ee:ee:ee:ee:ee */

#define GATEWAY4_TEXT "169.254.1.1"
#define GATEWAY6_TEXT "fe80::ecee:eeff:feee:eeee"

struct addr gateway_of(uint8_t family);
