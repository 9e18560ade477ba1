/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Records (ipam/record.h) of what pods want besides addresses: their host ports, their limits of bandwidth, what
 * their namespaces say, and what network policy has to know.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/node_policy.h"
#include "ipam/record.h"
#include "lib/bandwidth.h"
#include "lib/cni_args.h"
#include "lib/ports.h"

struct record_namespace {
	struct cni_annotation annotations[CNI_NAMESPACE_ANNOTATIONS];
};
size_t record_namespace_format(
	const struct record_namespace *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_namespace_parse(const void *bytes, size_t len, struct record_namespace *out);

/* Some of an owner's host ports; those beyond are the next position's. */
#define RECORD_PORTS_MAX 64
struct record_ports {
	struct port v[RECORD_PORTS_MAX];
	size_t n; /* at least one */
};
size_t record_ports_format(const struct record_ports *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_ports_parse(const void *bytes, size_t len, struct record_ports *out);

/* At least one of them. */
size_t record_limits_format(const struct bandwidths *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_limits_parse(const void *bytes, size_t len, struct bandwidths *out);

/* In which directions pods of a namespace are closed; it may be none. */
struct record_closed {
	bool ingress, egress, to_host; /* to_host only with egress */
};
size_t record_closed_format(const struct record_closed *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_closed_parse(const void *bytes, size_t len, struct record_closed *out);

struct record_staged {
	char ingress[NODE_CHAIN], egress[NODE_CHAIN], to_host[NODE_CHAIN];
};
size_t record_staged_format(const struct record_staged *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_staged_parse(const void *bytes, size_t len, struct record_staged *out);

struct record_identity {
	char uid[NODE_UID];
	char labels[NODE_LABELS];
};
size_t record_identity_format(const struct record_identity *record, uint8_t out[RECORD_VALUE_MAX]);
bool record_identity_parse(const void *bytes, size_t len, struct record_identity *out);
