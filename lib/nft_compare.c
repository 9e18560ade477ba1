/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether two tables are the same. Rules are compared as the text in which libnftnl shows them: what was
 * built here and what was read from the kernel show alike, handles and the state of counters
 * are not in it. An anonymous set is part of the rule that uses it, as the kernel gives it another name.
 */
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_impl.h"
#include "lib/nft_rule.h"

struct nft_set *nft_table_find_set(const struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_sets; i++)
		if (strcmp(t->sets[i].name, name) == 0)
			return &t->sets[i];
	return NULL;
}

bool nft_set_alike(const struct nft_set *a, const struct nft_set *b)
{
	return !a->strange && !b->strange && a->flags == b->flags && a->key_type == b->key_type &&
	       a->key_len == b->key_len && a->data_type == b->data_type &&
	       a->data_len == b->data_len;
}

static const struct nft_chain *nft_table_find_chain(const struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_chains; i++)
		if (strcmp(t->chains[i].name, name) == 0)
			return &t->chains[i];
	return NULL;
}

static bool nft_rules_alike(const struct nft_table *a, const struct nft_chain *x,
	const struct nft_table *b, const struct nft_chain *y)
{
	for (size_t i = 0; i < x->n_rules; i++) {
		CLEANUP_FREE char *p = nft_rule_text(a, &x->rules[i]);
		CLEANUP_FREE char *q = nft_rule_text(b, &y->rules[i]);
		if (strcmp(p, q) != 0)
			return false;
	}
	return true;
}

bool nft_chain_alike(const struct nft_table *a, const struct nft_chain *x,
	const struct nft_table *b, const struct nft_chain *y)
{
	return strcmp(x->type, y->type) == 0 && x->hook == y->hook && x->priority == y->priority &&
	       x->policy == y->policy && x->n_rules == y->n_rules && nft_rules_alike(a, x, b, y);
}

static bool nft_chains_alike(const struct nft_table *a, const struct nft_table *b)
{
	for (size_t i = 0; i < a->n_chains; i++) {
		const struct nft_chain *x = &a->chains[i];
		const struct nft_chain *y = nft_table_find_chain(b, x->name);
		if (!y || !nft_chain_alike(a, x, b, y))
			return false;
	}
	return a->n_chains == b->n_chains;
}

static bool nft_has_counter(const struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_counters; i++)
		if (strcmp(t->counters[i], name) == 0)
			return true;
	return false;
}

bool nft_table_alike(const struct nft_table *a, const struct nft_table *b)
{
	if (a->flags != b->flags || a->n_sets != b->n_sets || a->n_counters != b->n_counters)
		return false;
	for (size_t i = 0; i < a->n_sets; i++) {
		const struct nft_set *x = &a->sets[i];
		const struct nft_set *y = nft_table_find_set(b, x->name);
		if (!(x->flags & NFT_SET_ANONYMOUS) && !(y && nft_set_alike(x, y)))
			return false;
	}
	for (size_t i = 0; i < a->n_counters; i++)
		if (!nft_has_counter(b, a->counters[i]))
			return false;
	return nft_chains_alike(a, b);
}

bool nft_table_equal(struct nft_table *a, struct nft_table *b)
{
	if (!nft_table_alike(a, b))
		return false;
	for (size_t i = 0; i < a->n_sets; i++) {
		struct nft_set *x = &a->sets[i];
		struct nft_set *y = nft_table_find_set(b, x->name);
		if (x->flags & NFT_SET_ANONYMOUS)
			continue; /* compared with its rule */
		nft_set_sort(x);
		nft_set_sort(y);
		if (x->n != y->n ||
			(x->n && memcmp(x->bytes, y->bytes, x->n * nft_set_stride(x)) != 0))
			return false;
	}
	return true;
}
