/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each expression is an element of the rule's list: its name and a nest of its attributes
 * (linux/netfilter/nf_tables.h). Numbers are in network order, values that are compared as the kernel has
 * them in its registers.
 */
#include "lib/nft_raw.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#define MESSAGE 1024 /* bytes of attributes at most */

static void put_data(struct nlmsghdr *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr *nest = netlink_nest(m, type);
	netlink_put(m, NFTA_DATA_VALUE, data, len);
	netlink_nest_end(m, nest);
}

/* chain: of a jump or goto, else NULL. */
static void put_verdict(struct nlmsghdr *m, uint16_t type, int code, const char *chain)
{
	struct nlattr *data = netlink_nest(m, type);
	struct nlattr *verdict = netlink_nest(m, NFTA_DATA_VERDICT);
	netlink_put_be32(m, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		netlink_put_text(m, NFTA_VERDICT_CHAIN, chain);
	netlink_nest_end(m, verdict);
	netlink_nest_end(m, data);
}

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

static void take_use(const struct nlmsghdr *reply, size_t index, void *arg)
{
	struct nft_raw_chain_look *look = (struct nft_raw_chain_look *)arg + index;
	const struct nlattr *attr;
	look->is_there = true;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_CHAIN_USE)
			look->has_rules = netlink_be32(attr) > 0;
}

int nft_raw_look_at_chains(struct nft_batch *b, const char *table, const char *const *chains,
	size_t n, struct nft_raw_chain_look *out, struct err *e)
{
	memset(out, 0, n * sizeof(*out));
	for (size_t i = 0; i < n; i++) {
		struct nlmsghdr *m = nft_batch_wonder(b, i, NFT_MSG_GETCHAIN, NFPROTO_INET);
		netlink_put_text(m, NFTA_CHAIN_TABLE, table);
		netlink_put_text(m, NFTA_CHAIN_NAME, chains[i]);
	}
	return nft_batch_ask_each(b, n, take_use, out, e);
}

void nft_raw_verdict_map(
	struct nft_batch *b, const char *table, const char *map, struct nft_raw_key key)
{
	/* For nft(8), which reads and writes keys in network order unless this says otherwise: type, length,
	 * a number in the host's order (NFTNL_UDATA_SET_KEYBYTEORDER, BYTEORDER_HOST_ENDIAN). */
	const uint32_t host = 1;
	uint8_t order[2 + sizeof(host)] = {0, sizeof(host)};
	memcpy(order + 2, &host, sizeof(host));
	struct nlmsghdr *m = nft_batch_put(b, NFT_MSG_NEWSET, NLM_F_CREATE, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_SET_TABLE, table);
	netlink_put_text(m, NFTA_SET_NAME, map);
	netlink_put_be32(m, NFTA_SET_FLAGS, NFT_SET_MAP);
	netlink_put_be32(m, NFTA_SET_KEY_TYPE, key.type);
	netlink_put_be32(m, NFTA_SET_KEY_LEN, key.len);
	netlink_put_be32(m, NFTA_SET_ID, key.id);
	netlink_put_be32(m, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
	netlink_put(m, NFTA_SET_USERDATA, order, sizeof(order));
}

void nft_raw_element(struct nft_batch *b, const char *table, const char *map,
	const struct nft_raw_element *element)
{
	struct nlmsghdr *m =
		nft_batch_put(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_SET_ELEM_LIST_TABLE, table);
	netlink_put_text(m, NFTA_SET_ELEM_LIST_SET, map);
	struct nlattr *list = netlink_nest(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	struct nlattr *one = netlink_nest(m, NFTA_LIST_ELEM);
	put_data(m, NFTA_SET_ELEM_KEY, element->key, element->len);
	put_verdict(m, NFTA_SET_ELEM_DATA, element->code, element->chain);
	netlink_nest_end(m, one);
	netlink_nest_end(m, list);
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

void nft_raw_meta(struct nft_raw_rule r, uint32_t key, uint32_t reg)
{
	struct nft_raw_expr x = expr_begin(r.m, "meta");
	netlink_put_be32(r.m, NFTA_META_KEY, key);
	netlink_put_be32(r.m, NFTA_META_DREG, reg);
	expr_end(r.m, x);
}

void nft_raw_ct(struct nft_raw_rule r, uint32_t key, uint32_t reg)
{
	struct nft_raw_expr x = expr_begin(r.m, "ct");
	netlink_put_be32(r.m, NFTA_CT_KEY, key);
	netlink_put_be32(r.m, NFTA_CT_DREG, reg);
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

static void put_compare(struct nlmsghdr *m, uint32_t op, const void *bytes, size_t len)
{
	struct nft_raw_expr x = expr_begin(m, "cmp");
	netlink_put_be32(m, NFTA_CMP_SREG, NFT_REG_1);
	netlink_put_be32(m, NFTA_CMP_OP, op);
	put_data(m, NFTA_CMP_DATA, bytes, len);
	expr_end(m, x);
}

void nft_raw_equal(struct nft_raw_rule r, const void *bytes, size_t len)
{
	put_compare(r.m, NFT_CMP_EQ, bytes, len);
}

void nft_raw_differs(struct nft_raw_rule r, const void *bytes, size_t len)
{
	put_compare(r.m, NFT_CMP_NEQ, bytes, len);
}

void nft_raw_within(struct nft_raw_rule r, const void *first, const void *last, size_t len)
{
	struct nft_raw_expr x = expr_begin(r.m, "range");
	netlink_put_be32(r.m, NFTA_RANGE_SREG, NFT_REG_1);
	netlink_put_be32(r.m, NFTA_RANGE_OP, NFT_RANGE_EQ);
	put_data(r.m, NFTA_RANGE_FROM_DATA, first, len);
	put_data(r.m, NFTA_RANGE_TO_DATA, last, len);
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

void nft_raw_dispatch(struct nft_raw_rule r, const char *map)
{
	struct nft_raw_expr x = lookup_begin(r.m, map);
	netlink_put_be32(r.m, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
	expr_end(r.m, x);
}

void nft_raw_counter(struct nft_raw_rule r)
{
	expr_end(r.m, expr_begin(r.m, "counter"));
}

void nft_raw_count_in(struct nft_raw_rule r, const char *counter)
{
	struct nft_raw_expr x = expr_begin(r.m, "objref");
	netlink_put_be32(r.m, NFTA_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	netlink_put_text(r.m, NFTA_OBJREF_IMM_NAME, counter);
	expr_end(r.m, x);
}

void nft_raw_verdict(struct nft_raw_rule r, int code, const char *chain)
{
	struct nft_raw_expr x = expr_begin(r.m, "immediate");
	netlink_put_be32(r.m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	put_verdict(r.m, NFTA_IMMEDIATE_DATA, code, chain);
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
