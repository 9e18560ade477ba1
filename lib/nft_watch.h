/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether somebody else changed a table of nf_tables: notifications of the kernel, told apart by the
 * generation of the rule set, a number that every commit of anybody moves by one. One's own commits are made
 * between pause and resume, so that their notifications, which may be many, are never sent.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define NFT_WATCH_NAME 64

enum nft_watch_what {
	NFT_WATCH_ELEMENTS = 1, /* elements were added to sets of it, nothing else */
	NFT_WATCH_CHANGED = 2,	/* something was, or notifications were lost */
};

struct nft_watch {
	int fd; /* non-blocking; readable when something may be to read */
	char table[NFT_WATCH_NAME];
	uint32_t clean;	      /* the generation up to which nothing happened that is not known */
	unsigned int touched; /* by the commit whose notifications are being read */
};
#define NFT_WATCH_CLOSED                                                                           \
	{                                                                                          \
		.fd = -1                                                                           \
	}
int nft_watch_open(struct nft_watch *w, const char *table, struct err *e);
void nft_watch_close(struct nft_watch *w); /* takes NFT_WATCH_CLOSED, and leaves it */

/* The table was seen, or written, and is known as of this generation. */
void nft_watch_clean(struct nft_watch *w, uint32_t generation);

/* Takes all that came, and puts into *what bits of enum nft_watch_what: what happened since the clean generation. An
 * error counts as a change, too. */
int nft_watch_read(struct nft_watch *w, unsigned int *what, struct err *e);

/* No notifications in between; those that came before are still to be read. */
void nft_watch_pause(struct nft_watch *w);
int nft_watch_resume(struct nft_watch *w, struct err *e);
