/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel's connection tracking knows, of the caller's network namespace, is forgotten where it would
 * lead packets wrong. An address translation is decided with a flow's first packet, so a flow of UDP that began
 * before a mapping was made, or goes on after it went, has to be forgotten; TCP and SCTP begin anew. And a pod must
 * not inherit connections from the one that had its address before.
 */
#include <stdbool.h>
#include <stddef.h>
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

/* Forgets every connection from and to these addresses, behind translations: while nobody has them. The kernel
 * looks through all of its entries for each (before Linux 6.11 they are listed once, which takes longer). */
int conntrack_forget_addrs(const struct addr *addrs, size_t n, struct err *e);
