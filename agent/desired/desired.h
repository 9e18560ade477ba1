/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What shall be on this node, as one plain value made from the cluster's documents, the kernel's
 * facts and our own settings. Pure: nothing is asked, nothing is touched; the same inputs give the
 * same value. tests/data/desired has golden cases.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/bird/sessions.h"
#include "agent/bird/want.h"
#include "cluster/agent_conf.h"
#include "agent/filter/want.h"
#include "agent/kernel/facts.h"
#include "agent/kernel/want.h"
#include "agent/replica.h"
#include "agent/services/table.h"
#include "ipam/mirror.h"
#include "lib/family.h"
#include "lib/problems.h"

/* How packets for other nodes travel. */
enum encapsulation {
	ENCAPSULATION_UNSET,
	ENCAPSULATION_NONE,
	ENCAPSULATION_IPIP,
	ENCAPSULATION_IPIP_CROSS,
	ENCAPSULATION_VXLAN,
	ENCAPSULATION_VXLAN_CROSS,
	ENCAPSULATIONS
};

/* This node's own side, from elsewhere than the cluster. */
struct desired_self {
	struct cidr addr[FAMILIES];  /* detected; family 0: none */
	int link[FAMILIES];	     /* that has it */
	struct addr vxlan[FAMILIES]; /* VTEP addresses we hold; family 0: none yet */
	struct addr ipip;	     /* the same of the IPIP device */
	bool ipip_is_foreign;	     /* somebody else uses the IPIP device */
	/* The encapsulation before it changed a moment ago: for nodes that are not ready for the
	 * new one. */
	enum encapsulation previous[FAMILIES];
	const struct cidr
		*announced; /* own blocks, confirmed and not draining: BIRD's and blackholes */
	size_t n_announced;
	const struct cidr *kept; /* own blocks that are draining: blackhole only */
	size_t n_kept;
	const struct cidr *lent; /* addresses of own blocks that other nodes may use */
	size_t n_lent;
	const struct cidr *learned; /* others' blocks that BGP brought, up to a while ago; sorted */
	size_t n_learned;
	const struct bird_session *sessions; /* of BIRD, sorted by name; none while it is down */
	size_t n_sessions;
	const json_t *labels; /* of its Node in Kubernetes; NULL: not known, or none of ours */
	const struct service_table *services; /* NULL: nobody has told of services yet */
	const struct cidr *services_before;   /* their addresses that are announced meanwhile */
	size_t n_services_before;
	bool md5_drops; /* the kernel drops segments for their TCP MD5 signature */
	int64_t now_ms; /* boot time */
};

/* A BGP session that is down. */
struct desired_down {
	struct addr addr;
	char node[RESOURCE_NAME];     /* whose address it is; "": of no node */
	int64_t since_s;	      /* wall clock, as far as this agent has seen it */
	char words[BIRD_REASON + 24]; /* BIRD's own, without changes */
	char why[224];		      /* the same for people: what this end saw, what mends it */
};

struct desired {
	struct mirror mirror;
	bool wants_vxlan[FAMILIES], wants_ipip; /* a tunnel's address is needed */
	struct kernel_want kernel;
	enum encapsulation encapsulation[FAMILIES]; /* of the first pool */
	struct tunnel_filter_want tunnel_filter;
	struct nat_want nat;
	struct bird_want bird;
	size_t missing; /* blocks that BGP is to bring and has not, as far as is known */
	json_t *node;	/* our Node document as it shall be in the store; NULL: it is so already */
	const struct desired_down *down; /* in the order of addresses */
	size_t n_down;
	int64_t again_ms; /* boot time at which a session becomes a problem; INT64_MAX: none does */
	struct problems problems;
	void **memory; /* what the arrays above are made of */
	size_t memory_room, n_memory;
};

/* *out is for desired_done(). Never fails: what cannot be is a problem, and left out. */
void desired_make(const struct agent_conf *c, const struct replica *r, const struct facts *f,
	const struct desired_self *self, struct desired *out);
void desired_done(struct desired *d);

/* The cluster's setting: single addresses of a block may be lent to other nodes. Never of blocks that Kubernetes gives
 * out. */
bool desired_lends(const struct agent_conf *c, const struct replica *r);

/* Whether blocks of the pool belong to anybody. Then the pool stands, and a node's address inside it
 * is the mistake; else the pool is. */
bool desired_is_in_use(const struct replica *r, const struct cidr *pool);
