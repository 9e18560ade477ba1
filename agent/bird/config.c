/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text that BIRD reads; docs/ROUTING.md explains every line of it. For each family that is on:
 *
 *	roost_hops4 (table), roost_reach4 (static)   how to reach a node: BGP's igp table
 *	roost_own4, roost_local4 (static)            our blocks, announced, and not announced
 *	roost_remote4 (static)                       others' blocks where BGP does not carry them
 *	roost_kept4 (static)                         others' blocks for when BGP has just lost them
 *	roost_services4 (static)                     addresses of services that this node announces
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
#define KEPT_PREFERENCE 90 /* of copies; BGP's is 100 */
#define RX_BUFFER 4194304  /* of the netlink socket: a thousand sessions at once overran less */

static int compare_hop(const void *a, const void *b)
{
	const struct bird_hop *x = a;
	const struct bird_hop *y = b;
	int r = cidr_compare(&x->dst, &y->dst);
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
	int r = cidr_compare(&x->block, &y->block);
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

static void put_ranges(struct text *t, const struct bird_part *p)
{
	CLEANUP_FREE struct cidr *ranges =
		sorted(p->f->ranges, p->f->n_ranges, sizeof(*ranges), cidr_compare_first);
	if (p->has_ranges)
		text_add(t, "define roost_service_ranges%c = [", p->digit);
	for (size_t i = 0; i < p->f->n_ranges; i++)
		text_add(t, "%s\n\t%s+", i ? "," : "", PREFIX_STRING(&ranges[i]));
	if (p->has_ranges)
		text_add(t, "\n];\n");
}

/* Sets of prefixes, which filters refer to. A set must not be empty: then it is not made. */
static void put_sets(struct text *t, const struct bird_part *p)
{
	const struct bird_pool *pools = p->f->pools;
	const char *before = "";
	if (p->has_pools)
		text_add(t, "define roost_pools%c = [", p->digit);
	for (size_t i = 0; i < p->f->n_pools; i++)
		text_add(t, "%s\n\t%s+", i ? "," : "", PREFIX_STRING(&pools[i].cidr));
	if (p->has_pools)
		text_add(t, "\n];\n");
	if (p->has_blocks)
		text_add(t, "define roost_blocks%c = [", p->digit);
	for (size_t i = 0; i < p->f->n_pools; i++) {
		unsigned int len = pools[i].block_len;
		if (!pools[i].by_bgp)
			continue;
		text_add(t, "%s\n\t%s{%u,%u}", before, PREFIX_STRING(&pools[i].cidr), len, len);
		before = ",";
	}
	if (p->has_blocks)
		text_add(t, "\n];\n");
	put_ranges(t, p);
}

static void put_hop(struct text *t, const struct bird_hop *h)
{
	char dst[CIDR_TEXT];
	char via[ADDR_TEXT];
	bird_write_prefix(&h->dst, dst);
	if (h->via.family == 0) {
		if (*h->dev && bird_write_is_quotable(h->dev))
			text_add(t, "\troute %s via \"%s\";\n", dst, h->dev);
		return;
	}
	addr_format(&h->via, via);
	bool nameable = bird_write_is_device(h->dev);
	if (!nameable && !h->onlink) /* BIRD finds the device by the addresses */
		text_add(t, "\troute %s via %s;\n", dst, via);
	else if (nameable)
		text_add(t, "\troute %s via %s%%'%s'%s;\n", dst, via, h->dev,
			h->onlink ? " onlink" : "");
}

static void put_hops(struct text *t, const struct bird_part *p, size_t table)
{
	if (table > 0 && p->f->n_hops[table] == 0 && !has_remote(p, table))
		return;
	char suffix[8];
	table_suffix(p, table, suffix);
	text_add(t, "ipv%c table roost_hops%s;\n", p->digit, suffix);
	text_add(t, "protocol static roost_reach%s {\n\tipv%c { table roost_hops%s; };\n", suffix,
		p->digit, suffix);
	CLEANUP_FREE struct bird_hop *hops =
		sorted(p->f->hops[table], p->f->n_hops[table], sizeof(*hops), compare_hop);
	for (size_t i = 0; i < p->f->n_hops[table]; i++)
		if (i == 0 || !cidr_equal(&hops[i].dst, &hops[i - 1].dst))
			put_hop(t, &hops[i]);
	text_add(t, "}\n");
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
static void put_own(struct text *t, const struct bird_part *p)
{
	CLEANUP_FREE struct cidr *own =
		sorted(p->f->own, p->f->n_own, sizeof(*own), cidr_compare_first);
	for (int exported = 1; exported >= 0; exported--) {
		text_add(t, "protocol static roost_%s%c {\n\tipv%c;\n", exported ? "own" : "local",
			p->digit, p->digit);
		for (size_t i = 0; i < p->f->n_own; i++) {
			if ((i > 0 && cidr_equal(&own[i], &own[i - 1])) ||
				is_exported(p, &own[i]) != (exported != 0))
				continue;
			text_add(t, "\troute %s blackhole;\n", PREFIX_STRING(&own[i]));
		}
		text_add(t, "}\n");
	}
}

/* One protocol's routes: those of remote, sorted, that are of that table. */
static void put_remote_routes(
	struct text *t, const struct bird_remote *remote, size_t n, size_t table)
{
	for (size_t i = 0; i < n; i++)
		if (remote[i].table == table &&
			(i == 0 || !cidr_equal(&remote[i].block, &remote[i - 1].block)))
			text_add(t, "\troute %s recursive %s;\n", PREFIX_STRING(&remote[i].block),
				ADDR_STRING(&remote[i].node));
}

static void put_remote(struct text *t, const struct bird_part *p)
{
	CLEANUP_FREE struct bird_remote *remote =
		sorted(p->f->remote, p->f->n_remote, sizeof(*remote), compare_remote);
	for (size_t table = 0; table < BIRD_TABLES; table++) {
		if (!has_remote(p, table))
			continue;
		char suffix[8];
		table_suffix(p, table, suffix);
		text_add(t,
			"protocol static roost_remote%s {\n\tipv%c;\n\tigp table roost_hops%s;\n",
			suffix, p->digit, suffix);
		put_remote_routes(t, remote, p->f->n_remote, table);
		text_add(t, "}\n");
	}
}

/* Copies of what BGP has brought, behind it: in force only while BGP has no route to the block. Their
 * next hops are found as BGP's are, so that the kernel's route is the same before and after. */
static void put_kept(struct text *t, const struct bird_part *p)
{
	CLEANUP_FREE struct bird_remote *kept =
		sorted(p->f->kept, p->f->n_kept, sizeof(*kept), compare_remote);
	if (p->f->n_kept == 0)
		return;
	text_add(t,
		"protocol static roost_kept%c {\n\tipv%c { preference %d; };\n"
		"\tigp table roost_hops%c;\n",
		p->digit, p->digit, KEPT_PREFERENCE, p->digit);
	put_remote_routes(t, kept, p->f->n_kept, 0);
	text_add(t, "}\n");
}

/* Prefixes of services, for BGPPeers alone: the nodes' own packets are turned round by what stands in
 * for services there, before any route is looked at, so the kernel must not know them. */
static void put_services(struct text *t, const struct bird_part *p)
{
	CLEANUP_FREE struct cidr *services =
		sorted(p->f->services, p->f->n_services, sizeof(*services), cidr_compare_first);
	if (!p->has_ranges)
		return;
	text_add(t, "protocol static roost_services%c {\n\tipv%c;\n", p->digit, p->digit);
	for (size_t i = 0; i < p->f->n_services; i++)
		if (i == 0 || !cidr_equal(&services[i], &services[i - 1]))
			text_add(t, "\troute %s blackhole;\n", PREFIX_STRING(&services[i]));
	text_add(t, "}\n");
}

/* What the kernel gets. The rule about pools is there a second time, behind the import filters:
 * a session that an operator adds by hand does not write into the main table unasked. */
static void put_kernel(struct text *t, const struct bird_part *p)
{
	text_add(t, "filter roost_to_kernel%c {\n", p->digit);
	text_add(t, "\tif net = %s then reject;\n", p->digit == '4' ? "0.0.0.0/0" : "::/0");
	text_add(t, "\tif proto ~ \"roost_remote*\" then accept;\n");
	if (p->has_blocks)
		text_add(t, "\tif proto = \"roost_kept%c\" then accept;\n", p->digit);
	text_add(t, "\tif source != RTS_BGP then reject;\n");
	if (p->has_given)
		text_add(t, "\tif roost_is_exit%c() then reject;\n", p->digit);
	if (p->has_ranges)
		text_add(t, "\tif net ~ roost_service_ranges%c then reject;\n", p->digit);
	text_add(t, "\tif proto ~ \"roost_peer_*\" then accept;\n");
	if (p->has_blocks)
		text_add(t, "\tif net ~ roost_blocks%c then accept;\n", p->digit);
	text_add(t, "\treject;\n}\n");
	text_add(t, "protocol kernel roost_kernel%c {\n%s", p->digit,
		bird_write_debug(p->want->log));
	bird_write_kernel_options(t);
	text_add(t, "\tnetlink rx buffer %d;\n", RX_BUFFER);
	text_add(t, "\tipv%c { import none; export filter roost_to_kernel%c; };\n}\n", p->digit,
		p->digit);
}

static bool has_blocks(const struct bird_family *f)
{
	for (size_t i = 0; i < f->n_pools; i++)
		if (f->pools[i].by_bgp)
			return true;
	return false;
}

static void put_family(struct text *t, const struct bird_part *part)
{
	struct bird_part p = *part;
	struct bird_family f = *p.f;
	CLEANUP_FREE struct bird_pool *pools =
		sorted(f.pools, f.n_pools, sizeof(*pools), cidr_compare_first);
	f.pools = pools;
	p.f = &f;
	put_sets(t, &p);
	for (size_t i = 0; i < BIRD_TABLES; i++)
		put_hops(t, &p, i);
	put_own(t, &p);
	put_remote(t, &p);
	put_kept(t, &p);
	put_services(t, &p);
	p.has_given = bird_exits_put_function(t, &p);
	put_kernel(t, &p);
	bird_exits_put(t, &p);
}

/* The table of a family that is off is there all the same, empty, while the other one is on:
 * sessions between nodes have a channel for each, so that a family comes and goes without them. */
static void put_families(struct text *t, const struct bird_want *w)
{
	struct bird_part parts[FAMILIES];
	if (!w->family[IPV4].node.family && !w->family[IPV6].node.family)
		return;
	for (enum family i = IPV4; i < FAMILIES; i++) {
		const struct bird_family *f = &w->family[i];
		bool on = f->node.family != 0;
		parts[i] = (struct bird_part){
			.want = w,
			.f = f,
			.family = i,
			.digit = family_digit(i),
			.has_pools = on && f->n_pools > 0,
			.has_blocks = on && has_blocks(f),
			.has_ranges = on && f->n_ranges > 0,
		};
		if (on)
			put_family(t, &parts[i]);
		else
			text_add(t, "ipv%c table roost_hops%c;\n", parts[i].digit, parts[i].digit);
	}
	bird_exits_put_bfd(t, w);
	bird_peers_put(t, parts);
}

char *bird_config_text(const struct bird_want *w)
{
	struct text t = {0};
	text_add(&t, "# Written by roostd, which replaces this file as a whole.\n"
		     "# Text of your own belongs into the folder that bird.conf includes.\n");
	if (w->router_id.family == AF_INET)
		text_add(&t, "router id %s;\n", ADDR_STRING(&w->router_id));
	text_add(&t, "graceful restart wait %d;\n", WAIT_S);
	put_families(&t, w);
	return text_take(&t);
}

/* An absolute path as a pattern that matches this path alone. BIRD refuses an include that is not
 * there, unless it is a pattern; and a pattern in a folder that is not there, unless the folder is
 * one, too. So one letter of each name is put into brackets. */
static void put_pattern(struct text *t, const char *path)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		size_t last = len;
		while (last > 0 && !isalnum((unsigned char)path[last - 1]))
			last--;
		for (size_t i = 0; i < len; i++) {
			char c = path[i];
			if (c == '\\')
				text_add(t, "\\\\");
			else if (strchr("*?[", c) || i + 1 == last)
				text_add(t, "[%c]", c);
			else
				text_add(t, "%c", c);
		}
		path += len;
		if (*path == '/')
			text_add(t, "%c", *path++);
	}
}

char *bird_config_main(const char *our_file, const char *include_dir)
{
	struct text t = {0};
	text_add(&t,
		"# BIRD does not start without a router id while the network is not up yet;\n"
		"# the file of roostd sets the real one.\n"
		"router id 0.0.0.1;\n"
		"protocol device { scan time %d; }\n",
		BIRD_SCAN_S);
	text_add(&t, "# Patterns, as they may match nothing: then BIRD starts without them.\n"
		     "include \"");
	put_pattern(&t, our_file);
	text_add(&t, "\";\n");
	if (*include_dir) {
		text_add(&t, "include \"");
		put_pattern(&t, include_dir);
		text_add(&t, "/*.conf\";\n");
	}
	return text_take(&t);
}
