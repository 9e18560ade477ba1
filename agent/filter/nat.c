/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule names source and destination: only what comes from a pool that asks for it and goes
 * outside all pools is masqueraded. Packets to pods (roost*) never are, whatever their address. Sets
 * hold no prefix that another one contains: intervals may not overlap.
 */
#include "agent/filter/nat.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/family.h"
#include "lib/mem.h"
#include "lib/nft.h"
#include "lib/nft_rule.h"

#define TABLE "roost-nat"

struct nat {
	struct nft *nft; /* borrowed */
	struct nft_kept table;
};

struct nat *nat_new(struct nft *nft)
{
	struct nat *n = mem_new(1, sizeof(*n));
	n->nft = nft;
	n->table = (struct nft_kept){.family = NFPROTO_INET, .name = TABLE};
	return n;
}

void nat_free(struct nat *n)
{
	if (!n)
		return;
	nft_kept_done(&n->table);
	free(n);
}

/* The prefixes of a family, sorted, without those inside others; the caller frees them. */
static struct cidr *nat_prefixes(
	const struct cidr *list, size_t n, enum family family, size_t *count)
{
	struct cidr *v = mem_new(n + 1, sizeof(*v));
	size_t used = 0, kept = 0;
	for (size_t i = 0; i < n; i++)
		if (list[i].addr.family == family_af(family))
			v[used++] = cidr_masked(&list[i].addr, list[i].len);
	qsort(v, used, sizeof(*v), cidr_compare_first);
	for (size_t i = 0; i < used; i++)
		if (!kept || !cidr_contains(&v[kept - 1], &v[i].addr))
			v[kept++] = v[i];
	*count = kept;
	return v;
}

static void nat_add_set(
	struct nft_table *t, const char *word, enum family family, const struct cidr *v, size_t n)
{
	const enum nft_type type = (enum nft_type)family;
	char name[16];
	(void)snprintf(name, sizeof(name), "%s%c", word, family_digit(family));
	struct nft_set *s = nft_table_set(t, name, NFT_SET_INTERVAL, &type, 1);
	s->merges = true;
	for (size_t i = 0; i < n; i++)
		nft_set_add_cidr(s, &v[i]);
}

/* The two sets of the family were added last. */
static void nat_add_rule(struct nft_table *t, struct nft_chain *c, enum family family)
{
	struct nft_rule *r = nft_chain_rule(c);
	nft_match_family(r, family);
	nft_load_addr(r, family, true);
	nft_lookup(r, &t->sets[t->n_sets - 2], false);
	nft_load_addr(r, family, false);
	nft_lookup(r, &t->sets[t->n_sets - 1], true);
	nft_match_ifname(r, NFT_META_OIFNAME, "roost", true);
	nft_masquerade(r);
}

static void nat_add_family(
	struct nft_table *t, struct nft_chain *c, const struct nat_want *w, enum family family)
{
	size_t n_nat, n_pools;
	CLEANUP_FREE struct cidr *nat = nat_prefixes(w->nat, w->n_nat, family, &n_nat);
	CLEANUP_FREE struct cidr *pools = nat_prefixes(w->pools, w->n_pools, family, &n_pools);
	if (!n_nat)
		return;
	nat_add_set(t, "nat", family, nat, n_nat);
	nat_add_set(t, "pools", family, pools, n_pools);
	nat_add_rule(t, c, family);
}

static struct nft_table *nat_table(const struct nat_want *w)
{
	static const struct nft_chain base = {.type = "nat",
		.hook = NF_INET_POST_ROUTING,
		.priority = NF_IP_PRI_NAT_SRC,
		.policy = NF_ACCEPT};
	if (!w->n_nat)
		return NULL;
	struct nft_table *t = nft_table_new(NFPROTO_INET, TABLE);
	struct nft_chain *c = nft_table_chain(t, "postrouting", &base);
	for (enum family f = IPV4; f < FAMILIES; f++)
		nat_add_family(t, c, w, f);
	return t;
}

int nat_is_changed(struct nat *n, struct err *e)
{
	return nft_kept_is_changed(n->nft, &n->table, e);
}

int nat_sync(struct nat *n, const struct nat_want *w, bool look, struct err *e)
{
	return nft_sync(n->nft, &n->table, nat_table(w), look, e);
}
