/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * NAT of what leaves the pools that ask for it, in one nf_tables table of ours (inet roost-nat).
 */
#include <stdbool.h>

#include "agent/filter/want.h"
#include "lib/err.h"

struct nat;
struct nft;
struct nat *nat_new(struct nft *nft); /* borrowed until nat_free() */
void nat_free(struct nat *n);	      /* takes NULL; the kernel's table stays */

/* Whether somebody else changed the table since the last sync, which then mends it. 1, 0 or an error. */
int nat_is_changed(struct nat *n, struct err *e);

/* 1: changed; 0: it was so. Without anything to do the table goes. look: at the kernel's table, too,
 * as somebody may have changed it. */
int nat_sync(struct nat *n, const struct nat_want *w, bool look, struct err *e);
