/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * UDP flows that the kernel's connection tracking knows, of the caller's network namespace: an address
 * translation is decided with a flow's first packet, so a flow that began before a mapping was made, or
 * goes on after it went, has to be forgotten. TCP and SCTP need no such thing: they begin anew.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

struct conntrack_flow {
	struct addr to; /* where the first packet went, as its sender said */
	uint16_t to_port;
	struct addr answers; /* where the answer comes from: another address with a translation */
};
typedef bool conntrack_match_fn(const struct conntrack_flow *f, const void *arg);

/* Forgets the flows that match; returns how many. A kernel without connection tracking has none. */
int conntrack_forget_udp(conntrack_match_fn *match, const void *arg, struct err *e);
