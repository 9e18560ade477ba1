/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The agent's copy of the cluster: resources and blocks as typed values, fed by the events of the
 * store's watches. A document that cannot be read is left out and named in problems. Nothing here
 * waits or decides.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster/block.h"
#include "cluster/loan.h"
#include "cluster/resource.h"
#include "lib/err.h"

/* A node as far as other nodes need it. */
struct replica_node {
	char *name;
	struct resource_node spec;
	char *labels; /* JSON, as most nodes' are never looked at; NULL: none */
	uint64_t seen;
};

/* One of the few: pools, peers, configurations, filters, reservations. */
struct replica_item {
	struct resource resource;
	int64_t revision;
	uint64_t seen;
};

struct replica_block {
	struct cidr cidr;
	enum block_state state;
	bool free_after_loans;
	char *node; /* NULL: the document cannot be read, so the block counts as taken */
	int64_t revision;
	uint64_t seen;
};

/* A single address of a block that another node lends. */
struct replica_loan {
	struct loan doc; /* begins with its address */
	uint64_t seen;
};

/* A document that is left out, and why. */
struct replica_problem {
	char *key;
	char *text;
	uint64_t seen;
};

enum { REPLICA_RESOURCES, REPLICA_BLOCKS, REPLICA_LOANS, REPLICA_PARTS };

/* Sorted while replica_is_whole(): nodes by name, items by kind and name, blocks by
 * cidr_compare(), loans by address and borrower. All strings are the replica's. */
struct replica {
	struct replica_node *nodes; /* all but those whose document cannot be read */
	size_t n_nodes, room_nodes;
	struct replica_item **items;
	size_t n_items, room_items;
	struct replica_block *blocks;
	size_t n_blocks, room_blocks;
	struct replica_loan *loans; /* few: a node borrows when no block is to be had */
	size_t n_loans, room_loans;
	struct replica_problem *problems;
	size_t n_problems, room_problems;
	json_t *self; /* the document of our own node, readable or not; NULL: none */
	int64_t self_revision;
	const char *name; /* our node's, borrowed */
	uint64_t generation, restarted[REPLICA_PARTS];
	size_t sorted_blocks; /* while a list runs: so many are sorted */
	bool listing[REPLICA_PARTS];
	bool complete[REPLICA_PARTS]; /* a complete list was seen once */
};
void replica_init(struct replica *r, const char *node);
void replica_done(struct replica *r);

struct store_event;

/* Takes in an event of the watch of KEYS_RESOURCES, KEYS_BLOCKS or KEYS_LOANS. true: something changed. */
bool replica_take(struct replica *r, int part, const struct store_event *ev);

/* All parts were listed, and no list is under way: the arrays may be looked at. */
bool replica_is_whole(const struct replica *r);

/* NULL: there is none. */
const struct replica_node *replica_node(const struct replica *r, const char *name);
const struct replica_item *replica_item(
	const struct replica *r, enum resource_kind kind, const char *name);
const struct loan *replica_loan(
	const struct replica *r, const struct cidr *addr, const char *borrower);
const struct replica_block *replica_block(const struct replica *r, const struct cidr *c);
