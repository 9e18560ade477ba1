/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that BIRD reads; docs/ROUTING.md explains every line of it. For each family that is on:
 *
 *	roost_hops4 (table), roost_reach4 (static)   how to reach a node: BGP's igp table
 *	roost_own4, roost_local4 (static)            our blocks, announced, and not announced
 *	roost_remote4 (static)                       others' blocks where BGP does not carry them
 *	roost_kernel4                                what of all this the kernel gets
 *
 * what agent/bird/exits.c says of exits, and for both together BGP, roost_mesh and roost_out
 * (templates) and the sessions: agent/bird/peers.c.
 *
 * Two rules keep sessions alive over a reload. BIRD restarts a session when any option of it
 * changes, so nothing that moves is in them: no block, no hop, no time, and the next-hop table is
 * always the same one. And BIRD asks all neighbours again when an import filter changes, so
 * filters know pools, never blocks. That a neighbour cannot take over one of our own blocks is
 * not a filter's work but the preference of static routes (200, BGP 100): theirs is never the
 * best one, never in the kernel, and becomes usable in the very moment in which we give the block
 * away.
 *
 * Lists are sorted here, so that the order in which the caller found things is not in the text.
 * What BIRD's grammar cannot hold is left out, as one such word would make BIRD refuse all: a
 * tunnel whose name is no symbol there (its hop is missing, and the routes through it
 * unreachable), a peer whose password has a quote.
 */
#include "agent/bird/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/exits.h"
#include "agent/bird/peers.h"
#include "lib/mem.h"

#define WAIT_S 20 /* graceful restart wait: one dead neighbour holds everything up that long */
#define SCAN_S 10 /* of interfaces and of the kernel's routes: repair, events are immediate */
#define METRIC 32 /* behind the host's own routes. Never 0: BIRD would replace them */
#define RX_BUFFER 4194304 /* of the netlink socket: a thousand sessions at once overran less */

static int compare_cidr(const struct cidr *a, const struct cidr *b)
{
	int r = addr_compare(&a->addr, &b->addr);
	return r ? r : a->len - b->len;
}

static int compare_own(const void *a, const void *b)
{
	return compare_cidr(a, b);
}

static int compare_pool(const void *a, const void *b)
{
	const struct bird_pool *x = a;
	const struct bird_pool *y = b;
	return compare_cidr(&x->cidr, &y->cidr);
}

static int compare_hop(const void *a, const void *b)
{
	const struct bird_hop *x = a;
	const struct bird_hop *y = b;
	int r = compare_cidr(&x->dst, &y->dst);
	if (r == 0)
		r = addr_compare(&x->via, &y->via);
	if (r == 0)
		r = strcmp(x->dev, y->dev);
	return r ? r : x->onlink - y->onlink;
}

static int compare_remote(const void *a, const void *b)
{
	const struct bird_remote *x = a;
	const struct bird_remote *y = b;
	int r = compare_cidr(&x->block, &y->block);
	if (r == 0)
		r = x->table - y->table;
	return r ? r : addr_compare(&x->node, &y->node);
}

/* A sorted copy; the caller frees it. */
static void *sorted(
	const void *array, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	void *copy = mem_new(n + 1, size);
	if (n > 0) {
		memcpy(copy, array, n * size);
		qsort(copy, n, size, compare);
	}
	return copy;
}

/* "4" for the table of BGP, "4_1" and "4_2" for the further ones: how their names end. */
static void table_suffix(const struct bird_part *p, size_t table, char out[8])
{
	if (table == 0)
		(void)snprintf(out, 8, "%c", p->digit);
	else
		(void)snprintf(out, 8, "%c_%zu", p->digit, table);
}

static bool has_remote(const struct bird_part *p, size_t table)
{
	for (size_t i = 0; i < p->f->n_remote; i++)
		if (p->f->remote[i].table == table)
			return true;
	return false;
}

/* Sets of prefixes, which filters refer to. A set must not be empty: then it is not made. */
static void put_sets(struct birdtext *t, const struct bird_part *p)
{
	const char *before = "";
	char text[CIDR_TEXT];
	for (size_t i = 0; i < p->f->n_pools; i++) {
		bird_write_prefix(&p->f->pools[i].cidr, text);
		if (i == 0)
			birdtext_put(t, "define roost_pools%c = [", p->digit);
		birdtext_put(t, "%s\n\t%s+", i ? "," : "", text);
	}
	if (p->f->n_pools)
		birdtext_put(t, "\n];\n");
	for (size_t i = 0; i < p->f->n_pools; i++) {
		if (!p->f->pools[i].by_bgp)
			continue;
		bird_write_prefix(&p->f->pools[i].cidr, text);
		if (*before == '\0')
			birdtext_put(t, "define roost_blocks%c = [", p->digit);
		unsigned int len = p->f->pools[i].block_len;
		birdtext_put(t, "%s\n\t%s{%u,%u}", before, text, len, len);
		before = ",";
	}
	if (*before)
		birdtext_put(t, "\n];\n");
}

static void put_hop(struct birdtext *t, const struct bird_hop *h)
{
	char dst[CIDR_TEXT];
	char via[ADDR_TEXT];
	bird_write_prefix(&h->dst, dst);
	if (h->via.family == 0) {
		if (*h->dev && bird_write_is_quotable(h->dev))
			birdtext_put(t, "\troute %s via \"%s\";\n", dst, h->dev);
		return;
	}
	addr_format(&h->via, via);
	bool nameable = bird_write_is_device(h->dev);
	if (!nameable && !h->onlink) /* BIRD finds the device by the addresses */
		birdtext_put(t, "\troute %s via %s;\n", dst, via);
	else if (nameable)
		birdtext_put(t, "\troute %s via %s%%'%s'%s;\n", dst, via, h->dev,
			h->onlink ? " onlink" : "");
}

static void put_hops(struct birdtext *t, const struct bird_part *p, size_t table)
{
	if (table > 0 && p->f->n_hops[table] == 0 && !has_remote(p, table))
		return;
	char suffix[8];
	table_suffix(p, table, suffix);
	birdtext_put(t, "ipv%c table roost_hops%s;\n", p->digit, suffix);
	birdtext_put(t, "protocol static roost_reach%s {\n\tipv%c { table roost_hops%s; };\n",
		suffix, p->digit, suffix);
	CLEANUP_FREE struct bird_hop *hops =
		sorted(p->f->hops[table], p->f->n_hops[table], sizeof(*hops), compare_hop);
	for (size_t i = 0; i < p->f->n_hops[table]; i++)
		if (i == 0 || !cidr_equal(&hops[i].dst, &hops[i - 1].dst))
			put_hop(t, &hops[i]);
	birdtext_put(t, "}\n");
}

/* Whether blocks are announced: as their pool says, and the blocks of no pool are not. */
static bool is_exported(const struct bird_part *p, const struct cidr *block)
{
	for (size_t i = 0; i < p->f->n_pools; i++)
		if (p->f->pools[i].cidr.len <= block->len &&
			cidr_contains(&p->f->pools[i].cidr, &block->addr))
			return p->f->pools[i].exported;
	return false;
}

/* Our blocks. Those that are not announced are here too: a static route is what keeps a
 * neighbour's route for the same block from being used. */
static void put_own(struct birdtext *t, const struct bird_part *p)
{
	CLEANUP_FREE struct cidr *own = sorted(p->f->own, p->f->n_own, sizeof(*own), compare_own);
	for (int exported = 1; exported >= 0; exported--) {
		birdtext_put(t, "protocol static roost_%s%c {\n\tipv%c;\n",
			exported ? "own" : "local", p->digit, p->digit);
		for (size_t i = 0; i < p->f->n_own; i++) {
			if ((i > 0 && cidr_equal(&own[i], &own[i - 1])) ||
				is_exported(p, &own[i]) != (exported != 0))
				continue;
			char text[CIDR_TEXT];
			bird_write_prefix(&own[i], text);
			birdtext_put(t, "\troute %s blackhole;\n", text);
		}
		birdtext_put(t, "}\n");
	}
}

static void put_remote(struct birdtext *t, const struct bird_part *p)
{
	CLEANUP_FREE struct bird_remote *remote =
		sorted(p->f->remote, p->f->n_remote, sizeof(*remote), compare_remote);
	for (size_t table = 0; table < BIRD_TABLES; table++) {
		if (!has_remote(p, table))
			continue;
		char suffix[8];
		table_suffix(p, table, suffix);
		birdtext_put(t,
			"protocol static roost_remote%s {\n\tipv%c;\n\tigp table roost_hops%s;\n",
			suffix, p->digit, suffix);
		for (size_t i = 0; i < p->f->n_remote; i++) {
			if (remote[i].table != table ||
				(i > 0 && cidr_equal(&remote[i].block, &remote[i - 1].block)))
				continue;
			char block[CIDR_TEXT];
			char node[ADDR_TEXT];
			bird_write_prefix(&remote[i].block, block);
			addr_format(&remote[i].node, node);
			birdtext_put(t, "\troute %s recursive %s;\n", block, node);
		}
		birdtext_put(t, "}\n");
	}
}

/* What the kernel gets. The rule about pools is there a second time, behind the import filters:
 * a session that an operator adds by hand does not write into the main table unasked. */
static void put_kernel(struct birdtext *t, const struct bird_part *p)
{
	birdtext_put(t, "filter roost_to_kernel%c {\n", p->digit);
	birdtext_put(t, "\tif net = %s then reject;\n", p->digit == '4' ? "0.0.0.0/0" : "::/0");
	birdtext_put(t, "\tif proto ~ \"roost_remote*\" then accept;\n");
	birdtext_put(t, "\tif source != RTS_BGP then reject;\n");
	if (p->has_given)
		birdtext_put(t, "\tif roost_is_exit%c() then reject;\n", p->digit);
	birdtext_put(t, "\tif proto ~ \"roost_peer_*\" then accept;\n");
	if (p->has_blocks)
		birdtext_put(t, "\tif net ~ roost_blocks%c then accept;\n", p->digit);
	birdtext_put(t, "\treject;\n}\n");
	birdtext_put(t, "protocol kernel roost_kernel%c {\n%s", p->digit,
		bird_write_debug(p->want->log));
	birdtext_put(
		t, "\tlearn off;\n\tpersist on;\n\tscan time %d;\n\tmetric %d;\n", SCAN_S, METRIC);
	birdtext_put(t, "\tmerge paths on limit 32;\n\tgraceful restart on;\n");
	birdtext_put(t, "\tnetlink rx buffer %d;\n", RX_BUFFER);
	birdtext_put(t, "\tipv%c { import none; export filter roost_to_kernel%c; };\n}\n", p->digit,
		p->digit);
}

static bool has_blocks(const struct bird_family *f)
{
	for (size_t i = 0; i < f->n_pools; i++)
		if (f->pools[i].by_bgp)
			return true;
	return false;
}

static struct bird_part part_of(
	const struct bird_want *w, const struct bird_family *f, uint8_t family)
{
	bool on = f->node.family != 0;
	return (struct bird_part){
		.want = w,
		.f = f,
		.family = family,
		.digit = family == AF_INET ? '4' : '6',
		.has_pools = on && f->n_pools > 0,
		.has_blocks = on && has_blocks(f),
	};
}

static void put_family(struct birdtext *t, const struct bird_part *part)
{
	struct bird_part p = *part;
	struct bird_family f = *p.f;
	CLEANUP_FREE struct bird_pool *pools =
		sorted(f.pools, f.n_pools, sizeof(*pools), compare_pool);
	f.pools = pools;
	p.f = &f;
	put_sets(t, &p);
	for (size_t i = 0; i < BIRD_TABLES; i++)
		put_hops(t, &p, i);
	put_own(t, &p);
	put_remote(t, &p);
	p.has_given = bird_exits_put_function(t, &p);
	put_kernel(t, &p);
	bird_exits_put(t, &p);
}

/* The table of a family that is off is there all the same, empty, while the other one is on:
 * sessions between nodes have a channel for each, so that a family comes and goes without them. */
static void put_families(struct birdtext *t, const struct bird_want *w)
{
	const struct bird_part parts[] = {
		part_of(w, &w->family[IPV4], AF_INET), part_of(w, &w->family[IPV6], AF_INET6)};
	if (!w->family[IPV4].node.family && !w->family[IPV6].node.family)
		return;
	for (size_t i = 0; i < 2; i++) {
		char digit = parts[i].digit;
		if (parts[i].f->node.family)
			put_family(t, &parts[i]);
		else
			birdtext_put(t, "ipv%c table roost_hops%c;\n", digit, digit);
	}
	bird_exits_put_bfd(t, w);
	bird_peers_put(t, parts);
}

char *bird_config_text(const struct bird_want *w)
{
	struct birdtext t = {0};
	char id[ADDR_TEXT];
	addr_format(&w->router_id, id);
	birdtext_put(&t, "# Written by roostd, which replaces this file as a whole.\n"
			 "# Text of your own belongs into the folder that bird.conf includes.\n");
	if (w->router_id.family == AF_INET)
		birdtext_put(&t, "router id %s;\n", id);
	birdtext_put(&t, "graceful restart wait %d;\n", WAIT_S);
	put_families(&t, w);
	return t.buf;
}

/* An absolute path as a pattern that matches this path alone. BIRD refuses an include that is not
 * there, unless it is a pattern; and a pattern in a folder that is not there, unless the folder is
 * one, too. So one letter of each name is put into brackets. */
static void put_pattern(struct birdtext *t, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		size_t last = len;
		while (last > 0 && !isalnum((unsigned char)path[last - 1]))
			last--;
		for (size_t i = 0; i < len; i++) {
			char c = path[i];
			if (c == '\\')
				birdtext_put(t, "\\\\");
			else if (strchr("*?[", c) || i + 1 == last)
				birdtext_put(t, "[%c]", c);
			else
				birdtext_put(t, "%c", c);
		}
		path += len;
		if (*path == '/')
			birdtext_put(t, "%c", *path++);
	}
}

char *bird_config_main(const char *our_file, const char *include_dir)
{
	struct birdtext t = {0};
	birdtext_put(&t,
		"# BIRD does not start without a router id while the network is not up yet;\n"
		"# the file of roostd sets the real one.\n"
		"router id 0.0.0.1;\n"
		"protocol device { scan time %d; }\n",
		SCAN_S);
	birdtext_put(&t, "# Patterns, as they may match nothing: then BIRD starts without them.\n"
			 "include \"");
	put_pattern(&t, our_file);
	birdtext_put(&t, "\";\n");
	if (*include_dir) {
		birdtext_put(&t, "include \"");
		put_pattern(&t, include_dir);
		birdtext_put(&t, "/*.conf\";\n");
	}
	return t.buf;
}
