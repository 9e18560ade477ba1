/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cluster as a conformance run has come to know it, one plain value: what probes said and what
 * the cluster store says. Everything that plans checks, judges answers and names causes is a pure
 * function of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/conform/facts.h"
#include "cli/conform/file.h"
#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/family.h"

#define CONFORM_NAME 254
#define CONFORM_PLACE (CONFORM_NAME + 8)
#define CONFORM_NODE SIZE_MAX /* instead of a pod's number: the node itself */

struct conform_member {
	char name[CONFORM_NAME];
	bool is_outside;
	bool alive;		      /* its probe has said what is below */
	struct addr addr[FAMILIES];   /* by family; family 0: it has none */
	struct cidr subnet[FAMILIES]; /* of these */
	struct conform_facts facts;
	struct conform_pod pods[CONFORM_PODS];
	size_t n_pods;
	struct conform_ports ports;
	uint16_t host_port; /* mapped to its first pod; 0: not */
};

struct conform_pool {
	struct cidr cidr;
	enum resource_encap ipip, vxlan;
	bool nat, disabled, no_export;
};

struct conform_cluster {
	struct conform_member *members; /* the outside is the last one */
	size_t n;
	bool has_outside;
	struct conform_pool *pools; /* of the store */
	size_t n_pools;
	struct cidr *blocks; /* all that the store knows */
	size_t n_blocks;
	bool has_store;
	bool families[FAMILIES];
	bool routed; /* the host outside has a way back to pods */
	uint64_t seed;
};
void conform_cluster_done(struct conform_cluster *c); /* takes a zeroed one */

size_t conform_cluster_nodes(const struct conform_cluster *c); /* without the outside */
const struct conform_member *conform_cluster_outside(const struct conform_cluster *c); /* or NULL */

/* The pool of the store that an address is in; NULL: none, or there is no store. */
const struct conform_pool *conform_cluster_pool(
	const struct conform_cluster *c, const struct addr *a);

/* Takes the member's addresses and subnets from its facts where they are not known yet. */
void conform_member_find_addresses(struct conform_member *m);
bool conform_member_has(const struct conform_member *m, const struct addr *a);

const struct conform_link *conform_facts_link(const struct conform_facts *l, const char *name);
const struct conform_link *conform_facts_tunnel(const struct conform_facts *l, const char *name);
/* The route of table main that an address takes (longest prefix); NULL: none. */
const struct conform_route *conform_facts_route(
	const struct conform_facts *l, const struct addr *to);

/* "node1/a"; "node1" for CONFORM_NODE. They return out; as expressions, like ADDR_STRING(). */
char *conform_place_format(const struct conform_member *m, size_t pod, char out[CONFORM_PLACE]);
#define CONFORM_PLACE_STRING(m, pod) conform_place_format((m), (pod), (char[CONFORM_PLACE]){0})
char *conform_pod_name(size_t pod, char out[4]); /* "a"; "" for CONFORM_NODE */
#define CONFORM_POD_NAME(pod) conform_pod_name((pod), (char[4]){0})
