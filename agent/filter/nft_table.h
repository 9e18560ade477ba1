/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One nf_tables table of ours, kept equal to a text: replaced as a whole and atomically, and only when
 * it is not so. What is in it is the business of agent/filter/nat.c and agent/filter/tunnel_filter.c.
 */
#include <stdbool.h>

#include "agent/filter/nft.h"
#include "lib/err.h"

struct nft_table {
	struct nft *nft;  /* borrowed */
	const char *name; /* with its family: "inet roost-nat" */
	char *text;	  /* that the table was made from; NULL: not by us yet, or there is none */
	char *listing;	  /* right after that */
	bool known;	  /* text is how the table was when it was looked at last */
};
void nft_table_done(struct nft_table *t); /* the kernel's table stays */

/* What is between the braces, with a comment in front that carries its hash: the text for a sync, on
 * the heap. */
char *nft_table_text(const char *name, const char *inside);

/* 1: changed; 0: it was so. text NULL: the table goes. look: at the kernel's table, too, as somebody
 * may have changed it, which takes its time when it is large; else only another text is a change. */
int nft_table_sync(struct nft_table *t, const char *text, bool look, struct err *e);
