/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every rule names source and destination: only what comes from a pool that asks for it and goes
 * outside all pools is masqueraded. Packets to pods (roost*) never are, whatever their address.
 * Sets hold no prefix that another one contains, so that the text is the same for the same pools in
 * any order.
 */
#include "agent/filter/nat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/filter/firewall.h"
#include "agent/filter/nft_table.h"
#include "agent/filter/xtables.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define TABLE "inet roost-nat"

struct nat {
	struct nft *nft; /* borrowed */
	struct nft_table table;
};

struct nat *nat_new(struct nft *nft)
{
	struct nat *n = mem_new(1, sizeof(*n));
	n->nft = nft;
	n->table = (struct nft_table){.nft = nft, .name = TABLE};
	return n;
}

void nat_free(struct nat *n)
{
	if (!n)
		return;
	nft_table_done(&n->table);
	free(n);
}

/*
 * The text.
 */

static int compare(const void *a, const void *b)
{
	const struct cidr *x = a;
	const struct cidr *y = b;
	int r = addr_compare(&x->addr, &y->addr);
	return r ? r : (x->len > y->len) - (x->len < y->len);
}

/* The prefixes of a family, sorted, without those inside others; the caller frees them. */
static struct cidr *normalise(const struct cidr *list, size_t n, uint8_t family, size_t *count)
{
	struct cidr *v = mem_new(n + 1, sizeof(*v));
	size_t used = 0, kept = 0;
	for (size_t i = 0; i < n; i++)
		if (list[i].addr.family == family)
			v[used++] = cidr_masked(&list[i].addr, list[i].len);
	qsort(v, used, sizeof(*v), compare);
	for (size_t i = 0; i < used; i++)
		if (!kept || !cidr_contains(&v[kept - 1], &v[i].addr))
			v[kept++] = v[i];
	*count = kept;
	return v;
}

static void print_set(FILE *f, const char *name, uint8_t family, const struct cidr *v, size_t n)
{
	(void)fprintf(f, "\tset %s {\n\t\ttype ipv%d_addr\n\t\tflags interval\n\t\tauto-merge\n",
		name, family == AF_INET ? 4 : 6);
	for (size_t i = 0; i < n; i++) {
		char text[CIDR_TEXT];
		cidr_format(&v[i], text);
		if (v[i].len == addr_bits(&v[i].addr))
			*strchr(text, '/') = '\0';
		(void)fprintf(f, "%s%s", i ? ",\n\t\t\t     " : "\t\telements = { ", text);
	}
	(void)fprintf(f, "%s\t}\n\n", n ? " }\n" : "");
}

static bool print_sets(FILE *f, const struct nat_want *w, uint8_t family)
{
	size_t n_nat = 0, n_pools = 0;
	CLEANUP_FREE struct cidr *nat = normalise(w->nat, w->n_nat, family, &n_nat);
	CLEANUP_FREE struct cidr *pools = normalise(w->pools, w->n_pools, family, &n_pools);
	if (!n_nat)
		return false;
	print_set(f, family == AF_INET ? "nat4" : "nat6", family, nat, n_nat);
	print_set(f, family == AF_INET ? "pools4" : "pools6", family, pools, n_pools);
	return true;
}

/* What is between the comment and the last brace. */
static char *body(const struct nat_want *w)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		err_abort("out of memory");
	bool has4 = print_sets(f, w, AF_INET);
	bool has6 = print_sets(f, w, AF_INET6);
	(void)fprintf(f, "\tchain postrouting {\n"
			 "\t\ttype nat hook postrouting priority srcnat; policy accept;\n");
	if (has4)
		(void)fprintf(f, "\t\tip saddr @nat4 ip daddr != @pools4 oifname != \"roost*\" "
				 "masquerade\n");
	if (has6)
		(void)fprintf(f, "\t\tip6 saddr @nat6 ip6 daddr != @pools6 oifname != \"roost*\" "
				 "masquerade\n");
	(void)fprintf(f, "\t}\n");
	if (fclose(f) != 0)
		err_abort("out of memory");
	return text;
}

char *nat_text(const struct nat_want *w)
{
	if (!w->n_nat)
		return NULL;
	CLEANUP_FREE char *inside = body(w);
	return nft_table_text(TABLE, inside);
}

int nat_sync(struct nat *n, const struct nat_want *w, bool look, struct err *e)
{
	CLEANUP_FREE char *text = nat_text(w);
	return nft_table_sync(&n->table, text, look, e);
}

/*
 * Other people's firewalls.
 */

static int read_tables(struct nat *n, const char *commands, json_t **out, struct err *e)
{
	CLEANUP_FREE char *text = NULL;
	int r = nft_run(n->nft, NFT_JSON, commands, commands, &text, e);
	return r < 0 ? r : firewall_parse(text, strlen(text), out, e);
}

int nat_check_forward(
	struct nat *n, const struct cidr *pools, size_t n_pools, char out[256], struct err *e)
{
	struct firewall_table *tables = NULL;
	size_t n_tables = 0;
	CLEANUP_JSON json_t *chains = NULL;
	int r = read_tables(n, "list chains", &chains, e);
	if (r < 0)
		return r;
	firewall_tables(chains, &tables, &n_tables);
	for (size_t i = 0; i < n_tables && r == 0; i++) {
		CLEANUP_JSON json_t *table = NULL;
		char command[FIREWALL_NAME + 32];
		(void)snprintf(command, sizeof(command), "list table %s %s", tables[i].family,
			tables[i].name);
		r = read_tables(n, command, &table, e);
		if (r >= 0)
			r = firewall_check(table, pools, n_pools, out);
		else if (r == -ENOENT)
			r = 0; /* gone meanwhile */
	}
	free(tables);
	return r == 0 ? xtables_check(pools, n_pools, out, e) : r;
}
