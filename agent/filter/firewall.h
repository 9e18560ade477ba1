/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether somebody else's packet filter lets pods' packets be forwarded, as far as its FORWARD chains say it
 * plainly. docs/KERNEL.md says what is looked at.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/nft.h"

/* 1: out says in one sentence what drops the packets of which pools (of one family), and which command
 * mends it; 0: nothing does. */
int firewall_check(
	struct nft *nft, const struct cidr *pools, size_t n_pools, char out[256], struct err *e);

/* The sentence, about one pool or more of one family. docker: there is a chain DOCKER-USER, which
 * Docker keeps. */
struct firewall_place {
	const char *family, *table, *chain;
	bool docker;
};
void firewall_sentence(
	const struct firewall_place *p, const struct cidr *pools, size_t n, char out[256]);
