/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is said of the routes inside our pools: those of others that hide the ways to pods, with the
 * command that deletes each, and BIRD's that have had no next hop for a while. While things move a
 * route may be unreachable for a moment, which is no problem.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/kernel/facts.h"
#include "agent/replica.h"
#include "lib/poolroute.h"
#include "lib/problems.h"

#define POOLROUTES_MOMENT_MS 3000

struct poolroutes_dead { /* a route without next hop */
	struct cidr dst;
	int64_t since_ms;
};
struct poolroutes { /* zeroed: nothing was seen yet */
	struct problems problems;
	struct poolroutes_dead *dead; /* heap */
	size_t n_dead;
	int64_t again_ms; /* look again at this time; 0: when something moves */
};
void poolroutes_done(struct poolroutes *p);

struct poolroutes_input {
	const struct poolroute *seen; /* of poolroute_list() */
	size_t n_seen;
	const struct replica *replica;
	const struct facts *facts;
	int64_t now_ms;
};
void poolroutes_judge(struct poolroutes *p, const struct poolroutes_input *in);
