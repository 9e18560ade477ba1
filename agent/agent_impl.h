/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of struct agent, for the sources that implement agent/agent.h: agent.c (events and times),
 * reconcile.c (making the node as it shall be), steps.c (blocks), report.c (what it says of itself).
 */
#include "agent/agent.h"
#include "agent/bird/bird.h"
#include "agent/block_plan.h"
#include "agent/desired/desired.h"
#include "agent/ends.h"
#include "agent/lastknown.h"
#include "agent/member.h"
#include "agent/filter/nat.h"
#include "agent/filter/tunnel_filter.h"
#include "agent/replica.h"
#include "agent/report_exits.h"
#include "agent/server.h"
#include "agent/node_states.h"
#include "lib/problems.h"
#include "store/store.h"

enum { AGENT_ASKERS = 64 };

/* An ADD that waits for a block. */
struct agent_asker {
	uint64_t id; /* of the server's request */
	struct block_plan_ask ask;
	struct cidr *pools; /* of the ask; heap */
	int64_t since_ms, until_ms;
	bool seen;			 /* a pass has been since */
	struct block_plan_answer answer; /* of the last one */
};

/* A draining block, and the BIRD text since which it is not announced. */
struct agent_withdrawn {
	struct cidr block;
	uint64_t generation;
};

struct agent {
	struct agent_conf conf;
	struct store *store;
	uint64_t watch_resources, watch_blocks, watch_status;
	struct replica replica;
	struct member member;
	struct kernel *kernel;
	struct nft *nft; /* of the two below */
	struct tunnel_filter *tunnel_filter;
	struct nat *nat;
	struct bird *bird;
	struct server *server;
	struct node_states states;
	struct ends ends;
	struct lastknown known; /* what the file in the data folder says */
	char *known_text;	/* the same, to see whether it has to be written */
	int data_lock;
	int64_t began_s; /* wall clock */

	struct desired_self self; /* this and what follows: of the last pass */
	char *bird_text;
	uint64_t generation; /* of the text */
	struct bird_status bird_status;
	char why_not[2][256];
	struct problems problems;
	struct problems lasting; /* found by the slow looks, kept between them */
	struct problems logged;
	struct report_exits exits;
	bool has_passed, has_trusted, had_trouble;

	struct pending *pending;
	size_t n_pending, room_pending;
	struct agent_withdrawn *withdrawn;
	size_t n_withdrawn, room_withdrawn;
	struct agent_asker askers[AGENT_ASKERS];
	size_t n_askers;
	uint64_t node_commit;	  /* of our Node document, under way */
	char commit_trouble[256]; /* the store takes no changes, and why; "" it does */
	bool trouble_of_block;	  /* met by a block, not by what the agent says of itself */
	int64_t commit_failed_ms;
	char disk_trouble[256]; /* of the last pass: why new blocks may not be used; "" they may */

	/* When (boot time, ms). 0: not wanted. */
	int64_t pass_at, reap_at, poll_at, slow_at, say_at;
	int64_t node_retry_at, commit_retry_at, rest_until;
};

int64_t agent_now_ms(void);
static inline int64_t agent_now_s(void)
{
	return agent_now_ms() / 1000;
}

void agent_want_pass(struct agent *a, bool at_once); /* at once, or soon */

/* Makes everything as it shall be. 1: something changed that calls for another pass at once. */
int agent_pass(struct agent *a);

/* Blocks: takes the steps of a plan (1: a node state changed), and the end of a transaction (true: it
 * was one of a block). Notes past their time go. */
int agent_take_steps(struct agent *a, const struct block_plan *p, const struct mirror *m);
bool agent_end_commit(struct agent *a, const struct store_event *ev);
void agent_note_commit(struct agent *a, const struct store_event *ev); /* the end of any of ours */
void agent_forget_notes(struct agent *a);
void agent_note_home(struct agent *a, const struct cidr *block, const char *dir);

/* Before a block is used: what must survive a reboot is on the disk. adding may be NULL. */
int agent_remember(
	struct agent *a, const struct mirror *m, const struct block_plan *adding, struct err *e);

/* After a reboot without the store: what is remembered becomes the node state. */
void agent_trust(struct agent *a);

/* What is said: problems of the last pass, in the store and to who asks. */
void agent_log_problems(struct agent *a); /* those that came and went */
void agent_say(struct agent *a, bool stopped);
json_t *agent_report(const struct agent *a);
void agent_handle(struct agent *a, uint64_t id, const json_t *request);
void agent_answer_askers(struct agent *a);
