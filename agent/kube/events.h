/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Problems of this node as Events of its Node, where operators of Kubernetes look: kubectl describe node,
 * kubectl get events. Pure: it is shown the problems, and says which Event is to be made next. Few, as each
 * is a write to the API: of problems that last, and no more than one a minute in the long run.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/problems.h"

#define EVENTS_LAST_MS 30000   /* a problem is told of when it has lasted so long */
#define EVENTS_PERIOD_MS 60000 /* between two Events, when the first ones are used up: */
#define EVENTS_AT_ONCE 8
#define EVENTS_PATH "/api/v1/namespaces/default/events" /* where those of Nodes are */

struct events { /* zeroed: nothing was seen */
	struct events_one {
		struct hash key;
		char text[PROBLEM_TEXT];
		int64_t since_ms;
		bool told, over;
	} v[2 * PROBLEMS_MAX];
	size_t n;
	int64_t full_ms;  /* when all of AT_ONCE are free again */
	int64_t retry_ms; /* the last one was refused: not before */
	bool asked;	  /* about v[asked_of] */
	size_t asked_of;
};

void events_see(struct events *e, const struct problems *now, int64_t now_ms);

/* The Event to be made (POST to EVENTS_PATH), which counts as under way; NULL: none. uid: of the Node.
 * The caller's. */
json_t *events_next(
	struct events *e, const char *node, const char *uid, int64_t now_ms, int64_t wall_s);

/* What became of it. */
void events_answer(struct events *e, bool made, int64_t now_ms);
