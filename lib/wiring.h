/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What must hold on the host for a pod to be reached, and to be kept to its own addresses: one list. ADD
 * makes it, CHECK, roostctl ipam check and the agent compare it with a look at the kernel, and who mends
 * does it here. The comparison is pure; docs/ROUTES.md has the list for people.
 *
 * A pod's own end is not part of it: only CHECK looks there.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "lib/net_link.h"
#include "lib/net_neigh.h"
#include "lib/net_route.h"
#include "lib/owned.h"
#include "lib/ports.h"
#include "lib/shape.h"

/* One pod: the addresses that it must be reached at, and what is. */
struct wiring_pod {
	struct hash owner;
	struct addr addrs[OWNED_ADDRS];
	size_t n_addrs;
	struct net_link link; /* the host end; what follows is filled by wiring_look() */
	struct net_route routes[OWNED_ADDRS]; /* that packets to each address take; dev 0: none */
	struct net_neigh neighs[OWNED_ADDRS]; /* permanent or silent ones; family 0: none such */
	uint8_t peer_mac[6];		      /* where such a neighbour is, and the peer is up */
	bool has_peer, has_gateway6, has_near6;
	bool has_local6;	  /* ::1 is the host's, for what arrives by the link */
	const struct port *ports; /* that lead to it, borrowed */
	size_t n_ports;
	size_t lacks_ports; /* elements of lib/hostport.h that are not there */
	struct port lacks;  /* one of them */
	struct bandwidths limits;
	struct shape shape; /* what is there of them */
};

/* The host itself, for all of these pods. */
#define WIRING_PREFIXES 4 /* of host interfaces; what is beyond is not looked at */
struct wiring_host {
	bool has[FAMILIES]; /* there is such a pod */
	bool forwards[FAMILIES];
	struct {
		char text[OWNED_PREFIX_MAX + 1];
		bool has_rule;	  /* against spoofed sources */
		bool needs_ports; /* there is such a pod with host ports */
		bool has_ports;	  /* what leads to them */
	} prefixes[WIRING_PREFIXES];
	size_t n_prefixes;
};

enum wiring_what {
	WIRING_LINK_UP,
	WIRING_LINK_MAC,
	WIRING_CONF4,	   /* the settings of wiring_conf4 */
	WIRING_CONF6,	   /* takes no router advertisements and redirects */
	WIRING_IPV6,	   /* is not disabled on the link */
	WIRING_GATEWAY6,   /* the link-local address that is the pod's gateway */
	WIRING_NEAR6,	   /* the route to the pod's own link-local address */
	WIRING_ROUTE,	   /* to an address */
	WIRING_NEIGHBOUR,  /* of an address */
	WIRING_LOCALNET,   /* 127.0.0.1 of the host may reach it */
	WIRING_LOCAL6,	   /* ::1 of the host gets its answers */
	WIRING_PORT,	   /* its host ports */
	WIRING_LIMIT,	   /* of bandwidth, in a direction */
	WIRING_FORWARDING, /* of the host */
	WIRING_RULE,	   /* of the host */
	WIRING_PORTS,	   /* of the host: what leads to all host ports */
	WIRING_WHATS
};

/* One thing that does not hold. */
#define WIRING_TEXT 200
struct wiring_fault {
	enum wiring_what what;
	size_t at;		/* of wiring_conf4, addrs or prefixes; of a family */
	struct addr addr;	/* that it is about; family 0: none */
	char must[WIRING_TEXT]; /* "a route to 10.0.0.1 through roost0a000001" */
	char is[WIRING_TEXT]; /* a sentence: "the host's route to 10.0.0.1 via roost0a000001 is missing" */
};
#define WIRING_FAULTS 40
struct wiring_faults { /* zeroed: none */
	struct wiring_fault v[WIRING_FAULTS];
	size_t n;
};

/* Values that ADD sets and the others compare. */
#define WIRING_CONF4S 5
extern const struct net_conf4 wiring_conf4[WIRING_CONF4S];
bool wiring_needs_local(const struct port *ports, size_t n, enum family f);
void wiring_queue_localnet(struct net *n, int link);
void wiring_queue_local6(struct net *n, int link);   /* when it is up */
void wiring_queue_gateway6(struct net *n, int link); /* before the link is up */
void wiring_queue_near6(struct net *n, int link);    /* afterwards */

/* The host ends of pods (labelled, not marked): a heap array, the caller's. */
int wiring_find(struct net *n, struct wiring_pod **out, size_t *count, struct err *e);

/* What is, for pods whose link and addrs are filled. One dump each of addresses, IPv6 routes and neighbours,
 * and a question for each address; of one pod less. */
int wiring_look(struct net *n, struct wiring_pod *pods, size_t count, struct wiring_host *host,
	struct err *e);

/* Append what does not hold, in the order in which it has to be mended. What follows from a link that is
 * down is not named beside it. */
void wiring_compare(const struct wiring_pod *p, struct wiring_faults *out);
void wiring_compare_host(const struct wiring_host *h, struct wiring_faults *out);

/* Mend what was found, as far as it is ours: a route of somebody else's stays. Nobody else deals with the pod
 * meanwhile: the caller holds its lock, and looked under it. */
int wiring_mend(
	struct net *n, const struct wiring_pod *p, const struct wiring_faults *f, struct err *e);
int wiring_mend_host(
	struct net *n, const struct wiring_host *h, const struct wiring_faults *f, struct err *e);
