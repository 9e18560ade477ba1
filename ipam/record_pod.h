/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Records (ipam/record.h) of what pods want besides addresses: their host ports, and what their namespaces
 * say.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipam/record.h"
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
