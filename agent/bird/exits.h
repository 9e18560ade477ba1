/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The part of BIRD's text about exits: sessions with exit nodes, a routing table for them, and what
 * outside routers give as exits. Used by agent/bird/config.c and peers.c.
 */
#include "agent/bird/write.h"

/* The protocol that finds dead neighbours out, if anybody asks for it. */
void bird_exits_put_bfd(struct text *t, const struct bird_want *w);

/* roost_is_exit4(): whether a route of the main BIRD table is an exit that an outside router gave;
 * returns false, and nothing is put, where no peer of that family may give any. */
bool bird_exits_put_function(struct text *t, const struct bird_part *p);

/* A line of an import filter that accepts what the peer may give as an exit; "" if nothing. */
void bird_exits_put_given(struct text *t, const struct bird_peer *p, enum family f);

/* " bfd { ... };" with the times of exits. */
void bird_exits_put_times(struct text *t, const struct bird_exits *x);

/* Tables, sessions and the kernel's table of a family. */
void bird_exits_put(struct text *t, const struct bird_part *p);
