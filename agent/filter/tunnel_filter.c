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
 * goes the table is replaced as a whole, in one transaction; no packet sees it half.
 */
#include "agent/filter/tunnel_filter.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/filter/nft_table.h"
#include "lib/mem.h"

#define TABLE "inet roost-tunnels"

struct tunnel_filter {
	struct nft_table table;
};

struct tunnel_filter *tunnel_filter_new(struct nft *nft)
{
	struct tunnel_filter *f = mem_new(1, sizeof(*f));
	f->table = (struct nft_table){.nft = nft, .name = TABLE};
	return f;
}

void tunnel_filter_free(struct tunnel_filter *f)
{
	if (!f)
		return;
	nft_table_done(&f->table);
	free(f);
}

static int compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* Addresses of one family. */
struct senders {
	struct addr *v;
	size_t n;
};

static void add(struct senders *s, uint8_t family, const struct tunnel_filter_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].family == family)
			s->v[s->n++] = list->v[i];
}

/* A set of the addresses of a family in two lists. */
static void print_set(FILE *f, const char *name, uint8_t family,
	const struct tunnel_filter_list *first, const struct tunnel_filter_list *second)
{
	struct senders s = {.v = mem_new(first->n + second->n + 1, sizeof(*s.v))};
	const struct addr *last = NULL;
	add(&s, family, first);
	add(&s, family, second);
	qsort(s.v, s.n, sizeof(*s.v), compare);
	(void)fprintf(f, "\tset %s {\n\t\ttype ipv%c_addr\n", name, family == AF_INET ? '4' : '6');
	for (size_t i = 0; i < s.n; i++) {
		char text[ADDR_TEXT];
		if (last && addr_equal(last, &s.v[i]))
			continue;
		addr_format(&s.v[i], text);
		(void)fprintf(f, "%s%s", last ? ",\n\t\t\t     " : "\t\telements = { ", text);
		last = &s.v[i];
	}
	(void)fprintf(f, "%s\t}\n\n", last ? " }\n" : "");
	free(s.v);
}

static void print_sets(FILE *f, const struct tunnel_filter_want *w)
{
	static const struct tunnel_filter_list none;
	if (w->ipip)
		print_set(f, "ipip", AF_INET, &w->peers, &w->others);
	if (w->ipip && w->theirs.n)
		print_set(f, "theirs", AF_INET, &w->theirs, &none);
	if (w->vxlan4)
		print_set(f, "nodes4", AF_INET, &w->peers, &none);
	if (w->vxlan6)
		print_set(f, "nodes6", AF_INET6, &w->peers, &none);
}

static void print_vxlan(
	FILE *f, const struct tunnel_filter_want *w, const char *nodes, const char *ip)
{
	(void)fprintf(f, "\t\t%s saddr != @%s udp dport %u @th,96,24 != 0x%x accept\n", ip, nodes,
		w->port, w->vni);
	(void)fprintf(f, "\t\t%s saddr != @%s udp dport %u drop\n", ip, nodes, w->port);
}

/* What is between the comment and the last brace. */
static char *body(const struct tunnel_filter_want *w)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		err_abort("out of memory");
	print_sets(f, w);
	(void)fprintf(f, "\tchain input {\n"
			 "\t\ttype filter hook input priority filter; policy accept;\n");
	if (w->ipip)
		(void)fprintf(f, "\t\tip protocol 4 ip saddr != @ipip %sdrop\n",
			w->theirs.n ? "ip daddr != @theirs " : "");
	if (w->vxlan4)
		print_vxlan(f, w, "nodes4", "ip");
	if (w->vxlan6)
		print_vxlan(f, w, "nodes6", "ip6");
	(void)fprintf(f, "\t}\n");
	if (fclose(f) != 0)
		err_abort("out of memory");
	return text;
}

char *tunnel_filter_text(const struct tunnel_filter_want *w)
{
	if (!w->ipip && !w->vxlan4 && !w->vxlan6)
		return NULL;
	CLEANUP_FREE char *inside = body(w);
	return nft_table_text(TABLE, inside);
}

int tunnel_filter_sync(
	struct tunnel_filter *f, const struct tunnel_filter_want *w, bool look, struct err *e)
{
	CLEANUP_FREE char *text = tunnel_filter_text(w);
	return nft_table_sync(&f->table, text, look, e);
}
