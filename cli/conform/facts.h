/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What probes say (docs/PROBE.md) as plain values that cannot be wrong: addresses that are addresses,
 * names that can be printed, numbers in their range, lists of bounded length. Pure.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"

#define CONFORM_IFNAME 16
#define CONFORM_CONTAINER 129
#define CONFORM_LIST 65536 /* entries of a list at most */

struct conform_address {
	struct cidr addr;
	char dev[CONFORM_IFNAME];
};
struct conform_link {
	char name[CONFORM_IFNAME], kind[16], alias[256];
	bool up;
	uint32_t mtu;
	/* of tunnels */
	struct addr local;
	uint32_t vni;
	uint16_t port;
};
struct conform_route {
	struct cidr dst;
	char type[16], dev[CONFORM_IFNAME];
	uint8_t protocol;
	struct addr via; /* family 0: none */
	bool on_link;
};
struct conform_record {
	struct addr addr;
	char state[16], container[CONFORM_CONTAINER];
};

struct conform_facts {
	char node[254]; /* "" unknown */
	struct conform_address *addresses;
	struct conform_link *links;
	struct conform_link *tunnels;
	struct conform_route *routes;
	struct conform_record *records;
	struct cidr *blocks, *pools;
	size_t n_addresses, n_links, n_tunnels, n_routes, n_records, n_blocks, n_pools;
	char uplink[CONFORM_IFNAME];		    /* "" none */
	uint32_t mtu[FAMILIES];			    /* of the uplink, by family; 0 unknown */
	int ip_forward, ipv6_forwarding, rp_filter; /* -1 unknown; the last is the stricter one */
};
/* -EBADMSG */
int conform_facts_parse(const json_t *answer, struct conform_facts *out, struct err *e);
void conform_facts_done(struct conform_facts *l); /* takes a zeroed one */

struct conform_pod {
	char container[CONFORM_CONTAINER], link[CONFORM_IFNAME];
	struct addr ip[FAMILIES]; /* the first of each family; family 0: none */
	uint32_t mtu;
	uint16_t port;
	bool has_portmap;
};
int conform_pod_parse(const json_t *answer, struct conform_pod *out, struct err *e);

/* What came of a try. */
struct conform_outcome {
	bool answered;
	uint64_t rtt_us;
	uint32_t sent;
	struct addr source, icmp_from; /* family 0: not known */
	char error[24];		       /* "" none */
	uint32_t path_mtu;
};
int conform_outcome_parse(const json_t *answer, struct conform_outcome *out, struct err *e);

struct conform_ports {
	uint16_t udp, tcp; /* of the servers of a node; 0: none */
};
int conform_ports_parse(const json_t *answer, struct conform_ports *out, struct err *e);

/* Of received. */
struct conform_heard {
	uint64_t count;
	struct addr source; /* of the last one */
};
int conform_heard_parse(const json_t *answer, struct conform_heard *out, struct err *e);

/* Of captured: packets by link. */
struct conform_counts {
	struct {
		char link[CONFORM_IFNAME];
		uint64_t in, out;
	} links[64];
	size_t n;
};
int conform_counts_parse(const json_t *answer, struct conform_counts *out, struct err *e);
