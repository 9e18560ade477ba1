/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside cluster/resource*.c: the reader of each kind's spec. out is zeroed but for kind and name;
 * on error it may be half filled, resource_done() is called by the caller.
 */
#include "cluster/fields.h"
#include "cluster/resource.h"

/* kubectl's own copy of a manifest, with line ends in it: accepted, and not kept. */
#define RESOURCE_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

int resource_read_bgp(const struct fields *spec, struct resource *out);
int resource_read_peer(const struct fields *spec, struct resource *out);
int resource_read_filter(const struct fields *spec, struct resource *out);

/* exits, exitBFD, exitPort, exitFallback of BGPConfiguration; a list of prefixes in key. */
int resource_read_exits(const struct fields *spec, struct resource_exits *x);
int resource_read_exit_cidrs(
	const struct fields *f, const char *key, struct cidr out[RESOURCE_EXIT_CIDRS], size_t *n);
