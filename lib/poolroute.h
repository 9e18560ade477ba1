/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Routes of others inside our pools that take packets for pods: in the main table in front of BIRD's
 * routes and of ours, or in a table that a rule asks earlier. And BIRD's routes that lead nowhere.
 * They are found and named, never changed.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/net_detail.h"

#define POOLROUTE_PROTO_BIRD 12	 /* RTPROT_BIRD */
#define POOLROUTE_METRIC_BIRD 32 /* of the routes that our configuration of BIRD makes */
#define POOLROUTE_TEXT 224

struct poolroute_pool {
	struct cidr cidr;
	uint8_t block_len;
};

/* Borrowed. */
struct poolroute_query {
	const struct poolroute_pool *pools;
	size_t n_pools;
	const struct cidr *own; /* blocks of this host; a bridge of it may have its network there */
	size_t n_own;
};

enum poolroute_kind {
	POOLROUTE_FINE,
	POOLROUTE_HIDES,
	POOLROUTE_UNREACHABLE, /* BIRD's: it has no next hop */
};
struct poolroute {
	struct net_detail_route route;
	enum poolroute_kind kind;
	uint32_t rule; /* priority of the rule that asks its table before the main one; 0: main */
};

/* Those that are not fine: a heap array, the caller frees *out. Walks through every route of the main
 * table: with a hundred thousand it is no call for each event. */
int poolroute_list(struct net *n, const struct poolroute_query *q, struct poolroute **out,
	size_t *count, struct err *e);

/* What a route is; rule: as above. Pure. */
enum poolroute_kind poolroute_judge(
	const struct net_detail_route *r, uint32_t rule, const struct poolroute_query *q);

/* The route as ip-route(8) takes it behind "ip route del". dev: the name of its first device. They
 * return out; as an expression, like ADDR_STRING(). */
char *poolroute_format(const struct net_detail_route *r, const char *dev, char out[POOLROUTE_TEXT]);
#define POOLROUTE_STRING(r, dev) poolroute_format((r), (dev), (char[POOLROUTE_TEXT]){0})
