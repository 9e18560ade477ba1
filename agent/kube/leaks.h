/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses whose pod is gone: which records of this node no pod of Kubernetes explains, and no link
 * either. Pure: the owner shows what is, and releases what is due.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/kube/roster.h"
#include "lib/hash.h"

struct leaks_record {
	struct hash owner;
	const char *pod; /* "namespace/name"; "": not known, so never a leak */
	bool has_link;	 /* a link of the owner is there: its pod lives, whatever the API says */
};

struct leaks { /* zeroed: nothing is missed */
	struct leaks_missed {
		struct hash owner;
		int64_t since_ms;
	} * v; /* sorted by owner */
	size_t n;
};
void leaks_done(struct leaks *l);

struct leaks_when {
	int64_t gone_ms; /* a pod has to be away for so long, before our eyes */
	int64_t now_ms;
};

/* records: sorted by owner, one for each. Those that are due are marked in is_due[n]. The list counts only
 * while it is complete and names any pod at all: what runs on a node, roost's own pod among it, is in it.
 * Without it nothing is due, and all waits begin anew. Returns how many are due. */
size_t leaks_judge(struct leaks *l, const struct roster *pods, const struct leaks_record *records,
	size_t n, const struct leaks_when *when, bool *is_due);
