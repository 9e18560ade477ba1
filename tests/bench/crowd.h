/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A large cluster that does not exist: the documents of its nodes, blocks, pool and settings, as
 * they would be in the cluster store. Every document is computed from its number, so that the
 * programs of the benchmark agree without a file between them.
 */
#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

#define CROWD_POOL_NAME "crowd"
#define CROWD_POOL "10.64.0.0/10" /* 65536 blocks of /26 */
#define CROWD_VALUE 768		  /* bytes of a document at most */

enum crowd_routes {
	CROWD_MESH,	 /* a BGP session with every node */
	CROWD_REFLECTOR, /* sessions with two outside routers only */
	CROWD_STATIC,	 /* no BGP: every block a static route */
};
struct crowd {
	size_t nodes, blocks;
	enum crowd_routes routes;
	bool vxlan; /* the pool is reached through VXLAN, always */
};

/* "mesh", "reflector", "static", each also with "-vxlan" appended. */
bool crowd_parse_mode(const char *text, struct crowd *out);

/* How many documents there are under "resources/", and one of them. */
size_t crowd_resources(const struct crowd *c);
void crowd_resource(
	const struct crowd *c, size_t i, char key[STORE_KEY_MAX], char value[CROWD_VALUE]);

/* A block. They are dealt to the nodes in turn. */
void crowd_block(const struct crowd *c, size_t i, char key[STORE_KEY_MAX], char value[CROWD_VALUE]);
