/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * This node as network policy sees it: a plain value.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/hash.h"
#include "policy/compile.h"

struct enforce_owner {
	struct hash hash;
	char *labels; /* that ADD was told, a JSON object; NULL: none */
};

/* Its pods, and the addresses of the node itself: heap arrays. */
struct enforce_node {
	struct policy_local *locals;  /* sorted by link */
	struct enforce_owner *owners; /* of each of them */
	size_t n_locals;
	struct addr *addrs;
	size_t n_addrs;
	bool tunnels_ipip; /* it speaks IP in IP with other nodes */
};
void enforce_node_done(struct enforce_node *n); /* takes a zeroed one */
bool enforce_node_same_pods(const struct enforce_node *a, const struct enforce_node *b);
