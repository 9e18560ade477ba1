/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Notices that something of what must hold for pods (lib/wiring.h), or of our nf_tables tables, may be another now:
 * links, their settings and queues, routes of ours and IPv6 addresses that went, any change of the rule set. The kernel
 * itself drops what cannot matter (a socket filter), BIRD's routes above all. What happened is not said.
 */
#include <stdbool.h>

#include "lib/err.h"

struct podwatch;

int podwatch_open(struct podwatch **out, struct err *e); /* of the caller's namespace */
void podwatch_close(struct podwatch *w);		 /* takes NULL */

/* Readable when there is something: of links and routes, of tables. */
enum { PODWATCH_ROUTE, PODWATCH_TABLES, PODWATCH_SOCKETS };
int podwatch_fd(const struct podwatch *w, int which);

/* Whether there was any notification since the last call. Lost ones count. */
int podwatch_read(struct podwatch *w, bool out[PODWATCH_SOCKETS], struct err *e);
