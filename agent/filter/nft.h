/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * libnftables, the only place that calls it: runs commands of nft(8), and turns what it would print
 * into text and errors. One context for the life of the agent, in the namespace of nft_open().
 */
#include <stdbool.h>

#include "lib/err.h"

struct nft;

int nft_open(struct nft **out, struct err *e);
void nft_close(struct nft *n); /* takes NULL */

/* Runs one text of commands, atomically. NFT_JSON: the answer is a JSON document; NFT_HANDLES: as
 * text, each object with its handle. what is for the error ("list table inet x"). *out (may be NULL)
 * is the answer, on the heap. -ENOENT: nft says that something named is not there; else -EIO. */
enum { NFT_TEXT, NFT_HANDLES, NFT_JSON };
int nft_run(
	struct nft *n, int mode, const char *commands, const char *what, char **out, struct err *e);
