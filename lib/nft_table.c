/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table as a value. The elements of a set are packed, all of one size: the key, the last key of the
 * interval (sets of intervals only), the data (maps only). So they are sorted and compared as bytes,
 * and ten thousand of them are one block of memory.
 */
#include "lib/nft_table.h"

#include <assert.h>
#include <stdio.h> /* before libnftnl's */
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_impl.h"
#include "lib/text.h"

/* The numbers by which nft(8) knows how to print keys (enum datatypes there), and the lengths. A
 * concatenation is numbered by those of its fields, 6 bits each. */
static const struct {
	uint8_t number, len;
} types[] = {
	[NFT_IPV4] = {7, 4},
	[NFT_IPV6] = {8, 16},
	[NFT_PROTO] = {12, 1},
	[NFT_PORT] = {13, 2},
	[NFT_MARK] = {19, 4},
	[NFT_IFINDEX] = {20, 4},
	[NFT_IFNAME] = {41, 16},
};
#define TYPE_BITS 6

struct nft_table *nft_table_new(uint8_t family, const char *name)
{
	struct nft_table *t = mem_new(1, sizeof(*t));
	t->family = family;
	(void)text_copy(t->name, sizeof(t->name), name);
	return t;
}

void nft_table_free(struct nft_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_chains; i++) {
		for (size_t j = 0; j < t->chains[i].n_rules; j++)
			nftnl_rule_free(t->chains[i].rules[j].rule);
		free(t->chains[i].rules);
	}
	for (size_t i = 0; i < t->n_sets; i++)
		free(t->sets[i].bytes);
	free(t->chains);
	free(t->sets);
	free(t->counters);
	free(t);
}

struct nft_chain *nft_table_chain(
	struct nft_table *t, const char *name, const struct nft_chain *base)
{
	t->chains = mem_grow(t->chains, &t->room_chains, t->n_chains, sizeof(*t->chains));
	struct nft_chain *c = &t->chains[t->n_chains++];
	*c = base ? *base : (struct nft_chain){0};
	(void)text_copy(c->name, sizeof(c->name), name);
	return c;
}

struct nft_rule *nft_chain_rule(struct nft_chain *c)
{
	c->rules = mem_grow(c->rules, &c->room, c->n_rules, sizeof(*c->rules));
	struct nft_rule *r = &c->rules[c->n_rules++];
	*r = (struct nft_rule){.rule = nftnl_rule_alloc()};
	if (!r->rule)
		err_abort("out of memory");
	return r;
}

void nft_table_counter(struct nft_table *t, const char *name)
{
	t->counters = mem_grow(t->counters, &t->room_counters, t->n_counters, sizeof(*t->counters));
	(void)text_copy(t->counters[t->n_counters++], NFT_NAME, name);
}

/*
 * Sets.
 */

struct nft_set *nft_table_set(
	struct nft_table *t, const char *name, uint32_t flags, const enum nft_type *list, size_t n)
{
	t->sets = mem_grow(t->sets, &t->room_sets, t->n_sets, sizeof(*t->sets));
	struct nft_set *s = &t->sets[t->n_sets++];
	*s = (struct nft_set){.flags = flags};
	if (!name) {
		s->id = (uint32_t)t->n_sets;
		s->flags |= NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
	}
	if (n > 1)
		s->flags |= NFT_SET_CONCAT;
	(void)text_copy(s->name, sizeof(s->name), name ? name : "__set%d");
	assert(n <= NFT_FIELDS);
	for (size_t i = 0; i < n; i++) {
		uint8_t len = types[list[i]].len;
		s->fields[i] = len;
		s->key_len += n > 1 ? (len + 3u) / 4 * 4 : len;
		s->key_type = s->key_type << TYPE_BITS | types[list[i]].number;
	}
	return s;
}

void nft_set_map(struct nft_set *s, enum nft_type data)
{
	s->flags |= NFT_SET_MAP;
	s->data_type = types[data].number;
	s->data_len = types[data].len;
}

void nft_set_verdicts(struct nft_set *s)
{
	s->flags |= NFT_SET_MAP;
	s->data_type = NFT_DATA_VERDICT;
	s->data_len = sizeof(struct nft_verdict);
}

static size_t nft_set_keys(const struct nft_set *s)
{
	return s->flags & NFT_SET_INTERVAL ? 2 : 1;
}

size_t nft_set_stride(const struct nft_set *s)
{
	return nft_set_keys(s) * s->key_len + s->data_len;
}

const uint8_t *nft_set_last(const struct nft_set *s, const uint8_t *element)
{
	return element + (nft_set_keys(s) - 1) * s->key_len;
}

const uint8_t *nft_set_data(const struct nft_set *s, const uint8_t *element)
{
	return element + nft_set_keys(s) * s->key_len;
}

bool nft_set_is_split(const struct nft_set *s)
{
	return s->flags & NFT_SET_INTERVAL && !(s->flags & NFT_SET_CONCAT);
}

bool nft_key_next(uint8_t *key, size_t len)
{
	while (len && ++key[len - 1] == 0)
		len--;
	return len == 0;
}

void nft_key_previous(uint8_t *key, size_t len)
{
	while (len && key[len - 1]-- == 0)
		len--;
}

void nft_set_add(struct nft_set *s, const void *from, const void *to, const void *data)
{
	size_t stride = nft_set_stride(s);
	s->bytes = mem_grow(s->bytes, &s->room, s->n, stride);
	uint8_t *at = s->bytes + s->n++ * stride;
	memcpy(at, from, s->key_len);
	if (s->flags & NFT_SET_INTERVAL)
		memcpy(at + s->key_len, to ? to : from, s->key_len);
	if (data)
		memcpy(at + nft_set_keys(s) * s->key_len, data, s->data_len);
}

void nft_set_add_cidr(struct nft_set *s, const struct cidr *c)
{
	struct addr first = cidr_masked(&c->addr, c->len).addr;
	struct addr last = cidr_last(c);
	nft_set_add(s, first.bytes, last.bytes, NULL);
}

static int nft_compare_elements(const void *a, const void *b, void *stride)
{
	return memcmp(a, b, *(const size_t *)stride);
}

void nft_set_sort(struct nft_set *s)
{
	size_t stride = nft_set_stride(s), kept = 0;
	if (!s->n)
		return;
	qsort_r(s->bytes, s->n, stride, nft_compare_elements, &stride);
	for (size_t i = 1; i < s->n; i++)
		if (memcmp(s->bytes + kept * stride, s->bytes + i * stride, stride) != 0)
			memmove(s->bytes + ++kept * stride, s->bytes + i * stride, stride);
	s->n = kept + 1;
}
