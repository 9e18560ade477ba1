/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the cluster store has, as commands need it: resources as documents and as values, blocks; and
 * every node with its document, with what its agent last said, and with its
 * blocks. A name that stands in only one of these places is a node too: that is how half a removal
 * shows.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/options.h"
#include "cluster/block.h"
#include "cluster/loan.h"
#include "cluster/resource.h"
#include "cluster/status.h"
#include "lib/err.h"
#include "store/store.h"

struct inventory_item { /* a resource */
	char *key;
	enum resource_kind kind;
	char name[RESOURCE_NAME];
	int64_t revision;
	json_t *doc;		/* NULL: no JSON */
	struct resource *value; /* NULL: cannot be read, see why */
	char *why;
	const struct resource
		*over; /* of a pool that is left out: the older one that it overlaps */
};

enum inventory_agent {
	AGENT_NEVER, /* nothing was heard of one */
	AGENT_LIVE,
	AGENT_STOPPED, /* ended by itself, cleanly */
	AGENT_STALE,   /* no heartbeat for too long */
	AGENT_AHEAD,   /* its heartbeat is in the future: clocks differ, nobody can tell */
	AGENT_UNKNOWN, /* its status document cannot be read */
};
const char *inventory_agent_text(enum inventory_agent a); /* "live" */

struct inventory_node {
	char name[RESOURCE_NAME];
	int64_t revision; /* of the Node document; 0: there is none */
	int64_t status_revision;
	struct resource_node spec; /* zero when the document cannot be read */
	struct status status;	   /* zero, too */
	enum inventory_agent agent;
	char trouble[256];		/* which document cannot be read, and why; "" none */
	size_t n_blocks, n_quarantined; /* the latter are among the former */
	size_t n_lent, n_borrowed;	/* single addresses */
	uint64_t pods; /* addresses in use in its own blocks, of the family that has more: a pod of
			  two families has one of each */
};

struct inventory {
	struct inventory_item *items; /* by key */
	size_t n_items;
	const struct resource **pools; /* those among the items that count, by cidr */
	size_t n_pools;
	struct block *blocks; /* by cidr; the node is "" when the document cannot be read */
	size_t n_blocks;
	struct loan *loans; /* by address; the lender is "" when the document cannot be read */
	size_t n_loans;
	struct inventory_node *nodes; /* by name */
	size_t n_nodes;
};
void inventory_done(struct inventory *v); /* takes a zeroed one */
#define CLEANUP_INVENTORY __attribute__((cleanup(inventory_done)))

/* Each of these fills in its part; *out is zeroed before the first. Resources: those below a key,
 * "resources/", "resources/ippools/". All: all resources, then the blocks. */
int inventory_resources(struct store *s, const char *prefix, struct inventory *out, struct err *e);
int inventory_blocks(struct store *s, struct inventory *out, struct err *e);
int inventory_all(struct store *s, struct inventory *out, struct err *e);
/* All, the loans and the nodes. */
int inventory_read(struct store *s, struct inventory *out, struct err *e);
/* The same, of the store that the options mean. */
int inventory_from_options(const struct options *o, struct inventory *out, struct err *e);

const struct inventory_item *inventory_item(
	const struct inventory *v, enum resource_kind kind, const char *name); /* NULL: none */
const struct inventory_node *inventory_node(const struct inventory *v, const char *name);

/* What the node's agent said of a block; NULL: nothing. */
const struct status_block *inventory_counts(
	const struct inventory_node *n, const struct cidr *block);

/* Its agent's state, from the status. */
enum inventory_agent inventory_judge(const struct status *s, int64_t now_wall_s);

/* A kind in a command's words, "ippool"; false: the error says what may be meant. */
bool inventory_parse_kind(const char *word, enum resource_kind *out, struct err *e);

/* Adds to "X does not exist" which name may be meant, of those in the inventory, or in the store. */
void inventory_add_meant(
	const struct inventory *v, enum resource_kind kind, const char *name, struct err *e);
void inventory_ask_meant(struct store *s, enum resource_kind kind, const char *name, struct err *e);

/* What commands call a resource: "ippool/default". Returns out. */
#define INVENTORY_LABEL (RESOURCE_NAME + 32)
char *inventory_label(enum resource_kind kind, const char *name, char out[INVENTORY_LABEL]);
#define LABEL_STRING(kind, name) inventory_label((kind), (name), (char[INVENTORY_LABEL]){0})
