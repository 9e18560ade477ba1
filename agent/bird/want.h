/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What BIRD is told, as a plain value: pools, next hops, blocks, BGP sessions and exits.
 * docs/ROUTING.md and docs/EXITS.md say what each is for; agent/bird/config.h makes the text of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bird/want_exits.h"
#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/family.h"
#include "lib/net_sizes.h"

struct bird_pool {
	struct cidr cidr;
	uint8_t block_len;
	bool exported; /* its blocks are announced (not disableBGPExport) */
	bool by_bgp;   /* other nodes' blocks are learned; else they are in remote */
};

/* How to reach a node: an entry of a next-hop table. */
struct bird_hop {
	struct cidr dst;
	struct addr via;    /* family 0: through the device itself */
	char dev[NET_NAME]; /* "": by via alone */
	bool onlink;
};

#define BIRD_TABLES 5 /* next-hop tables of a family; 0 is the one of all BGP sessions */

struct bird_remote { /* another node's block, as a static route */
	struct cidr block;
	struct addr node;
	uint8_t table;
};

struct bird_family {
	struct addr node;	/* our address; family 0: this family is off */
	const struct cidr *own; /* blocks to announce */
	size_t n_own;
	const struct bird_pool *pools;
	size_t n_pools;
	const struct bird_hop *hops[BIRD_TABLES];
	size_t n_hops[BIRD_TABLES]; /* a table without entries beyond 0 is not made */
	const struct bird_remote *remote;
	size_t n_remote;
	const struct bird_remote *kept; /* BGP's, for when it loses them; table 0 */
	size_t n_kept;
	const struct cidr
		*ranges; /* of services: never learned but by a reflector, nor in the kernel */
	size_t n_ranges;
	const struct cidr
		*services; /* what is announced of them to BGPPeers, all inside of ranges */
	size_t n_services;
};

struct bird_peer {
	struct addr addr, local;
	uint16_t port; /* remote */
	uint32_t as_number, local_as;
	bool mesh;    /* a node of ours */
	bool both;    /* carries both families; else that of its address alone. A mesh's always */
	bool passive; /* the other side connects */
	bool rr_client;
	struct addr rr_cluster;
	bool keep_next_hop;
	uint8_t ttl;			 /* ttlSecurity; 0: off */
	uint32_t keepalive_s, restart_s; /* 0: default */
	char password[RESOURCE_PASSWORD];
	const struct resource_filter *const *filters; /* in order; outside peers only */
	size_t n_filters;
	const struct cidr *exits; /* what it gives inside of these are exits */
	size_t n_exits;
	bool bfd;
	bool direct; /* in our subnet: BFD over one hop */
};

struct bird_want {
	struct addr router_id; /* IPv4 */
	uint16_t listen_port;
	enum resource_log log;
	struct bird_family family[FAMILIES];
	const struct bird_peer *peers; /* sorted by address */
	size_t n_peers;
	struct bird_exits exits;
};

/* Names of protocols ("roost_10_0_0_2"), and of an address in them; they return out. */
#define BIRD_PEER_NAME 64
char *bird_addr_name(const struct addr *a, char out[ADDR_TEXT]);
char *bird_peer_name(const struct bird_peer *p, char out[BIRD_PEER_NAME]);
char *bird_exit_name(const struct bird_exit_peer *p, char out[BIRD_PEER_NAME]);

/* Ports also where none is set; keepalives, of which three are a hold time. */
enum { BIRD_MESH_KEEPALIVE_S = 10, BIRD_OUT_KEEPALIVE_S = 30 };
uint16_t bird_peer_port(const struct bird_peer *p);
uint16_t bird_listen_port(const struct bird_want *w);
unsigned int bird_peer_keepalive_s(const struct bird_peer *p);
