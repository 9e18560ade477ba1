/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses of services: which of them nodes announce by BGP. A part of BGPConfiguration default;
 * docs/SERVICES.md says what is announced, from which node.
 */
#include <stdbool.h>
#include <stddef.h>

#include "cluster/limits.h"
#include "lib/addr.h"

/* What an address is to its service. */
enum service_use { SERVICE_CLUSTER, SERVICE_EXTERNAL, SERVICE_BALANCER, SERVICE_USES };

struct resource_services {
	struct cidr cidrs[SERVICE_USES][RESOURCE_SERVICE_CIDRS];
	size_t n[SERVICE_USES];
	bool balancers_apart; /* serviceLoadBalancerAggregation: Disabled */
};
