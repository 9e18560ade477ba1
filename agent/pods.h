/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keeps what must hold for the pods of this node (lib/wiring.h): looks, mends what is ours, says what it
 * mended, and names what it cannot. A pod is known by its record in one of the agent's state folders and by its
 * link's label; pods of others, and those that an ADD or DEL deals with at the moment, are left alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/node_states.h"
#include "agent/node_states_pods.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/problems.h"

/* Something that had to be mended, and how often. */
struct pods_mended {
	char is[160]; /* the sentence */
	unsigned int times;
	int64_t first_ms, last_ms;
};
#define PODS_MENDED 32 /* the latest ones */

struct pods { /* zeroed, then pods_open() */
	struct net *net;
	int64_t looked_ms;	  /* when the last look began; 0: never */
	struct problems problems; /* of the last look */
	struct pods_mended mended[PODS_MENDED];
	size_t n_mended;
};
int pods_open(struct pods *p, struct err *e); /* of the caller's namespace */
void pods_close(struct pods *p);

/* One look, and what it calls for. 1: somebody deals with a pod that needs something, so look again soon. */
int pods_look(struct pods *p, struct node_states *s, int64_t now_ms);

/* When the next look may be that something calls for: not more often than every second. */
int64_t pods_next(const struct pods *p, int64_t wanted_ms);
