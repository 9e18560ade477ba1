/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Exits: nodes through which pods of all other nodes leave the cluster. A part of BGPConfiguration
 * default; docs/EXITS.md says what they are for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "lib/addr.h"

/* The nodes that a selector chooses are exits to these prefixes. */
struct resource_exit {
	char selector[RESOURCE_SELECTOR];
	struct cidr cidrs[RESOURCE_EXIT_CIDRS];
	size_t n_cidrs;
};

struct resource_exits {
	struct resource_exit *list; /* heap; resource_done() frees it */
	size_t n;
	bool no_bfd;
	uint16_t bfd_interval_ms; /* 0: default */
	uint8_t bfd_multiplier;	  /* 0: default */
	uint16_t port;		  /* of the sessions with exits; 0: default */
	bool required; /* without any exit left pods get nowhere, rather than by their own node */
};

#define EXITS_PORT 1790
#define EXITS_BFD_MS 200
#define EXITS_BFD_MULTIPLIER 3
