/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The part of BIRD's text about BGP, for both families. Used by agent/bird/config.c.
 */
#include "agent/bird/write.h"

/* Templates, then a protocol for each peer; there must be next-hop tables roost_hops4
 * and roost_hops6, and what the parts say. */
void bird_peers_put(struct text *t, const struct bird_part parts[FAMILIES]);
