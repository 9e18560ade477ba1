/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A pod's limits of bandwidth in the kernel: a token bucket on the host's end of its link for what it
 * receives, and for what it sends one on an ifb device between that end and the host. Nothing of it is in
 * the pod's namespace, where the pod could change it. The device goes with the link: lib/owned.h. The limits
 * that a pod has are in the node state, so they can be made again.
 */
#include <stdbool.h>

#include "lib/bandwidth.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_shape.h"

/* What is there for one pod; zeroed: nothing. */
struct shape {
	struct net_rate link; /* of the host's end */
	struct net_link ifb;  /* index 0: none */
	struct net_rate sent; /* of the ifb */
	struct net_redirect redirect;
};

/* Asks within the queue, in two steps with a net_commit() behind each. */
void shape_ask(struct net *n, int link, const struct hash *owner, struct shape *out);
void shape_ask_ifb(struct net *n, struct shape *s);

/* Whether a pod is limited as it must be. Pure; a pod without that limit is, whatever is there. */
bool shape_receives(const struct shape *s, const struct bandwidths *must);
bool shape_sends(const struct shape *s, const struct bandwidths *must);

/* The limits that are there, for a state that was lost; bursts are about what was asked for. */
struct bandwidths shape_limits(const struct shape *s);

/* Makes what is not there. link is the host's end, with its label. An ingress queue that leads somewhere else
 * is made anew, one of another kind is somebody's and stays: -EINVAL. Undone by owned_remove_owner(). */
int shape_apply(struct net *n, const struct net_link *link, const struct hash *owner,
	const struct bandwidths *must, const struct shape *is, struct err *e);
