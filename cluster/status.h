/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an agent says of itself in the cluster store, for people and for the detection of two agents
 * with one name: a heartbeat and the numbers of its blocks. Nobody decides who owns what by it.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/boot.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/schema.h"

#define STATUS_HEARTBEAT_KUBE_S 60 /* in the API of Kubernetes */
#define STATUS_HEARTBEAT_S 10	   /* how often, at least, unless a document says otherwise */
#define STATUS_HEARTBEAT_MAX_S 300
#define STATUS_PROBLEMS 8
#define STATUS_DOWN 8 /* sessions that are told of */
#define STATUS_NO_NODE                                                                             \
	"none"	     /* for a uid: it is in Kubernetes, and has not met a Node of its name yet */
#define STATUS_ID 37 /* a UUID in text */

struct status_block {
	struct cidr cidr;
	struct cidr pool;
	uint64_t used, cooling, reserved, quarantined, free;
	bool draining;
};

/* A BGP session that is down. */
struct status_down {
	struct addr peer;
	char node[256]; /* whose address it is; "" of no node */
	int64_t since_s;
	char bird[96];	  /* BIRD's own words */
	char reason[224]; /* the same for people */
};

struct status {
	char installation[STATUS_ID]; /* kept in the data folder: which machine this is */
	char instance[STATUS_ID];     /* of the process */
	char boot[STATUS_ID];
	char machine[BOOT_MACHINE_TEXT]; /* boot_machine(); "" not known */
	char netns[24];			 /* the cookie of its network namespace; "" not known */
	char host[64];			 /* the host's name, for people */
	char node_uid[64];   /* of its Node in Kubernetes, as it was last; "": it is in none */
	int64_t heartbeat_s; /* wall clock */
	uint32_t interval_s; /* between heartbeats; 0 is the default */
	bool stopped;	     /* ended by itself, cleanly */
	char version[32];
	char bird[160];	 /* "up", or what is wrong */
	char exits[256]; /* how its pods leave the cluster, or that it is an exit; "" no exits */
	char store[160]; /* "file:..." or the etcd endpoints */
	uint32_t peers_up, peers;
	struct status_down down[STATUS_DOWN];
	size_t n_down;
	char problems[STATUS_PROBLEMS][256];
	size_t n_problems;
	uint32_t problem_count;	     /* all of them, those too that there is no room for */
	uint32_t tunnels[FAMILIES];  /* used addresses that are no pod's */
	struct status_block *blocks; /* heap */
	size_t n_blocks;
};
json_t *status_format(const struct status *s);
const struct schema *status_schema(void); /* for the test that holds deploy/crds/ against it */
/* -EBADMSG. status_done() frees. */
int status_parse(const char *text, struct status *out, struct err *e);
void status_done(struct status *s);

/* What a removal of the node writes where it finds no status, so that it has one to compare; an agent
 * takes it for nobody's. */
json_t *status_format_removal(void);
bool status_is_removal(const char *text);

/* A random UUID (version 4); whether s is the text of a UUID. */
void status_make_id(char out[STATUS_ID]);
bool status_is_id(const char *s);
extern const struct schema_type status_id; /* char[STATUS_ID]: "is no UUID" */

/* Whether an agent wrote this a short time ago, three intervals and a half (by the clocks of both
 * machines). */
bool status_is_live(const struct status *s, int64_t now_wall_s);
