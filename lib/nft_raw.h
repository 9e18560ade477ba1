/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tables, chains and rules as the messages that nft(8) would send, written straight into a batch: for
 * executables that do not link libnftnl, whose tables are few and always the same. What is more than
 * that is lib/nft_rule.h's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/netlink.h"
#include "lib/nft_batch.h"

/* The table of family inet; it may exist. */
void nft_raw_table(struct nft_batch *b, const char *table);

/* A chain. base (may be NULL): it is called at a hook. flags: NLM_F_EXCL, or 0: it may exist. */
struct nft_raw_base {
	const char *type; /* "filter", "nat" */
	uint32_t hook;	  /* NF_INET_PRE_ROUTING, ... */
	int32_t priority;
};
void nft_raw_chain(struct nft_batch *b, const char *table, const char *chain,
	const struct nft_raw_base *base, uint16_t flags);

/* Whether chains of the table are there, and have rules: somebody may have emptied them. One question for all
 * of them. */
struct nft_raw_chain_look {
	bool is_there, has_rules;
};
int nft_raw_look_at_chains(struct nft_batch *b, const char *table, const char *const *chains,
	size_t n, struct nft_raw_chain_look *out, struct err *e);

/* A map from keys of key_len bytes (of nft(8)'s type) to verdicts; it may exist. id: its number in the batch. */
struct nft_raw_key {
	uint32_t type, len, id;
};
void nft_raw_verdict_map(
	struct nft_batch *b, const char *table, const char *map, struct nft_raw_key key);
/* An element of it; it may exist with the same verdict. */
struct nft_raw_element {
	const void *key;
	size_t len;
	int code; /* NF_ACCEPT, ...; with a chain NFT_JUMP or NFT_GOTO */
	const char *chain;
};
void nft_raw_element(struct nft_batch *b, const char *table, const char *map,
	const struct nft_raw_element *element);

/* A rule at the end of a chain: begin, what follows below, end. */
struct nft_raw_rule {
	struct nlmsghdr *m;
	struct nlattr *list;
};
struct nft_raw_rule nft_raw_rule(struct nft_batch *b, const char *table, const char *chain);
void nft_raw_rule_end(struct nft_raw_rule r);

/* Loads into a register (NFT_REG_1, NFT_REG32_01, ...). nft_raw_payload: bytes of a header, base is
 * NFT_PAYLOAD_NETWORK_HEADER or _TRANSPORT_HEADER. */
struct nft_raw_bytes {
	uint32_t base, offset, len;
};
void nft_raw_meta(struct nft_raw_rule r, uint32_t key, uint32_t reg);
void nft_raw_ct(struct nft_raw_rule r, uint32_t key, uint32_t reg);
void nft_raw_payload(struct nft_raw_rule r, struct nft_raw_bytes bytes, uint32_t reg);
void nft_raw_fib(struct nft_raw_rule r, uint32_t result, uint32_t flags);
void nft_raw_mask(struct nft_raw_rule r, const void *mask, uint32_t len); /* of NFT_REG_1 */

/* Goes on only where NFT_REG_1 has (has not) these bytes; where the set has what was loaded from NFT_REG_1 on,
 * or with map: loads what the map has for it, from NFT_REG_1 on; with dispatch: that is the verdict. */
void nft_raw_equal(struct nft_raw_rule r, const void *bytes, size_t len);
void nft_raw_differs(struct nft_raw_rule r, const void *bytes, size_t len);
void nft_raw_within(struct nft_raw_rule r, const void *first, const void *last, size_t len);
void nft_raw_lookup(struct nft_raw_rule r, const char *set);
void nft_raw_map(struct nft_raw_rule r, const char *map);
void nft_raw_dispatch(struct nft_raw_rule r, const char *map);

void nft_raw_counter(struct nft_raw_rule r);
void nft_raw_count_in(struct nft_raw_rule r, const char *counter); /* a named one */
/* NF_DROP, ...; with a chain NFT_JUMP or NFT_GOTO. */
void nft_raw_verdict(struct nft_raw_rule r, int code, const char *chain);
/* The destination becomes the address in NFT_REG_1 and the port in the register. */
void nft_raw_dnat(struct nft_raw_rule r, uint32_t family, uint32_t port_reg);
void nft_raw_masquerade(struct nft_raw_rule r);
