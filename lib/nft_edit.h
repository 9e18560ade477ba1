/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A change of a table by the names of what is in it, for tables that are too large to be replaced, or
 * whose counters shall live on: one atomic batch. Rules change with their chain alone: another content is
 * another chain. Anonymous sets have no place here.
 */
#include "lib/nft.h"

struct nft_edit {
	struct nft_table
		*come; /* what is not there: chains with rules, counters, sets with elements */
	struct nft_table *less; /* sets that stand: elements that they lose, which must be there */
	struct nft_table *more; /* sets that stand: elements that they gain; they may be there */
	struct nft_table *go;	/* chains, sets and counters, by their names */
};
void nft_edit_init(struct nft_edit *x, uint8_t family, const char *table);
void nft_edit_done(struct nft_edit *x);
bool nft_edit_is_empty(const struct nft_edit *x);

/* A set that stands, of the form of s and without elements, for less and more. */
struct nft_set *nft_edit_set(struct nft_table *t, const struct nft_set *s);

/* Puts the difference of two states of a set that stands into less and more. Sorts both. */
void nft_edit_elements(struct nft_edit *x, struct nft_set *from, struct nft_set *to);

/* What makes now (as read) as want; takes chains and sets out of want. false: something of the same name is
 * otherwise, and the table has to be replaced; then want is whole. */
bool nft_edit_between(struct nft_table *now, struct nft_table *want, struct nft_edit *x);

/* -ENOENT, -EEXIST, -EBUSY: the table is not as the edit thinks it is, and nothing changed. -ENOBUFS: the outcome
 * is not known. */
int nft_edit_commit(struct nft *n, const struct nft_edit *x, struct err *e);
