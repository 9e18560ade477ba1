/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Naming causes. A packet from pod to pod goes through stations: out of the pod's link on its node,
 * through routing and firewall of that node, maybe into a tunnel, onto the wire; on the other node off
 * the wire, out of the tunnel, through routing and firewall, into the pod's link; and its answer goes
 * the same way back. Packet sockets see it at each of them: what comes in before any firewall, what
 * goes out behind it. So the first station without a count names the place, and what the nodes have
 * (settings, routes, tunnels) often names the reason.
 *
 *	here                                          there
 *	link of pod -> [forward] -> tunnel -> wire -> wire -> tunnel -> [forward] -> link of pod
 *	   inner in              inner out  outer out  outer in  inner in          inner out
 *
 * A node's own packets begin and end at its tunnel or wire.
 *
 * What reaches a pod and is not taken there, while ICMP is, has a wrong checksum: nobody between looks
 * at those of TCP and UDP, and the kernel leaves them to the network card, but never ICMP's.
 */
#include "cli/conform/cause.h"

#include <stdio.h>
#include <string.h>

#include "lib/family.h"
#include "lib/text.h"

/* One way of the packets: from one end to the other. */
struct leg {
	const struct conform_member *from, *to;
	const struct conform_evidence *at_from, *at_to;
	const char *from_link, *to_link; /* of the pods; "" for a node itself */
	const struct addr *source, *target;
	const struct conform_link *tunnel; /* of the sending node; NULL none */
	const char *what;		   /* "packets", "answers" */
	const char *protocol;		   /* on the wire: "UDP 4789" */
	struct text out;
	bool is_wide; /* what was found stops every kind of packet */
};

struct total {
	uint64_t in, out;
};

static struct total on_link(const struct conform_counts *c, const char *link)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->links[i].link, link) == 0)
			return (struct total){c->links[i].in, c->links[i].out};
	return (struct total){0};
}

static struct total on_others(const struct conform_counts *c, const char *link)
{
	struct total t = {0};
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->links[i].link, link) == 0 || strcmp(c->links[i].link, "lo") == 0)
			continue;
		t.in += c->links[i].in;
		t.out += c->links[i].out;
	}
	return t;
}

static const struct conform_link *tunnel_to(
	const struct conform_member *m, const struct addr *target)
{
	const struct conform_route *r = conform_facts_route(&m->facts, target);
	return r ? conform_facts_tunnel(&m->facts, r->dev) : NULL;
}

static const struct conform_link *tunnel_of_kind(
	const struct conform_member *m, const struct conform_link *like)
{
	for (size_t i = 0; i < m->facts.n_tunnels; i++) {
		const struct conform_link *t = &m->facts.tunnels[i];
		if (strcmp(t->kind, like->kind) == 0 && t->local.family == like->local.family)
			return t;
	}
	return NULL;
}

static bool is_forwarding_off(const struct conform_member *m, bool six)
{
	return (six ? m->facts.ipv6_forwarding : m->facts.ip_forward) == 0;
}

/* Whether the reverse path filter is what drops packets that came to the end's node. */
static bool is_filtered(const struct leg *l, const struct conform_member *m)
{
	const struct conform_route *back = conform_facts_route(&m->facts, l->source);
	bool elsewhere = !back || (l->tunnel && !tunnel_to(m, l->source));
	return m == l->to && l->target->family == AF_INET && m->facts.rp_filter == 1 && elsewhere;
}

/* Why a node does not forward what came in. */
static void explain_no_forward(struct leg *l, const struct conform_member *m)
{
	bool six = l->target->family == AF_INET6;
	char address[ADDR_TEXT];
	addr_format(l->target, address);
	const struct conform_route *r = conform_facts_route(&m->facts, l->target);
	const struct conform_link *link = r ? conform_facts_link(&m->facts, r->dev) : NULL;
	text_add(&l->out, "%.60s gets the %s and does not pass them on: ", m->name, l->what);
	l->is_wide = true;
	if (is_forwarding_off(m, six)) {
		text_add(&l->out, "forwarding is off there (%s)",
			six ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward");
	} else if (!r) {
		text_add(&l->out, "it has no route to %s", address);
	} else if (strcmp(r->type, "unicast") != 0) {
		text_add(&l->out, "its route to %s is a %s: it does not know where that is",
			address, r->type);
	} else if (link && !link->up) {
		text_add(
			&l->out, "its route to %s goes through %s, which is down", address, r->dev);
	} else if (is_filtered(l, m)) {
		text_add(&l->out, "its reverse path filter is strict, and its route back to the "
				  "sender is another one");
	} else {
		text_add(&l->out, "a firewall there drops them (chain forward)");
		l->is_wide = false;
	}
}

static void explain_not_taken(struct leg *l)
{
	const struct conform_link *other = tunnel_of_kind(l->to, l->tunnel);
	text_add(&l->out, "%s arrives at %.60s and is not taken: ", l->protocol, l->to->name);
	if (!other)
		text_add(&l->out, "it has no %s device", l->tunnel->kind);
	else if (!other->up)
		text_add(&l->out, "its device %s is down", other->name);
	else if (other->vni != l->tunnel->vni || other->port != l->tunnel->port)
		text_add(&l->out, "its device %s has VNI %u and port %u, that of %.60s %u and %u",
			other->name, other->vni, other->port, l->from->name, l->tunnel->vni,
			l->tunnel->port);
	else
		text_add(&l->out, "a firewall there drops it (chain input)");
}

/* Between the nodes. Returns whether the packets got across. */
static bool follow_wire(struct leg *l)
{
	const struct conform_counts *sent = l->tunnel ? &l->at_from->outer : &l->at_from->inner;
	l->is_wide = l->tunnel != NULL;
	const struct conform_counts *came = l->tunnel ? &l->at_to->outer : &l->at_to->inner;
	if (!on_others(sent, l->from_link).out) {
		text_add(&l->out,
			"%s does not leave %.60s: a firewall there drops it (chain output)",
			l->protocol, l->from->name);
		return false;
	}
	if (!on_others(came, l->to_link).in) {
		text_add(&l->out,
			"%s leaves %.60s and does not arrive at %.60s: something between them "
			"drops it",
			l->protocol, l->from->name, l->to->name);
		if (!l->tunnel)
			text_add(&l->out, ", or a router there does not know the way to the pods");
		return false;
	}
	const struct conform_link *other = l->tunnel ? tunnel_of_kind(l->to, l->tunnel) : NULL;
	if (l->tunnel && !on_link(&l->at_to->inner, other ? other->name : "").in) {
		explain_not_taken(l);
		return false;
	}
	return true;
}

/* Returns whether the packets reached their end. */
static bool cause_follow(struct leg *l)
{
	bool from_pod = *l->from_link != '\0', to_pod = *l->to_link != '\0';
	const struct conform_counts *first = &l->at_from->inner;
	if (from_pod && !on_link(first, l->from_link).in) {
		text_add(&l->out, "the %s do not come out of the link of the pod on %.60s", l->what,
			l->from->name);
		return false;
	}
	if (l->from != l->to && from_pod && !on_others(first, l->from_link).out) {
		explain_no_forward(l, l->from);
		return false;
	}
	if (l->from != l->to && !follow_wire(l))
		return false;
	if (to_pod && !on_link(&l->at_to->inner, l->to_link).out) {
		explain_no_forward(l, l->to);
		return false;
	}
	return true;
}

static const char *link_of(const struct conform_member *m, size_t pod)
{
	return pod == CONFORM_NODE ? "" : m->pods[pod].link;
}

void conform_cause_capture(
	const struct conform_cluster *c, const struct conform_check *k, struct conform_capture *out)
{
	const struct conform_member *from = &c->members[k->t.from], *to = &c->members[k->t.to];
	const struct conform_link *tunnel =
		k->t.from == k->t.to ? NULL : tunnel_to(from, &k->t.target);
	bool icmp = strcmp(k->t.type, "icmp") == 0, six = k->family == 6;
	*out = (struct conform_capture){
		.inner = !icmp ? k->t.type
			 : six ? "icmp6"
			       : "icmp4",
		.outer = tunnel ? tunnel->kind : "",
		.port = tunnel ? tunnel->port : 0,
		.inner_peer = k->t.source,
	};
	/* A node that sends through a tunnel may do so from another of its addresses, so what is
	 * certain is the target. */
	if (k->t.from_pod == CONFORM_NODE)
		out->inner_peer = k->t.target;
	/* tunl0 has no local address, and is of IPv4. */
	enum family f = tunnel && tunnel->local.family == AF_INET6 ? IPV6 : IPV4;
	out->outer_peer[0] = to->addr[f];
	out->outer_peer[1] = from->addr[f];
}

bool conform_cause_is_followed(const struct conform_cluster *c, const struct conform_check *k)
{
	return k->kind == CONFORM_REACH && strcmp(k->group, "hairpin") != 0 &&
	       !c->members[k->t.from].is_outside && !c->members[k->t.to].is_outside &&
	       (k->t.from_pod != CONFORM_NODE || k->t.to_pod != CONFORM_NODE);
}

static bool is_between_same(const struct conform_check *a, const struct conform_check *b)
{
	return a->t.from == b->t.from && a->t.to == b->t.to && a->family == b->family;
}

bool conform_cause_is_shared(const struct conform_check *a, const struct conform_check *b)
{
	bool alike = strcmp(a->t.type, b->t.type) == 0 && !a->t.size == !b->t.size;
	bool same_ends = (a->t.from_pod == CONFORM_NODE) == (b->t.from_pod == CONFORM_NODE) &&
			 (a->t.to_pod == CONFORM_NODE) == (b->t.to_pod == CONFORM_NODE);
	bool to_pods = a->t.to_pod != CONFORM_NODE && b->t.to_pod != CONFORM_NODE;
	return is_between_same(a, b) &&
	       ((alike && same_ends) || (a->cause_is_wide && (same_ends || to_pods)));
}

/* Whether ICMP of the same size passes between the same ends, inside VXLAN. */
static bool is_taken_as_icmp(const struct conform_cluster *c, const struct conform_checks *all,
	const struct conform_check *k)
{
	const struct conform_member *from = &c->members[k->t.from];
	const struct conform_link *t = k->t.from == k->t.to ? NULL : tunnel_to(from, &k->t.target);
	if (!t || strcmp(t->kind, "vxlan") != 0)
		return false;
	for (size_t i = 0; i < all->n; i++) {
		const struct conform_check *o = &all->list[i];
		if (o->kind == CONFORM_REACH && o->verdict == CONFORM_OK &&
			strcmp(o->t.type, "icmp") == 0 && o->t.size == k->t.size &&
			o->t.from_pod == k->t.from_pod && o->t.to_pod == k->t.to_pod &&
			is_between_same(o, k))
			return true;
	}
	return false;
}

static void explain_checksum(struct leg *l, const struct conform_member *pods_node)
{
	text_add(&l->out,
		"the %s reach the pod on %.60s, which takes ICMP alone: the network card of "
		"%.60s, or its driver, makes wrong checksums in tunnelled packets (try "
		"vxlan.checksumOffload false there)",
		l->what, pods_node->name, l->from->name);
}

void conform_cause(const struct conform_cluster *c, const struct conform_checks *all,
	const struct conform_evidence *here, const struct conform_evidence *there,
	struct conform_check *k)
{
	bool checksum = is_taken_as_icmp(c, all, k);
	const struct conform_member *from = &c->members[k->t.from], *to = &c->members[k->t.to];
	char protocol[32];
	struct leg way = {
		.from = from,
		.to = to,
		.at_from = here,
		.at_to = there,
		.from_link = link_of(from, k->t.from_pod),
		.to_link = link_of(to, k->t.to_pod),
		.source = &k->t.source,
		.target = &k->t.target,
		.tunnel = from == to ? NULL : tunnel_to(from, &k->t.target),
		.what = "packets",
		.protocol = protocol,
		.out = TEXT_ON(k->cause),
	};
	(void)snprintf(protocol, sizeof(protocol), "%s", k->t.type);
	if (way.tunnel && strcmp(way.tunnel->kind, "ipip") == 0)
		(void)snprintf(protocol, sizeof(protocol), "protocol 4 (IPIP)");
	else if (way.tunnel)
		(void)snprintf(protocol, sizeof(protocol), "UDP %u (VXLAN)", way.tunnel->port);
	bool arrives = cause_follow(&way);
	k->cause_is_wide = !arrives && way.is_wide;
	if (!arrives)
		return;
	struct leg back = {
		.from = to,
		.to = from,
		.at_from = there,
		.at_to = here,
		.from_link = way.to_link,
		.to_link = way.from_link,
		.source = way.target,
		.target = way.source,
		.tunnel = from == to ? NULL : tunnel_to(to, &k->t.source),
		.what = "answers",
		.protocol = protocol,
		.out = way.out,
	};
	bool answers = !*back.from_link || on_link(&there->inner, back.from_link).in;
	if (!answers && checksum)
		explain_checksum(&way, to);
	else if (!answers)
		text_add(&back.out, "the packets reach the pod on %.60s, and it does not answer",
			to->name);
	else if (!cause_follow(&back))
		k->cause_is_wide = back.is_wide;
	else if (checksum && *back.to_link)
		explain_checksum(&back, from);
}

/* ---- What other checks show ---- */

static bool is_same_way(const struct conform_check *a, const struct conform_check *b)
{
	return is_between_same(a, b) && a->t.from_pod == b->t.from_pod &&
	       a->t.to_pod == b->t.to_pod && strcmp(a->t.type, b->t.type) == 0;
}

static bool is_between_nodes(const struct conform_check *k)
{
	return k->t.from_pod == CONFORM_NODE && k->t.to_pod == CONFORM_NODE;
}

static bool is_size_alone(const struct conform_checks *all, const struct conform_check *k)
{
	for (size_t i = 0; k->t.size && i < all->n; i++) {
		const struct conform_check *o = &all->list[i];
		if (o->kind == CONFORM_REACH && !o->t.size && o->verdict == CONFORM_OK &&
			is_same_way(o, k))
			return true;
	}
	return false;
}

/* The nodes themselves, in the same family; baseline: 1 they reach each other, 0 not, -1 unknown. */
static int nodes_reach(const struct conform_checks *all, const struct conform_check *k)
{
	int found = -1;
	for (size_t i = 0; i < all->n; i++) {
		const struct conform_check *o = &all->list[i];
		if (o->kind == CONFORM_REACH && is_between_nodes(o) && is_between_same(o, k) &&
			o->verdict != CONFORM_OPEN && o->verdict != CONFORM_SKIPPED)
			found = o->verdict == CONFORM_OK || found == 1;
	}
	return found;
}

bool conform_cause_from_others(
	const struct conform_cluster *c, const struct conform_checks *all, struct conform_check *k)
{
	const struct conform_member *from = &c->members[k->t.from], *to = &c->members[k->t.to];
	if (k->kind != CONFORM_REACH)
		return false;
	if (is_size_alone(all, k) && is_taken_as_icmp(c, all, k)) {
		(void)snprintf(k->cause, sizeof(k->cause),
			"small packets pass, and so does ICMP of full size: the network card of "
			"%.60s or of %.60s, or its driver, makes wrong checksums or segments of "
			"tunnelled packets (try vxlan.checksumOffload false there)",
			from->name, to->name);
		return true;
	}
	if (is_size_alone(all, k)) {
		(void)snprintf(k->cause, sizeof(k->cause),
			"small packets pass, those of full size do not: a link between %.60s and "
			"%.60s takes less than the pods' MTU and the tunnel need, or what says so "
			"is dropped",
			from->name, to->name);
		return true;
	}
	if (is_between_nodes(k) || k->t.from == k->t.to || nodes_reach(all, k) != 0) {
		if (!to->is_outside || k->t.from_pod == CONFORM_NODE || nodes_reach(all, k) != 1)
			return false;
		(void)snprintf(k->cause, sizeof(k->cause),
			"%.60s itself reaches %.60s: what pods send is not translated, or %.60s "
			"has no way back to them",
			from->name, to->name, to->name);
		return true;
	}
	(void)snprintf(k->cause, sizeof(k->cause),
		"%.60s does not reach %.60s itself: not a matter of the pods", from->name,
		to->name);
	return true;
}
