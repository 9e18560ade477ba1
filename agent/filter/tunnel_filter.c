/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules stand in the input hook, where the outer packet is still whole: the kernel takes the
 * packet out of its wrapping only behind it. They name no destination: both kinds of device take
 * packets to every address of the host, not only to the node's.
 *
 * Other people's tunnels are not ours to judge. VXLAN tells them apart by the VNI (24 bits, 12 bytes
 * into UDP). IPIP has nothing but the ends: the far ends of this host's other IPIP devices are let
 * in, and what comes to this end of one that has no fixed far end.
 *
 * VXLAN takes two rules instead of one: another VNI passes, then everything to the port is dropped.
 * So a packet whose VNI cannot be read is dropped, too. For IPv6 this hook comes before fragments
 * are put together, and a first fragment may end just before the VNI; without it the others never
 * become a packet. (One without the whole UDP header is dropped by the kernel, since Linux 5.11:
 * ipv6frag_thdr_truncated().)
 *
 * A set for each family holds the nodes: ten thousand cost no more than ten. When a node comes or
 * goes only its element does.
 */
#include "agent/filter/tunnel_filter.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "lib/nft.h"
#include "lib/nft_rule.h"

#define TABLE "roost-tunnels"

struct tunnel_filter {
	struct nft *nft; /* borrowed */
	struct nft_kept table;
};

struct tunnel_filter *tunnel_filter_new(struct nft *nft)
{
	struct tunnel_filter *f = mem_new(1, sizeof(*f));
	f->nft = nft;
	f->table = (struct nft_kept){.family = NFPROTO_INET, .name = TABLE};
	return f;
}

void tunnel_filter_free(struct tunnel_filter *f)
{
	if (!f)
		return;
	nft_kept_done(&f->table);
	free(f);
}

static void tunnel_filter_add_addresses(
	struct nft_set *s, enum family family, const struct tunnel_filter_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].family == family_af(family))
			nft_set_add(s, list->v[i].bytes, NULL, NULL);
}

static struct nft_set *tunnel_filter_add_set(
	struct nft_table *t, const char *name, enum family family)
{
	const enum nft_type type = (enum nft_type)family;
	return nft_table_set(t, name, 0, &type, 1);
}

static void tunnel_filter_add_ipip(struct nft_table *t, const struct tunnel_filter_want *w)
{
	static const uint8_t ipip = IPPROTO_IPIP;
	struct nft_rule *r = nft_chain_rule(t->chains);
	struct nft_set *s = tunnel_filter_add_set(t, "ipip", IPV4);
	tunnel_filter_add_addresses(s, IPV4, &w->peers);
	tunnel_filter_add_addresses(s, IPV4, &w->others);
	nft_match_family(r, IPV4);
	nft_load_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 9, sizeof(ipip)); /* the protocol */
	nft_compare(r, NFT_CMP_EQ, &ipip, sizeof(ipip));
	nft_load_addr(r, IPV4, true);
	nft_lookup(r, s, true);
	if (w->theirs.n) {
		s = tunnel_filter_add_set(t, "theirs", IPV4);
		tunnel_filter_add_addresses(s, IPV4, &w->theirs);
		nft_load_addr(r, IPV4, false);
		nft_lookup(r, s, true);
	}
	nft_rule_verdict(r, NF_DROP, NULL);
}

/* A rule for packets to the port that do not come from nodes. */
static struct nft_rule *tunnel_filter_add_strangers(
	struct nft_table *t, const struct nft_set *nodes, enum family family, uint16_t port)
{
	uint16_t number = htons(port);
	struct nft_rule *r = nft_chain_rule(t->chains);
	nft_match_family(r, family);
	nft_load_addr(r, family, true);
	nft_lookup(r, nodes, true);
	nft_match_proto(r, IPPROTO_UDP);
	nft_load_port(r, false);
	nft_compare(r, NFT_CMP_EQ, &number, sizeof(number));
	return r;
}

static void tunnel_filter_add_vxlan(
	struct nft_table *t, const struct tunnel_filter_want *w, enum family family)
{
	static const char *const names[FAMILIES] = {"nodes4", "nodes6"};
	const uint8_t vni[] = {(uint8_t)(w->vni >> 16), (uint8_t)(w->vni >> 8), (uint8_t)w->vni};
	struct nft_set *s = tunnel_filter_add_set(t, names[family], family);
	tunnel_filter_add_addresses(s, family, &w->peers);
	struct nft_rule *r = tunnel_filter_add_strangers(t, s, family, w->port);
	nft_load_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 12, sizeof(vni));
	nft_compare(r, NFT_CMP_NEQ, vni, sizeof(vni));
	nft_rule_verdict(r, NF_ACCEPT, NULL);
	nft_rule_verdict(tunnel_filter_add_strangers(t, s, family, w->port), NF_DROP, NULL);
}

static struct nft_table *tunnel_filter_table(const struct tunnel_filter_want *w)
{
	static const struct nft_chain base = {
		.type = "filter", .hook = NF_INET_LOCAL_IN, .policy = NF_ACCEPT};
	if (!w->ipip && !w->vxlan[IPV4] && !w->vxlan[IPV6])
		return NULL;
	struct nft_table *t = nft_table_new(NFPROTO_INET, TABLE);
	(void)nft_table_chain(t, "input", &base);
	if (w->ipip)
		tunnel_filter_add_ipip(t, w);
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (w->vxlan[f])
			tunnel_filter_add_vxlan(t, w, f);
	return t;
}

int tunnel_filter_is_changed(struct tunnel_filter *f, struct err *e)
{
	return nft_kept_is_changed(f->nft, &f->table, e);
}

int tunnel_filter_sync(
	struct tunnel_filter *f, const struct tunnel_filter_want *w, bool look, struct err *e)
{
	return nft_sync(f->nft, &f->table, tunnel_filter_table(w), look, e);
}
