/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a node keeps of Kubernetes' Services and EndpointSlices: of a service its addresses that may be
 * announced and its traffic policies, of a slice that it has an endpoint on this node. Everything
 * else is dropped as it is read. Fed by lists and watches; pure. docs/SERVICES.md says what it costs.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/family.h"
#include "lib/hash.h"

#define SERVICE_ADDRESSES 64 /* of one service; more are left out */

struct service_address {
	struct addr addr;
	uint8_t use; /* enum service_use */
};

/* One with an address that may have to be announced beside the prefixes. */
struct service {
	struct hash id; /* of its namespace and name */
	struct service_address *addrs;
	uint64_t seen;
	uint8_t n_addrs;
	bool external_local, internal_local; /* traffic policies */
};

/* One with an endpoint on this node that takes connections. */
struct service_slice {
	struct hash id;
	struct hash service;
	uint64_t seen;
	uint8_t family; /* enum family */
};

enum service_part { SERVICE_TABLE_SERVICES, SERVICE_TABLE_SLICES, SERVICE_TABLE_PARTS };

/* Both arrays are sorted by id. */
struct service_table {
	char node[RESOURCE_NAME];
	struct service *services;
	size_t n_services, room_services;
	struct service_slice *slices;
	size_t n_slices, room_slices;
	uint64_t generation, restarted[SERVICE_TABLE_PARTS];
	bool listing[SERVICE_TABLE_PARTS], complete[SERVICE_TABLE_PARTS];
};
void service_table_init(struct service_table *t, const char *node);
void service_table_done(struct service_table *t);
const struct service_table *service_table_none(void); /* complete, and without any */

/* A complete list begins, and has ended. In between come its objects. */
void service_table_begin(struct service_table *t, enum service_part part);
void service_table_end(struct service_table *t, enum service_part part);

/* A v1 Service or a discovery.k8s.io/v1 EndpointSlice that exists, or is as given and gone. What cannot
 * be read in it counts as absent. true: what is kept of it changed. */
bool service_table_put(struct service_table *t, enum service_part part, const json_t *object);
bool service_table_drop(struct service_table *t, enum service_part part, const json_t *object);

/* Whether an endpoint's node matters to any service: slices are of no use before. */
bool service_table_needs_slices(const struct service_table *t);

/* Services were listed, and slices where they are needed; what was told stays while another list comes. */
bool service_table_is_whole(const struct service_table *t);
