/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of struct agent, for the sources that implement agent/agent.h. From the top: agent.c
 * (events and times), reconcile.c (the node as it shall be), requests.c (agent/requests.h), report.c
 * (what it says of itself), addresses.c, block_steps.c, loan_steps.c, reboot.c (what survives one), agent_impl.c.
 */
#include "agent/agent.h"
#include "agent/bird/bird.h"
#include "agent/block_plan.h"
#include "agent/conflist.h"
#include "agent/desired/desired.h"
#include "agent/first_pools.h"
#include "agent/filter/firewall.h"
#include "agent/filter/nat.h"
#include "agent/filter/tunnel_filter.h"
#include "agent/kernel/kernel.h"
#include "agent/kube/kubernetes.h"
#include "agent/lastknown.h"
#include "agent/loan_steps.h"
#include "agent/member.h"
#include "agent/node_states.h"
#include "agent/peers_down.h"
#include "agent/pending.h"
#include "agent/policies.h"
#include "agent/poolroutes.h"
#include "agent/reboot.h"
#include "agent/requests.h"
#include "agent/server.h"
#include "agent/store_loss.h"
#include "agent/tunnel_addresses.h"

/* What is said of exits. */
struct agent_exits {
	struct cidr *own; /* announced by this node; heap */
	size_t n_own;
	bool used; /* by this node's pods */
	uint32_t table;
};

struct agent {
	struct agent_conf conf;
	struct store *store;
	uint64_t watch_resources, watch_blocks, watch_loans, watch_status;
	uint64_t list_index; /* of what an earlier version kept, under way */
	struct replica replica;
	struct member member;
	struct store_loss loss;
	struct kernel *kernel;
	struct nft *nft; /* of the two below */
	struct tunnel_filter *tunnel_filter;
	struct nat *nat;
	struct bird *bird;
	struct kubernetes *kubernetes; /* NULL: it is in none */
	struct policies policies;
	struct server *server;
	struct node_states states;
	struct pods pods;
	struct tunnel_addresses tunnels;
	struct lastknown known;	    /* what the file in the data folder says */
	char *known_text;	    /* the same, to see whether it has to be written */
	bool uses_known;	    /* it became the node state, as the store cannot be read */
	char renamed[PROBLEM_TEXT]; /* it is not called as it was told, and why; "" */
	char late[AGENT_CONF_LATE]; /* settings that count from the next start only */
	int data_lock, sole;
	int64_t began_s; /* wall clock */

	struct desired_self self; /* this and what follows: of the last reconciliation */
	char *bird_text;
	uint64_t generation; /* of the text */
	struct bird_status bird_status;
	struct peers_down peers_down;
	char why_not[FAMILIES][256];
	struct problems problems;
	struct problems lasting; /* found by what is looked at slowly, kept meanwhile */
	struct poolroutes poolroutes;
	struct conflist conflist;
	struct first_pools first_pools;
	struct problems_log logged;
	size_t logged_more; /* problems that were only counted */
	struct agent_exits exits;
	bool has_reconciled, had_trouble, knows_services; /* since it started */

	struct pending_list pending;
	struct agent_lending lending;
	struct agent_waiter waiters[AGENT_WAITERS];
	size_t n_waiters;
	uint64_t node_commit;	  /* of our Node document, under way */
	char commit_trouble[256]; /* the store takes no changes, and why; "" it does */
	bool trouble_of_block;	  /* met by a block, not by what the agent says of itself */
	int64_t commit_failed_ms;
	char disk_trouble[256]; /* why new blocks may not be used at the moment; "" they may */

	/* When (boot time, ms). 0: not wanted. */
	int64_t reconcile_at, delete_marked_at, poll_at, slow_at, publish_at;
	int64_t pods_at, tables_at, tables_looked_ms; /* looks at pods, at our nf_tables tables */
	int64_t node_retry_at, commit_retry_at, rest_until;
};

/* After so long at the latest, but not while it rests after a long reconciliation. */
enum { AGENT_AT_ONCE = 0, AGENT_SOON = 100 /* ms: events that are not urgent are gathered */ };
void agent_want_reconcile(struct agent *a, int64_t in_ms);

/* One reconciliation: makes everything as it shall be. 1: another one has to follow at once. */
int reconcile(struct agent *a);
void detect_addresses(struct agent *a, const struct facts *f); /* this node's own, into a->self */

/* Takes the steps of a plan. 1: a node state changed. */
int apply_block_plan(struct agent *a, const struct block_plan *p, const struct mirror *m);
/* The end of any transaction of ours; of one of a block (true: it was one). */
void note_commit(struct agent *a, const struct store_event *ev);
bool end_block_step(struct agent *a, const struct store_event *ev);

void log_problems(struct agent *a);		/* those that came and went */
const char *agent_lacks(const struct agent *a); /* of what a served node has; NULL: nothing */
void publish_status(struct agent *a, bool stopped);
json_t *report_status(const struct agent *a);
