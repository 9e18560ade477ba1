/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who may send packets through our tunnels: known nodes only, in one nf_tables table of ours (inet
 * roost-tunnels). Without it whoever can reach this node could put packets with any source among the
 * pods. It exists while a tunnel does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

/* Addresses of both families, in any order, some perhaps twice. Borrowed. */
struct guard_list {
	const struct addr *v;
	size_t n;
};

struct guard_want {
	bool ipip, vxlan4, vxlan6; /* which tunnels there are */
	struct guard_list peers;   /* the other nodes */
	struct guard_list others;  /* far ends of IPIP tunnels that are not ours */
	struct guard_list theirs;  /* this host's ends of those that have no fixed far end */
	uint16_t port;		   /* of VXLAN */
	uint32_t vni;
};

struct guard;
struct nft;
struct guard *guard_new(struct nft *nft); /* borrowed until guard_free() */
void guard_free(struct guard *g);	  /* takes NULL */

/* The table's text as nft(8) reads it; the caller frees it. Pure. NULL: no table is needed. */
char *guard_text(const struct guard_want *w);
/* 1: changed; 0: it was so. look: see nft_table_sync(). */
int guard_sync(struct guard *g, const struct guard_want *w, bool look, struct err *e);
