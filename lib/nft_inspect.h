/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading other people's rules, as far as a look at a firewall needs it: which addresses and
 * interfaces a rule asks for, and what it does with the packets. Everything else that it may ask for is
 * passed over.
 */
#include "lib/nft_table.h"

/* Whether the rule asks that a packet's source (else: destination) is in a prefix, range or set that
 * holds all of c. */
bool nft_inspect_addr(
	const struct nft_table *t, const struct nft_rule *r, const struct cidr *c, bool source);

/* Whether it asks for interfaces whose names begin with prefix. key: NFT_META_IIFNAME, NFT_META_OIFNAME. */
bool nft_inspect_ifname(const struct nft_rule *r, uint32_t key, const char *prefix);

/* NF_DROP (reject, too), NF_ACCEPT, NFT_JUMP, ...; NFT_CONTINUE when it gives none. *bare: it asks for
 * nothing at all. */
int nft_inspect_verdict(const struct nft_rule *r, bool *bare);
