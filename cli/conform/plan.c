/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks that send packets: pods to pods (small and at full size), pods and nodes both ways, the
 * host outside, packets that are too big, port mappings back to their own pod, pretended sources.
 *
 * What the other end sees as the source is part of what is expected: the pod's own address, or where
 * its pool has natOutgoing and the target is no pod, its node's. Without the store nobody knows
 * which, so both are right then. A node may use any of its addresses.
 */
#include "cli/conform/plan.h"

#include <stdio.h>
#include <string.h>

#include "cli/conform/pairs.h"
#include "lib/family.h"
#include "lib/mem.h"
#include "lib/text.h"

#define BULK 20000 /* bytes of the line that TCP sends to fill packets of full size */
#define RAISE 200  /* bytes by which a packet is larger than what the way takes */
#define MTU_MAX 65535

static const char *const types[] = {"icmp", "udp", "tcp"};

struct plan {
	const struct conform_cluster *c;
	struct conform_checks *out;
};

/* The sender and the target of a check. */
struct ends {
	size_t from, from_pod, to, to_pod;
	enum family f; /* index of the family */
};

static const struct addr *address_of(
	const struct conform_cluster *c, size_t member, size_t pod, enum family f)
{
	const struct conform_member *m = &c->members[member];
	return pod == CONFORM_NODE ? &m->addr[f] : &m->pods[pod].ip[f];
}

static uint16_t port_of(const struct conform_member *m, size_t pod, const char *type)
{
	if (strcmp(type, "icmp") == 0)
		return 0;
	if (pod != CONFORM_NODE)
		return m->pods[pod].port;
	return strcmp(type, "udp") == 0 ? m->ports.udp : m->ports.tcp;
}

/* A check with its first words; note is "" or "full size". */
static struct conform_check *plan_add(const struct plan *p, enum conform_kind kind,
	const char *group, const struct ends *x, const char *note)
{
	struct conform_check *c = conform_checks_add(p->out, kind, group, family_digit(x->f) - '0');
	const struct conform_member *members = p->c->members;
	const struct addr *source = address_of(p->c, x->from, x->from_pod, x->f);
	const struct addr *target = address_of(p->c, x->to, x->to_pod, x->f);
	char from[CONFORM_PLACE], to[CONFORM_PLACE];
	conform_place_format(&members[x->from], x->from_pod, from);
	conform_place_format(&members[x->to], x->to_pod, to);
	(void)snprintf(c->what, sizeof(c->what), "%s IPv%d%s%s  %.60s -> %.60s  %s -> %s", group,
		c->family, *note ? " " : "", note, from, to,
		source->family ? ADDR_STRING(source) : "-",
		target->family ? ADDR_STRING(target) : "-");
	c->t = (struct conform_try){
		.from = x->from,
		.from_pod = x->from_pod,
		.to = x->to,
		.to_pod = x->to_pod,
		.type = group,
		.source = *source,
		.target = *target,
	};
	return c;
}

/* What the other end may see, and the words for it. */
static void expect_source(const struct plan *p, const struct ends *x, struct conform_check *c)
{
	const struct conform_member *from = &p->c->members[x->from];
	const struct conform_pool *pool = conform_cluster_pool(p->c, &c->t.source);
	bool leaves = x->to_pod == CONFORM_NODE && x->to != x->from;
	struct text t = TEXT_ON(c->expected);
	char node[ADDR_TEXT] = "-";
	if (from->addr[x->f].family)
		addr_format(&from->addr[x->f], node);
	text_add(&t, c->kind == CONFORM_ARRIVE ? "to arrive from " : "an answer to ");
	if (x->from_pod == CONFORM_NODE) {
		c->t.any_of_node = true;
		text_add(&t, "%s", from->name);
	} else if (!leaves || (pool && !pool->nat)) {
		c->t.seen_as[0] = c->t.source;
		text_add(&t, "%s", ADDR_STRING(&c->t.source));
	} else if (pool) {
		c->t.any_of_node = true;
		text_add(&t, "%s (natOutgoing)", node);
	} else {
		c->t.seen_as[0] = c->t.source;
		c->t.any_of_node = true;
		text_add(&t, "%s or %s", ADDR_STRING(&c->t.source), node);
	}
}

static void add_reach(const struct plan *p, const struct ends *x, const char *type, uint32_t size)
{
	struct conform_check *c = plan_add(p, CONFORM_REACH, type, x, size ? "full size" : "");
	c->t.port = port_of(&p->c->members[x->to], x->to_pod, type);
	if (size) {
		c->t.df = true;
		c->t.size = strcmp(type, "tcp") == 0 ? BULK : size;
	}
	if (strcmp(type, "icmp") == 0)
		(void)snprintf(c->expected, sizeof(c->expected), "an answer");
	else
		expect_source(p, x, c);
	if (size) {
		size_t len = strlen(c->expected);
		(void)snprintf(c->expected + len, sizeof(c->expected) - len, " at %u bytes", size);
	}
}

/* The three kinds. */
static void add_three(const struct plan *p, const struct ends *x, uint32_t size)
{
	for (size_t i = 0; i < 3; i++)
		add_reach(p, x, types[i], size);
}

static bool has_both(const struct plan *p, const struct ends *x)
{
	return address_of(p->c, x->from, x->from_pod, x->f)->family &&
	       address_of(p->c, x->to, x->to_pod, x->f)->family;
}

/* Between nodes a family is carried only where both have addresses of it. */
static bool is_carried(const struct plan *p, const struct ends *x)
{
	const struct conform_member *from = &p->c->members[x->from], *to = &p->c->members[x->to];
	if (x->from == x->to || (from->addr[x->f].family && to->addr[x->f].family))
		return true;
	struct conform_check *c = plan_add(p, CONFORM_FACT, "reach", x, "");
	conform_check_set(c, CONFORM_SKIPPED, "%.60s has no IPv%d address",
		(from->addr[x->f].family ? to : from)->name, family_digit(x->f) - '0');
	return false;
}

static uint32_t common_mtu(const struct plan *p, const struct ends *x)
{
	uint32_t a = p->c->members[x->from].pods[x->from_pod].mtu;
	uint32_t b = p->c->members[x->to].pods[x->to_pod].mtu;
	return a < b ? a : b;
}

static void plan_pods(const struct plan *p, const struct conform_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (enum family f = IPV4; f < FAMILIES; f++) {
			const struct ends x = {
				pairs[i].from, pairs[i].from_pod, pairs[i].to, pairs[i].to_pod, f};
			if (!p->c->families[f] || !has_both(p, &x) || !is_carried(p, &x))
				continue;
			add_three(p, &x, 0);
			add_three(p, &x, common_mtu(p, &x));
		}
	}
}

/* A pod and a node, both ways; kinds in each family. */
static void plan_pod_and_node(const struct plan *p, size_t member, size_t pod, size_t node)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		const struct ends there = {member, pod, node, CONFORM_NODE, f};
		const struct ends back = {node, CONFORM_NODE, member, pod, f};
		if (!p->c->families[f] || !has_both(p, &there))
			continue;
		if (member != node && !p->c->members[member].addr[f].family)
			continue;
		add_three(p, &there, 0);
		add_three(p, &back, 0);
	}
}

static void plan_between_nodes(const struct plan *p, size_t from, size_t to)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		const struct ends x = {from, CONFORM_NODE, to, CONFORM_NODE, f};
		if (!p->c->families[f] || !has_both(p, &x))
			continue;
		add_reach(p, &x, "icmp", 0);
		add_reach(p, &x, "udp", 0);
	}
}

/* Pairs are sorted by the sending and the receiving node. */
static void plan_nodes(const struct plan *p, const struct conform_pair *pairs, size_t n)
{
	for (size_t i = 0; i < conform_cluster_nodes(p->c); i++)
		for (size_t pod = 0; pod < p->c->members[i].n_pods; pod++)
			plan_pod_and_node(p, i, pod, i);
	for (size_t i = 0; i < n; i++) {
		if (pairs[i].from == pairs[i].to)
			continue;
		bool first = i == 0 || pairs[i - 1].from != pairs[i].from ||
			     pairs[i - 1].to != pairs[i].to;
		if (first)
			plan_between_nodes(p, pairs[i].from, pairs[i].to);
		if (first || pairs[i - 1].from_pod != pairs[i].from_pod)
			plan_pod_and_node(p, pairs[i].from, pairs[i].from_pod, pairs[i].to);
	}
}

/* ---- The host outside ---- */

static void set_nonce(const struct plan *p, struct conform_check *c)
{
	(void)snprintf(c->t.nonce, sizeof(c->t.nonce), "c%llx-%zu", (unsigned long long)p->c->seed,
		p->out->n);
}

static void plan_pod_outside(const struct plan *p, const struct ends *x)
{
	const struct conform_pool *pool =
		conform_cluster_pool(p->c, address_of(p->c, x->from, x->from_pod, x->f));
	if (!pool || pool->nat || p->c->routed) {
		add_three(p, x, 0);
		return;
	}
	struct conform_check *c = plan_add(p, CONFORM_ARRIVE, "udp", x, "one way");
	c->t.port = port_of(&p->c->members[x->to], x->to_pod, "udp");
	set_nonce(p, c);
	expect_source(p, x, c);
}

static void plan_outside(const struct plan *p)
{
	const struct conform_member *outside = conform_cluster_outside(p->c);
	size_t to = p->c->n - 1;
	for (size_t i = 0; outside && i < conform_cluster_nodes(p->c); i++) {
		plan_between_nodes(p, i, to);
		for (size_t k = 0; k < 2 * p->c->members[i].n_pods; k++) {
			const struct ends x = {i, k / 2, to, CONFORM_NODE, k % 2};
			if (p->c->families[x.f] && has_both(p, &x) && is_carried(p, &x))
				plan_pod_outside(p, &x);
		}
	}
}

/* ---- One pod of each node ---- */

/* A pod of another node that has the family, else of the same one. */
static bool find_target(const struct plan *p, struct ends *x)
{
	size_t n = conform_cluster_nodes(p->c);
	for (size_t step = 1; step <= n; step++) {
		x->to = (x->from + step) % n;
		for (x->to_pod = 0; x->to_pod < p->c->members[x->to].n_pods; x->to_pod++) {
			bool itself = x->to == x->from && x->to_pod == x->from_pod;
			bool carried =
				x->to == x->from || (p->c->members[x->from].addr[x->f].family &&
							    p->c->members[x->to].addr[x->f].family);
			if (!itself && carried && has_both(p, x))
				return true;
		}
	}
	return false;
}

/* The pod's link takes more than the way does, so that the node has to say so. */
static void plan_too_big(const struct plan *p, const struct ends *x)
{
	const struct conform_member *m = &p->c->members[x->from];
	struct conform_check *c = plan_add(p, CONFORM_TOO_BIG, "mtu", x, "too big");
	const struct conform_route *route = conform_facts_route(&m->facts, &c->t.target);
	const struct conform_link *link = route ? conform_facts_link(&m->facts, route->dev) : NULL;
	uint32_t way = link ? link->mtu : 0;
	if (link && x->f && strcmp(link->name, m->facts.uplink) == 0 && m->facts.mtu[IPV6])
		way = m->facts.mtu[IPV6];
	uint32_t pod = m->pods[x->from_pod].mtu;
	c->t.type = "udp";
	c->t.port = m->pods[x->from_pod].port;
	c->t.df = true;
	c->t.link_mtu = way;
	c->t.raised = (way > pod ? way : pod) + RAISE;
	c->t.size = c->t.raised;
	(void)snprintf(c->expected, sizeof(c->expected),
		"EMSGSIZE with a path MTU of at most %u for %u bytes", way, c->t.raised);
	if (x->from == x->to)
		conform_check_set(c, CONFORM_SKIPPED, "there is no other node");
	else if (!way)
		conform_check_set(c, CONFORM_SKIPPED, "there is no route to it");
	else if (c->t.raised > MTU_MAX)
		conform_check_set(c, CONFORM_SKIPPED, "no link on the way is smaller");
}

static void plan_hairpin(const struct plan *p, size_t member, enum family f)
{
	const struct conform_member *m = &p->c->members[member];
	for (size_t pod = 0; pod < m->n_pods && pod < 2; pod++) {
		const struct ends x = {member, pod, member, CONFORM_NODE, f};
		if (!has_both(p, &x) || !m->pods[0].ip[f].family)
			continue;
		struct conform_check *c =
			plan_add(p, CONFORM_REACH, "hairpin", &x, pod ? "neighbour" : "itself");
		c->t.type = "tcp";
		c->t.port = m->host_port;
		(void)snprintf(c->expected, sizeof(c->expected),
			"an answer through port %u of the node, mapped to %.60s/a", m->host_port,
			m->name);
		if (!m->host_port)
			conform_check_set(c, CONFORM_SKIPPED,
				"the CNI configuration has no plugin that maps ports");
	}
}

static void add_spoof(const struct plan *p, const struct ends *x, const struct addr *source)
{
	char note[ADDR_TEXT + 8];
	(void)snprintf(note, sizeof(note), "as %s", ADDR_STRING(source));
	struct conform_check *c = plan_add(p, CONFORM_REPEL, "spoof", x, note);
	c->t.type = "udp";
	c->t.port = p->c->members[x->to].pods[x->to_pod].port;
	c->t.source = *source;
	set_nonce(p, c);
	(void)snprintf(c->expected, sizeof(c->expected), "not to arrive");
}

/* The address of another pod that is neither the sender nor the target. */
static const struct addr *find_third(const struct plan *p, const struct ends *x)
{
	for (size_t i = 0; i < p->c->n; i++) {
		const struct conform_member *m = &p->c->members[(x->from + i) % p->c->n];
		for (size_t k = 0; !m->is_outside && k < m->n_pods; k++) {
			const struct addr *a = &m->pods[k].ip[x->f];
			if (a->family &&
				!addr_equal(a, address_of(p->c, x->from, x->from_pod, x->f)) &&
				!addr_equal(a, address_of(p->c, x->to, x->to_pod, x->f)))
				return a;
		}
	}
	return NULL;
}

static void plan_spoof(const struct plan *p, const struct ends *x)
{
	/* RFC 5737 and RFC 3849: nobody's. */
	static const char *const nobodys[] = {"198.51.100.77", "2001:db8:ffff::77"};
	const struct addr *third = find_third(p, x);
	struct addr nobody = {0};
	struct err ignored;
	if (third)
		add_spoof(p, x, third);
	(void)addr_parse(nobodys[x->f], &nobody, &ignored);
	add_spoof(p, x, &nobody);
}

static void plan_each(const struct plan *p)
{
	for (size_t i = 0; i < conform_cluster_nodes(p->c); i++) {
		for (size_t k = 0; k < 2 * p->c->members[i].n_pods; k++) {
			struct ends x = {.from = i, .from_pod = k / 2, .f = k % 2};
			if (!p->c->families[x.f])
				continue;
			if (x.from_pod == 0)
				plan_hairpin(p, i, x.f);
			if (!find_target(p, &x))
				continue;
			if (x.from_pod == 0)
				plan_too_big(p, &x);
			plan_spoof(p, &x);
		}
	}
}

void conform_plan(const struct conform_cluster *c, struct conform_checks *out)
{
	const struct plan p = {c, out};
	size_t n = 0;
	CLEANUP_FREE struct conform_pair *pairs = conform_pairs(c, &n);
	plan_pods(&p, pairs, n);
	plan_nodes(&p, pairs, n);
	plan_outside(&p);
	plan_each(&p);
}
