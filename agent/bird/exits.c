/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits in BIRD's text. For each family in which there are any:
 *
 *	roost_exits4 (table)          routes to exits, from nodes and from outside routers
 *	roost_noexit4 (static)        unreachable, where pods must not leave without an exit
 *	roost_given4 (pipe)           what outside routers give as exits, out of BIRD's main table
 *	roost_exits_kernel4           into the kernel's table of exits
 *	roost_exit_ADDRESS            a session with an exit
 *
 * and on a node that is an exit
 *
 *	roost_own_exits4 (table)      by itself, as a better route from a router would hide it
 *	roost_exit4 (static)          what it announces
 *	roost_exit_ADDRESS            a session with a node that is none
 *
 * Why sessions of their own: BFD ends a session, and its routes with it, as soon as the
 * neighbour's BIRD is gone. That is what exits need, as there are others; and it is what blocks
 * must never have, as a BIRD that restarts would take its node's pods off the network. BIRD tells
 * connections apart by both addresses and the local port, so the second session has another port.
 *
 * Why a table of their own: a default route among the others would be the node's own. Only pods
 * look into the kernel's table (agent/kernel/exits.c), and only after the main one.
 *
 * Equal cost: all sessions are of one AS, whatever numbers nodes have, and an exit's distance does
 * not count (igp metric off). A router that the node itself speaks to is nearer than another node:
 * what it gives is preferred, and exits to the same prefix wait behind it.
 */
#include "agent/bird/exits.h"

#include <stdlib.h>

#include "lib/mem.h"

#define LIMIT 64       /* routes of one exit; more is an accident there */
#define PREFERENCE 110 /* of what routers give; BGP's is 100 */

static bool has_bfd_peer(const struct bird_want *w, bool direct)
{
	for (size_t i = 0; i < w->n_peers; i++)
		if (w->peers[i].bfd && w->peers[i].direct == direct)
			return true;
	return false;
}

/* Only the kinds that are used: the others are left to a BFD protocol of the operator's. */
void bird_exits_put_bfd(struct text *t, const struct bird_want *w)
{
	bool multihop = has_bfd_peer(w, false) || (w->exits.bfd && w->exits.n_peers > 0);
	bool direct = has_bfd_peer(w, true);
	if (multihop || direct)
		text_add(t, "protocol bfd roost_bfd {\n\taccept%s%s;\n}\n", direct ? " direct" : "",
			multihop ? " multihop" : "");
}

/* " [ A, B ]" with what follows each prefix; a set must not be empty. */
static void put_prefixes(
	struct text *t, const struct cidr *cidrs, size_t n, enum family f, const char *suffix)
{
	const char *before = " [ ";
	for (size_t i = 0; i < n; i++) {
		if (cidrs[i].addr.family != family_af(f))
			continue;
		text_add(t, "%s%s%s", before, PREFIX_STRING(&cidrs[i]), suffix);
		before = ", ";
	}
	text_add(t, " ]");
}

static bool has_family(const struct cidr *cidrs, size_t n, enum family f)
{
	for (size_t i = 0; i < n; i++)
		if (cidrs[i].addr.family == family_af(f))
			return true;
	return false;
}

void bird_exits_put_given(struct text *t, const struct bird_peer *p, enum family f)
{
	if (!has_family(p->exits, p->n_exits, f))
		return;
	text_add(t, "\t\t\tif net ~");
	put_prefixes(t, p->exits, p->n_exits, f, "+");
	text_add(t, " then accept;\n");
}

void bird_exits_put_times(struct text *t, const struct bird_exits *x)
{
	text_add(t, "\tbfd { interval %u ms; multiplier %u; };\n", x->interval_ms, x->multiplier);
}

/* Blocks that a router passes on are none, however wide its prefixes are. */
bool bird_exits_put_function(struct text *t, const struct bird_part *part)
{
	const struct bird_want *w = part->want;
	bool any = false;
	for (size_t i = 0; i < w->n_peers; i++) {
		const struct bird_peer *p = &w->peers[i];
		char name[BIRD_PEER_NAME];
		if (p->mesh || !has_family(p->exits, p->n_exits, part->family))
			continue;
		if (!any)
			text_add(t, "function roost_is_exit%c()\n{\n", part->digit);
		if (!any && part->has_pools)
			text_add(t, "\tif net ~ roost_pools%c then return false;\n", part->digit);
		any = true;
		text_add(t, "\tif proto = \"%s\" && net ~", bird_peer_name(p, name));
		put_prefixes(t, p->exits, p->n_exits, part->family, "+");
		text_add(t, " then return true;\n");
	}
	if (any)
		text_add(t, "\treturn false;\n}\n");
	return any;
}

/* A static protocol that has such a route for each prefix. */
struct routes {
	const char *protocol, *table, *options, *what;
	const struct cidr *cidrs;
	size_t n;
};

static void put_static(struct text *t, const struct bird_part *p, const struct routes *r)
{
	char digit = p->digit;
	if (!has_family(r->cidrs, r->n, p->family))
		return;
	text_add(t, "protocol static %s%c {\n\tipv%c { table %s%c; %s};\n", r->protocol, digit,
		digit, r->table, digit, r->options);
	for (size_t i = 0; i < r->n; i++)
		if (r->cidrs[i].addr.family == family_af(p->family))
			text_add(t, "\troute %s %s;\n", PREFIX_STRING(&r->cidrs[i]), r->what);
	text_add(t, "}\n");
}

static void put_exits_kernel(struct text *t, const struct bird_part *p)
{
	const struct bird_want *w = p->want;
	char digit = p->digit;
	text_add(t, "protocol kernel roost_exits_kernel%c {\n%s\tkernel table %u;\n", digit,
		bird_write_debug(w->log), w->exits.table);
	bird_write_kernel_options(t);
	text_add(
		t, "\tipv%c { table roost_exits%c; import none; export all; };\n}\n", digit, digit);
}

static void put_exits_template(struct text *t, const struct bird_part *p)
{
	const struct bird_exits *x = &p->want->exits;
	const struct bird_times times = {.retry = 2,
		.error_max = 5,
		.keepalive = BIRD_MESH_KEEPALIVE_S,
		.restart = x->restart_s ? x->restart_s : BIRD_RESTART_S};
	text_add(t, "template bgp roost_exit%c_session {\n%s", p->digit,
		bird_write_debug(p->want->log));
	bird_write_bgp_options(t, &times);
	if (x->bfd)
		bird_exits_put_times(t, x);
	if (*x->password)
		text_add(t, "\tpassword \"%s\";\n", x->password);
	text_add(t, "}\n");
}

static void put_exit_session(
	struct text *t, const struct bird_part *part, const struct bird_exit_peer *p)
{
	const struct bird_exits *x = &part->want->exits;
	char digit = part->digit;
	char name[BIRD_PEER_NAME];
	text_add(
		t, "protocol bgp %s from roost_exit%c_session {\n", bird_exit_name(p, name), digit);
	text_add(t, "\tlocal %s port %u as %u;\n\tneighbor %s port %u as %u;\n",
		ADDR_STRING(&p->local), x->port, x->as_number, ADDR_STRING(&p->addr), x->port,
		x->as_number);
	if (!p->is_exit)
		text_add(t, "\tpassive on;\n");
	text_add(t, "\tipv%c {\n\t\ttable roost_%sexits%c;\n\t\tigp table roost_hops%c;\n", digit,
		p->is_exit ? "" : "own_", digit, digit);
	text_add(t, "\t\tgateway recursive;\n\t\tnext hop self;\n");
	text_add(t, "\t\timport limit %d action block;\n", LIMIT);
	if (p->is_exit && has_family(p->cidrs, p->n_cidrs, part->family)) {
		text_add(t, "\t\timport where net ~");
		put_prefixes(t, p->cidrs, p->n_cidrs, part->family, "");
		text_add(t, ";\n");
	} else {
		text_add(t, "\t\timport none;\n");
	}
	text_add(t, "\t\texport %s;\n\t};\n}\n", p->is_exit ? "none" : "all");
}

static void put_exit_sessions(struct text *t, const struct bird_part *p)
{
	const struct bird_exits *x = &p->want->exits;
	CLEANUP_FREE struct bird_exit_peer *peers = mem_new(x->n_peers + 1, sizeof(*peers));
	size_t n = 0;
	for (size_t i = 0; i < x->n_peers; i++)
		if (x->peers[i].addr.family == family_af(p->family))
			peers[n++] = x->peers[i];
	if (n == 0 || !bird_write_is_quotable(x->password))
		return;
	qsort(peers, n, sizeof(*peers), addr_compare_first);
	put_exits_template(t, p);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || !addr_equal(&peers[i].addr, &peers[i - 1].addr))
			put_exit_session(t, p, &peers[i]);
}

static void put_exits_tables(struct text *t, const struct bird_part *p)
{
	const struct bird_exits *x = &p->want->exits;
	char digit = p->digit;
	text_add(t, "ipv%c table roost_exits%c;\n", digit, digit);
	put_static(t, p,
		&(struct routes){"roost_noexit", "roost_exits", "preference 1; ", "unreachable",
			x->blocked, x->n_blocked});
	if (p->has_given)
		text_add(t,
			"protocol pipe roost_given%c {\n\ttable master%c;\n\tpeer table "
			"roost_exits%c;\n\timport none;\n\texport filter {\n"
			"\t\tif !roost_is_exit%c() then reject;\n\t\tpreference = %d;\n"
			"\t\taccept;\n\t};\n}\n",
			digit, digit, digit, digit, PREFERENCE);
	put_exits_kernel(t, p);
}

void bird_exits_put(struct text *t, const struct bird_part *p)
{
	const struct bird_exits *x = &p->want->exits;
	bool is_exit = false;
	for (size_t i = 0; i < x->n_peers; i++)
		is_exit |= x->peers[i].addr.family == family_af(p->family) && !x->peers[i].is_exit;
	if (x->used[p->family])
		put_exits_tables(t, p);
	if (is_exit) {
		text_add(t, "ipv%c table roost_own_exits%c;\n", p->digit, p->digit);
		put_static(t, p,
			&(struct routes){"roost_exit", "roost_own_exits", "", "blackhole", x->own,
				x->n_own});
	}
	put_exit_sessions(t, p);
}
