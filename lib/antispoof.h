/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one nf_tables table of a node, "inet roost": packets that enter through a pod's host link
 * with a source that is not routed to that link are dropped. IPv6 has no other such check; for
 * IPv4 it stands behind the link's own strict reverse path filter. Spoken as raw nfnetlink,
 * in one atomic batch, only when a look shows that it is absent.
 */
#include <stdbool.h>

#include "lib/err.h"

/* Makes the rule for host links whose names start with prefix, unless it is there. Returns 1
 * when it had to make it. */
int antispoof_ensure(const char *prefix, struct err *e);

/* Whether the rule is there: 1, 0 or an error. */
int antispoof_has(const char *prefix, struct err *e);

/* Removes the whole table: 1, 0 when there was none, or an error. */
int antispoof_remove(struct err *e);
