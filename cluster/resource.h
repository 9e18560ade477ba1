/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What people apply: documents in the shape of Calico's v3 resources, read into values that cannot
 * be wrong. The same reader judges a manifest (roostctl apply) and a document that comes from the
 * store, which anybody may have written: what it lets through has names and texts of known
 * alphabets only. docs/resources/ has a page for each kind with every field.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "cluster/resource_bgp.h"
#include "ipam/pool.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"

enum resource_kind {
	RESOURCE_IPPOOL,
	RESOURCE_NODE,
	RESOURCE_BGPCONFIGURATION,
	RESOURCE_BGPPEER,
	RESOURCE_BGPFILTER,
	RESOURCE_IPRESERVATION,
	RESOURCE_IPAMCONFIGURATION,
	RESOURCE_TIER, /* from here on: resource_kind_is_policy() */
	RESOURCE_GLOBALNETWORKSET,
	RESOURCE_NETWORKSET,
	RESOURCE_GLOBALNETWORKPOLICY,
	RESOURCE_NETWORKPOLICY,
	RESOURCE_STAGEDGLOBALNETWORKPOLICY,
	RESOURCE_STAGEDNETWORKPOLICY,
	RESOURCE_STAGEDKUBERNETESNETWORKPOLICY,
	RESOURCE_KINDS,
};
#define RESOURCE_NODE_IN_KUBERNETES "RoostNode"		/* where a Node is another thing */
const char *resource_kind_text(enum resource_kind k);	/* "IPPool" */
const char *resource_kind_plural(enum resource_kind k); /* "ippools" */
bool resource_kind_parse(const char *s, enum resource_kind *out); /* "ippool", "IPPools" */

/* Network policies and what they are about: a resource of them is a name, NAMESPACE.NAME where the kind has
 * namespaces. What they say is policy/read.h's to read; what that does not understand is refused here. */
bool resource_kind_is_policy(enum resource_kind k);

enum resource_encap { ENCAP_NEVER, ENCAP_ALWAYS, ENCAP_CROSS_SUBNET };

struct resource_pool {
	struct pool pool;		 /* cidr, blockSize; cooldown_s is POOL_COOLDOWN_S here */
	enum resource_encap ipip, vxlan; /* at most one is not NEVER */
	bool nat_outgoing, disabled, no_bgp_export;
	bool balancer; /* allowedUses [LoadBalancer]: for services alone, pods get nothing of it */
	bool manual;   /* assignmentMode Manual, with balancer: for services that ask by name */
	char selector[RESOURCE_SELECTOR]; /* nodeSelector; "" all */
};

/* A node: what its agent found out, and what people set. Family 0: no such address. */
struct resource_node {
	uint32_t as_number;		   /* 0: the cluster's */
	struct cidr addr[FAMILIES];	   /* with host bits: address and subnet */
	struct addr ipip, vxlan[FAMILIES]; /* of tunnels, of the node's own blocks */
	uint8_t vxlan_mac[FAMILIES][6];	   /* zero: none */
	struct addr rr_cluster;		   /* routeReflectorClusterID */
	bool drain; /* takes no new pods, gives back its blocks (spec.drain, ours) */
};
struct resource_reservation {
	struct cidr cidrs[RESOURCE_LIST];
	size_t n;
};
struct resource_ipam {
	uint32_t max_blocks; /* maxBlocksPerHost; 0: no limit */
	int64_t cooldown_s;  /* ipCooldownSeconds; -1: default */
	bool strict;	     /* strictAffinity: no addresses of other nodes' blocks */
};

struct resource {
	enum resource_kind kind;
	char name[RESOURCE_NAME];
	int64_t created_s; /* creationTimestamp, wall clock; 0: none */
	char uid[RESOURCE_UID];
	union {
		struct resource_pool pool;
		struct resource_node node;
		struct resource_bgp bgp;
		struct resource_peer peer;
		struct resource_filter filter;
		struct resource_reservation reservation;
		struct resource_ipam ipam;
	};
};

/* Reads a document. where (the place of the offending field, may be "") is set on error.
 * -EINVAL, -EBADMSG. resource_done() frees what *out holds. */
int resource_parse(
	const json_t *doc, struct resource *out, char where[RESOURCE_WHERE], struct err *e);
void resource_done(struct resource *r);
