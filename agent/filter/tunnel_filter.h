/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who may send packets through our tunnels: known nodes only, in one nf_tables table of ours (inet
 * roost-tunnels). Without it whoever can reach this node could put packets with any source among the
 * pods. It exists while a tunnel does.
 */
#include <stdbool.h>

#include "agent/filter/want.h"
#include "lib/err.h"

struct tunnel_filter;
struct nft;
struct tunnel_filter *tunnel_filter_new(struct nft *nft); /* borrowed until tunnel_filter_free() */
void tunnel_filter_free(struct tunnel_filter *f);	  /* takes NULL; the kernel's table stays */

/* Whether somebody else changed the table since the last sync, which then mends it. 1, 0 or an error. */
int tunnel_filter_is_changed(struct tunnel_filter *f, struct err *e);

/* 1: changed; 0: it was so. look: at the kernel's table, too, as somebody may have changed it. */
int tunnel_filter_sync(
	struct tunnel_filter *f, const struct tunnel_filter_want *w, bool look, struct err *e);
