/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Notices what the caches of agent/kernel/kernel.c do not hold: the host's own routes, blackholes of
 * ours, the forwarding switches, and policy rules, or forwarding entries and neighbours of our VXLAN
 * devices, that somebody deleted. The kernel itself drops all other notifications (a socket filter),
 * so that a hundred thousand routes of BIRD cost not one wake-up.
 */
#include <stdbool.h>

#include "lib/err.h"
#include "lib/family.h"

struct watch;

int watch_open(struct watch **out, struct err *e); /* of the caller's namespace */
void watch_close(struct watch *w);		   /* takes NULL */
int watch_fd(const struct watch *w);

/* Whether there was any notification; it does not say what. Lost ones count. */
int watch_read(struct watch *w, struct err *e); /* 1, 0 or an error */

/* Our VXLAN devices, whose neighbours matter; 0: none. */
int watch_devices(struct watch *w, const int devices[FAMILIES], struct err *e);
