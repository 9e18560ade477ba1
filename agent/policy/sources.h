/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Kubernetes' objects that policies are judged by, as lists with watches into a world. Policies and
 * namespaces are always followed, ClusterNetworkPolicies where their definition is served; pods and
 * service accounts as long as there is a policy that they matter to.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/problems.h"
#include "policy/world.h"
#include "store/kube/kube.h"

struct sources;
struct sources *sources_new(struct policy_world *w); /* borrowed */
void sources_free(struct sources *s); /* takes NULL; its watches end with the client */

/* Starts and ends watches, as the policies of the world ask for them. */
void sources_follow(struct sources *s, struct kube *k, int64_t now_ms);
/* Nothing is followed any more, and what was told is forgotten. */
void sources_rest(struct sources *s, struct kube *k);

/* true: the event is one of ours; *changed: something is not as it was before. */
bool sources_take(struct sources *s, const struct kube_event *ev, bool *changed);

/* The version in which ClusterNetworkPolicies are served; "": they are not, or nobody knows yet. Borrowed. */
const char *sources_cluster_version(const struct sources *s);

/* Everything that matters was told once, to its end. */
bool sources_are_told(const struct sources *s);

/* What could not be understood, and while something is not told which. */
void sources_list_problems(const struct sources *s, struct problems *out);
