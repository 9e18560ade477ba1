/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nft(8) and iptables-nft write a question as one expression that loads a value, perhaps one that masks
 * it, and one that compares it or looks it up. So the expressions are read in order, with the value that
 * was loaded last in mind. A prefix of whole bytes is a shorter load without a mask.
 */
#include "lib/nft_inspect.h"

#include <stdio.h> /* before libnftnl's */
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "lib/nft_impl.h"

static bool nft_is_expr(const struct nftnl_expr *x, const char *name)
{
	return strcmp(nftnl_expr_get_str(x, NFTNL_EXPR_NAME), name) == 0;
}

static uint32_t nft_expr_get(const struct nftnl_expr *x, uint16_t attr)
{
	return nftnl_expr_is_set(x, attr) ? nftnl_expr_get_u32(x, attr) : 0;
}

/* The address that the expressions ask about, on their way. */
struct nft_inspection {
	const struct nft_table *table;
	const struct cidr *cidr;
	bool source;
	bool loaded;	  /* the value at hand is the address, or its first bytes */
	uint8_t mask[16]; /* of it */
};

static void nft_inspect_load(struct nft_inspection *g, const struct nftnl_expr *x)
{
	uint32_t size = (uint32_t)addr_size(&g->cidr->addr);
	uint32_t at = (size == 4 ? 12 : 8) + (g->source ? 0 : size);
	g->loaded = nft_is_expr(x, "payload") &&
		    nft_expr_get(x, NFTNL_EXPR_PAYLOAD_BASE) == NFT_PAYLOAD_NETWORK_HEADER &&
		    nft_expr_get(x, NFTNL_EXPR_PAYLOAD_OFFSET) == at &&
		    nft_expr_get(x, NFTNL_EXPR_PAYLOAD_LEN) <= size;
	memset(g->mask, 0, sizeof(g->mask));
	if (g->loaded)
		memset(g->mask, 0xff, nft_expr_get(x, NFTNL_EXPR_PAYLOAD_LEN));
}

static void nft_inspect_mask(struct nft_inspection *g, const struct nftnl_expr *x)
{
	uint32_t len = 0;
	const uint8_t *mask = nftnl_expr_get(x, NFTNL_EXPR_BITWISE_MASK, &len);
	for (uint32_t i = 0; i < sizeof(g->mask); i++)
		g->mask[i] &= mask && i < len ? mask[i] : 0;
}

/* Whether all addresses of the prefix equal the value under the mask. */
static bool nft_inspect_compare(const struct nft_inspection *g, const struct nftnl_expr *x)
{
	uint32_t len = 0;
	const uint8_t *value = nftnl_expr_get(x, NFTNL_EXPR_CMP_DATA, &len);
	const struct cidr *c = g->cidr;
	if (nft_expr_get(x, NFTNL_EXPR_CMP_OP) != NFT_CMP_EQ || !value)
		return false;
	for (uint8_t bit = 0; bit < addr_bits(&c->addr); bit++) {
		uint8_t m = (uint8_t)(0x80 >> bit % 8);
		uint8_t wanted = bit / 8 < len ? value[bit / 8] : 0;
		if (g->mask[bit / 8] & m &&
			(bit >= c->len || (c->addr.bytes[bit / 8] ^ wanted) & m))
			return false;
	}
	return true;
}

static bool nft_inspect_lookup(const struct nft_inspection *g, const struct nftnl_expr *x)
{
	const struct nft_set *s =
		nft_table_find_set(g->table, nftnl_expr_get_str(x, NFTNL_EXPR_LOOKUP_SET));
	struct addr last = cidr_last(g->cidr);
	if (!s || s->key_len != addr_size(&last) || s->flags & NFT_SET_CONCAT ||
		nft_expr_get(x, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const uint8_t *element = s->bytes + i * nft_set_stride(s);
		if (memcmp(element, g->cidr->addr.bytes, s->key_len) <= 0 &&
			memcmp(nft_set_last(s, element), last.bytes, s->key_len) >= 0)
			return true;
	}
	return false;
}

bool nft_inspect_addr(
	const struct nft_table *t, const struct nft_rule *r, const struct cidr *c, bool source)
{
	struct nft_inspection g = {.table = t, .cidr = c, .source = source};
	bool found = false;
	struct nftnl_expr_iter *i = nft_rule_exprs(r);
	for (struct nftnl_expr *x = nftnl_expr_iter_next(i); x; x = nftnl_expr_iter_next(i)) {
		if (g.loaded && nft_is_expr(x, "bitwise"))
			nft_inspect_mask(&g, x);
		else if (g.loaded && nft_is_expr(x, "cmp"))
			found = found || nft_inspect_compare(&g, x);
		else if (g.loaded && nft_is_expr(x, "lookup"))
			found = found || nft_inspect_lookup(&g, x);
		else
			nft_inspect_load(&g, x);
	}
	nftnl_expr_iter_destroy(i);
	return found;
}

bool nft_inspect_ifname(const struct nft_rule *r, uint32_t key, const char *prefix)
{
	bool loaded = false, found = false;
	struct nftnl_expr_iter *i = nft_rule_exprs(r);
	for (struct nftnl_expr *x = nftnl_expr_iter_next(i); x; x = nftnl_expr_iter_next(i)) {
		uint32_t len = 0;
		const void *name = nftnl_expr_get(x, NFTNL_EXPR_CMP_DATA, &len);
		if (loaded && nft_is_expr(x, "cmp"))
			found = found ||
				(nft_expr_get(x, NFTNL_EXPR_CMP_OP) == NFT_CMP_EQ && name &&
					len <= strlen(prefix) && memcmp(name, prefix, len) == 0);
		loaded = nft_is_expr(x, "meta") && nft_expr_get(x, NFTNL_EXPR_META_KEY) == key;
	}
	nftnl_expr_iter_destroy(i);
	return found;
}

int nft_inspect_verdict(const struct nft_rule *r, bool *bare)
{
	int verdict = NFT_CONTINUE;
	struct nftnl_expr_iter *i = nft_rule_exprs(r);
	*bare = true;
	for (struct nftnl_expr *x = nftnl_expr_iter_next(i); x; x = nftnl_expr_iter_next(i)) {
		bool target = nft_is_expr(x, "target");
		if (nft_is_expr(x, "immediate") && nftnl_expr_is_set(x, NFTNL_EXPR_IMM_VERDICT))
			verdict = (int)nft_expr_get(x, NFTNL_EXPR_IMM_VERDICT);
		else if (nft_is_expr(x, "reject") ||
			 (target &&
				 strcmp(nftnl_expr_get_str(x, NFTNL_EXPR_TG_NAME), "REJECT") == 0))
			verdict = NF_DROP;
		else if (!target && !nft_is_expr(x, "counter") && !nft_is_expr(x, "log"))
			*bare = false;
	}
	nftnl_expr_iter_destroy(i);
	return verdict;
}
