/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Our nf_tables tables by their names alone: "inet roost" and "inet roost-...". For whoever removes all of
 * them, whatever is in them; those who keep one use lib/nft.h or lib/antispoof.h.
 */
#include <stddef.h>

#include "lib/err.h"

#define NFT_OWN_TABLES 16 /* more are not looked for */
#define NFT_OWN_NAME 64

/* Those that are there. Returns how many. */
int nft_own_list(char names[NFT_OWN_TABLES][NFT_OWN_NAME], struct err *e);

/* 1; 0: there was none. */
int nft_own_delete(const char *name, struct err *e);
