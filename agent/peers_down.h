/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * BGP sessions that are down, from BIRD's answers to what is told of them: what desired_make() needs to
 * judge them, the list of the last reconciliation, and its two forms (the answer to roostctl status,
 * the status document).
 */
#include <jansson.h>

#include "agent/bird/bird.h"
#include "agent/desired/desired.h"
#include "cluster/status.h"

struct peers_down {		  /* zeroed: none */
	struct desired_down *all; /* heap */
	size_t n;
	bool md5_known;
	uint64_t md5_count;  /* of the kernel, when it was last read */
	int64_t md5_grew_ms; /* boot time; 0: never */
};
void peers_down_done(struct peers_down *p);

/* Fills what is known of sessions in. Valid until the next bird_step(). */
void peers_down_show(struct peers_down *p, const struct bird *b, struct desired_self *self);

/* Keeps what was found. */
void peers_down_note(struct peers_down *p, const struct desired *d);

json_t *peers_down_report(const struct peers_down *p);
void peers_down_fill(const struct peers_down *p, struct status *s);
