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
#include <linux/netfilter_ipv4.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/netlink.h"
#include "lib/nft_batch.h"
#include "lib/nft_raw.h"

#define TABLE "roost"
#define MESSAGE 1024 /* bytes of attributes at most */

static void put_rule(struct nft_batch *b, const char *chain, const char *prefix)
{
	static const uint32_t missing; /* four bytes, as nft writes and reads it */
	struct nft_raw_rule r = nft_raw_rule(b, TABLE, chain);
	nft_raw_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	nft_raw_equal(r, prefix, strlen(prefix)); /* the first bytes of the name: "roost*" */
	nft_raw_fib(r, NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	nft_raw_equal(r, &missing, sizeof(missing));
	nft_raw_counter(r);
	nft_raw_verdict(r, NF_DROP, NULL);
	nft_raw_rule_end(r);
}

static void antispoof_chain(const char *prefix, char out[32])
{
	(void)snprintf(out, 32, "antispoof-%.15s", prefix);
}

static int antispoof_make(
	struct nft_batch *b, const char *chain, const char *prefix, bool lacks, struct err *e)
{
	static const struct nft_raw_base base = {
		.type = "filter", .hook = NF_INET_PRE_ROUTING, .priority = NF_IP_PRI_RAW};
	nft_raw_table(b, TABLE);
	nft_raw_chain(b, TABLE, chain, &base, lacks ? NLM_F_EXCL : 0);
	put_rule(b, chain, prefix);
	int r = nft_batch_commit(b, e);
	if (r == -EEXIST)
		return 0; /* another ADD was first */
	return r < 0 ? r : 1;
}

/* A socket, the chain's name, and the look. The caller closes the socket. */
static int antispoof_open(
	struct nft_batch *b, const char *prefix, char chain[32], bool *lacks, struct err *e)
{
	struct nft_raw_chain_look look = {0};
	*lacks = true;
	antispoof_chain(prefix, chain);
	int r = nft_batch_open(b, e);
	if (r >= 0)
		r = nft_raw_look_at_chains(b, TABLE, (const char *const[]){chain}, 1, &look, e);
	*lacks = !look.is_there;
	return r < 0 ? r : look.has_rules;
}

int antispoof_ensure(const char *prefix, struct err *e)
{
	struct nft_batch b;
	char chain[32];
	bool lacks;
	int r = antispoof_open(&b, prefix, chain, &lacks, e);
	if (r == 1)
		r = 0;
	else if (r == 0)
		r = antispoof_make(&b, chain, prefix, lacks, e);
	nft_batch_close(&b);
	return r;
}

int antispoof_has(const char *prefix, struct err *e)
{
	struct nft_batch b;
	char chain[32];
	bool lacks;
	int r = antispoof_open(&b, prefix, chain, &lacks, e);
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
