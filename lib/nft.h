/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel's nf_tables through libnftnl: tables read, replaced, changed, kept. Each change is one
 * atomic batch. One socket, of the network namespace in which it was opened.
 */
#include "lib/nft_table.h"

struct nft;
int nft_open(struct nft **out, struct err *e);
void nft_close(struct nft *n); /* takes NULL */

/* A table as it is in the kernel; the caller frees it. Rules that libnftnl cannot read have no
 * expressions. -ENOENT: there is none. */
int nft_read(
	struct nft *n, uint8_t family, const char *name, struct nft_table **out, struct err *e);

/* The elements of one set, whose form is known, as they are now. -ENOENT. */
int nft_read_set(
	struct nft *n, uint8_t family, const char *table, struct nft_set *s, struct err *e);

/* The base chains of every table; the caller frees *out. */
struct nft_base_chain {
	uint8_t family;
	uint32_t hook, policy;
	char table[NFT_NAME], chain[NFT_NAME];
};
int nft_base_chains(struct nft *n, struct nft_base_chain **out, size_t *count, struct err *e);

/* A named counter. -ENOENT. */
int nft_read_counter(struct nft *n, const struct nft_table *t, const char *name, uint64_t *packets,
	uint64_t *bytes, struct err *e);

/* All named counters of a table, in no order; the caller frees *out. -ENOENT: there is no table. */
struct nft_count {
	char name[NFT_NAME];
	char remark[NFT_COMMENT]; /* that it was made with (struct nft_table); "" */
	uint64_t packets, bytes;
};
int nft_read_counters(struct nft *n, uint8_t family, const char *table, struct nft_count **out,
	size_t *count, struct err *e);

/* The generation of the rule set of this network namespace: every commit, anybody's, moves it by one. */
int nft_generation(struct nft *n, uint32_t *out, struct err *e);

/* replace: the table is t, whatever it was, and its counters are zero.
 * change: from one to the other when only elements of sets differ, else it is replaced. from is how it is
 * now; where it is not, -ENOENT, -EEXIST, and nothing changes. */
int nft_replace(struct nft *n, const struct nft_table *t, struct err *e);
int nft_change(struct nft *n, struct nft_table *from, struct nft_table *to, struct err *e);
int nft_delete(struct nft *n, uint8_t family, const char *name, struct err *e);

/* One table of ours, and how it was left in the kernel: begins with its family and name alone. */
struct nft_kept {
	uint8_t family;
	const char *name;
	struct nft_table *made; /* NULL: there is none */
	bool known;		/* made is so, as far as we know */
	uint32_t generation;	/* of the rule set when it was seen to be so; 0: never */
};
void nft_kept_done(struct nft_kept *k); /* the kernel's table stays */

/* Whether somebody changed the table since it was seen; then nft_sync() mends it, without a look of its
 * own. Costs one question as long as nobody changed anything in nf_tables. 1, 0 or an error. */
int nft_kept_is_changed(struct nft *n, struct nft_kept *k, struct err *e);

/* Makes the table as wanted: 1 changed, 0 it was so. Takes want, whatever comes of it; NULL: the table
 * goes. look: at the kernel's table too, as somebody may have changed it; that costs one question as
 * long as nobody changed anything in nf_tables. */
int nft_sync(struct nft *n, struct nft_kept *k, struct nft_table *want, bool look, struct err *e);
