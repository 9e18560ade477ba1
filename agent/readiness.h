/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether this node is served: what a rolling upgrade waits for before it goes on to the next node, and
 * what the network configuration of the runtime waits for. The cluster store may be away, as nothing that
 * was made depends on it. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bird/bird.h"
#include "lib/family.h"

struct readiness {
	bool has_reconciled;
	const char *waits; /* why it does not act: for its name, for lost documents; "" it does */
	bool has_address;  /* of any family, at which other nodes reach its pods */
	bool drain;	   /* it is to have no blocks */
	bool gives[FAMILIES]; /* pools here have such addresses: a pod gets one of each, or none */
	size_t n_blocks[FAMILIES]; /* own ones that are announced */
	const struct bird_status *bird;
	uint64_t generation; /* of BIRD's text as it shall be */
};

/* What is missing, a sentence; NULL: nothing, it is ready. */
const char *readiness_lacks(const struct readiness *in);
