/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pods where there is no Kubernetes to tell of them: each agent says in the cluster store which pods its node
 * has, a document for each, as long as there are policies; and takes in what the others say. A document is
 * a v1 Pod with what policies look at. docs/STORE.md has its key.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/policy/enforce_node.h"
#include "lib/problems.h"
#include "policy/world.h"
#include "store/store.h"

struct endpoints;
struct endpoints *endpoints_new(struct policy_world *w, const char *node); /* both borrowed */
void endpoints_free(struct endpoints *p); /* takes NULL; documents stay */

/* Pods of this node, which count from now on, whatever the store does. true: something changed. */
bool endpoints_set_node(struct endpoints *p, const struct enforce_node *n);

/* Follows the documents of others as soon as there is a policy, and makes its own as they shall be. */
void endpoints_step(struct endpoints *p, struct store *s, int64_t now_ms);
int64_t endpoints_next(const struct endpoints *p); /* ms, boot time */

/* true: the event is one of ours; *changed: something is not as it was before. */
bool endpoints_take(struct endpoints *p, const struct store_event *ev, bool *changed);

bool endpoints_are_told(const struct endpoints *p); /* or need not be: there is no policy */

void endpoints_list_problems(const struct endpoints *p, struct problems *out);
