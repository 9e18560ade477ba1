/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Network policy in the agent's loop: one of the sources that implement agent/agent.h.
 */
#include <stdint.h>

#include "agent/pods.h"
#include "agent/policy/enforce.h"
#include "lib/err.h"
#include "lib/problems.h"

struct agent;

struct policies { /* zeroed, then policies_open() */
	struct enforce *enforce;
	int64_t look_at, rest_until, problems_at; /* ms, boot time */
	char trouble[256];			  /* why pods cannot be looked at; "" they can */
	char untold[256];			  /* why the node states do not know; "" they do */
	char *saved;				  /* what the file says of closed namespaces */
	int64_t save_at;			  /* 0: it is so */
	struct problems problems;
};

/* What was closed before a reboot is so from now on. Opens everything; no store is asked. */
int policies_open(struct agent *a, struct err *e);
void policies_close(struct policies *p); /* takes a zeroed one */

/* A turn, and when the next one is due (ms, boot time). */
void policies_step(struct agent *a);
int64_t policies_next(const struct agent *a);

/* Pods of this node may have come or gone. */
void policies_want_look(struct agent *a);
