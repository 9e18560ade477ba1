/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which pods try to reach which: all ordered pairs in a small cluster, else a ring through all pods
 * (both ways round), all pairs within a node, and a random sample for each pod that depends on the seed alone.
 */
#include <stddef.h>

#include "cli/conform/cluster.h"

#define CONFORM_ALL_PAIRS 24 /* pods, up to which all pairs are tried */
#define CONFORM_SAMPLE 6     /* random targets of each pod beyond that */

struct conform_pair {
	size_t from, from_pod, to, to_pod;
};
/* Heap array, the caller frees it; sorted, no pair twice. */
struct conform_pair *conform_pairs(const struct conform_cluster *c, size_t *n);
bool conform_pairs_are_all(const struct conform_cluster *c);
