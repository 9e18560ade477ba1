/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The resources that are about BGP, as values: settings, peers, filters. Part of cluster/resource.h, which
 * everybody includes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/exits.h"
#include "cluster/limits.h"
#include "cluster/services.h"
#include "lib/addr.h"

enum resource_log { LOGS_NONE, LOGS_DEBUG, LOGS_INFO, LOGS_WARNING, LOGS_ERROR, LOGS_FATAL };
struct resource_bgp {
	/* Absent: the next one's, or default. */
	bool has_as, has_mesh, has_port, has_log, has_password;
	uint32_t as_number;
	bool mesh;
	uint16_t port;
	enum resource_log log;
	uint32_t restart_s; /* nodeMeshMaxRestartTime; 0: default */
	char password[RESOURCE_PASSWORD];
	struct resource_exits exits;
	struct resource_services services;
};

struct resource_peer {
	struct addr addr;
	uint16_t port; /* 0: 179 */
	uint32_t as_number;
	char node[RESOURCE_NAME];	  /* "": by selector */
	char selector[RESOURCE_SELECTOR]; /* nodeSelector; both "": all nodes */
	char password[RESOURCE_PASSWORD]; /* "" none */
	uint32_t keepalive_s, restart_s;  /* 0: default */
	uint8_t ttl;			  /* ttlSecurity hops; 0: off */
	bool keep_next_hop;
	char filters[8][RESOURCE_NAME];
	size_t n_filters;
	struct cidr exits[RESOURCE_EXIT_CIDRS]; /* what it announces in them are exits */
	size_t n_exits;
	bool bfd;
};

struct resource_rule {
	bool accept;
	bool in, negate;  /* matchOperator: In/NotIn (in), Equal/NotEqual; negate: the Not ones */
	struct cidr cidr; /* family 0: everything */
	uint8_t min_len, max_len; /* of matched prefixes with In; 0, 0: any */
};
struct resource_filter {
	struct resource_rule *rules[4]; /* import v4, import v6, export v4, export v6 */
	size_t n_rules[4];
};
