/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names of what a watch of Kubernetes has told, each with its uid: the Nodes of the cluster, the pods of
 * this node. "What is not there" can be asked only while the list is complete.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/kube/kube.h"

struct roster_entry {
	char *name; /* "name", or "namespace/name" */
	char *uid;
	uint64_t seen;
	bool checked; /* the owner's own mark; gone when the uid changes */
};

struct roster {			/* zeroed: nothing was told */
	struct roster_entry *v; /* sorted by name */
	size_t n, room;
	uint64_t generation;
	bool complete; /* a list was told to its end, and no other is under way */
};
void roster_done(struct roster *r); /* leaves it empty, and not complete */

/* Takes in an event of the watch. true: something was not so before. */
bool roster_take(struct roster *r, const struct kube_event *ev);

struct roster_entry *roster_find(const struct roster *r, const char *name); /* NULL */
