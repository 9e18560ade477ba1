/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Gives load balancers their addresses, for the whole cluster: the one agent that holds the Lease does so.
 * A Service's own status is where its address stands, and nowhere else. Never waits.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/resource.h"
#include "lib/problems.h"
#include "store/kube/kube.h"

struct balancer;

struct balancer *balancer_new(void);
void balancer_free(struct balancer *b); /* takes NULL; what is under way ends with the client */

struct balancer_input {
	struct kube *kube;
	const struct resource *const
		*resources; /* of the cluster: pools and reservations are looked for */
	size_t n_resources;
	bool any_class; /* services without a loadBalancerClass are ours, too */
	int64_t now_ms;
};

/* What is due. To be called while this agent holds the Lease, about once a second and after each event. */
void balancer_step(struct balancer *b, const struct balancer_input *in);

/* The Lease is another's: what was seen is forgotten. k NULL: there is no client any more. */
void balancer_rest(struct balancer *b, struct kube *k);

/* true: the event is one of ours. */
bool balancer_take(struct balancer *b, const struct kube_event *ev);

/* Services without an address, and why; a pool that is left out. */
const struct problems *balancer_problems(const struct balancer *b);
