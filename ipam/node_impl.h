/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of struct node, for the sources that implement ipam/node.h: node.c (open, find, release),
 * node_assign.c, node_adopt.c, node_list.c.
 */
#include <limits.h>

#include "ipam/db.h"
#include "ipam/registry.h"
#include "ipam/index.h"
#include "ipam/node.h"
#include "lib/boot.h"

struct node {
	struct db *db;
	int lock; /* descriptor of the lock file */
	enum node_mode mode;
	char dir[PATH_MAX];	 /* as given */
	char absolute[PATH_MAX]; /* resolved when first needed, else empty */
	char boot[BOOT_ID_TEXT];
	char *set_aside;
	const char *registry_root; /* REGISTRY_ROOT; tests have another */
	struct record_meta meta;
	uint8_t lacking; /* see node_lacking() */
};

/* Whether node_assign() could succeed; see node_can_assign(). */
int node_try_assign(struct node *n, const struct node_want *w, struct err *e);

/* This node as the block registry knows it; borrows from n. */
int node_self(struct node *n, struct registry_self *out, struct err *e);

/* Lets writing transactions begin on a NODE_READ handle, for looking only. */
int node_reopen(struct node *n, struct err *e);

/* Waits until nobody else uses the state, and back. */
int node_lock_alone(struct node *n, struct err *e);
int node_lock_again(struct node *n, struct err *e);

static inline struct index_time node_time(void)
{
	return (struct index_time){.now_ns = boot_now_ns(), .wall_s = boot_wall_s()};
}

/* node_list() within the transaction that is open. */
int node_list_within(struct node *n, struct node_view *out, struct err *e);

/* Fills a node_pool's counts (size and max_blocks too) of a recorded pool. */
int node_count_pool(struct node *n, const struct cidr *pool, struct node_pool *out, struct err *e);
