/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Draining blocks, and the BIRD text since which each is not announced any more: a block may go back
 * when BIRD runs without it.
 */
#include <stddef.h>
#include <stdint.h>

#include "agent/bird/bird.h"
#include "agent/node_states.h"

struct withdrawn {
	struct cidr block;
	uint64_t generation; /* of the text */
};

struct withdrawn_list {	     /* zeroed: none */
	struct withdrawn *v; /* heap */
	size_t n, room;
};
void withdrawn_done(struct withdrawn_list *l);

/* After a text was made: generation is its. */
void withdrawn_follow(
	struct withdrawn_list *l, const struct node_states *states, uint64_t generation);

/* Those that BIRD has confirmed to run without: at most l->n of them go to out. */
size_t withdrawn_confirmed(
	const struct withdrawn_list *l, const struct bird_status *bird, struct cidr *out);
