/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source check as nf_tables objects, written as the netlink messages that nft would send:
 *
 * 	table inet roost {
 * 		chain antispoof-roost {
 * 			type filter hook prerouting priority raw; policy accept;
 * 			iifname "roost*" fib saddr . iif missing counter drop
 * 		}
 * 	}
 *
 * One chain for each host interface prefix, named after it, so that the look is one question:
 * does the chain exist, and has it a rule? The chain is created exclusively and the batch is
 * atomic, so of thirty first ADDs at once one makes it and the others find it. fib looks the
 * source up as a destination: an address that is not routed back through the link it came from
 * is missing. The host end's fe80::/64 is such a route for link-local sources; unspecified
 * sources of neighbour discovery are let through by the kernel itself (nft_fib_ipv6.c).
 *
 * It is there for IPv6, which has no rp_filter. IPv4 has strict reverse path filtering on the
 * link, but a host with net.ipv4.conf.all.rp_filter=2 makes that loose (the larger value
 * counts), so the rule looks at both families.
 */
#include "lib/antispoof.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/netlink.h"
#include "lib/nft_batch.h"

#define TABLE "roost"
#define PRIORITY_RAW (-300)
#define MESSAGE 1024 /* bytes of attributes at most */

static void put_data(struct nlmsghdr *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr *nest = netlink_nest(m, type);
	netlink_put(m, NFTA_DATA_VALUE, data, len);
	netlink_nest_end(m, nest);
}

struct expr {
	struct nlattr *elem, *data;
};

static struct expr begin_expr(struct nlmsghdr *m, const char *name)
{
	struct expr x = {.elem = netlink_nest(m, NFTA_LIST_ELEM)};
	netlink_put_text(m, NFTA_EXPR_NAME, name);
	x.data = netlink_nest(m, NFTA_EXPR_DATA);
	return x;
}

static void end_expr(struct nlmsghdr *m, struct expr x)
{
	netlink_nest_end(m, x.data);
	netlink_nest_end(m, x.elem);
}

static void put_meta(struct nlmsghdr *m, uint32_t key)
{
	struct expr x = begin_expr(m, "meta");
	netlink_put_be32(m, NFTA_META_KEY, key);
	netlink_put_be32(m, NFTA_META_DREG, NFT_REG_1);
	end_expr(m, x);
}

static void put_equal(struct nlmsghdr *m, const void *data, size_t len)
{
	struct expr x = begin_expr(m, "cmp");
	netlink_put_be32(m, NFTA_CMP_SREG, NFT_REG_1);
	netlink_put_be32(m, NFTA_CMP_OP, NFT_CMP_EQ);
	put_data(m, NFTA_CMP_DATA, data, len);
	end_expr(m, x);
}

static void put_fib(struct nlmsghdr *m)
{
	struct expr x = begin_expr(m, "fib");
	netlink_put_be32(m, NFTA_FIB_DREG, NFT_REG_1);
	netlink_put_be32(m, NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
	netlink_put_be32(m, NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	end_expr(m, x);
}

static void put_counter(struct nlmsghdr *m)
{
	end_expr(m, begin_expr(m, "counter"));
}

static void put_drop(struct nlmsghdr *m)
{
	struct expr x = begin_expr(m, "immediate");
	netlink_put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	struct nlattr *data = netlink_nest(m, NFTA_IMMEDIATE_DATA);
	struct nlattr *verdict = netlink_nest(m, NFTA_DATA_VERDICT);
	netlink_put_be32(m, NFTA_VERDICT_CODE, NF_DROP);
	netlink_nest_end(m, verdict);
	netlink_nest_end(m, data);
	end_expr(m, x);
}

static void put_table(struct nft_batch *b)
{
	struct nlmsghdr *m =
		nft_batch_put(b, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_TABLE_NAME, TABLE);
}

static void put_chain(struct nft_batch *b, const char *chain, uint16_t flags)
{
	struct nlmsghdr *m =
		nft_batch_put(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | flags, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_CHAIN_TABLE, TABLE);
	netlink_put_text(m, NFTA_CHAIN_NAME, chain);
	struct nlattr *hook = netlink_nest(m, NFTA_CHAIN_HOOK);
	netlink_put_be32(m, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
	netlink_put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_RAW);
	netlink_nest_end(m, hook);
	netlink_put_be32(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
	netlink_put_text(m, NFTA_CHAIN_TYPE, "filter");
}

static void put_rule(struct nft_batch *b, const char *chain, const char *prefix)
{
	struct nlmsghdr *m = nft_batch_put(
		b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_RULE_TABLE, TABLE);
	netlink_put_text(m, NFTA_RULE_CHAIN, chain);
	struct nlattr *list = netlink_nest(m, NFTA_RULE_EXPRESSIONS);
	static const uint32_t missing; /* four bytes, as nft writes and reads it */
	put_meta(m, NFT_META_IIFNAME);
	put_equal(m, prefix, strlen(prefix)); /* the first bytes of the name: "roost*" */
	put_fib(m);
	put_equal(m, &missing, sizeof(missing));
	put_counter(m);
	put_drop(m);
	netlink_nest_end(m, list);
}

static void take_use(const struct nlmsghdr *reply, void *arg)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_CHAIN_USE)
			*(uint32_t *)arg = netlink_be32(attr);
}

static void antispoof_chain(const char *prefix, char out[32])
{
	(void)snprintf(out, 32, "antispoof-%.15s", prefix);
}

/* 1: chain and rule are there, 0: not; *has_chain tells a flushed chain from a missing one. */
static int antispoof_look(struct nft_batch *b, const char *chain, bool *has_chain, struct err *e)
{
	uint32_t rules = 0;
	struct nlmsghdr *m = nft_batch_question(b, NFT_MSG_GETCHAIN, 0, NFPROTO_INET);
	netlink_put_text(m, NFTA_CHAIN_TABLE, TABLE);
	netlink_put_text(m, NFTA_CHAIN_NAME, chain);
	int r = nft_batch_ask(b, take_use, &rules, e);
	*has_chain = r >= 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return rules > 0;
}

static int antispoof_make(
	struct nft_batch *b, const char *chain, const char *prefix, bool has_chain, struct err *e)
{
	put_table(b);
	put_chain(b, chain, has_chain ? 0 : NLM_F_EXCL);
	put_rule(b, chain, prefix);
	int r = nft_batch_commit(b, e);
	if (r == -EEXIST)
		return 0; /* another ADD was first */
	return r < 0 ? r : 1;
}

/* A socket, the chain's name, and the look. The caller closes the socket. */
static int antispoof_open(
	struct nft_batch *b, const char *prefix, char chain[32], bool *has_chain, struct err *e)
{
	*has_chain = false;
	antispoof_chain(prefix, chain);
	int r = nft_batch_open(b, e);
	return r < 0 ? r : antispoof_look(b, chain, has_chain, e);
}

int antispoof_ensure(const char *prefix, struct err *e)
{
	struct nft_batch b;
	char chain[32];
	bool has_chain;
	int r = antispoof_open(&b, prefix, chain, &has_chain, e);
	if (r == 1)
		r = 0;
	else if (r == 0)
		r = antispoof_make(&b, chain, prefix, has_chain, e);
	nft_batch_close(&b);
	return r;
}

int antispoof_has(const char *prefix, struct err *e)
{
	struct nft_batch b;
	char chain[32];
	bool has_chain;
	int r = antispoof_open(&b, prefix, chain, &has_chain, e);
	nft_batch_close(&b);
	return r;
}

int antispoof_remove(struct err *e)
{
	struct nft_batch b;
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	struct nlmsghdr *m = nft_batch_put(&b, NFT_MSG_DELTABLE, 0, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_TABLE_NAME, TABLE);
	r = nft_batch_commit(&b, e);
	nft_batch_close(&b);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}
