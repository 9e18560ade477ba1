/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Checks that need no packet: addresses, MTUs, routes, what is left. Pure.
 */
#include "cli/conform/check.h"

/* Each address is nobody else's and of a block of its node; each MTU is what the uplink leaves. */
void conform_addresses(const struct conform_cluster *c, struct conform_checks *out);

/* Routes inside pools: of own blocks, own pods, other nodes' blocks, and no others. In
 * cli/conform/routes.c. */
void conform_routes(const struct conform_cluster *c, struct conform_checks *out);

/* After the pods were deleted: whether anything of them is there still. */
void conform_leftovers(const struct conform_cluster *c, struct conform_checks *out);
