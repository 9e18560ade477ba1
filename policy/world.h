/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What policies are judged by: namespaces, pods, service accounts, network sets, tiers and policies of
 * the whole cluster as plain values, fed by lists and watches. Pure. It answers by name and by address,
 * and says what changed since a caller last asked.
 *
 * A list that is under way or failed takes nothing away: what it lacks goes with its end only. So a
 * partial or empty answer is never "no policies".
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "policy/rule.h"

#define POLICY_ADDRESSES 4 /* of a pod that count */

struct policy_pod {
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME], uid[64];
	char node[POLICY_NAME], account[POLICY_NAME];
	struct policy_labels labels; /* owned */
	struct addr addrs[POLICY_ADDRESSES];
	size_t n_addrs;
	struct policy_port *ports; /* named ones: name, proto, first; owned */
	size_t n_ports;
	int64_t created_s; /* of two that claim one address the younger has it */
	bool on_host;	   /* hostNetwork: never selected, and its address is the node's */
	bool is_over;	   /* Succeeded or Failed: its address may be another's */
};
struct policy_namespace {
	char name[POLICY_NAMESPACE];
	struct policy_labels labels;
};
struct policy_account {
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
	struct policy_labels labels;
};
struct policy_netset { /* Calico's NetworkSet; namespace "": GlobalNetworkSet */
	char namespace[POLICY_NAMESPACE], name[POLICY_NAME];
	struct policy_labels labels;
	struct cidr *nets;
	size_t n_nets;
};

/* Where objects come from: each is a list of its own. */
enum policy_source {
	POLICY_FROM_NAMESPACES,
	POLICY_FROM_PODS,      /* Kubernetes' */
	POLICY_FROM_ENDPOINTS, /* pods by documents of the cluster store */
	POLICY_FROM_ACCOUNTS,
	POLICY_FROM_NETWORK_POLICIES,
	POLICY_FROM_CLUSTER_POLICIES,
	POLICY_FROM_STORE, /* Calico's kinds: policies, tiers, network sets */
	POLICY_SOURCES
};

struct policy_world;
struct policy_world *policy_world_new(void);	/* tiers of rule.h are there, no list is told */
void policy_world_free(struct policy_world *w); /* takes NULL */

/* A complete list begins, and has ended: what of this source was not put in between goes. */
void policy_world_begin(struct policy_world *w, enum policy_source s);
void policy_world_end(struct policy_world *w, enum policy_source s);
bool policy_world_is_told(const struct policy_world *w, enum policy_source s); /* once to its end */

/* An object that exists. Takes what the value owns, and leaves it zeroed (the policy itself). true: it
 * was not so before. */
bool policy_world_put_pod(struct policy_world *w, enum policy_source s, struct policy_pod *pod);
bool policy_world_put_namespace(struct policy_world *w, struct policy_namespace *n);
bool policy_world_put_account(struct policy_world *w, struct policy_account *a);
bool policy_world_put_netset(struct policy_world *w, struct policy_netset *n);
bool policy_world_put_policy(struct policy_world *w, enum policy_source s, struct policy *p);
bool policy_world_put_tier(struct policy_world *w, const struct policy_tier *t);

/* One that is gone; namespace "" of those that have none. true: it was there. */
enum policy_object {
	POLICY_POD,
	POLICY_NAMESPACE_OBJECT,
	POLICY_ACCOUNT,
	POLICY_NETSET,
	POLICY_TIER,
	POLICY_OBJECTS
};
bool policy_world_drop(struct policy_world *w, enum policy_source s, enum policy_object what,
	const char *namespace, const char *name);
bool policy_world_drop_policy(struct policy_world *w, enum policy_kind kind, bool staged,
	const char *namespace, const char *name);

/* What changed since this was last asked, for the one who keeps something by it (policy/members.h). More than
 * POLICY_CHANGES: everything may have, and the list is empty. Names are borrowed until the next change. */
#define POLICY_CHANGES 4096
struct policy_change {
	enum policy_object what; /* POLICY_OBJECTS: a policy */
	const char *namespace, *name;
};
size_t policy_world_changes(
	struct policy_world *w, const struct policy_change **out, bool *everything);

/* Look-ups; NULL: none (a namespace or an account that is not there has no labels). Good until the next change.
 * policy_world_owner(): the pod that an address is of: not over, not on the host, the youngest. */
const struct policy_pod *policy_world_pod(
	const struct policy_world *w, const char *namespace, const char *name);
const struct policy_pod *policy_world_owner(const struct policy_world *w, const struct addr *a);
const struct policy_namespace *policy_world_namespace(
	const struct policy_world *w, const char *name);
const struct policy_account *policy_world_account(
	const struct policy_world *w, const char *namespace, const char *name);

/* All of a kind, in no order but tiers and policies in that of judgement. Good until the next change. A tier
 * that policies name and nobody described is among the tiers: the last one, and it denies. */
const struct policy_pod *const *policy_world_pods(const struct policy_world *w, size_t *n);
const struct policy_namespace *const *policy_world_namespaces(
	const struct policy_world *w, size_t *n);
const struct policy_netset *const *policy_world_netsets(const struct policy_world *w, size_t *n);
const struct policy *const *policy_world_policies(const struct policy_world *w, size_t *n);
const struct policy *const *policy_world_policies_of(const struct policy_world *w,
	const char *namespace, size_t *n); /* those without one, too */
const struct policy_tier *policy_world_tiers(const struct policy_world *w, size_t *n);
