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
 * 			iifgroup & 0xfffffff9 == 8209 counter name pending drop  # egress, whatever else
 * 		}
 * 		chain in { type filter hook forward priority filter - 9
 * 			... oif vmap @in, oifgroup & 0xfffffffa == 8210
 * 		}
 * 		chain host { type filter hook input priority filter - 10
 * 			ct state established,related accept
 * 			icmpv6 type 133-137 accept
 * 			iif vmap @host
 * 			iifgroup & 0xfffffffc == 8212 counter name pending drop
 * 		}
 * 	}
 *
 * Base chains are made exclusively and the batch is atomic, so of thirty first ADDs at once one makes them and
 * the others find them. A packet that one base chain accepts meets the next one; one that is dropped is gone.
 * What a pod sends to its own host is closed where a kind of policy may forbid it, which NetworkPolicy never does;
 * neighbour discovery goes on, as without it the host could not reach the pod, and it always may.
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
#define PROTO_ICMPV6 58
#define ND_FIRST 133	/* router solicitation */
#define ND_LAST 137	/* redirect */
#define TYPE_IFINDEX 20 /* as nft(8) numbers types of keys */

/* The three ways. */
struct way {
	const char *name;
	uint32_t hook;
	int32_t priority;
	uint32_t link, group; /* what of the packet's link is looked at */
	uint32_t pending;     /* the bit of a group that waits there */
};
static const struct way ways[] = {
	{POLICY_GATE_EGRESS, NF_INET_FORWARD, NF_IP_PRI_FILTER - 10, NFT_META_IIF,
		NFT_META_IIFGROUP, OWNED_PENDING_EGRESS},
	{POLICY_GATE_INGRESS, NF_INET_FORWARD, NF_IP_PRI_FILTER - 9, NFT_META_OIF,
		NFT_META_OIFGROUP, OWNED_PENDING_INGRESS},
	{POLICY_GATE_TO_HOST, NF_INET_LOCAL_IN, NF_IP_PRI_FILTER - 10, NFT_META_IIF,
		NFT_META_IIFGROUP, OWNED_PENDING_TO_HOST},
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

static void put_neighbour_discovery(struct nft_batch *b, const struct way *w)
{
	static const uint8_t icmpv6 = PROTO_ICMPV6;
	static const uint8_t first = ND_FIRST, last = ND_LAST;
	struct nft_raw_rule r = nft_raw_rule(b, TABLE, w->name);
	nft_raw_meta(r, NFT_META_L4PROTO, NFT_REG_1);
	nft_raw_equal(r, &icmpv6, sizeof(icmpv6));
	nft_raw_payload(r, (struct nft_raw_bytes){NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(first)},
		NFT_REG_1);
	nft_raw_within(r, &first, &last, sizeof(first));
	nft_raw_verdict(r, NF_ACCEPT, NULL);
	nft_raw_rule_end(r);
}

static void put_pending(struct nft_batch *b, const struct way *w)
{
	const uint32_t group = OWNED_PENDING_GROUP | w->pending;
	const uint32_t mask = ~(OWNED_PENDING_WAYS & ~w->pending);
	struct nft_raw_rule r = nft_raw_rule(b, TABLE, w->name);
	nft_raw_meta(r, w->group, NFT_REG_1);
	nft_raw_mask(r, &mask, sizeof(mask));
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
	if (w->hook == NF_INET_LOCAL_IN)
		put_neighbour_discovery(b, w);
	put_dispatch(b, w);
	put_pending(b, w);
}

/* How many of the ways stand. */
static int look_at_all(struct nft_batch *b, struct nft_raw_chain_look out[WAYS], struct err *e)
{
	const char *names[WAYS];
	int n = 0;
	for (size_t i = 0; i < WAYS; i++)
		names[i] = ways[i].name;
	int r = nft_raw_look_at_chains(b, TABLE, names, WAYS, out, e);
	for (size_t i = 0; i < WAYS; i++)
		n += out[i].has_rules;
	return r < 0 ? r : n;
}

static int make(struct nft_batch *b, const struct nft_raw_chain_look seen[WAYS], struct err *e)
{
	nft_raw_table(b, TABLE);
	put_counter(b);
	for (size_t i = 0; i < WAYS; i++)
		nft_raw_verdict_map(b, TABLE, ways[i].name,
			(struct nft_raw_key){TYPE_IFINDEX, sizeof(uint32_t), (uint32_t)i + 1});
	for (size_t i = 0; i < WAYS; i++)
		if (!seen[i].has_rules)
			put_way(b, &ways[i], !seen[i].is_there);
	int r = nft_batch_commit(b, e);
	if (r == -EEXIST)
		return 0; /* somebody was first */
	return r < 0 ? r : 1;
}

int policy_gate_ensure(struct err *e)
{
	struct nft_batch b;
	struct nft_raw_chain_look seen[WAYS] = {0};
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	r = look_at_all(&b, seen, e);
	if (r >= 0)
		r = r == (int)WAYS ? 0 : make(&b, seen, e);
	nft_batch_close(&b);
	if (r < 0)
		err_add(e, "cannot close a pod's link before network policy is there for it");
	return r;
}

int policy_gate_stands(struct err *e)
{
	struct nft_batch b;
	struct nft_raw_chain_look seen[WAYS] = {0};
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	r = look_at_all(&b, seen, e);
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
