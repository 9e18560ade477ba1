/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Documents of the cluster store that policies are judged by, into a world: Calico's kinds among the resources,
 * and where there is no Kubernetes, the pods that agents tell of (agent/policy/endpoints.h).
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/problems.h"
#include "policy/world.h"
#include "store/store.h"

struct documents;
struct documents *documents_new(struct policy_world *w); /* borrowed */
void documents_free(struct documents *d);		 /* takes NULL */

/* An event of the watch of all resources. true: it is a document of ours, and nobody else's; *changed: something
 * is not as it was before. The end of a list is kept back until documents_trust(): a store may have lost what it
 * had. */
bool documents_take(struct documents *d, const struct store_event *ev, bool *changed);
bool documents_trust(struct documents *d);
bool documents_are_told(const struct documents *d);

void documents_list_problems(const struct documents *d, struct problems *out);
