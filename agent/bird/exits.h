/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What BIRD is told about exits: sessions of their own with exit nodes, a routing table of its own,
 * and what outside routers give as exits. A part of agent/bird/config.h; docs/EXITS.md says why.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "lib/addr.h"

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
	bool used[2]; /* IPv4, IPv6: pods here may leave by exits */
};

struct birdtext;
struct bird_peer;
struct bird_want;

/* The protocol that finds dead neighbours out, if anybody asks for it. */
void bird_exits_put_bfd(struct birdtext *t, const struct bird_want *w);

/* roost_is_exit4(): whether a route of the main BIRD table is an exit that an outside router gave;
 * returns false, and nothing is put, where no peer of that family may give any. */
bool bird_exits_put_function(struct birdtext *t, const struct bird_want *w, uint8_t family);

/* A line of an import filter that accepts what the peer may give as an exit; "" if nothing. */
void bird_exits_put_given(struct birdtext *t, const struct bird_peer *p, uint8_t family);

/* " bfd { ... };" with the times of exits. */
void bird_exits_put_times(struct birdtext *t, const struct bird_exits *x);

/* Tables, sessions and the kernel's table of a family. has_given: there is the function above. */
void bird_exits_put(struct birdtext *t, const struct bird_want *w, uint8_t family, bool has_given);
