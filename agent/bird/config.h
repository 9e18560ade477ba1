/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What BIRD is told, as a plain value, and its text. Pure: the same value gives the same bytes. No
 * text of strangers gets here but through fields of known alphabets (addresses, numbers) and
 * passwords, which are quoted and checked. docs/ROUTING.md says why each line is there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bird/exits.h"
#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/net.h"

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

struct bird_remote { /* another node's block, without BGP */
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
	struct bird_family v4, v6;
	const struct bird_peer *peers; /* sorted by address */
	size_t n_peers;
	struct bird_exits exits;
};

/* The text of our file, on the heap; the caller frees it. */
char *bird_config_text(const struct bird_want *w);

/* A small main configuration that includes files, for `configure check` and as a model for
 * /etc/bird/bird.conf: device protocol, our file if it is there, the operator's folder. */
char *bird_config_main(const char *our_file, const char *include_dir);

/* Whether a text can be a quoted string of BIRD's grammar. */
bool bird_config_is_quotable(const char *s);

/* Whether a tunnel of this name can be a hop's device with a gateway: letters, digits and "_-.:"
 * with a digit or one of "-.:" among them, and no word of BIRD's. "vxlan.roost" and "tunl0" can,
 * "overlay" cannot: its hops are left out, so refuse such a name where it is configured. */
bool bird_config_is_device(const char *name);
