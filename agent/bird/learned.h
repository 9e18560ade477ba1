/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Other nodes' blocks that BGP has brought, and when each was there last. A block stays in the list
 * for BIRD_KEPT_S after BGP lost it: so long its static copy (roost_kept4 in BIRD's text) carries
 * packets while BIRDs restart.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/family.h"

#define BIRD_KEPT_S 60 /* seconds */

struct bird_learned {	     /* zeroed: none */
	struct cidr *blocks; /* sorted */
	int64_t *seen_ms;    /* boot time */
	size_t n;
};
void bird_learned_done(struct bird_learned *l);

/* What BIRD has by BGP now, all of one family: its answer to `show route`. true: the list is another
 * one. */
bool bird_learned_take(struct bird_learned *l, enum family f, const char *reply, int64_t now_ms);

/* The copies in a text of ours are blocks that were there until now. */
void bird_learned_from_text(struct bird_learned *l, const char *text, int64_t now_ms);

/* All are as if seen now: nobody could look before. */
void bird_learned_renew(struct bird_learned *l, int64_t now_ms);
