/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, MTUs and leftovers, judged from what the nodes say they have.
 *
 * A cluster that is in use changes all the time, so "nothing is left" is not "as it was before": it is
 * asked of what was this run's: links labelled with its containers, routes to its addresses, records
 * of its containers that are not merely cooling down. A block that was claimed for it may stay; the
 * agent gives it back when it likes.
 */
#include "cli/conform/static.h"

#include <stdio.h>
#include <string.h>

#include "lib/family.h"
#include "lib/text.h"

#define OVERHEAD_IPIP 20
#define OVERHEAD_VXLAN4 50
#define OVERHEAD_VXLAN6 70

/* ---- Addresses ---- */

static struct conform_check *static_add(struct conform_checks *out, const char *group,
	const char *note, const struct conform_member *m, size_t pod, const struct addr *a)
{
	int family = a ? family_digit(family_of(a->family)) - '0' : 0;
	struct conform_check *c = conform_checks_add(out, CONFORM_FACT, group, family);
	if (a)
		(void)snprintf(c->what, sizeof(c->what), "%s IPv%d %s  %.60s  %s", group, family,
			note, CONFORM_PLACE_STRING(m, pod), ADDR_STRING(a));
	else
		(void)snprintf(c->what, sizeof(c->what), "%s %s  %.60s", group, note,
			CONFORM_PLACE_STRING(m, pod));
	return c;
}

/* A used record of another container, or another pod of this run. */
static void check_unique(const struct conform_cluster *c, size_t member, size_t pod,
	const struct addr *a, struct conform_checks *out)
{
	const struct conform_pod *own = &c->members[member].pods[pod];
	struct conform_check *k = static_add(out, "address", "unique", &c->members[member], pod, a);
	(void)snprintf(k->expected, sizeof(k->expected), "nobody else to have it");
	conform_check_set(k, CONFORM_OK, "nobody else");
	for (size_t i = 0; i < conform_cluster_nodes(c); i++) {
		const struct conform_member *m = &c->members[i];
		for (size_t n = 0; n < m->facts.n_records; n++) {
			const struct conform_record *r = &m->facts.records[n];
			if (addr_equal(&r->addr, a) && strcmp(r->state, "used") == 0 &&
				strcmp(r->container, own->container) != 0)
				conform_check_set(k, CONFORM_FAILED,
					"on %.60s the container %.64s has it, too", m->name,
					r->container);
		}
		for (size_t n = 0; n < m->n_pods; n++)
			if (&m->pods[n] != own && addr_equal(&m->pods[n].ip[k->family == 6], a))
				conform_check_set(k, CONFORM_FAILED, "%.60s/%c has it, too",
					m->name, (char)('a' + n));
	}
}

static void check_block(const struct conform_cluster *c, size_t member, size_t pod,
	const struct addr *a, struct conform_checks *out)
{
	const struct conform_member *m = &c->members[member];
	struct conform_check *k = static_add(out, "address", "block", m, pod, a);
	(void)snprintf(k->expected, sizeof(k->expected), "to be of a block of %.60s", m->name);
	if (m->facts.n_blocks == 0) {
		conform_check_set(k, CONFORM_SKIPPED, "%.60s has no node state of roost", m->name);
		return;
	}
	conform_check_set(k, CONFORM_FAILED, "it is of no block of this node");
	for (size_t i = 0; i < c->n; i++) {
		const struct conform_member *owner = &c->members[i];
		for (size_t b = 0; b < owner->facts.n_blocks; b++) {
			if (!cidr_contains(&owner->facts.blocks[b], a))
				continue;
			conform_check_set(k, owner == m ? CONFORM_OK : CONFORM_FAILED,
				"it is of %s, a block of %.60s",
				CIDR_STRING(&owner->facts.blocks[b]), owner->name);
			if (owner == m)
				return;
		}
	}
}

/* What tunnels take of a packet, at most. */
static uint32_t overhead(const struct conform_cluster *c, enum family f)
{
	uint32_t most = 0;
	for (size_t i = 0; i < c->n_pools; i++) {
		const struct conform_pool *p = &c->pools[i];
		uint32_t o = 0;
		if (family_of(p->cidr.addr.family) != f || p->disabled)
			continue;
		if (p->vxlan != ENCAP_NEVER)
			o = f ? OVERHEAD_VXLAN6 : OVERHEAD_VXLAN4;
		else if (p->ipip != ENCAP_NEVER)
			o = OVERHEAD_IPIP;
		most = o > most ? o : most;
	}
	return most;
}

static void check_mtu(const struct conform_cluster *c, const struct conform_member *m, size_t pod,
	struct conform_checks *out)
{
	const struct conform_pod *p = &m->pods[pod];
	struct conform_check *k = static_add(out, "mtu", "of the pod", m, pod, NULL);
	uint32_t most = UINT32_MAX, less = 0;
	for (enum family f = IPV4; f < FAMILIES; f++) {
		uint32_t o = overhead(c, f);
		if (!p->ip[f].family || m->facts.mtu[f] <= o || m->facts.mtu[f] - o >= most)
			continue;
		most = m->facts.mtu[f] - o;
		less = o;
	}
	if (most == UINT32_MAX) {
		conform_check_set(
			k, CONFORM_SKIPPED, "%.60s has no uplink to compare with", m->name);
		return;
	}
	struct text t = TEXT_ON(k->expected);
	text_add(&t, c->has_store ? "%u, what the uplink takes" : "at most the uplink's %u", most);
	if (less)
		text_add(&t, " less %u", less);
	conform_check_set(k, p->mtu > most ? CONFORM_FAILED : CONFORM_OK, "%u%s", p->mtu,
		p->mtu < most && c->has_store ? ", less than it could be" : "");
}

void conform_addresses(const struct conform_cluster *c, struct conform_checks *out)
{
	for (size_t i = 0; i < conform_cluster_nodes(c); i++) {
		const struct conform_member *m = &c->members[i];
		for (size_t k = 0; k < m->n_pods; k++) {
			for (enum family f = IPV4; f < FAMILIES; f++) {
				if (!m->pods[k].ip[f].family)
					continue;
				check_unique(c, i, k, &m->pods[k].ip[f], out);
				check_block(c, i, k, &m->pods[k].ip[f], out);
			}
			check_mtu(c, m, k, out);
		}
	}
}

/* ---- What is left ---- */

static void add_left(struct text *t, const char *what, const char *name)
{
	text_add(t, "%s%s %s", t->len ? ", " : "", what, name);
}

static void find_left_of_pod(
	const struct conform_facts *l, const struct conform_pod *p, struct text *t)
{
	char text[ADDR_TEXT];
	for (size_t i = 0; i < l->n_links; i++)
		if (*p->container && strstr(l->links[i].alias, p->container))
			add_left(t, "the link", l->links[i].name);
	for (size_t i = 0; i < l->n_records; i++) {
		const struct conform_record *r = &l->records[i];
		if (strcmp(r->container, p->container) != 0 || strcmp(r->state, "used") != 0)
			continue;
		addr_format(&r->addr, text);
		add_left(t, "the record of", text);
	}
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct cidr host = cidr_of_host(&p->ip[f]);
		for (size_t i = 0; p->ip[f].family && i < l->n_routes; i++) {
			/* A blackhole is of a block of one address. */
			if (!cidr_equal(&l->routes[i].dst, &host) ||
				strcmp(l->routes[i].type, "blackhole") == 0)
				continue;
			addr_format(&p->ip[f], text);
			add_left(t, "the route to", text);
		}
	}
}

void conform_leftovers(const struct conform_cluster *c, struct conform_checks *out)
{
	for (size_t i = 0; i < conform_cluster_nodes(c); i++) {
		const struct conform_member *m = &c->members[i];
		char left[300] = "";
		struct text t = TEXT_ON(left);
		if (!m->n_pods)
			continue;
		struct conform_check *k = static_add(out, "left", "after", m, CONFORM_NODE, NULL);
		(void)snprintf(k->expected, sizeof(k->expected),
			"no link, route or record of the pods that were here");
		if (!m->alive) {
			conform_check_set(k, CONFORM_SKIPPED, "its probe is gone");
			continue;
		}
		for (size_t n = 0; n < m->n_pods; n++)
			find_left_of_pod(&m->facts, &m->pods[n], &t);
		conform_check_set(
			k, *left ? CONFORM_FAILED : CONFORM_OK, "%s", *left ? left : "none");
	}
}
