/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The BGP half of BIRD's text. Sessions are of two kinds: nodes of ours (the mesh), and peers that
 * somebody wrote a BGPPeer for (routers outside, route reflectors).
 *
 *	from       learned                                announced
 *	a node     exactly our pools' blocks              our own blocks, and what we borrow
 *	outside    the same, and outside our pools what   our own blocks and addresses of services less
 *	           a filter accepts, no address of a      what a filter rejects, and operator's routes
 *	           service                                that a filter names
 *
 * Inside our pools nothing but whole blocks is ever taken from anybody, so that no neighbour can
 * pull the traffic of a single pod, whatever the rules say; where addresses are on loan the store says. Routes learned by BGP go to no other
 * neighbour, except blocks and addresses of services on a reflector. The static routes to other nodes'
 * blocks go to nobody.
 *
 * Two nodes have one session, over IPv4 where both have it, and it carries both families: always a
 * channel for each, even where one is off here (then it learns and says nothing). For a channel
 * that comes or goes restarts the session, and what the other family's pods say to each other
 * meanwhile is lost; a filter that changes restarts nothing. For the same reason the next hop, this
 * node's address of the channel's family, is set by the export filter and not by an option: BIRD
 * (2.0.12) takes a changed option up only with the next session. A peer that is no node has one
 * channel, of the family of its address, as routers expect.
 *
 * BFD is for peers that ask for it and never for nodes: it ends a graceful restart. Exits have
 * sessions of their own (agent/bird/exits.c).
 *
 * A session's name is made from the neighbour's address alone, so that it is the same at all times,
 * and what BIRD cannot be told (a password with a quote, a neighbour without a number) is left out.
 */
#include "agent/bird/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/exits.h"
#include "lib/mem.h"
#include "lib/text.h"

#define MESH_LIMIT 20000 /* blocks of one node; more is an accident there */
#define OUTSIDE_LIMIT                                                                              \
	200000 /* of a reflector: the cluster's blocks; of a router: what filters let in */
#define RESTART_MAX_S 4095 /* 12 bits, RFC 4724 section 3 */

/* By what makes the name, so that equal ones are neighbours. */
static int compare_name(const struct bird_peer *a, const struct bird_peer *b)
{
	int r = addr_compare(&a->addr, &b->addr);
	if (r == 0)
		r = b->mesh - a->mesh;
	return r || a->mesh ? r : (int)bird_peer_port(a) - (int)bird_peer_port(b);
}

/* Of two with one name the first one stays: the caller's order. */
static int compare_refs(const void *a, const void *b)
{
	const struct bird_peer *x = *(const struct bird_peer *const *)a;
	const struct bird_peer *y = *(const struct bird_peer *const *)b;
	int r = compare_name(x, y);
	return r ? r : x < y ? -1 : 1;
}

/* Not: nothing, this host, multicast, and what needs a zone. */
static bool is_neighbour_address(const struct addr *a)
{
	static const uint8_t zero[16];
	if (a->family == AF_INET)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
	return memcmp(a->bytes, zero, 15) != 0 && a->bytes[0] != 0xff &&
	       !(a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80);
}

static bool can_be_configured(const struct bird_part parts[FAMILIES], const struct bird_peer *p)
{
	const struct addr *node = &parts[family_of(p->addr.family)].f->node;
	return p->addr.family && p->addr.family == node->family && is_neighbour_address(&p->addr) &&
	       !addr_equal(&p->addr, node) && p->as_number != 0 && p->local_as != 0 &&
	       bird_write_is_quotable(p->password);
}

/* What a rule says about net, as a condition. false: it never holds. */
static bool rule_condition(const struct resource_rule *r, char out[128])
{
	if (r->cidr.addr.family == 0)
		return text_copy(out, 128, "true");
	const char *prefix = PREFIX_STRING(&r->cidr);
	if (!r->in) {
		(void)snprintf(out, 128, "net %s %s", r->negate ? "!=" : "=", prefix);
		return true;
	}
	/* A pattern with a length below its own would match what contains the prefix. */
	unsigned int bits = addr_bits(&r->cidr.addr);
	unsigned int min = r->min_len > r->cidr.len ? r->min_len : r->cidr.len;
	unsigned int max = r->max_len && r->max_len < bits ? r->max_len : bits;
	if (min > max)
		return r->negate && text_copy(out, 128, "true");
	(void)snprintf(out, 128, "net %s [ %s{%u,%u} ]", r->negate ? "!~" : "~", prefix, min, max);
	return true;
}

/* Whether a rule that accepts names what it means. One that says "all" or "all but this" speaks of
 * our own blocks: nobody who wrote it meant to announce whatever else BIRD may know. */
static bool is_explicit(const struct resource_rule *r)
{
	return r->cidr.addr.family != 0 && !r->negate && r->cidr.len > 0;
}

/* One channel of one peer. */
struct channel {
	const struct bird_peer *peer;
	const struct bird_part *f;
};

/* The rules of one direction (0 import, 2 export), as lines of a filter. ours: the condition for
 * our own routes, with which an accept that is not explicit is bounded; "" all are meant. */
static void put_rules(struct text *t, const struct channel *c, size_t direction, const char *ours)
{
	const struct bird_peer *p = c->peer;
	size_t list = direction + c->f->family;
	for (size_t i = 0; i < p->n_filters; i++) {
		for (size_t k = 0; k < p->filters[i]->n_rules[list]; k++) {
			const struct resource_rule *r = &p->filters[i]->rules[list][k];
			char condition[128];
			if (r->cidr.addr.family && family_of(r->cidr.addr.family) != c->f->family)
				continue;
			if (!rule_condition(r, condition))
				continue;
			bool bounded = r->accept && *ours && !is_explicit(r);
			text_add(t, "\t\t\tif %s%s%s then %s;\n", condition, bounded ? " && " : "",
				bounded ? ours : "", r->accept ? "accept" : "reject");
		}
	}
}

/* A reflector passes on, within its AS, what it was told: blocks, and services' addresses. */
static bool reflects(const struct channel *c)
{
	const struct bird_peer *p = c->peer;
	return (c->f->has_blocks || c->f->has_ranges) && p->as_number == p->local_as &&
	       (p->rr_client || p->rr_cluster.family != 0);
}

static void put_import(struct text *t, const struct channel *c)
{
	const struct bird_part *f = c->f;
	text_add(t, "\t\timport filter {\n");
	if (f->has_ranges && !reflects(c))
		text_add(t, "\t\t\tif net ~ roost_service_ranges%c then reject;\n", f->digit);
	if (f->has_pools && f->has_blocks)
		text_add(t, "\t\t\tif net ~ roost_pools%c && net !~ roost_blocks%c then reject;\n",
			f->digit, f->digit);
	else if (f->has_pools)
		text_add(t, "\t\t\tif net ~ roost_pools%c then reject;\n", f->digit);
	put_rules(t, c, 0, "");
	bird_exits_put_given(t, c->peer, f->family);
	if (f->has_blocks)
		text_add(t, "\t\t\tif net ~ roost_blocks%c then accept;\n", f->digit);
	if (f->has_ranges && reflects(c))
		text_add(t, "\t\t\tif net ~ roost_service_ranges%c then accept;\n", f->digit);
	text_add(t, "\t\t\treject;\n\t\t};\n");
}

/* What we announce has this node as its next hop. BIRD knows it by itself only in the family of
 * the session. */
static void put_next_hop(struct text *t, const struct bird_part *f)
{
	text_add(t, "bgp_next_hop = %s;\n", ADDR_STRING(&f->f->node));
}

/* The condition for what is announced when no rule speaks of it. */
static void put_ours(const struct channel *c, char out[128])
{
	struct text t = {.buf = out, .size = 128};
	bool several = c->f->has_ranges || reflects(c);
	text_add(&t, "%sproto = \"roost_own%c\"", several ? "(" : "", c->f->digit);
	if (c->f->has_ranges)
		text_add(&t, " || proto = \"roost_services%c\"", c->f->digit);
	if (reflects(c))
		text_add(&t, " || source = RTS_BGP");
	text_add(&t, "%s", several ? ")" : "");
}

static void put_export(struct text *t, const struct channel *c)
{
	char digit = c->f->digit;
	char ours[128];
	put_ours(c, ours);
	text_add(t, "\t\texport filter {\n\t\t\tif source = RTS_BGP");
	if (reflects(c) && c->f->has_blocks)
		text_add(t, " && net !~ roost_blocks%c", digit);
	if (reflects(c) && c->f->has_ranges)
		text_add(t, " && net !~ roost_service_ranges%c", digit);
	text_add(t, " then reject;\n");
	text_add(t, "\t\t\tif proto = \"roost_local%c\" then reject;\n", digit);
	text_add(t, "\t\t\tif proto ~ \"roost_remote*\" then reject;\n");
	text_add(t, "\t\t\tif proto = \"roost_kept%c\" then reject;\n", digit);
	if (c->f->family != family_of(c->peer->addr.family)) {
		text_add(t, "\t\t\tif source != RTS_BGP then ");
		put_next_hop(t, c->f);
	}
	put_rules(t, c, 2, ours);
	text_add(t, "\t\t\tif %s then accept;\n\t\t\treject;\n\t\t};\n", ours);
}

/* A channel's options; none of them may depend on what moves. */
static void put_channel_options(struct text *t, const struct bird_part *f, int limit)
{
	text_add(t, "\tipv%c {\n\t\tigp table roost_hops%c;\n\t\tgateway recursive;\n", f->digit,
		f->digit);
	text_add(t, "\t\tadd paths on;\n\t\timport limit %d action block;\n", limit);
}

static void put_peer_channel(struct text *t, const struct channel *c)
{
	put_channel_options(t, c->f, OUTSIDE_LIMIT);
	if (c->peer->keep_next_hop)
		text_add(t, "\t\tnext hop keep;\n");
	if (c->f->f->node.family) {
		put_import(t, c);
		put_export(t, c);
	} else {
		text_add(t, "\t\timport none;\n\t\texport none;\n");
	}
	text_add(t, "\t};\n");
}

static void put_mesh_channel(struct text *t, const struct bird_part *f)
{
	put_channel_options(t, f, MESH_LIMIT);
	/* Never announced, as the filter sets another one; without any address of a channel's family
	 * BIRD warns, each time a session comes up. Discard-only addresses: RFC 7600, RFC 6666. */
	text_add(t, "\t\tnext hop address %s;\n", f->digit == '4' ? "192.0.0.8" : "100::");
	if (f->has_blocks)
		text_add(t, "\t\timport where net ~ roost_blocks%c;\n", f->digit);
	else
		text_add(t, "\t\timport none;\n");
	if (f->f->node.family) {
		text_add(t, "\t\texport filter {\n\t\t\tif proto != \"roost_own%c\" then reject;\n",
			f->digit);
		text_add(t, "\t\t\t");
		put_next_hop(t, f);
		text_add(t, "\t\t\taccept;\n\t\t};\n");
	} else {
		text_add(t, "\t\texport none;\n");
	}
	text_add(t, "\t};\n");
}

static uint32_t at_most(uint32_t value, uint32_t max)
{
	return value < max ? value : max;
}

/* Of a reflector and its clients; BIRD refuses it for a neighbour of another AS. */
static void put_reflector(struct text *t, const struct bird_peer *p)
{
	if (p->as_number != p->local_as)
		return;
	if (p->rr_client)
		text_add(t, "\trr client;\n");
	if (p->rr_cluster.family == AF_INET)
		text_add(t, "\trr cluster id %s;\n", ADDR_STRING(&p->rr_cluster));
}

static void put_times(struct text *t, const struct bird_peer *p)
{
	if (p->keepalive_s) {
		unsigned int keepalive = bird_peer_keepalive_s(p);
		text_add(t, "\tkeepalive time %u;\n\thold time %u;\n", keepalive, 3 * keepalive);
	}
	if (p->restart_s)
		text_add(t, "\tgraceful restart time %u;\n", at_most(p->restart_s, RESTART_MAX_S));
}

static void put_peer_session(
	struct text *t, const struct bird_part parts[FAMILIES], const struct bird_peer *p)
{
	const struct bird_want *w = parts[0].want;
	char name[BIRD_PEER_NAME];
	const struct addr *local = p->local.family == p->addr.family
					   ? &p->local
					   : &parts[family_of(p->addr.family)].f->node;
	text_add(t, "protocol bgp %s from roost_%s {\n", bird_peer_name(p, name),
		p->mesh ? "mesh" : "out");
	text_add(t, "\tlocal %s port %u as %u;\n", ADDR_STRING(local), bird_listen_port(w),
		p->local_as);
	text_add(t, "\tneighbor %s port %u as %u;\n", ADDR_STRING(&p->addr), bird_peer_port(p),
		p->as_number);
	if (p->passive)
		text_add(t, "\tpassive on;\n");
	if (*p->password)
		text_add(t, "\tpassword \"%s\";\n", p->password);
	if (p->direct)
		text_add(t, "\tdirect;\n");
	else if (p->ttl)
		text_add(t, "\tmultihop %u;\n", p->ttl);
	if (p->ttl)
		text_add(t, "\tttl security on;\n");
	if (p->bfd)
		bird_exits_put_times(t, &w->exits);
	put_times(t, p);
	put_reflector(t, p);
	for (enum family i = IPV4; i < FAMILIES && !p->mesh; i++)
		if (p->both || i == family_of(p->addr.family))
			put_peer_channel(t, &(struct channel){.peer = p, .f = &parts[i]});
	text_add(t, "}\n");
}

static void put_peer_template(struct text *t, const struct bird_part parts[FAMILIES], bool mesh)
{
	const struct bird_times times = {.retry = 5,
		.error_max = 10,
		.keepalive = mesh ? BIRD_MESH_KEEPALIVE_S : BIRD_OUT_KEEPALIVE_S,
		.restart = BIRD_RESTART_S};
	text_add(t, "template bgp roost_%s {\n%s", mesh ? "mesh" : "out",
		bird_write_debug(parts[0].want->log));
	bird_write_bgp_options(t, &times);
	for (enum family i = IPV4; i < FAMILIES && mesh; i++)
		put_mesh_channel(t, &parts[i]);
	text_add(t, "}\n");
}

void bird_peers_put(struct text *t, const struct bird_part parts[FAMILIES])
{
	put_peer_template(t, parts, true);
	put_peer_template(t, parts, false);
	const struct bird_want *w = parts[0].want;
	size_t n = w->n_peers;
	/* A peer is large: sorting moves these. */
	CLEANUP_FREE const struct bird_peer **refs =
		mem_new(n + 1, sizeof(const struct bird_peer *));
	for (size_t i = 0; i < n; i++)
		refs[i] = &w->peers[i];
	qsort(refs, n, sizeof(const struct bird_peer *), compare_refs);
	const struct bird_peer *last = NULL;
	for (size_t i = 0; i < n; i++) {
		/* Two protocols of one name would be a text that BIRD refuses. */
		const struct bird_peer *p = refs[i];
		if (!can_be_configured(parts, p) || (last && compare_name(last, p) == 0))
			continue;
		put_peer_session(t, parts, p);
		last = p;
	}
}
