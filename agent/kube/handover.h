/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the agent that looks after deleted nodes leaves to the next one, in an annotation of the Lease: which
 * nodes it has seen gone, and for how long. Spans of time, no moments: so clocks of two machines are
 * never compared, and a time in which nobody looked does not count. Pure.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"

#define HANDOVER_ANNOTATION "roost.io/deleted-nodes"
#define HANDOVER_MAX 100 /* nodes; those beyond wait anew */

struct handover_entry {
	char node[RESOURCE_NAME];
	char uid[64];  /* of the Node, as its agent said last; "" not known */
	bool replaced; /* another machine has the name; else the Node is gone */
	int64_t seconds;
};

struct handover { /* zeroed: nobody is gone */
	struct handover_entry v[HANDOVER_MAX];
	size_t n;
};

/* Of a Lease, of anybody's making: what is of another form is passed over. */
void handover_read(struct handover *h, const json_t *lease);

/* Puts it into an object of a Lease; nothing when nobody is gone. */
void handover_write(const struct handover *h, json_t *lease);

void handover_add(struct handover *h, const struct handover_entry *e); /* beyond the limit: not */
const struct handover_entry *handover_find(const struct handover *h, const char *node);
void handover_drop(struct handover *h, const char *node);
