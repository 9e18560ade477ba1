/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes what agents make of policies, network sets and tiers into the status of these objects, for the whole
 * cluster: the one agent that holds the Lease does so. Never waits.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/problems.h"
#include "store/kube/kube.h"

struct statuses;
struct statuses *statuses_new(void);
void statuses_free(struct statuses *s); /* takes NULL; what is under way ends with the client */

struct statuses_input {
	struct kube *kube;
	const char
		*cluster_version; /* of ClusterNetworkPolicies, "v1alpha2"; "": none are served */
	bool has_kinds;		  /* the store is the API, which has the kinds of roost */
	int64_t now_ms;
};

/* What is due. To be called while this agent holds the Lease, about once a second and after each event. */
void statuses_step(struct statuses *s, const struct statuses_input *in);

/* The Lease is another's. */
void statuses_rest(struct statuses *s, struct kube *k);

/* true: the event is one of ours. */
bool statuses_take(struct statuses *s, const struct kube_event *ev);

void statuses_list_problems(const struct statuses *s, struct problems *out);
