/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * This node's membership: the document status/NODE, which only one agent may write. An agent with
 * the same node name from another installation is found here, before anything is touched.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/keys.h"
#include "cluster/status.h"
#include "lib/err.h"
#include "store/store.h"

struct member {
	char key[STORE_KEY_MAX];
	char installation[STATUS_ID], instance[STATUS_ID];
	int64_t revision;  /* of the document as we know it; 0: there is none */
	bool known;	   /* the watch has told what there is */
	bool joined;	   /* the document is ours */
	char refusal[512]; /* why this agent may not run; "" it may */
	uint64_t commit;   /* under way, 0 none */
	char *sent;	   /* what was written last, without its heartbeat */
	char *sending;
	int64_t next_s; /* boot time: not before */
	int64_t beat_s; /* boot time: not later */
};

/* Makes an instance id. */
void member_init(struct member *m, const char *node, const char *installation);
void member_done(struct member *m);

/* An event of the watch of m->key, or the end of m->commit. */
void member_take(struct member *m, const struct store_event *ev);

/* Writes what shall be said, when it is time: at once to join, a second apart on changes, else as a
 * heartbeat. Fills in who says it. */
void member_say(struct member *m, struct store *s, struct status *what, int64_t now_s);
