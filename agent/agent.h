/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The node agent without its event loop: everything it knows, and the one step that takes in what
 * happened and makes the node as it shall be. Level-triggered: what an event says is "look again".
 */
#include <stddef.h>
#include <stdint.h>

#include "cluster/agent_conf.h"
#include "lib/err.h"

struct agent;

/* Opens everything; contacts neither the cluster store nor BIRD. c is borrowed until the end. -EBUSY:
 * another agent looks after a state folder. */
int agent_open(struct agent **out, const struct agent_conf *c, struct err *e);

/* A clean end: says in the store that it ended, leaves pods, routes and BIRD as they are. Waits a
 * second at most. Takes NULL. */
void agent_close(struct agent *a);

/* What to wait for: when one is readable, or the time is over, call agent_step(). */
#define AGENT_FDS 7 /* -1: none */
void agent_fds(const struct agent *a, int fds[AGENT_FDS]);

/* One step; never waits for anybody. *wait_ms: call again after this time at the latest. -EEXIST:
 * this agent may not run (another one has its node's name). */
int agent_step(struct agent *a, unsigned int *wait_ms, struct err *e);

/* Settings that can change while it runs take effect: headroom, idle time, address detection, routes.
 * late: those that cannot (agent_conf_compare()); they are a problem until the next start. */
void agent_reload(struct agent *a, const struct agent_conf *c, const char *late);

/* One line for the service manager. */
void agent_describe(const struct agent *a, char *out, size_t size);
