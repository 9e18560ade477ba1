/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a Service of type LoadBalancer asks for, and what its status says that it has. Pure.
 * docs/SERVICES.md has the annotations.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "lib/addr.h"
#include "lib/family.h"
#include "lib/hash.h"

#define DEMAND_CLASS "roost.io/bgp"		      /* spec.loadBalancerClass */
#define DEMAND_ADDRESSES "roost.io/load-balancer-ips" /* "192.0.2.7,2001:db8::7" */
#define DEMAND_POOLS "roost.io/load-balancer-pools"   /* "public,other" */
#define DEMAND_SHARING "roost.io/load-balancer-sharing-key"

enum { DEMAND_MOST = 8 }; /* addresses asked for, pools, addresses of a status */

struct demand_port {
	uint16_t port;
	char protocol; /* 'T', 'U', 'S' */
};

struct demand {
	char *namespace_, *name;
	char *uid;
	char *version; /* resourceVersion, as text */
	char created[24];
	bool is_ours; /* of our class; of others only what they have counts */
	bool wants[FAMILIES];
	bool must_have_both; /* ipFamilyPolicy RequireDualStack */
	struct addr asked[DEMAND_MOST];
	size_t n_asked;
	char pools[DEMAND_MOST][RESOURCE_NAME];
	size_t n_pools;
	struct hash key;  /* of namespace and sharing key; zero: shares with nobody */
	struct hash pods; /* of its selector */
	bool local;	  /* externalTrafficPolicy Local: shares only with those of the same pods */
	struct demand_port *ports;
	size_t n_ports;
	struct addr has[DEMAND_MOST];
	size_t n_has;
	char wrong[160]; /* why what it asks for cannot be read; "" */
};

/* Of a v1 Service. any_class: those without a class are ours, too. false: it is no load balancer, and out
 * holds nothing. */
bool demand_read(const json_t *object, bool any_class, struct demand *out);
void demand_done(struct demand *d);

/* Whether two services may have one address: the same key, no port twice, and no packet that comes to a
 * node without a pod of its service. */
bool demand_may_share(const struct demand *a, const struct demand *b);
/* Who was there first: by the time of creation, then by uid. */
int demand_compare_age(const struct demand *a, const struct demand *b);
