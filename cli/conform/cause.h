/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Why packets do not arrive: a sentence from what was counted on both nodes while they were sent
 * again, and from what the nodes have. Pure.
 */
#include "cli/conform/check.h"

/* Packets of a try as one node saw them. */
struct conform_evidence {
	struct conform_counts
		inner; /* with the address of the sending end, as the pods sent them */
	struct conform_counts outer; /* in the tunnel's packets between the two nodes */
};

/* What a check that failed is to be captured with. */
struct conform_capture {
	const char *inner;	   /* "icmp4", "udp"... */
	const char *outer;	   /* "vxlan", "ipip"; "" none: no tunnel on the way */
	uint16_t port;		   /* of vxlan */
	struct addr inner_peer;	   /* the sending end */
	struct addr outer_peer[2]; /* whom the sending, and the receiving node captures */
};
void conform_cause_capture(const struct conform_cluster *c, const struct conform_check *k,
	struct conform_capture *out);

/* here: of the sending node, there: of the receiving one; they may be one. Fills in k->cause. */
void conform_cause(const struct conform_cluster *c, const struct conform_checks *all,
	const struct conform_evidence *here, const struct conform_evidence *there,
	struct conform_check *k);

/* Causes that other checks show already; true when k->cause was filled in. */
bool conform_cause_from_others(
	const struct conform_cluster *c, const struct conform_checks *all, struct conform_check *k);

/* Whether packets of k can be followed: between pods and nodes of the cluster. */
bool conform_cause_is_followed(const struct conform_cluster *c, const struct conform_check *k);
/* Whether the cause of a is that of b, too. */
bool conform_cause_is_shared(const struct conform_check *a, const struct conform_check *b);
