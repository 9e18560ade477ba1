/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What survives a reboot of the machine: agent/lastknown.h, as the agent writes and uses it.
 */
#include <stddef.h>

#include "ipam/mirror.h"
#include "lib/addr.h"
#include "lib/err.h"

struct agent;

/* Before a block or a loan is used: what must survive a reboot is on the disk. */
struct agent_adding {
	struct agent_addition {
		struct cidr block;
		size_t dir;
	} * v; /* heap, the caller's */
	size_t n;
};
int save_last_known(
	struct agent *a, const struct mirror *m, const struct agent_adding *adding, struct err *e);

/* After a reboot without the store, in each reconciliation: what was saved is the node state. */
void use_last_known(struct agent *a);
