/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The node states this agent looks after, one a state folder: opened for each piece of work and
 * closed again, so that GC and repair never wait for the agent. What was read last stays as plain
 * values.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/agent_conf.h"
#include "ipam/mirror.h"
#include "ipam/node_view.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/family.h"

/* A block that the cluster gave to this node. */
struct node_states_block {
	struct node_block in;  /* as in the node state: numbers, draining, disowned */
	size_t dir;	       /* index of its state folder */
	int64_t empty_since_s; /* boot time; -1: something is in use or cooling; of a loan: in use */
	uint64_t left_out;     /* draining: of BIRD's texts since this one; 0: of none yet */
};

struct node_states_dir {
	const char *path;	 /* borrowed */
	int lock;		 /* says that this agent lives */
	uint64_t free[FAMILIES]; /* addresses that an ADD would get at once */
	uint64_t used;		 /* all families, embedded blocks included */
	bool known;		 /* it was read once */
	char trouble
		[256]; /* why it cannot be read or written now; what was read last counts on, but
			      nothing of it is free. "": it can */
};

struct node_states {
	struct node_states_dir dirs[AGENT_CONF_STATE_DIRS];
	size_t n_dirs;
	struct node_states_block *blocks; /* sorted by cidr_compare() */
	size_t n_blocks;
	struct cidr *embedded; /* blocks claimed in place by a network configuration */
	size_t n_embedded;
	bool gives[FAMILIES]; /* the mirror that was put last has pools for new pods */
};

/* Takes the lock of each folder (making it). -EBUSY: another agent has one. paths are borrowed. */
int node_states_open(struct node_states *s, const struct agent_conf *c, struct err *e);
void node_states_close(struct node_states *s);

/* Opens the state of one folder, for node_close(). One that knows nothing yet is told what lives in the
 * kernel. */
struct node;
int node_states_enter(const struct node_states *s, size_t dir, struct node **out, struct err *e);

/* Reads everything anew. 1: something differs from before, 0: not. A state that knows nothing yet
 * is told what lives in the kernel. An error: a folder cannot be read, and never could. */
int node_states_read(struct node_states *s, int64_t now_s, struct err *e);

/* Only the numbers of free addresses. true: they differ, or which folders are in trouble, or a block without pods cools
 * down. */
bool node_states_poll(struct node_states *s);

/* 1: an agent has told one of these states of pools in this boot; 0: none. */
int node_states_has_mirror(const struct node_states *s, struct err *e);

/* Into every folder, with our network namespace. As node_put_mirror(); the first error, after all
 * folders. One in trouble is passed over. */
int node_states_put_mirror(struct node_states *s, const struct mirror *m, struct err *e);

struct node_namespace; /* the same of Kubernetes' namespaces (ipam/node_namespaces.h) */
int node_states_put_namespaces(
	struct node_states *s, const struct node_namespace *list, size_t n, struct err *e);

/* The same of what ADD has to know of network policy (ipam/node_policy.h). */
struct node_policy;
int node_states_put_policy(struct node_states *s, const struct node_policy *p, struct err *e);

/* From now on ADD gets no address of the cluster's pools, in any folder that knows of them. */
int node_states_stop_giving(struct node_states *s, struct err *e);

/* One change of one block in one folder: a function of ipam/node_cluster.h, and what it returns. */
typedef int node_states_change_fn(struct node *n, const struct cidr *block, struct err *e);
int node_states_change(struct node_states *s, size_t dir, node_states_change_fn *fn,
	const struct cidr *block, struct err *e);

int node_states_lend(struct node_states *s, size_t dir, const struct addr *wish, bool cold,
	struct addr *instead, struct err *e); /* node_lend() in one folder */
/* The address of this node's end of a tunnel ("vxlan", "ipip"), from its own blocks, of the first
 * folder that has one. -EAGAIN: none is free. A folder in trouble may have one: an error. */
int node_states_tunnel(
	struct node_states *s, const char *what, uint8_t family, struct addr *out, struct err *e);
/* Of every folder that has one; those that can be released are, the first error is returned. */
int node_states_release_tunnel(
	struct node_states *s, const char *what, uint8_t family, struct err *e);

/* The index of a state folder, 0 for one that is not looked after any more. */
size_t node_states_dir(const struct node_states *s, const char *path);

const struct node_states_block *node_states_find(
	const struct node_states *s, const struct cidr *block); /* NULL */
