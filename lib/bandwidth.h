/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How fast a pod may receive and send, as it is asked for: CNI's capability bandwidth (CONVENTIONS.md), the
 * same keys in a configuration, and Kubernetes' annotations. Seen from the pod: ingress is what it receives.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define BANDWIDTH_MIN UINT64_C(1000)		 /* bits a second */
#define BANDWIDTH_MAX UINT64_C(1000000000000000) /* as Kubernetes has it */

struct bandwidth {	/* of one direction */
	uint64_t rate;	/* bits a second; 0: no limit */
	uint32_t burst; /* bytes */
};

struct bandwidths {
	struct bandwidth ingress, egress;
};

/* Reads ingressRate, ingressBurst, egressRate, egressBurst (bits, in any case) of an object; where is for
 * errors, "" for the top level. Returns whether one of the keys is there. -EBADMSG: wrong types; -EINVAL names
 * key and value. */
int bandwidth_read(const json_t *object, const char *where, struct bandwidths *out, struct err *e);

/* An annotation's value, a quantity of Kubernetes in bits a second: "10M", "1.5G", "512Ki". -EINVAL. */
int bandwidth_parse(const char *key, const char *text, struct bandwidth *out, struct err *e);
