/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules stand in the input hook, where the outer packet is still whole: the kernel takes the
 * packet out of its wrapping only behind it. Each names this node's address, and for VXLAN our
 * VNI (24 bits, 12 bytes into UDP), so that other people's tunnels that end on this host are not
 * ours to judge. For IPIP there is nothing to tell ours from others but the far end: those of other
 * IPIP devices of this host are let in, too.
 *
 * A set for each family holds the nodes: ten thousand cost no more than ten. When a node comes or
 * goes the table is replaced as a whole, in one transaction; no packet sees it half.
 */
#include "agent/guard.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/nft_table.h"
#include "lib/mem.h"

#define TABLE "inet roost-tunnels"

struct guard {
	struct nft_table table;
};

struct guard *guard_new(struct nft *nft)
{
	struct guard *g = mem_new(1, sizeof(*g));
	g->table = (struct nft_table){.nft = nft, .name = TABLE};
	return g;
}

void guard_free(struct guard *g)
{
	if (!g)
		return;
	nft_table_done(&g->table);
	free(g);
}

static int compare(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* Those of a family, sorted, each once; the caller frees *out. */
static size_t list_nodes(const struct guard_want *w, uint8_t family, bool others, struct addr **out)
{
	struct addr *v = mem_new(w->n_peers + w->n_others + 1, sizeof(*v));
	size_t n = 0, kept = 0;
	for (size_t i = 0; i < w->n_peers; i++)
		if (w->peers[i].family == family)
			v[n++] = w->peers[i];
	for (size_t i = 0; i < w->n_others && others; i++)
		if (w->others[i].family == family)
			v[n++] = w->others[i];
	qsort(v, n, sizeof(*v), compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || !addr_equal(&v[kept - 1], &v[i]))
			v[kept++] = v[i];
	*out = v;
	return kept;
}

static void print_set(
	FILE *f, const struct guard_want *w, const char *name, uint8_t family, bool others)
{
	CLEANUP_FREE struct addr *v = NULL;
	size_t n = list_nodes(w, family, others, &v);
	(void)fprintf(f, "\tset %s {\n\t\ttype ipv%c_addr\n", name, family == AF_INET ? '4' : '6');
	for (size_t i = 0; i < n; i++) {
		char text[ADDR_TEXT];
		addr_format(&v[i], text);
		(void)fprintf(f, "%s%s", i ? ",\n\t\t\t     " : "\t\telements = { ", text);
	}
	(void)fprintf(f, "%s\t}\n\n", n ? " }\n" : "");
}

static void print_vxlan(FILE *f, const struct guard_want *w, const struct addr *self)
{
	const char *ip = self->family == AF_INET ? "ip" : "ip6";
	char text[ADDR_TEXT];
	addr_format(self, text);
	(void)fprintf(f, "\t\t%s daddr %s udp dport %u @th,96,24 0x%x %s saddr != @nodes%c drop\n",
		ip, text, w->port, w->vni, ip, self->family == AF_INET ? '4' : '6');
}

/* What is between the comment and the last brace. */
static char *body(const struct guard_want *w)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		err_abort("out of memory");
	if (w->ipip)
		print_set(f, w, "ipip", AF_INET, true);
	if (w->vxlan4)
		print_set(f, w, "nodes4", AF_INET, false);
	if (w->vxlan6)
		print_set(f, w, "nodes6", AF_INET6, false);
	(void)fprintf(f, "\tchain input {\n"
			 "\t\ttype filter hook input priority filter; policy accept;\n");
	if (w->ipip) {
		char self[ADDR_TEXT];
		addr_format(&w->self4, self);
		(void)fprintf(f, "\t\tip daddr %s ip protocol 4 ip saddr != @ipip drop\n", self);
	}
	if (w->vxlan4)
		print_vxlan(f, w, &w->self4);
	if (w->vxlan6)
		print_vxlan(f, w, &w->self6);
	(void)fprintf(f, "\t}\n");
	if (fclose(f) != 0)
		err_abort("out of memory");
	return text;
}

char *guard_text(const struct guard_want *w)
{
	if (!w->ipip && !w->vxlan4 && !w->vxlan6)
		return NULL;
	CLEANUP_FREE char *inside = body(w);
	return nft_table_text(TABLE, inside);
}

int guard_sync(struct guard *g, const struct guard_want *w, struct err *e)
{
	CLEANUP_FREE char *text = guard_text(w);
	return nft_table_sync(&g->table, text, e);
}
