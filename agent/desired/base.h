/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of desired_make(): what the sources of the room share. desired.c (pools, kernel, NAT) calls
 * node.c (node state, own Node document), sessions.c (what BIRD says of them), tunnels.c, peers.c (BGP sessions), routes.c (next hops and
 * blocks for BIRD), exits.c, services.c, mtu.c and paths.c (where answers go); all of them stand on base.c.
 */
#include "agent/desired/desired.h"

/* A pool that counts: it can be read and overlaps no older one. */
struct desired_pool {
	const char *name;
	const struct resource_pool *spec;
	enum family family;
	bool assigns;
	bool has_node; /* a node's address is inside: none of its routes may be learned */
};

struct desired_work {
	const struct agent_conf *conf;
	const struct replica *r;
	const struct facts *f;
	const struct desired_self *self;
	struct desired *out;
	struct desired_pool pools[POOL_MAX]; /* by name */
	size_t n_pools;
	const struct resource_node *node; /* our own document, NULL: none */
	const json_t *labels;		  /* of it */
	bool drain;
	bool bgp; /* sessions are made; else routes are static */
	struct resource_bgp settings;
};

/* Memory that belongs to the result. Zeroed; never NULL. */
void *desired_memory(struct desired *d, size_t n, size_t size);

/* The address of another node; family 0: it has none, or the node is this one. */
struct addr desired_other_addr(
	const struct desired_work *g, const struct replica_node *n, enum family f);
/* The next hop that stands for a node's VXLAN device; family 0: it has none. */
struct addr desired_vtep(const struct resource_node *n, enum family f);
bool desired_has_mac(const uint8_t mac[6]);
bool desired_is_near(const struct desired_work *g, const struct addr *node); /* in our subnet */
bool desired_is_tunnel(const struct resource_pool *p);

/* The node state's copy and our Node document. */
void desired_node(struct desired_work *g);

/* MTUs in bytes: of tunnel devices (0: too small for one), of pods (0: no pool). check
 * says it when pods' links are too small for IPv6, and which pools then give nothing. */
uint32_t desired_vxlan_mtu(const struct desired_work *g, enum family f);
uint32_t desired_ipip_mtu(const struct desired_work *g);
uint32_t desired_pod_mtu(const struct desired_work *g, enum family f);
void desired_check_mtu(struct desired_work *g);

/* Says where a strict uplink drops what other nodes send. */
void desired_check_paths(struct desired_work *g);

/* Tunnel devices of out->kernel, out->tunnel_filter. */
void desired_tunnels(struct desired_work *g);

/* BGP settings of this node and its sessions; sets g->bgp. */
void desired_peers(struct desired_work *g);

/* Sessions that are down, and problems of them. After all that adds sessions or problems. */
void desired_sessions(struct desired_work *g);

/* Exits of out->bird and out->kernel. After desired_peers(). */
void desired_exits(struct desired_work *g);

/* Prefixes and addresses of services of out->bird. After desired_routes(). */
void desired_services(struct desired_work *g);

/* Families, pools, next hops, other nodes' blocks of out->bird. After desired_peers(). */
void desired_routes(struct desired_work *g);
