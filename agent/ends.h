/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The node's ends of tunnels: their addresses in the node state, and the moments in which an
 * encapsulation changes. A tunnel that no pool asks for any more stands for ENDS_LINGER_MS longer,
 * and for as long the former way is known to desired_make(): agents do not see a change at the same
 * moment, and none has to wait for another.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/desired/desired.h"

#define ENDS_LINGER_MS 30000

struct agent;

struct ends {
	int64_t idle_ms[3];	 /* since when each one is not asked for; 0: it is */
	enum desired_way way[2]; /* of each family, as of the last call */
	int64_t exit_until_ms;	 /* packets for the outside may come until then */
	int64_t former_until_ms; /* a->self.former counts until then; 0: there is none */
};

/* After desired_make(): takes what is asked for, gives back what is not. true: a->self changed, and
 * what is desired has to be made anew. A new agent holds nothing yet. */
bool ends_hold(struct ends *x, struct agent *a, const struct desired *d);

/* How many addresses of a family tunnels have. */
uint32_t ends_count(const struct desired_self *self, uint8_t family);
