/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The part of the table of network policy that has to stand before a pod's link is up: without an agent, right
 * after a reboot, after somebody flushed the rule set. Who is asked for every pod makes it here; what else is in
 * the table is the agent's (agent/policy), which knows this part and keeps it.
 */
#include "lib/err.h"

#define POLICY_GATE_TABLE "roost-policy" /* of family inet */

/* Base chains, and the maps by interface index of the same names that say where a packet goes. */
#define POLICY_GATE_EGRESS "eg"	   /* forwarded, from a pod */
#define POLICY_GATE_INGRESS "in"   /* forwarded, to a pod */
#define POLICY_GATE_TO_HOST "host" /* from a pod to a socket of the host */
#define POLICY_GATE_PENDING                                                                        \
	"pending" /* the counter of what is dropped as nobody has opened the link yet */

/* Makes the gate where it is not: 1, or 0 as it stands. From then on nothing passes a link of OWNED_PENDING_GROUP
 * on the ways of its bits unless a map has it. */
int policy_gate_ensure(struct err *e);

/* 1: it stands, 0: not, or not whole. */
int policy_gate_stands(struct err *e);

/* Leads the packets of a link to chains of the agent's; "" lets them pass. -ENOENT: a chain is gone; then the
 * link stays as it is. */
struct policy_gate_way {
	const char *ingress, *egress, *to_host;
};
int policy_gate_open(int link, const struct policy_gate_way *way, struct err *e);
