/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are loaded into registers from the first one on. The kernel numbers registers of 16 bytes
 * (NFT_REG_1) and of 4 bytes (NFT_REG32_00) over the same memory, and names the larger where both fit;
 * so does this.
 */
#include "lib/nft_rule.h"

#include <stdio.h> /* before libnftnl's */
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/nft_impl.h"
#include "lib/text.h"

static struct nftnl_expr *nft_expr_new(const char *name)
{
	struct nftnl_expr *x = nftnl_expr_alloc(name);
	if (!x)
		err_abort("out of memory");
	return x;
}

static uint32_t nft_register(unsigned int at)
{
	return at % 16 == 0 ? NFT_REG_1 + at / 16 : NFT_REG32_00 + at / 4;
}

/* The register for a value of len bytes behind those that are loaded. */
static uint32_t nft_rule_reserve(struct nft_rule *r, uint32_t len)
{
	uint32_t reg = nft_register(r->loaded);
	r->loaded += (len + 3) / 4 * 4;
	return reg;
}

void nft_load_meta(struct nft_rule *r, uint32_t key)
{
	bool is_name = key == NFT_META_IIFNAME || key == NFT_META_OIFNAME;
	struct nftnl_expr *x = nft_expr_new("meta");
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_META_DREG, nft_rule_reserve(r, is_name ? 16 : 4));
	nftnl_rule_add_expr(r->rule, x);
}

void nft_load_ct(struct nft_rule *r, uint32_t key)
{
	struct nftnl_expr *x = nft_expr_new("ct");
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_KEY, key);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CT_DREG, nft_rule_reserve(r, 4));
	nftnl_rule_add_expr(r->rule, x);
}

void nft_load_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len)
{
	struct nftnl_expr *x = nft_expr_new("payload");
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_BASE, base);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_LEN, len);
	nftnl_expr_set_u32(x, NFTNL_EXPR_PAYLOAD_DREG, nft_rule_reserve(r, len));
	nftnl_rule_add_expr(r->rule, x);
}

void nft_load_addr(struct nft_rule *r, enum family f, bool source)
{
	uint32_t len = family_bits(f) / 8;
	uint32_t at = f == IPV4 ? 12 : 8; /* of the source in the header */
	nft_load_payload(r, NFT_PAYLOAD_NETWORK_HEADER, source ? at : at + len, len);
}

void nft_load_port(struct nft_rule *r, bool source)
{
	nft_load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, source ? 0 : 2, 2);
}

void nft_mask(struct nft_rule *r, const void *mask, size_t len)
{
	static const uint8_t zero[16];
	struct nftnl_expr *x = nft_expr_new("bitwise");
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
	nftnl_expr_set_u32(x, NFTNL_EXPR_BITWISE_LEN, (uint32_t)len);
	nftnl_expr_set(x, NFTNL_EXPR_BITWISE_MASK, mask, (uint32_t)len);
	nftnl_expr_set(x, NFTNL_EXPR_BITWISE_XOR, zero, (uint32_t)len);
	nftnl_rule_add_expr(r->rule, x);
}

void nft_compare(struct nft_rule *r, uint32_t op, const void *value, size_t len)
{
	struct nftnl_expr *x = nft_expr_new("cmp");
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_CMP_OP, op);
	nftnl_expr_set(x, NFTNL_EXPR_CMP_DATA, value, (uint32_t)len);
	nftnl_rule_add_expr(r->rule, x);
	r->loaded = 0;
}

void nft_within(struct nft_rule *r, const void *first, const void *last, size_t len, bool negated)
{
	struct nftnl_expr *x = nft_expr_new("range");
	nftnl_expr_set_u32(x, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_RANGE_OP, negated ? NFT_RANGE_NEQ : NFT_RANGE_EQ);
	nftnl_expr_set(x, NFTNL_EXPR_RANGE_FROM_DATA, first, (uint32_t)len);
	nftnl_expr_set(x, NFTNL_EXPR_RANGE_TO_DATA, last, (uint32_t)len);
	nftnl_rule_add_expr(r->rule, x);
	r->loaded = 0;
}

void nft_limit(struct nft_rule *r, uint64_t per_second, uint32_t burst)
{
	struct nftnl_expr *x = nft_expr_new("limit");
	nftnl_expr_set_u64(x, NFTNL_EXPR_LIMIT_RATE, per_second);
	nftnl_expr_set_u64(x, NFTNL_EXPR_LIMIT_UNIT, 1);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LIMIT_BURST, burst);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LIMIT_FLAGS, 0);
	nftnl_rule_add_expr(r->rule, x);
}

static struct nftnl_expr *nft_lookup_new(struct nft_rule *r, const struct nft_set *s)
{
	struct nftnl_expr *x = nft_expr_new("lookup");
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	(void)nftnl_expr_set_str(x, NFTNL_EXPR_LOOKUP_SET, s->name);
	if (s->id)
		nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_SET_ID, s->id);
	nftnl_rule_add_expr(r->rule, x);
	r->loaded = 0;
	return x;
}

void nft_lookup(struct nft_rule *r, const struct nft_set *s, bool negated)
{
	struct nftnl_expr *x = nft_lookup_new(r, s);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_FLAGS, negated ? NFT_LOOKUP_F_INV : 0);
}

void nft_dispatch(struct nft_rule *r, const struct nft_set *s)
{
	struct nftnl_expr *x = nft_lookup_new(r, s);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_FLAGS, 0);
}

void nft_load_mapped(struct nft_rule *r, const struct nft_set *s)
{
	struct nftnl_expr *x = nft_lookup_new(r, s);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_DREG, nft_rule_reserve(r, s->data_len));
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOOKUP_FLAGS, 0);
}

void nft_match_family(struct nft_rule *r, enum family f)
{
	uint8_t proto = f == IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
	nft_load_meta(r, NFT_META_NFPROTO);
	nft_compare(r, NFT_CMP_EQ, &proto, sizeof(proto));
}

void nft_match_proto(struct nft_rule *r, uint8_t proto)
{
	nft_load_meta(r, NFT_META_L4PROTO);
	nft_compare(r, NFT_CMP_EQ, &proto, sizeof(proto));
}

void nft_match_ifname(struct nft_rule *r, uint32_t key, const char *prefix, bool negated)
{
	nft_load_meta(r, key);
	nft_compare(r, negated ? NFT_CMP_NEQ : NFT_CMP_EQ, prefix, strlen(prefix));
}

void nft_rule_verdict(struct nft_rule *r, int code, const char *chain)
{
	struct nftnl_expr *x = nft_expr_new("immediate");
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	nftnl_expr_set_u32(x, NFTNL_EXPR_IMM_VERDICT, (uint32_t)code);
	if (chain)
		(void)nftnl_expr_set_str(x, NFTNL_EXPR_IMM_CHAIN, chain);
	nftnl_rule_add_expr(r->rule, x);
}

void nft_count(struct nft_rule *r)
{
	nftnl_rule_add_expr(r->rule, nft_expr_new("counter"));
}

void nft_count_in(struct nft_rule *r, const char *counter)
{
	struct nftnl_expr *x = nft_expr_new("objref");
	nftnl_expr_set_u32(x, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	(void)nftnl_expr_set_str(x, NFTNL_EXPR_OBJREF_IMM_NAME, counter);
	nftnl_rule_add_expr(r->rule, x);
}

void nft_log(struct nft_rule *r, uint16_t group, const char *prefix, uint32_t bytes)
{
	struct nftnl_expr *x = nft_expr_new("log");
	nftnl_expr_set_u16(x, NFTNL_EXPR_LOG_GROUP, group);
	nftnl_expr_set_u16(x, NFTNL_EXPR_LOG_QTHRESHOLD, 0);
	nftnl_expr_set_u32(x, NFTNL_EXPR_LOG_SNAPLEN, bytes);
	(void)nftnl_expr_set_str(x, NFTNL_EXPR_LOG_PREFIX, prefix);
	nftnl_rule_add_expr(r->rule, x);
}

void nft_masquerade(struct nft_rule *r)
{
	nftnl_rule_add_expr(r->rule, nft_expr_new("masq"));
}

struct nftnl_expr_iter *nft_rule_exprs(const struct nft_rule *r)
{
	struct nftnl_expr_iter *i = nftnl_expr_iter_create(r->rule);
	if (!i)
		err_abort("out of memory");
	return i;
}

/* The set that a lookup uses, when it is anonymous. */
static struct nft_set *nft_lookup_anonymous(const struct nft_table *t, const struct nftnl_expr *x)
{
	const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_LOOKUP_SET);
	uint32_t id = nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_SET_ID)
			      ? nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_SET_ID)
			      : 0;
	for (size_t i = 0; i < t->n_sets; i++) {
		struct nft_set *s = &t->sets[i];
		if (s->flags & NFT_SET_ANONYMOUS && (id ? s->id == id : strcmp(s->name, name) == 0))
			return s;
	}
	return NULL;
}

static void nft_lookup_text(struct text *out, const struct nftnl_expr *x, struct nft_set *s)
{
	uint32_t flags = nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_FLAGS);
	text_add(out, "[ lookup %sreg %u dreg %d {", flags & NFT_LOOKUP_F_INV ? "not " : "",
		nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_SREG),
		nftnl_expr_is_set(x, NFTNL_EXPR_LOOKUP_DREG)
			? (int)nftnl_expr_get_u32(x, NFTNL_EXPR_LOOKUP_DREG)
			: -1);
	nft_set_sort(s);
	for (size_t i = 0; i < s->n * nft_set_stride(s); i++)
		text_add(out, "%s%02x", i % nft_set_stride(s) ? "" : " ", s->bytes[i]);
	text_add(out, " } ]\n");
}

char *nft_rule_text(const struct nft_table *t, const struct nft_rule *r)
{
	struct text out = {0};
	struct nftnl_expr_iter *i = nft_rule_exprs(r);
	for (struct nftnl_expr *x = nftnl_expr_iter_next(i); x; x = nftnl_expr_iter_next(i)) {
		const char *name = nftnl_expr_get_str(x, NFTNL_EXPR_NAME);
		struct nft_set *anonymous =
			strcmp(name, "lookup") == 0 ? nft_lookup_anonymous(t, x) : NULL;
		char line[1024] = "";
		if (anonymous) {
			nft_lookup_text(&out, x, anonymous);
			continue;
		}
		if (strcmp(name, "counter") != 0)
			(void)nftnl_expr_snprintf(line, sizeof(line), x, NFTNL_OUTPUT_DEFAULT, 0);
		text_add(&out, "[ %s %s]\n", name, line);
	}
	nftnl_expr_iter_destroy(i);
	return text_take(&out);
}
