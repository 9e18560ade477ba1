/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The addresses of the node's own ends of tunnels: records of the node state, taken when a pool asks
 * for a tunnel and given back when none does; and the moments in which an encapsulation changes. A
 * tunnel that no pool asks for any more stands for TUNNEL_LINGER_MS longer, and for as long the
 * previous encapsulation is known to desired_make(): agents do not see a change at the same moment,
 * and none has to wait for another.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/desired/desired.h"
#include "agent/node_states.h"
#include "lib/problems.h"

#define TUNNEL_LINGER_MS 30000

enum { TUNNEL_VXLAN4, TUNNEL_VXLAN6, TUNNEL_IPIP, TUNNELS };

struct tunnel_addresses {
	struct addr held[TUNNELS]; /* family 0: none */
	bool is_released[TUNNELS]; /* the node state has no record, not even of an earlier agent */
	int64_t idle_ms[TUNNELS];  /* since when it is not asked for; 0: it is */
	enum encapsulation current[FAMILIES]; /* as of the last call */
	enum encapsulation previous[FAMILIES];
	int64_t previous_until_ms; /* 0: there is none */
	int64_t exit_until_ms;	   /* packets for the outside may come until then */
};

struct tunnel_addresses_input {
	const struct desired *desired; /* which tunnels are asked for, the encapsulations */
	bool is_exit;		       /* packets for the outside come here */
	bool drain;		       /* the node takes no pods */
	int64_t now_ms;
};

/* Takes what is asked for, gives back what is not; what the node state refuses is a problem, and is
 * tried again. true: something that struct desired_self shows changed, what is desired has to be made
 * anew. *again_ms: call again at this time (it is only made earlier). */
bool tunnel_addresses_sync(struct tunnel_addresses *t, const struct tunnel_addresses_input *in,
	struct node_states *s, int64_t *again_ms, struct problems *problems);

/* How many addresses of a family tunnels have. */
uint32_t tunnel_addresses_count(const struct tunnel_addresses *t, uint8_t family);
