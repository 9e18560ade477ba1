/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Network policy on this node, one face: what the cluster says of policies, pods and namespaces goes in, and the
 * kernel's table inet roost-policy comes out; connections that a change forbids are cut, and denied packets are
 * told. Never waits, and depends on no reconciliation: an event is in force within one turn of the loop.
 * docs/POLICY.md has what is enforced.
 *
 * A turn is enforce_plan(), then the node state is told what enforce_gates() says, then enforce_apply(): ADD must
 * know of a policy before a pod could start without it.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/policy/enforce_node.h"
#include "cluster/agent_conf.h"
#include "ipam/node_policy.h"
#include "lib/err.h"
#include "lib/problems.h"
#include "store/kube/kube.h"
#include "store/store.h"

struct enforce;
int enforce_open(struct enforce **out, const struct agent_conf *c, struct err *e); /* c: borrowed */
void enforce_close(struct enforce *f); /* takes NULL; the kernel's table stays */

/* Settings changed. */
void enforce_reload(struct enforce *f);

int enforce_fd(const struct enforce *f); /* readable: take a turn */

/* Events. true: it was one of ours. Of the watch of all resources enforce sees each, and its lists count as soon
 * as the agent trusts the store. */
bool enforce_take_kube(struct enforce *f, const struct kube_event *ev);
bool enforce_take_store(struct enforce *f, const struct store_event *ev);
bool enforce_take_resource(struct enforce *f, const struct store_event *ev);
void enforce_trust_store(struct enforce *f);

/* The pods of this node, and its addresses; taken over. */
void enforce_set_node(struct enforce *f, struct enforce_node *n);

/* One turn. kube: NULL without Kubernetes. plan: 1 when the node state must be told, with what enforce_gates()
 * says; told: it was (else it is said again). apply: what is not in the kernel yet goes there. */
int enforce_plan(struct enforce *f, struct kube *kube, struct store *store, int64_t now_ms);
const struct node_policy *enforce_gates(const struct enforce *f);
void enforce_gates_told(struct enforce *f);
void enforce_apply(struct enforce *f, int64_t now_ms);
int64_t enforce_next(const struct enforce *f); /* when the next turn is due (ms, boot time) */

/* The version in which Kubernetes serves ClusterNetworkPolicies; "": it does not. Borrowed. */
const char *enforce_cluster_version(const struct enforce *f);

/* For people. */
void enforce_list_problems(const struct enforce *f, struct problems *out);
json_t *enforce_report(struct enforce *f); /* the caller's; docs/AGENT.md has the members */
/* Answers "policy", "policy-counters", "policy-denied" and "policy-explain" at the agent's socket; *answer is the caller's. */
int enforce_answer(struct enforce *f, const json_t *request, json_t **answer, struct err *e);
