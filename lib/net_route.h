/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Routes, and the host-wide facts that hang on them. See lib/net.h for how messages
 * are queued and sent.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/net.h"
#include "lib/net_link.h"

struct net_route {
	struct cidr dst;
	struct addr via; /* family 0: none. Of several next hops the first */
	int dev;	 /* 0: none */
	uint8_t protocol;
	bool blackhole, unreachable;
	bool local;	  /* to this host, in the kernel's table of such; not told by lists */
	bool on_link;	  /* scope link */
	bool via_is_near; /* onlink: the gateway is there, whatever other routes say */
	uint32_t metric;  /* as the kernel says it; 0 adds with the family's default */
	uint32_t table;	  /* 0: main */
};
void net_add_route(struct net *n, const struct net_route *r, enum net_tolerance tolerance);
void net_replace_route(struct net *n, const struct net_route *r);
void net_append_route(struct net *n, const struct net_route *r); /* IPv6: beside other devices' */
void net_del_route(struct net *n, const struct net_route *r, enum net_tolerance tolerance);

/* Ask within the queue for the route to an address, or for the default route: *out is filled by
 * net_commit() if there is one. */
void net_ask_route(struct net *n, const struct addr *to, struct net_route *out);
void net_ask_default(struct net *n, int family, struct net_route *out);

/* The route that packets to this address take. -ENETUNREACH. */
int net_find_route(struct net *n, const struct addr *to, struct net_route *out, struct err *e);

/* Ask within the queue whether what arrives by a device for this address is this host's. */
void net_ask_local(struct net *n, int dev, const struct addr *to, bool *out);

/* Ask within the queue for a device's rp_filter (0: that of all); the larger of both counts. */
void net_ask_reverse_path(struct net *n, int dev, uint32_t *out);

/* Ask within the queue whether a device forwards: NET_CONF_ALL the namespace, NET_CONF_DEFAULT the devices
 * that are made from now on (the kernel's NETCONFA_IFINDEX_ALL, NETCONFA_IFINDEX_DEFAULT). */
#define NET_CONF_ALL (-1)
#define NET_CONF_DEFAULT (-2)
void net_ask_forwarding(struct net *n, enum family f, int dev, bool *out);

/* Facts of the whole host, in one question. */
struct net_host {
	bool forwards[FAMILIES]; /* net.ipv4.conf.all.forwarding and IPv6's */
	struct net_link uplink;	 /* of the default route, IPv4 first; index 0: none */
};
int net_get_host(struct net *n, struct net_host *out, struct err *e);

/* Heap arrays, the caller frees *out. Main table only: of one protocol (0: of all), through one device. */
int net_list_routes(struct net *n, int family, uint8_t protocol, struct net_route **out,
	size_t *count, struct err *e);
int net_list_routes_through(
	struct net *n, int family, int dev, struct net_route **out, size_t *count, struct err *e);
