/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What BIRD is told of exits: a part of agent/bird/want.h. docs/EXITS.md says what they are for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "lib/addr.h"
#include "lib/family.h"

/* Sessions of their own with exit nodes, and a routing table of its own. */
struct bird_exit_peer {
	struct addr addr, local;
	bool is_exit;		  /* it is one for us; else we are one for it, and it connects */
	const struct cidr *cidrs; /* what is taken from an exit; none: nothing */
	size_t n_cidrs;
};

struct bird_exits {
	uint16_t port;
	uint32_t as_number;   /* the same on both sides, so that all exits are equal */
	uint32_t restart_s;   /* 0: default */
	bool bfd;	      /* on sessions with exits; with outside routers as they say */
	uint16_t interval_ms; /* of BFD */
	uint8_t multiplier;
	uint32_t table; /* the kernel's */
	char password[RESOURCE_PASSWORD];
	const struct bird_exit_peer *peers;
	size_t n_peers;
	const struct cidr *own; /* that this node announces as an exit */
	size_t n_own;
	const struct cidr *blocked; /* unreachable while there is no exit to it */
	size_t n_blocked;
	bool used[FAMILIES]; /* pods here may leave by exits */
};
