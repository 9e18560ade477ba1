/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * NAT of what leaves the pools that ask for it, in one nf_tables table of ours (inet roost-nat),
 * replaced atomically (agent/filter/nft_table.h). And the look at what else may drop forwarded packets.
 */
#include <stdbool.h>
#include <stddef.h>

#include "agent/filter/want.h"
#include "lib/addr.h"
#include "lib/err.h"

struct nat;
struct nft;
struct nat *nat_new(struct nft *nft); /* borrowed until nat_free() */
void nat_free(struct nat *n);	      /* takes NULL */

/* The table's text as nft(8) reads it; the caller frees it. Pure. NULL: no table is needed. */
char *nat_text(const struct nat_want *w);
/* 1: changed; 0: it was so. Without anything to do the table goes. */
int nat_sync(struct nat *n, const struct nat_want *w, bool look, struct err *e);

/* Whether a FORWARD chain with policy drop (Docker's) lets pods' packets through: 0 yes or there is
 * none; 1: out says in one sentence what drops and which command mends it. */
int nat_check_forward(
	struct nat *n, const struct cidr *pools, size_t n_pools, char out[256], struct err *e);
