/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the cluster store has at one moment, as commands need it: resources as documents and as
 * values, blocks, the guard of the pools. Sorted by key.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster/block.h"
#include "cluster/resource.h"
#include "lib/err.h"
#include "store/store.h"

struct snapshot_item {
	char *key;
	enum resource_kind kind;
	char name[RESOURCE_NAME];
	int64_t revision;
	json_t *doc;		/* NULL: no JSON */
	struct resource *value; /* NULL: cannot be read, see why */
	char *why;
};

struct snapshot {
	struct snapshot_item *items;
	size_t n_items;
	struct block *blocks;
	size_t n_blocks;
	int64_t guard; /* revision of KEYS_GUARD_POOLS; 0: there is none */
};

/* The resources below a key: "resources/", "resources/ippools/". What is no resource's key is left
 * out. */
int snapshot_resources(struct store *s, const char *prefix, struct snapshot *out, struct err *e);
/* All resources, the guard and the blocks. */
int snapshot_all(struct store *s, struct snapshot *out, struct err *e);
/* The blocks alone. One whose document cannot be read counts, with the node "?". */
int snapshot_blocks(struct store *s, struct snapshot *out, struct err *e);
void snapshot_done(struct snapshot *s);
#define CLEANUP_SNAPSHOT __attribute__((cleanup(snapshot_done)))

const struct snapshot_item *snapshot_find(
	const struct snapshot *s, enum resource_kind kind, const char *name);

/* What commands call a resource: "ippool/default". */
#define SNAPSHOT_LABEL (RESOURCE_NAME + 32)
void snapshot_label(enum resource_kind kind, const char *name, char out[SNAPSHOT_LABEL]);
