/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * This node's membership: the document status/NODE, which only one agent may write. An agent with
 * the same node name is found here, before anything is touched: one of another installation, and
 * one of this very installation on another machine (a clone) or in an earlier boot.
 */
#include <stdbool.h>
#include <stdint.h>

#include "cluster/keys.h"
#include "cluster/status.h"
#include "lib/boot.h"
#include "lib/err.h"
#include "lib/problems.h"
#include "store/store.h"

/* Where an agent runs. "": not known. */
struct member_place {
	char boot[STATUS_ID];
	char machine[BOOT_MACHINE_TEXT];
	char netns[24];
	char host[64]; /* for people */
};
void member_find_place(struct member_place *out);

struct member {
	char node[RESOURCE_NAME];
	char key[STORE_KEY_MAX], newcomer_key[STORE_KEY_MAX];
	char installation[STATUS_ID], instance[STATUS_ID];
	struct member_place here;
	int64_t revision;  /* of the document as we know it; 0: there is none */
	bool known;	   /* the watch has told what there is */
	bool joined;	   /* the document is ours */
	char refusal[512]; /* another installation has the name; "" none has */
	/* The last agent of this installation that wrote the document instead of us. */
	char other[STATUS_ID];	  /* its instance; "": nobody */
	int64_t other_beat_s;	  /* its heartbeat, by its clock */
	unsigned int beats;	  /* of its heartbeats that were written before our eyes */
	int64_t silent_at_s;	  /* boot time: if none follows by then it is over; 0: it is */
	bool refused;		  /* it lives: this agent touches nothing any more */
	char waits[PROBLEM_TEXT]; /* why it does not act under its name; "": it does, or may */
	/* An agent that wants our name, and is refused. */
	char newcomer[PROBLEM_TEXT];
	int64_t newcomer_revision, newcomer_until_s;
	bool noted;	       /* our own note of this kind is in the store */
	int64_t note_revision; /* of the note that is there, whose ever it is; 0: none */
	uint64_t commit;       /* under way, 0 none */
	bool is_note;	       /* it is that of our note */
	char *sent;	       /* what was written last, without its heartbeat */
	char *sending;
	int64_t next_s; /* boot time: not before */
	int64_t beat_s; /* boot time: not later */
};

/* Makes an instance id. */
void member_init(struct member *m, const char *node, const char *installation,
	const struct member_place *here);
void member_done(struct member *m);

/* An event of the watch of m->key, or the end of m->commit. true: who may act here changed, or what
 * is said of it. */
bool member_take(struct member *m, const struct store_event *ev, int64_t now_s);

/* Writes what shall be said, when it is time: at once to join, a second apart on changes, else as a
 * heartbeat. Fills in who says it. An agent that may not act says that to who acts instead. */
void member_say(struct member *m, struct store *s, struct status *what, int64_t now_s);

/* Whether there is a last word to say when the agent ends. */
bool member_has_word(const struct member *m);
