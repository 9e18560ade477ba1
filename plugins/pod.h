/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The plan of a pod's wiring: a plain value that holds everything that will be done, made from the
 * request, the configuration and the addresses without touching anything. plugins/wire.c carries
 * it out; docs/ROUTES.md says why each piece is there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/node_policy.h"
#include "lib/addr.h"
#include "lib/bandwidth.h"
#include "lib/cni.h"
#include "lib/cni_result.h"
#include "lib/family.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_route.h"
#include "lib/owned.h"
#include "lib/text.h"
#include "plugins/conf.h"

#define POD_ADDRS OWNED_ADDRS
#define POD_ROUTES 16

struct pod_addr {
	struct addr addr;
	struct cidr block; /* of our IPAM, to be kept by a blackhole route; family 0: none */
};

/* What an IPAM said, in process or executed. */
struct pod_addresses {
	struct pod_addr addrs[POD_ADDRS];
	size_t n_addrs;
	struct cidr
		routes[POD_ROUTES]; /* destinations for the pod; none: a default route per family */
	size_t n_routes;
	json_t *dns; /* owned; NULL: none */
};

/* A setting that is right already is not touched. */
enum pod_switch { POD_KEEP, POD_ON, POD_OFF };

struct pod {
	struct owned_label label;
	char ifname[NET_NAME];		   /* in the pod */
	char host[NET_NAME];		   /* host interface */
	char host_second[NET_NAME];	   /* its name when another owner has the first */
	uint8_t mac[6];			   /* of the pod's end */
	uint32_t mtu;			   /* bytes */
	bool forwarding;		   /* the pod may forward packets */
	enum pod_switch forward[FAMILIES]; /* the namespace's switch */
	bool sets_link;			   /* its interface was born with another IPv4 switch */
	bool has[FAMILIES];
	bool is_second[FAMILIES]; /* another interface has the default route: docs/ROUTES.md */
	const struct port *ports; /* of the host, that lead to it; borrowed from the request */
	size_t n_ports;
	struct bandwidths limits;
	struct node_gate gate; /* what network policy closes until the agent opens it */
	struct pod_addr addrs[POD_ADDRS];
	size_t n_addrs;
	/* In the pod, via its gateway of that family; an IPAM's and a default route of each. */
	struct cidr routes[POD_ROUTES + FAMILIES];
	size_t n_routes;
};

/* Facts of the moment that the plan needs. */
struct pod_facts {
	struct net_host host;
	uint8_t random_mac[6];
	bool is_second[FAMILIES]; /* another interface has a default route of the family */
	bool forwards[FAMILIES];  /* the pod's namespace does */
	bool link_forwards;	  /* IPv4: an interface that is made there does */
	struct node_gate gate; /* what the node state says of policies for its namespace and uid */
};

/* Whether pods can have the MTU of the configuration, or the uplink's. -EINVAL: below what IPv6
 * needs. */
int pod_check_mtu(const struct conf *c, const struct pod_facts *facts, bool has6, struct err *e);

/* -EINVAL: see pod_check_mtu(). */
int pod_plan(const struct cni_request *r, const struct conf *c, const struct pod_addresses *a,
	const struct pod_facts *facts, struct pod *out, struct err *e);

/* The group of its host end: 0, or one that waits for network policy. */
uint32_t pod_group(const struct node_gate *g);

/* The plan as text, a line for each object, in the words of ip(8); for golden tests and the debug
 * log. */
void pod_describe(const struct pod *p, struct text *out);

/* Adds the pod to a result: two interfaces, its addresses and routes. */
void pod_report(const struct pod *p, const char *netns, struct cni_result *result);

/* Whether rules lead packets from one of its addresses to a table of the interface's own. */
bool pod_is_second(const struct pod *p);
