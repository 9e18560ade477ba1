/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where things are in the cluster store.
 *
 *	resources/PLURAL/NAME        what people apply: resources/ippools/default
 *	blocks/CIDR                  who owns a block: blocks/100.66.0.0-26 (cluster/block.h)
 *	loans/BORROWER.ADDRESS-LEN   a single address of another node's block (cluster/loan.h):
 *	                             loans/n2.100.66.0.5-32
 *	status/NODE                  what an agent says of itself (cluster/status.h)
 *	status/NODE/newcomer         the same, of an agent that was refused the name
 *	endpoints/NODE.HASH          a pod of a node, where there is no Kubernetes to tell of it
 *	guard/pools                  earlier versions changed it with every pool; deleted where it is met
 *	nodeblocks/NODE/CIDR         an index that they kept; the same
 */
#include <stdbool.h>

#include "cluster/resource.h"
#include "lib/addr.h"
#include "lib/hash.h"
#include "store/store.h"

#define KEYS_RESOURCES "resources/"
#define KEYS_BLOCKS "blocks/"
#define KEYS_LOANS "loans/"
#define KEYS_OLD_INDEX "nodeblocks/"
#define KEYS_STATUS "status/"
#define KEYS_ENDPOINTS "endpoints/"
#define KEYS_OLD_GUARD "guard/pools"

void keys_resource(enum resource_kind kind, const char *name, char out[STORE_KEY_MAX]);
bool keys_parse_resource(const char *key, enum resource_kind *kind, char name[RESOURCE_NAME]);

void keys_block(const struct cidr *block, char out[STORE_KEY_MAX]);
bool keys_parse_block(const char *key,
	struct cidr *out); /* strict: the canonical form and a length that pools can have */
/* false: no key can say so, as the name is too long. addr is a host's prefix. */
bool keys_loan(const char *borrower, const struct cidr *addr, char out[STORE_KEY_MAX]);
bool keys_parse_loan(const char *key, char borrower[RESOURCE_NAME], struct cidr *addr);
void keys_old_index(const char *node, char out[STORE_KEY_MAX]); /* the prefix of a node's */
void keys_status(const char *node, char out[STORE_KEY_MAX]);
void keys_newcomer(const char *node, char out[STORE_KEY_MAX]);
void keys_endpoint(const char *node, const struct hash *pod, char out[STORE_KEY_MAX]);
bool keys_is_endpoint_of(const char *key, const char *node);
bool keys_parse_status(const char *key, char node[RESOURCE_NAME]);
