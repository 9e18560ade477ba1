/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each expression is an element of the rule's list: its name and a nest of its attributes
 * (linux/netfilter/nf_tables.h). Numbers are in network order, values that are compared as the kernel has
 * them in its registers.
 */
#include "lib/nft_raw.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#define MESSAGE 1024 /* bytes of attributes at most */

void nft_raw_table(struct nft_batch *b, const char *table)
{
	struct nlmsghdr *m =
		nft_batch_put(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_TABLE_NAME, table);
}

void nft_raw_chain(struct nft_batch *b, const char *table, const char *chain,
	const struct nft_raw_base *base, uint16_t flags)
{
	struct nlmsghdr *m =
		nft_batch_put(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | flags, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_CHAIN_TABLE, table);
	netlink_put_text(m, NFTA_CHAIN_NAME, chain);
	if (!base)
		return;
	struct nlattr *hook = netlink_nest(m, NFTA_CHAIN_HOOK);
	netlink_put_be32(m, NFTA_HOOK_HOOKNUM, base->hook);
	netlink_put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)base->priority);
	netlink_nest_end(m, hook);
	netlink_put_be32(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
	netlink_put_text(m, NFTA_CHAIN_TYPE, base->type);
}

struct nft_raw_rule nft_raw_rule(struct nft_batch *b, const char *table, const char *chain)
{
	struct nft_raw_rule r = {.m = nft_batch_put(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
					 NFPROTO_INET, MESSAGE)};
	netlink_put_text(r.m, NFTA_RULE_TABLE, table);
	netlink_put_text(r.m, NFTA_RULE_CHAIN, chain);
	r.list = netlink_nest(r.m, NFTA_RULE_EXPRESSIONS);
	return r;
}

void nft_raw_rule_end(struct nft_raw_rule r)
{
	netlink_nest_end(r.m, r.list);
}

struct nft_raw_expr {
	struct nlattr *elem, *data;
};

static struct nft_raw_expr expr_begin(struct nlmsghdr *m, const char *name)
{
	struct nft_raw_expr x = {.elem = netlink_nest(m, NFTA_LIST_ELEM)};
	netlink_put_text(m, NFTA_EXPR_NAME, name);
	x.data = netlink_nest(m, NFTA_EXPR_DATA);
	return x;
}

static void expr_end(struct nlmsghdr *m, struct nft_raw_expr x)
{
	netlink_nest_end(m, x.data);
	netlink_nest_end(m, x.elem);
}

static void put_data(struct nlmsghdr *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr *nest = netlink_nest(m, type);
	netlink_put(m, NFTA_DATA_VALUE, data, len);
	netlink_nest_end(m, nest);
}

void nft_raw_meta(struct nft_raw_rule r, uint32_t key, uint32_t reg)
{
	struct nft_raw_expr x = expr_begin(r.m, "meta");
	netlink_put_be32(r.m, NFTA_META_KEY, key);
	netlink_put_be32(r.m, NFTA_META_DREG, reg);
	expr_end(r.m, x);
}

void nft_raw_payload(struct nft_raw_rule r, struct nft_raw_bytes bytes, uint32_t reg)
{
	struct nft_raw_expr x = expr_begin(r.m, "payload");
	netlink_put_be32(r.m, NFTA_PAYLOAD_DREG, reg);
	netlink_put_be32(r.m, NFTA_PAYLOAD_BASE, bytes.base);
	netlink_put_be32(r.m, NFTA_PAYLOAD_OFFSET, bytes.offset);
	netlink_put_be32(r.m, NFTA_PAYLOAD_LEN, bytes.len);
	expr_end(r.m, x);
}

void nft_raw_fib(struct nft_raw_rule r, uint32_t result, uint32_t flags)
{
	struct nft_raw_expr x = expr_begin(r.m, "fib");
	netlink_put_be32(r.m, NFTA_FIB_DREG, NFT_REG_1);
	netlink_put_be32(r.m, NFTA_FIB_RESULT, result);
	netlink_put_be32(r.m, NFTA_FIB_FLAGS, flags);
	expr_end(r.m, x);
}

void nft_raw_mask(struct nft_raw_rule r, const void *mask, uint32_t len)
{
	static const uint8_t zeros[16];
	struct nft_raw_expr x = expr_begin(r.m, "bitwise");
	netlink_put_be32(r.m, NFTA_BITWISE_SREG, NFT_REG_1);
	netlink_put_be32(r.m, NFTA_BITWISE_DREG, NFT_REG_1);
	netlink_put_be32(r.m, NFTA_BITWISE_LEN, len);
	put_data(r.m, NFTA_BITWISE_MASK, mask, len);
	put_data(r.m, NFTA_BITWISE_XOR, zeros, len);
	expr_end(r.m, x);
}

void nft_raw_equal(struct nft_raw_rule r, const void *bytes, size_t len)
{
	struct nft_raw_expr x = expr_begin(r.m, "cmp");
	netlink_put_be32(r.m, NFTA_CMP_SREG, NFT_REG_1);
	netlink_put_be32(r.m, NFTA_CMP_OP, NFT_CMP_EQ);
	put_data(r.m, NFTA_CMP_DATA, bytes, len);
	expr_end(r.m, x);
}

static struct nft_raw_expr lookup_begin(struct nlmsghdr *m, const char *set)
{
	struct nft_raw_expr x = expr_begin(m, "lookup");
	netlink_put_text(m, NFTA_LOOKUP_SET, set);
	netlink_put_be32(m, NFTA_LOOKUP_SREG, NFT_REG_1);
	return x;
}

void nft_raw_lookup(struct nft_raw_rule r, const char *set)
{
	expr_end(r.m, lookup_begin(r.m, set));
}

void nft_raw_map(struct nft_raw_rule r, const char *map)
{
	struct nft_raw_expr x = lookup_begin(r.m, map);
	netlink_put_be32(r.m, NFTA_LOOKUP_DREG, NFT_REG_1);
	expr_end(r.m, x);
}

void nft_raw_counter(struct nft_raw_rule r)
{
	expr_end(r.m, expr_begin(r.m, "counter"));
}

void nft_raw_verdict(struct nft_raw_rule r, int code, const char *chain)
{
	struct nft_raw_expr x = expr_begin(r.m, "immediate");
	netlink_put_be32(r.m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	struct nlattr *data = netlink_nest(r.m, NFTA_IMMEDIATE_DATA);
	struct nlattr *verdict = netlink_nest(r.m, NFTA_DATA_VERDICT);
	netlink_put_be32(r.m, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		netlink_put_text(r.m, NFTA_VERDICT_CHAIN, chain);
	netlink_nest_end(r.m, verdict);
	netlink_nest_end(r.m, data);
	expr_end(r.m, x);
}

void nft_raw_dnat(struct nft_raw_rule r, uint32_t family, uint32_t port_reg)
{
	struct nft_raw_expr x = expr_begin(r.m, "nat");
	netlink_put_be32(r.m, NFTA_NAT_TYPE, NFT_NAT_DNAT);
	netlink_put_be32(r.m, NFTA_NAT_FAMILY, family);
	netlink_put_be32(r.m, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
	netlink_put_be32(r.m, NFTA_NAT_REG_PROTO_MIN, port_reg);
	expr_end(r.m, x);
}

void nft_raw_masquerade(struct nft_raw_rule r)
{
	expr_end(r.m, expr_begin(r.m, "masq"));
}
