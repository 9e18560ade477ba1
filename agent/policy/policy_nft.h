/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A rule set as the values of lib/nft: what of policy/ruleset.h becomes which rule of the kernel. No
 * descriptor; for agent/policy/writer.c.
 */
#include "agent/policy/writer.h"
#include "lib/nft_table.h"

/* Where packets of a link go: maps from interface index to verdict. */
enum policy_map { POLICY_MAP_EGRESS, POLICY_MAP_INGRESS, POLICY_MAP_HOST, POLICY_MAPS };
const char *policy_map_name(enum policy_map m);

/* Whether a counter is one that always stands. */
bool policy_nft_counts(const char *name);

/* The whole table. */
struct nft_table *policy_nft_new(
	const struct policy_writer_settings *s, const struct policy_ruleset *r);

/* Parts of it, put into a table. The maps come in the order of enum policy_map, before all other sets of it. */
void policy_nft_put_maps(struct nft_table *t, const struct policy_ruleset *r);
void policy_nft_put_set(struct nft_table *t, const struct policy_set *set);
void policy_nft_put_chain(struct nft_table *t, const struct policy_writer_settings *s,
	const struct policy_ruleset *r, const struct policy_chain *c);
