/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Denied packets, from the kernel's words (agent/policy/denied.h) to where people look: lines of the log, a list of the
 * latest that `roostctl policy denied` asks for, and on Kubernetes Events of the pods. Nothing here waits, and all of
 * it is bounded, as anybody can make packets that are denied.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/compile.h"
#include "policy/judge.h"
#include "policy/world.h"
#include "store/kube/kube.h"

struct denials;
int denials_open(struct denials **out, struct err *e); /* the kernel may not be able to */
void denials_close(struct denials *d);		       /* takes NULL */
int denials_fd(const struct denials *d);

/* What came is told in names of these. events: it becomes Events, too. */
struct denials_view {
	const struct policy_world *world;
	const struct policy_compiler *compiler;
	bool events;
};
void denials_read(struct denials *d, const struct denials_view *v, int64_t now_ms);

/* A connection that staged policies would deny to one of its pods: for the list alone. */
void denials_note_staged(struct denials *d, const struct policy_world *w,
	const struct policy_flow *flow, enum policy_direction direction);

/* The next Event, if one is due; kube: NULL without Kubernetes. node: this one's name. */
void denials_step(struct denials *d, struct kube *kube, const char *node, int64_t now_ms);
int64_t denials_next(const struct denials *d); /* when one may be due (ms, boot time) */
bool denials_take(struct denials *d, const struct kube_event *ev); /* true: it is ours */

/* "policy-denied" at the agent's socket; docs/AGENT.md. -EINVAL. *out is the caller's. */
int denials_answer(const struct denials *d, const json_t *request, json_t **out, struct err *e);
