/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A node of the cluster store that Kubernetes does not have any more: what is known of it, and whether its
 * blocks may go. Pure. Only the own boot clock counts: an agent is silent when its status has not
 * changed before our eyes for as long as makes an agent stale, whatever the clocks of two machines say.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/limits.h"
#include "cluster/status.h"

struct candidate {
	char node[RESOURCE_NAME];
	bool replaced;	  /* another machine has its name in Kubernetes; else it has none there */
	int64_t since_ms; /* when that was seen first */
	int64_t look_ms;  /* its status is read again at */
	bool looked;
	bool said;			/* the log says that it waits */
	bool is_agent;			/* its status is an agent's */
	int64_t revision;		/* of the status; 0: there is none */
	int64_t noted_ms, unchanged_ms; /* of the last look; since when it is that one */
	int64_t silence_ms;		/* after so long it is stale */
	bool wrote;			/* it changed before our eyes */
	bool in_kubernetes;		/* its agent knew its Node */
	bool has_heir;	      /* the machine that replaced it runs an agent, which waits */
	bool has_open_blocks; /* blocks that no removal has dealt with */
	char host[64];	      /* where the agent ran, for people */
	char uid[64];	      /* of its Node, as the agent said; "" */
	bool inherited;	      /* since_ms is an earlier holder's word, of a Node with that uid */
	bool told;	      /* and what it said holds still */
};

void candidate_init(struct candidate *c, const char *node, bool replaced, int64_t now_ms);

/* An earlier holder of the Lease has seen it for so long already, which counts unless the agent has met another
 * Node since. Before the first look. */
void candidate_inherit(struct candidate *c, const char *uid, int64_t for_ms);

/* What the store has under status/NODE. text NULL: nothing. */
void candidate_note(struct candidate *c, const char *text, int64_t revision, int64_t now_ms);

/* Whether people, and the next holder of the Lease, are told. A Node that was made anew, or after its agent had started,
 * has another uid than the agent's status says until the agent writes the next one: as long as it may, not. */
bool candidate_is_believed(const struct candidate *c);

enum candidate_verdict {
	CANDIDATE_WAITS, /* for the grace to be over, or for silence */
	CANDIDATE_LIVES, /* its agent does: nothing may go; somebody has to know */
	CANDIDATE_GOES,
	CANDIDATE_STAYS, /* nobody's business here: no agent of Kubernetes, or people keep its blocks */
};
/* grace_ms 0: nothing goes ever. */
enum candidate_verdict candidate_judge(const struct candidate *c, int64_t grace_ms, int64_t now_ms);
