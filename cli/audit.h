/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The comparison of the node state with the kernel: two values in, a list of what does not fit out,
 * each with a sentence of advice and, where it can be done without harm, the fix. Pure;
 * cli/repair.h acts.
 */
#include <stdbool.h>
#include <stddef.h>

#include "ipam/node.h"
#include "lib/net.h"
#include "lib/owned.h"
#include "lib/poolroute.h"
#include "lib/wiring.h"

enum audit_kind {
	AUDIT_LEAKED,  /* a record of a pod of roost whose host link is gone */
	AUDIT_MISSING, /* a link without record, a record without route, a block without its own */
	AUDIT_FOREIGN, /* something in our place that is not ours to explain */
};
const char *audit_kind_text(enum audit_kind k);

enum audit_fix {
	AUDIT_FIX_NONE,	     /* somebody must decide */
	AUDIT_FIX_RELEASE,   /* free addr */
	AUDIT_FIX_RECORD,    /* enter the living link dev, with all its addresses, into the state */
	AUDIT_FIX_WIRING,    /* what else must hold for the pod behind dev */
	AUDIT_FIX_HOST,	     /* what must hold for all pods */
	AUDIT_FIX_DEL_LINK,  /* delete dev: no traffic can pass it */
	AUDIT_FIX_DEL_ROUTE, /* delete the route to block through dev */
	AUDIT_FIX_ADD_BLACKHOLE, /* of block */
	AUDIT_FIX_DEL_BLACKHOLE,
};

#define AUDIT_TEXT 512
struct audit_problem {
	enum audit_kind kind;
	enum audit_fix fix;
	struct addr addr;
	struct cidr block; /* or the prefix of a route */
	int dev;
	char object[CIDR_TEXT + 16]; /* an address, a prefix or an interface */
	char expected[AUDIT_TEXT];   /* clean text, as the next two */
	char seen[AUDIT_TEXT];
	char advice[AUDIT_TEXT];
	bool repaired; /* set by who repairs */
};

struct audit_input {
	const struct node_view *view;
	const struct owned *kernel;
	const struct net_addr *addrs; /* of this host */
	size_t n_addrs;
	const struct net_link *links; /* all, for their names */
	size_t n_links;
	const struct cidr *others; /* blocks of other state folders of this host */
	size_t n_others;
	const struct wiring_pod *pods; /* of audit_pods(), looked at */
	size_t n_pods;
	const struct wiring_host *host; /* the same; NULL: there are no pods */
	const struct poolroute *routes; /* in the pools that are not as they shall be */
	size_t n_routes;
};

/* The pods of roost that have a record and a host link, for wiring_look(): a heap array. */
struct wiring_pod *audit_pods(const struct node_view *v, const struct owned *kernel, size_t *count);

struct audit {
	struct audit_problem *v; /* records first, then links, blocks, routes, addresses */
	size_t n, room;
};

void audit_run(const struct audit_input *in, struct audit *out);
void audit_done(struct audit *a); /* takes a zeroed one */

/* What a link of ours says; NULL when index is no link of ours. */
const struct owned_link *audit_link(const struct owned *kernel, int index);
