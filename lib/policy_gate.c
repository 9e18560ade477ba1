/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the words of nft(8):
 *
 * 	table inet roost-policy {
 * 		map eg { type iface_index : verdict }	 # as the maps in and host
 * 		counter pending { }
 * 		chain eg { type filter hook forward priority filter - 10
 * 			ct state established,related accept
 * 			iif vmap @eg
 * 			iifgroup 8211 counter name pending drop  # egress
 * 			iifgroup 8213 counter name pending drop  # both
 * 		}
 * 		chain in { type filter hook forward priority filter - 9
 * 			... oif vmap @in, oifgroup 8212 and 8213
 * 		}
 * 		chain host { type filter hook input priority filter - 10
 * 			ct state established,related accept
 * 			iif vmap @host
 * 		}
 * 	}
 *
 * Base chains are made exclusively and the batch is atomic, so of thirty first ADDs at once one makes them and
 * the others find them. A packet that one base chain accepts meets the next one; one that is dropped is gone.
 * What a pod sends to its own host is nobody's before the agent says so: NetworkPolicy never forbids it.
 */
#include "lib/policy_gate.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/netlink.h"
#include "lib/nft_batch.h"
#include "lib/nft_raw.h"
#include "lib/owned.h"

#define TABLE POLICY_GATE_TABLE
#define MESSAGE 1024
#define TYPE_IFINDEX 20 /* as nft(8) numbers types of keys */

/* The three ways. group 0: nothing waits there. */
struct way {
	const char *name;
	uint32_t hook;
	int32_t priority;
	uint32_t link, group; /* what of the packet's link is looked at */
	uint32_t pending;     /* the group that waits in this direction alone */
};
static const struct way ways[] = {
	{POLICY_GATE_EGRESS, NF_INET_FORWARD, NF_IP_PRI_FILTER - 10, NFT_META_IIF,
		NFT_META_IIFGROUP, OWNED_PENDING_EGRESS},
	{POLICY_GATE_INGRESS, NF_INET_FORWARD, NF_IP_PRI_FILTER - 9, NFT_META_OIF,
		NFT_META_OIFGROUP, OWNED_PENDING_INGRESS},
	{POLICY_GATE_TO_HOST, NF_INET_LOCAL_IN, NF_IP_PRI_FILTER - 10, NFT_META_IIF, 0, 0},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void put_counter(struct nft_batch *b)
{
	struct nlmsghdr *m = nft_batch_put(b, NFT_MSG_NEWOBJ, NLM_F_CREATE, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_OBJ_TABLE, TABLE);
	netlink_put_text(m, NFTA_OBJ_NAME, POLICY_GATE_PENDING);
	netlink_put_be32(m, NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
	netlink_nest_end(m, netlink_nest(m, NFTA_OBJ_DATA));
}

static void put_established(struct nft_batch *b, const char *chain)
{
	static const uint32_t none,
		states = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
	struct nft_raw_rule r = nft_raw_rule(b, TABLE, chain);
	nft_raw_ct(r, NFT_CT_STATE, NFT_REG_1);
	nft_raw_mask(r, &states, sizeof(states));
	nft_raw_differs(r, &none, sizeof(none));
	nft_raw_verdict(r, NF_ACCEPT, NULL);
	nft_raw_rule_end(r);
}

static void put_dispatch(struct nft_batch *b, const struct way *w)
{
	struct nft_raw_rule r = nft_raw_rule(b, TABLE, w->name);
	nft_raw_meta(r, w->link, NFT_REG_1);
	nft_raw_dispatch(r, w->name);
	nft_raw_rule_end(r);
}

static void put_pending(struct nft_batch *b, const struct way *w, uint32_t group)
{
	struct nft_raw_rule r = nft_raw_rule(b, TABLE, w->name);
	nft_raw_meta(r, w->group, NFT_REG_1);
	nft_raw_equal(r, &group, sizeof(group));
	nft_raw_count_in(r, POLICY_GATE_PENDING);
	nft_raw_verdict(r, NF_DROP, NULL);
	nft_raw_rule_end(r);
}

/* lacks: the base chain is not there at all. */
static void put_way(struct nft_batch *b, const struct way *w, bool lacks)
{
	const struct nft_raw_base base = {
		.type = "filter", .hook = w->hook, .priority = w->priority};
	nft_raw_chain(b, TABLE, w->name, &base, lacks ? NLM_F_EXCL : 0);
	put_established(b, w->name);
	put_dispatch(b, w);
	if (!w->group)
		return;
	put_pending(b, w, w->pending);
	put_pending(b, w, OWNED_PENDING_BOTH);
}

/* How many of the ways stand. */
static int look_at_all(struct nft_batch *b, bool stands[WAYS], bool lacks[WAYS], struct err *e)
{
	int n = 0;
	for (size_t i = 0; i < WAYS; i++) {
		int r = nft_raw_has_rules(b, TABLE, ways[i].name, &lacks[i], e);
		if (r < 0)
			return r;
		stands[i] = r > 0;
		n += r;
	}
	return n;
}

static int make(struct nft_batch *b, const bool stands[WAYS], const bool lacks[WAYS], struct err *e)
{
	nft_raw_table(b, TABLE);
	put_counter(b);
	for (size_t i = 0; i < WAYS; i++)
		nft_raw_verdict_map(b, TABLE, ways[i].name,
			(struct nft_raw_key){TYPE_IFINDEX, sizeof(uint32_t), (uint32_t)i + 1});
	for (size_t i = 0; i < WAYS; i++)
		if (!stands[i])
			put_way(b, &ways[i], lacks[i]);
	int r = nft_batch_commit(b, e);
	if (r == -EEXIST)
		return 0; /* somebody was first */
	return r < 0 ? r : 1;
}

int policy_gate_ensure(struct err *e)
{
	struct nft_batch b;
	bool stands[WAYS] = {false}, lacks[WAYS] = {false};
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	r = look_at_all(&b, stands, lacks, e);
	if (r >= 0)
		r = r == (int)WAYS ? 0 : make(&b, stands, lacks, e);
	nft_batch_close(&b);
	if (r < 0)
		err_add(e, "cannot close a pod's link before network policy is there for it");
	return r;
}

int policy_gate_stands(struct err *e)
{
	struct nft_batch b;
	bool stands[WAYS], lacks[WAYS];
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	r = look_at_all(&b, stands, lacks, e);
	nft_batch_close(&b);
	return r < 0 ? r : r == (int)WAYS;
}

int policy_gate_open(int link, const struct policy_gate_way *way, struct err *e)
{
	const char *const chains[WAYS] = {way->egress, way->ingress, way->to_host};
	const uint32_t key = (uint32_t)link;
	struct nft_batch b;
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < WAYS; i++) {
		const struct nft_raw_element element = {.key = &key,
			.len = sizeof(key),
			.code = *chains[i] ? NFT_GOTO : NF_ACCEPT,
			.chain = *chains[i] ? chains[i] : NULL};
		nft_raw_element(&b, TABLE, ways[i].name, &element);
	}
	r = nft_batch_commit(&b, e);
	nft_batch_close(&b);
	return r;
}
