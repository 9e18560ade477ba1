/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What policies denied to pods, as Events of these pods, where people of Kubernetes look (kubectl describe pod). Pure:
 * it is told what was denied, and says which request is to be made next. Few, as each is a write in the cluster: what
 * is alike is one Event with a count, a pod has eight at most, and a bucket holds for the whole node.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/hash.h"
#include "policy/world.h"

#define POD_EVENTS_REASON "PolicyDenied"
#define POD_EVENTS_OF_POD 8	  /* Events of a pod that are counted on */
#define POD_EVENTS_AGAIN_MS 60000 /* an Event's count is told anew so often at most */
#define POD_EVENTS_FORGET_MS                                                                       \
	600000		      /* it was quiet so long: the next packet is an Event of its own */
#define POD_EVENTS_AT_ONCE 20 /* requests of a node, then one in: */
#define POD_EVENTS_PERIOD_MS 5000
#define POD_EVENTS_PATH 512 /* bytes */

struct pod_events;
struct pod_events *pod_events_new(void);
void pod_events_free(struct pod_events *e); /* takes NULL */

/* n packets of a kind were denied. key: what is alike. text: the sentence of the Event. */
void pod_events_see(struct pod_events *e, const struct policy_pod *pod, const struct hash *key,
	const char *text, uint64_t n, int64_t now_ms);

/* The request to be made, which counts as under way; its body is the caller's, NULL: none is due. is_patch: a merge
 * patch of path, else a POST to it. */
struct pod_events_request {
	json_t *body;
	bool is_patch;
	char path[POD_EVENTS_PATH];
};
struct pod_events_request pod_events_next(
	struct pod_events *e, const char *node, int64_t now_ms, int64_t wall_s);
/* status: HTTP's; 0: there was no answer. */
void pod_events_answer(struct pod_events *e, int status, int64_t now_ms);
/* When a request may be due (ms, boot time); INT64_MAX: nothing waits. */
int64_t pod_events_due(const struct pod_events *e);
