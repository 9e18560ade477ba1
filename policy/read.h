/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Objects of Kubernetes and Calico as values of a world. What is hostile, too large or not served never fails
 * the whole: the value gets the safe meaning that docs/POLICY.md gives, and says so in its problems. Only an
 * object without a usable name or of the wrong form altogether is refused (-EINVAL).
 */
#include <jansson.h>

#include "lib/err.h"
#include "policy/world.h"

/* Bounds; what is beyond gets the safe meaning. */
#define POLICY_RULES_MAX 1024 /* of one direction */
#define POLICY_PEERS_MAX 1024 /* of one rule */
#define POLICY_PORTS_MAX 1024
#define POLICY_NETS_MAX 65536 /* of one network set; of one rule's end 4096 */

/* v1 Pod, Namespace, ServiceAccount; the caller puts them into the world. */
int policy_read_pod(const json_t *object, struct policy_pod *out, struct err *e);
int policy_read_namespace(const json_t *object, struct policy_namespace *out, struct err *e);
int policy_read_account(const json_t *object, struct policy_account *out, struct err *e);
void policy_pod_done(struct policy_pod *p);

/* Policies, by kind and apiVersion: NetworkPolicy of networking.k8s.io/v1, ClusterNetworkPolicy of
 * policy.networking.k8s.io, NetworkPolicy, GlobalNetworkPolicy and their Staged kinds of projectcalico.org/v3.
 * Namespaces of namespaced kinds are in metadata. *out is heap. */
int policy_read_policy(const json_t *object, struct policy **out, struct err *e);

/* Calico's NetworkSet, GlobalNetworkSet, Tier. */
int policy_read_netset(const json_t *object, struct policy_netset *out, struct err *e);
int policy_read_tier(const json_t *object, struct policy_tier *out, struct err *e);

/* Any object of the above, put into the world (true: something changed) or, with gone, dropped. Objects of
 * other kinds: -ENOENT. */
int policy_read_into(struct policy_world *w, enum policy_source s, const json_t *object, bool gone,
	bool *changed, struct err *e);
