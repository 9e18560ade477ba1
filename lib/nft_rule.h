/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Rules of lib/nft.h, expression by expression. A rule loads values, compares or looks them up,
 * and ends with what is done. Values loaded one after the other are one concatenation, until they are
 * compared or looked up. Constants are those of linux/netfilter/nf_tables.h and linux/netfilter.h.
 */
#include "lib/family.h"
#include "lib/nft_table.h"

/* Loads. */
void nft_load_meta(struct nft_rule *r, uint32_t key); /* NFT_META_IIFNAME, ... */
void nft_load_ct(struct nft_rule *r, uint32_t key);   /* NFT_CT_STATE, ... */
void nft_load_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len);
void nft_load_addr(struct nft_rule *r, enum family f, bool source); /* after nft_match_family() */
void nft_load_port(struct nft_rule *r, bool source);		    /* after nft_match_proto() */

void nft_load_mapped(struct nft_rule *r, const struct nft_set *s); /* the data of what is loaded */

/* Tests of what is loaded. Whoever does not pass leaves the rule. */
void nft_mask(struct nft_rule *r, const void *mask, size_t len); /* at most 16 bytes */
void nft_compare(
	struct nft_rule *r, uint32_t op, const void *value, size_t len); /* NFT_CMP_EQ, ... */
void nft_within(struct nft_rule *r, const void *first, const void *last, size_t len,
	bool negated); /* as numbers in network order */
void nft_lookup(struct nft_rule *r, const struct nft_set *s, bool negated); /* by its name */
void nft_dispatch(struct nft_rule *r, const struct nft_set *s); /* a verdict map: its verdict */

/* Passes so many packets a second, and at first so many at once. */
void nft_limit(struct nft_rule *r, uint64_t per_second, uint32_t burst);

/* Both in one. */
void nft_match_family(struct nft_rule *r, enum family f); /* in tables of NFPROTO_INET */
void nft_match_proto(struct nft_rule *r, uint8_t proto);
void nft_match_ifname(struct nft_rule *r, uint32_t key, const char *prefix, bool negated);

/* What is done. */
void nft_rule_verdict(struct nft_rule *r, int code, const char *chain); /* chain NULL: none */
void nft_count(struct nft_rule *r);
void nft_count_in(struct nft_rule *r, const char *counter); /* a named one */
void nft_log(struct nft_rule *r, uint16_t group, const char *prefix,
	uint32_t bytes); /* to NFLOG, so many bytes of a packet */
void nft_masquerade(struct nft_rule *r);

/* All expressions as text, as libnftnl shows them, without the state of counters; an anonymous set
 * of the table is shown with its elements. The caller frees it. */
char *nft_rule_text(const struct nft_table *t, const struct nft_rule *r);
