/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which addresses of services a node announces by BGP. Pure: from what is kept of services, and the
 * prefixes that BGPConfiguration names. docs/SERVICES.md has the rules as a table.
 */
#include "agent/services/table.h"

struct announce_input {
	const struct service_table *table; /* NULL: nobody has told of services yet */
	const struct cidr *before; /* addresses announced until now, in force for what is not */
	size_t n_before;	   /* known: services, or where their endpoints are */
	const struct resource_services *ranges;
	bool excluded; /* this node takes no part: it announces nothing */
};

/* Sorted, each once; *out is the caller's to free. */
size_t announce_make(const struct announce_input *in, struct cidr **out);

/* The label of a node that takes no part, whatever its value is. */
#define ANNOUNCE_EXCLUDE "node.kubernetes.io/exclude-from-external-load-balancers"
