/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the sources of lib/nft.h, lib/nft_table.h and lib/nft_rule.h alone.
 */
#include "lib/nft_table.h"
#include "lib/nft_batch.h"

struct nft {
	struct nft_batch batch;
};

/* Elements in order, without repetitions. */
void nft_set_sort(struct nft_set *s);

/* Where the data of an element are, and where the last key of its interval. */
const uint8_t *nft_set_data(const struct nft_set *s, const uint8_t *element);
const uint8_t *nft_set_last(const struct nft_set *s, const uint8_t *element);

/* Whether it is a set of intervals of one field, which the kernel keeps as two elements each. */
bool nft_set_is_split(const struct nft_set *s);

/* Adds (the last: takes away) one to a key as to a number in network order: true when it passed the end. */
bool nft_key_next(uint8_t *key, size_t len);
void nft_key_previous(uint8_t *key, size_t len);

/* Elements of a that b lacks, into a list for as many as a has. Both are sorted. */
size_t nft_set_minus(const struct nft_set *a, const struct nft_set *b, const uint8_t **out);

/* Whether sets are the same but for their elements; chains with their rules. */
bool nft_set_alike(const struct nft_set *a, const struct nft_set *b);
bool nft_chain_alike(const struct nft_table *a, const struct nft_chain *x,
	const struct nft_table *b, const struct nft_chain *y);

/* Whether tables are the same but for elements of named sets. */
bool nft_table_alike(const struct nft_table *a, const struct nft_table *b);
struct nft_set *nft_table_find_set(const struct nft_table *t, const char *name);

/* The expressions of a rule, in order; for nftnl_expr_iter_destroy(). */
struct nftnl_expr_iter *nft_rule_exprs(const struct nft_rule *r);

/* Messages. Those about elements: which, and NLM_F_CREATE, NLM_F_EXCL. */
struct nft_element_message {
	uint16_t type, flags;
};
#define NFT_ADD_ELEMENTS                                                                           \
	((struct nft_element_message){NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL})
#define NFT_DEL_ELEMENTS ((struct nft_element_message){NFT_MSG_DELSETELEM, 0})
void nft_put_head(struct nft_batch *b, const struct nft_table *t); /* the empty table */
void nft_put_contents(struct nft_batch *b, const struct nft_table *t);
void nft_put_delete(struct nft_batch *b, uint8_t family, const char *name);
void nft_put_elements(struct nft_batch *b, struct nft_element_message what,
	const struct nft_table *t, const struct nft_set *s, const uint8_t *const *elements,
	size_t n);
void nft_put_all_elements(struct nft_batch *b, struct nft_element_message what,
	const struct nft_table *t, struct nft_set *s); /* sorts them */

/* What is about an object that is named, or about a chain's rules: NFT_MSG_DELCHAIN, DELRULE, DELSET, DELOBJ (of a
 * counter). */
void nft_put_name(struct nft_batch *b, uint16_t type, const struct nft_table *t, const char *name);
