/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain at the forward hook closes when its policy is drop, or when a rule of it drops or rejects
 * whatever comes. It lets a pool through when a rule of its table names the pool as a source, one as a
 * destination, and neither drops: by a prefix, range or set that holds all of it, or by the interfaces
 * roost*; or when a rule of the chain accepts everything. In which order the rules stand, and what else
 * they ask for, is not looked at: this is for one sentence to an operator, who knows the rules.
 */
#include "agent/filter/firewall.h"

#include <ctype.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/nft_inspect.h"
#include "lib/text.h"

/* A name that can stand in a command. */
static bool firewall_is_plain(const char *s)
{
	if (!isalpha((unsigned char)*s) && *s != '_')
		return false;
	for (const char *p = s; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_.-/", *p))
			return false;
	return strlen(s) < NFT_NAME - 1;
}

/* "a,b" with "," between, and before each the prefix. */
static void firewall_add_list(
	struct text *t, const struct cidr *pools, size_t n, const char *between, const char *prefix)
{
	char text[CIDR_TEXT];
	for (size_t i = 0; i < n; i++) {
		cidr_format(&pools[i], text);
		text_add(t, "%s%s%s", i ? between : "", prefix, text);
	}
}

static void firewall_add_iptables(
	struct text *t, const struct firewall_place *p, const struct cidr *pools, size_t n)
{
	bool v4 = pools->addr.family == AF_INET;
	const char *tool = v4 ? "iptables" : "ip6tables";
	for (const char *side = "sd"; *side; side++) {
		text_add(t, "%s%s -I %s -%c ", *side == 'd' ? "; " : "", tool,
			p->docker ? "DOCKER-USER" : p->chain, *side);
		firewall_add_list(t, pools, n, ",", "");
		text_add(t, " -j ACCEPT");
	}
}

static void firewall_add_nft(
	struct text *t, const struct firewall_place *p, const struct cidr *pools, size_t n)
{
	static const char *const sides[] = {"saddr", "daddr"};
	text_add(t, "nft '");
	for (size_t i = 0; i < 2; i++) {
		text_add(t, "%sinsert rule %s %s %s %s %s %s", i ? "; " : "", p->family, p->table,
			p->chain, pools->addr.family == AF_INET ? "ip" : "ip6", sides[i],
			n > 1 ? "{ " : "");
		firewall_add_list(t, pools, n, ", ", "");
		text_add(t, "%s accept", n > 1 ? " }" : "");
	}
	text_add_char(t, '\'');
}

/* Without a command: it does not fit, or a name is in it that could not be typed as it stands. */
static void firewall_add_plain(
	struct text *t, const struct firewall_place *p, const struct cidr *pools, size_t n)
{
	char name[64];
	char first[CIDR_TEXT];
	(void)text_clean(name, sizeof(name), p->table);
	cidr_format(pools, first);
	text_add(t, "a forward chain of table %s drops pods' packets from and to %s", name, first);
	if (n > 1)
		text_add(t, " and %zu more pools", n - 1);
	text_add(t, ": accept them");
}

void firewall_sentence(
	const struct firewall_place *p, const struct cidr *pools, size_t n, char out[256])
{
	bool v4 = pools->addr.family == AF_INET;
	bool is_iptables = strcmp(p->table, "filter") == 0 && strcmp(p->chain, "FORWARD") == 0 &&
			   strcmp(p->family, v4 ? "ip" : "ip6") == 0;
	struct text t = {.buf = out, .size = 256};
	text_add(
		&t, "chain %s of table %s %s drops pods' packets: ", p->chain, p->family, p->table);
	if (is_iptables) {
		firewall_add_iptables(&t, p, pools, n);
	} else if (strcmp(p->table, "firewalld") == 0) {
		text_add(&t, "firewall-cmd --zone=trusted");
		firewall_add_list(&t, pools, n, "", " --add-source=");
	} else {
		firewall_add_nft(&t, p, pools, n);
	}
	if (!t.cut && firewall_is_plain(p->table) && firewall_is_plain(p->chain))
		return;
	t = (struct text){.buf = out, .size = 256};
	firewall_add_plain(&t, p, pools, n);
}

static bool firewall_has_chain(const struct nft_table *t, const char *name)
{
	for (size_t i = 0; i < t->n_chains; i++)
		if (strcmp(t->chains[i].name, name) == 0)
			return true;
	return false;
}

static bool firewall_closes(const struct nft_chain *c)
{
	bool drops = c->policy == NF_DROP;
	for (size_t i = 0; i < c->n_rules; i++) {
		bool bare;
		int verdict = nft_inspect_verdict(&c->rules[i], &bare);
		if (bare && verdict == NF_ACCEPT)
			return false;
		if (bare && verdict == NF_DROP)
			drops = true;
	}
	return drops;
}

/* Whether a rule of the table lets packets from (else: to) the pool on. */
static bool firewall_names(const struct nft_table *t, const struct cidr *pool, bool from)
{
	uint32_t key = from ? NFT_META_IIFNAME : NFT_META_OIFNAME;
	for (size_t i = 0; i < t->n_chains; i++)
		for (size_t j = 0; j < t->chains[i].n_rules; j++) {
			const struct nft_rule *r = &t->chains[i].rules[j];
			bool bare;
			int verdict = nft_inspect_verdict(r, &bare);
			if (verdict != NF_DROP && verdict != NFT_CONTINUE &&
				(nft_inspect_addr(t, r, pool, from) ||
					nft_inspect_ifname(r, key, "roost")))
				return true;
		}
	return false;
}

/* The pools that a chain of the table drops, of the family of the first of them. */
static size_t firewall_dropped(
	const struct nft_table *t, const struct cidr *pools, size_t n_pools, struct cidr *out)
{
	size_t n = 0;
	for (size_t i = 0; i < n_pools; i++) {
		bool v4 = pools[i].addr.family == AF_INET;
		if ((n && pools[i].addr.family != out->addr.family) ||
			t->family == (v4 ? NFPROTO_IPV6 : NFPROTO_IPV4))
			continue;
		if (!firewall_names(t, &pools[i], true) || !firewall_names(t, &pools[i], false))
			out[n++] = pools[i];
	}
	return n;
}

static int firewall_check_table(
	const struct nft_table *t, const struct cidr *pools, size_t n_pools, char out[256])
{
	CLEANUP_FREE struct cidr *dropped = mem_new(n_pools + 1, sizeof(*dropped));
	for (size_t i = 0; i < t->n_chains; i++) {
		const struct nft_chain *c = &t->chains[i];
		if (!*c->type || c->hook != NF_INET_FORWARD || !firewall_closes(c))
			continue;
		size_t n = firewall_dropped(t, pools, n_pools, dropped);
		if (!n)
			continue;
		const struct firewall_place place = {
			.family = t->family == NFPROTO_INET   ? "inet"
				  : t->family == NFPROTO_IPV4 ? "ip"
							      : "ip6",
			.table = t->name,
			.chain = c->name,
			.docker = firewall_has_chain(t, "DOCKER-USER"),
		};
		firewall_sentence(&place, dropped, n, out);
		return 1;
	}
	return 0;
}

/* Other people's tables of the families that forward. */
static bool firewall_is_asked(const struct nft_base_chain *c)
{
	return c->hook == NF_INET_FORWARD &&
	       (c->family == NFPROTO_INET || c->family == NFPROTO_IPV4 ||
		       c->family == NFPROTO_IPV6) &&
	       strncmp(c->table, "roost", strlen("roost")) != 0;
}

int firewall_check(
	struct nft *nft, const struct cidr *pools, size_t n_pools, char out[256], struct err *e)
{
	CLEANUP_FREE struct nft_base_chain *chains = NULL;
	size_t n = 0;
	int r = nft_base_chains(nft, &chains, &n, e);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct nft_table *t = NULL;
		if (!firewall_is_asked(&chains[i]))
			continue;
		r = nft_read(nft, chains[i].family, chains[i].table, &t, e);
		if (r == 0)
			r = firewall_check_table(t, pools, n_pools, out);
		else if (r == -ENOENT)
			r = 0; /* gone meanwhile */
		nft_table_free(t);
	}
	return r;
}
