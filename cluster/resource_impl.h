/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside cluster/resource*.c: the form of each kind's spec, into a struct resource that is zeroed but for kind
 * and name; on error it may be half filled, resource_done() is called by the caller.
 */
#include "cluster/fields.h"
#include "cluster/resource.h"

/* kubectl's own copy of a manifest, with line ends in it: accepted, and not kept. */
#define RESOURCE_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

extern const struct schema resource_bgp_spec, resource_peer_spec, resource_filter_spec;

/* Of documents of policies: r has its kind, and gets its name. */
int resource_judge_policy(
	const json_t *doc, struct resource *r, char where[RESOURCE_WHERE], struct err *e);

/* The form of a kind's spec. deploy/crds/ says the same to an API server; a test compares them. */
const struct schema *resource_spec(enum resource_kind k);

/* Whether a member of a spec is a password: {"text": "..."}. */
bool resource_is_password(const char *key);

/* exitBFD of BGPConfiguration, one of its exits, and a prefix that an exit leads to. */
extern const struct schema resource_exit_bfd, resource_exit;
extern const struct schema_type resource_exit_cidr;

/* {cidr: ...} of serviceClusterIPs and its like: a struct cidr. */
extern const struct schema resource_service_cidr;
