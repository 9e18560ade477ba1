/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The lock that says whether an agent looks after a state folder. ADD and DEL ask for it by the
 * folder alone, without opening the node state.
 */
#include <stdbool.h>

#include "lib/err.h"

/* Takes the lock: a descriptor, held until it is closed. -EBUSY: another agent has it. */
int agent_lock_take(const char *dir, struct err *e);

/* Never taken in this boot; taken once, but its agent is gone; held by an agent. */
enum agent_lock { AGENT_LOCK_NONE, AGENT_LOCK_LEFT, AGENT_LOCK_HELD };
enum agent_lock agent_lock_find(const char *dir);
bool agent_lock_is_held(const char *dir);
