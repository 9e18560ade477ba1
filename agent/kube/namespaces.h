/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Annotations of Kubernetes' namespaces that say which addresses their pods get, gathered from a watch of
 * metadata: what node_put_namespaces() mirrors. Pure. Namespaces that say nothing are not kept.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/node_namespaces.h"
#include "store/kube/kube.h"

struct namespaces {		  /* zeroed: nothing was told */
	struct node_namespace *v; /* sorted by name */
	uint64_t *seen;		  /* of each, the list that told of it */
	size_t n, room, room_seen;
	uint64_t generation;
	bool complete; /* a list was told to its end, and no other is under way */
};
void namespaces_done(struct namespaces *n);

/* Takes in an event of the watch. true: something was not so before, or the list is complete now. */
bool namespaces_take(struct namespaces *n, const struct kube_event *ev);
