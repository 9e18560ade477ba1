/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether somebody else's packet filter lets pods' packets be forwarded. Pure: works on what
 * nft lists as JSON. Careful: what is not understood is taken for a rule that does not match, so a
 * filter may be reported although it lets them through, never the other way round for a policy.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/err.h"

#define FIREWALL_NAME 128

/* A listing of nft; at most 16 MiB. The caller owns *out. -EBADMSG, -EFBIG. */
int firewall_parse(const char *text, size_t len, json_t **out, struct err *e);

struct firewall_table {
	char family[8];
	char name[FIREWALL_NAME];
};
/* The tables that have a chain hooked at forward, from `list chains`; the caller frees *out. Ours
 * are left out, and names that nft(8) could not read. */
void firewall_tables(const json_t *chains, struct firewall_table **out, size_t *n);

/* 1: out says which chain of the table (`list table`) drops the packets of which pools (of one
 * family), and the command that mends it; 0: none. */
int firewall_check(const json_t *table, const struct cidr *pools, size_t n_pools, char out[256]);

/* The sentence, about one pool or more of one family. docker: there is a chain DOCKER-USER, which Docker keeps. */
struct firewall_place {
	const char *family, *table, *chain;
	bool docker, legacy;
};
void firewall_sentence(
	const struct firewall_place *p, const struct cidr *pools, size_t n, char out[256]);
