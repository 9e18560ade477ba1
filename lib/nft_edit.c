/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order within the batch: what comes, as nothing may be named before it exists; elements that go, before
 * those that come, as a key may stay with other data; then the rules of chains that go, so that in whatever
 * order the chains themselves follow none is still jumped to; sets and counters last, when no rule uses
 * them.
 */
#include "lib/nft_edit.h"

#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_impl.h"

void nft_edit_init(struct nft_edit *x, uint8_t family, const char *table)
{
	x->come = nft_table_new(family, table);
	x->less = nft_table_new(family, table);
	x->more = nft_table_new(family, table);
	x->go = nft_table_new(family, table);
}

void nft_edit_done(struct nft_edit *x)
{
	nft_table_free(x->come);
	nft_table_free(x->less);
	nft_table_free(x->more);
	nft_table_free(x->go);
	*x = (struct nft_edit){0};
}

bool nft_edit_is_empty(const struct nft_edit *x)
{
	return !(x->come->n_chains || x->come->n_sets || x->come->n_counters || x->less->n_sets ||
		 x->more->n_sets || x->go->n_chains || x->go->n_sets || x->go->n_counters);
}

struct nft_set *nft_edit_set(struct nft_table *t, const struct nft_set *s)
{
	struct nft_set *out = nft_table_set(t, s->name, s->flags, NULL, 0);
	out->key_type = s->key_type;
	out->key_len = s->key_len;
	out->data_type = s->data_type;
	out->data_len = s->data_len;
	memcpy(out->fields, s->fields, sizeof(out->fields));
	return out;
}

static void nft_edit_part(struct nft_table *t, struct nft_set *from, struct nft_set *to)
{
	size_t stride = nft_set_stride(from);
	const uint8_t **list = mem_new(from->n + 1, sizeof(*list));
	size_t n = nft_set_minus(from, to, list);
	if (n) {
		struct nft_set *s = nft_edit_set(t, from);
		s->bytes = mem_new_raw(n * stride);
		s->n = s->room = n;
		for (size_t i = 0; i < n; i++)
			memcpy(s->bytes + i * stride, list[i], stride);
	}
	free((void *)list);
}

void nft_edit_elements(struct nft_edit *x, struct nft_set *from, struct nft_set *to)
{
	nft_set_sort(from);
	nft_set_sort(to);
	nft_edit_part(x->less, from, to);
	nft_edit_part(x->more, to, from);
}

/*
 * The difference of two tables. Both are put in the order of names; so it costs no more than sorting.
 */

static int nft_compare_chain_names(const void *a, const void *b)
{
	return strcmp(((const struct nft_chain *)a)->name, ((const struct nft_chain *)b)->name);
}

static int nft_compare_set_names(const void *a, const void *b)
{
	return strcmp(((const struct nft_set *)a)->name, ((const struct nft_set *)b)->name);
}

static int nft_compare_counters(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void nft_table_sort(struct nft_table *t)
{
	if (t->n_chains)
		qsort(t->chains, t->n_chains, sizeof(*t->chains), nft_compare_chain_names);
	if (t->n_sets)
		qsort(t->sets, t->n_sets, sizeof(*t->sets), nft_compare_set_names);
	if (t->n_counters)
		qsort(t->counters, t->n_counters, sizeof(*t->counters), nft_compare_counters);
}

/* Whether what has a name in both is the same thing. */
static bool nft_edit_possible(const struct nft_table *now, const struct nft_table *want)
{
	for (size_t i = 0, j = 0; i < now->n_chains && j < want->n_chains;) {
		int r = strcmp(now->chains[i].name, want->chains[j].name);
		if (r == 0 && !nft_chain_alike(now, &now->chains[i], want, &want->chains[j]))
			return false;
		i += r <= 0;
		j += r >= 0;
	}
	for (size_t i = 0, j = 0; i < now->n_sets && j < want->n_sets;) {
		int r = strcmp(now->sets[i].name, want->sets[j].name);
		if (r == 0 && !nft_set_alike(&now->sets[i], &want->sets[j]))
			return false;
		i += r <= 0;
		j += r >= 0;
	}
	return now->flags == want->flags;
}

static void nft_edit_chains(struct nft_edit *x, const struct nft_table *now, struct nft_table *want)
{
	for (size_t i = 0, j = 0; i < now->n_chains || j < want->n_chains;) {
		int r = i == now->n_chains    ? 1
			: j == want->n_chains ? -1
					      : strcmp(now->chains[i].name, want->chains[j].name);
		if (r < 0)
			(void)nft_table_chain(x->go, now->chains[i].name, NULL);
		if (r > 0) {
			(void)nft_table_chain(x->come, want->chains[j].name,
				&want->chains[j]); /* takes its rules */
			want->chains[j].rules = NULL;
			want->chains[j].n_rules = 0;
		}
		i += r <= 0;
		j += r >= 0;
	}
}

static void nft_edit_sets(struct nft_edit *x, const struct nft_table *now, struct nft_table *want)
{
	for (size_t i = 0, j = 0; i < now->n_sets || j < want->n_sets;) {
		int r = i == now->n_sets    ? 1
			: j == want->n_sets ? -1
					    : strcmp(now->sets[i].name, want->sets[j].name);
		if (r < 0)
			(void)nft_edit_set(x->go, &now->sets[i]);
		if (r == 0)
			nft_edit_elements(x, &now->sets[i], &want->sets[j]);
		if (r > 0) {
			struct nft_set *s = nft_edit_set(x->come, &want->sets[j]);
			*s = want->sets[j];
			want->sets[j].bytes = NULL;
			want->sets[j].n = want->sets[j].room = 0;
		}
		i += r <= 0;
		j += r >= 0;
	}
}

bool nft_edit_between(struct nft_table *now, struct nft_table *want, struct nft_edit *x)
{
	nft_table_sort(now);
	nft_table_sort(want);
	if (!nft_edit_possible(now, want))
		return false;
	nft_edit_chains(x, now, want);
	nft_edit_sets(x, now, want);
	for (size_t i = 0, j = 0; i < now->n_counters || j < want->n_counters;) {
		int r = i == now->n_counters	? 1
			: j == want->n_counters ? -1
						: strcmp(now->counters[i], want->counters[j]);
		if (r < 0)
			nft_table_counter(x->go, now->counters[i]);
		if (r > 0)
			nft_table_counter(x->come, want->counters[j]);
		i += r <= 0;
		j += r >= 0;
	}
	return true;
}

int nft_edit_commit(struct nft *n, const struct nft_edit *x, struct err *e)
{
	const struct nft_element_message more = {NFT_MSG_NEWSETELEM, NLM_F_CREATE};
	struct nft_batch *b = &n->batch;
	nft_put_contents(b, x->come);
	for (size_t i = 0; i < x->less->n_sets; i++)
		nft_put_all_elements(b, NFT_DEL_ELEMENTS, x->less, &x->less->sets[i]);
	for (size_t i = 0; i < x->more->n_sets; i++)
		nft_put_all_elements(b, more, x->more, &x->more->sets[i]);
	for (size_t i = 0; i < x->go->n_chains; i++)
		nft_put_name(b, NFT_MSG_DELRULE, x->go, x->go->chains[i].name);
	for (size_t i = 0; i < x->go->n_chains; i++)
		nft_put_name(b, NFT_MSG_DELCHAIN, x->go, x->go->chains[i].name);
	for (size_t i = 0; i < x->go->n_sets; i++)
		nft_put_name(b, NFT_MSG_DELSET, x->go, x->go->sets[i].name);
	for (size_t i = 0; i < x->go->n_counters; i++)
		nft_put_name(b, NFT_MSG_DELOBJ, x->go, x->go->counters[i]);
	return nft_batch_commit(b, e);
}
