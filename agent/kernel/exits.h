/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel's side of exits: rules that let pods look into the table of exits, and nobody else.
 * What is in the table is BIRD's. docs/EXITS.md describes both.
 */
#include "agent/kernel/want.h"
#include "lib/err.h"
#include "lib/net.h"

/* Makes rules of protocol 82 and the hash policy so; without use the rules go, and what BIRD left
 * in the table. Rules of others are never touched. Returns how many changes it took. */
int exits_sync(struct net *n, const struct exits_want *w, struct err *e);

/* What is in the table now. */
#define EXITS_ROUTES 64
struct exits_route {
	struct cidr dst;
	uint16_t paths; /* 0: unreachable */
};
int exits_list(struct net *n, uint32_t table, struct exits_route out[EXITS_ROUTES], size_t *found,
	struct err *e);
