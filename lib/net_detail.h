/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Links, routes and policy rules with all that people want to see of them: for showing and for
 * checking, not for changing. The other net_ modules know what is needed to change something and
 * no more. Lists are heap arrays, the caller frees *out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net.h"
#include "lib/net_link.h"

struct net_detail_link {
	struct net_link link;
	char kind[NET_NAME];	   /* "veth", "vxlan", "ipip", ...; "" for hardware */
	struct addr local, remote; /* of a tunnel; family 0: none */
	uint32_t vni;		   /* vxlan */
	uint16_t port;		   /* vxlan: where it sends to, host order */
};
int net_detail_links(struct net *n, struct net_detail_link **out, size_t *count, struct err *e);

struct net_detail_hop {
	struct addr via; /* family 0: none */
	int dev;
	bool on_link; /* the flag "onlink" */
};
#define NET_DETAIL_HOPS 16
struct net_detail_route {
	struct cidr dst;
	uint8_t type; /* RTN_UNICAST, ... */
	uint8_t protocol, scope;
	uint32_t metric, table;
	uint32_t mtu;	     /* of the route itself; 0: none */
	struct addr prefsrc; /* family 0: none */
	struct net_detail_hop hops[NET_DETAIL_HOPS];
	size_t n_hops; /* a blackhole has none; beyond NET_DETAIL_HOPS they are left out */
};
/* Of one table; addresses of the node itself (table local) are a table of their own. */
int net_detail_routes(struct net *n, int family, uint32_t table, struct net_detail_route **out,
	size_t *count, struct err *e);

/* Those that somebody wants: the others, of which there may be a hundred thousand, take no room. */
struct net_detail_query {
	int family;
	uint32_t table;
	bool (*wanted)(const struct net_detail_route *r, const void *arg); /* NULL: all */
	const void *arg;
};
int net_detail_find_routes(struct net *n, const struct net_detail_query *q,
	struct net_detail_route **out, size_t *count, struct err *e);
const char *net_detail_type(uint8_t type); /* "unicast", "blackhole", ...; else "other" */

struct net_detail_rule {
	struct cidr from, to; /* family 0: any */
	uint32_t priority, table, mark;
	uint8_t action; /* FR_ACT_TO_TBL, ... */
	uint8_t protocol;
	char in[NET_NAME]; /* of this link; "" any */
	bool not_default; /* a default route of the table does not count (suppress_prefixlength 0) */
	bool more;	  /* it has properties that are not here */
};
int net_detail_rules(
	struct net *n, int family, struct net_detail_rule **out, size_t *count, struct err *e);
