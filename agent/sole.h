/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One agent for each network namespace. Routes, links, tables and tunnels of a kernel are there once: two
 * agents, of two clusters even, would take away each other's, whatever folders they have.
 */
#include "lib/err.h"

/* Takes the namespace that this process is in; *fd is held as long as the agent lives. -EBUSY: another one
 * has it, the sentence says which process. What somebody without our rights holds counts for nothing. */
int sole_open(int *fd, struct err *e);
