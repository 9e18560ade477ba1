/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation in two rounds over all load balancers, the oldest first. In the first each keeps what its
 * status says, unless it asks for something else now, or an older service has the address. In the
 * second those that lack an address of a family get one: what they ask for, else the first free
 * address of the pools. So the outcome depends on the services alone: whoever computes it anew, or at another node, gets
 * the same, and nobody loses an address because somebody else came.
 *
 * An address of the status that is in no pool stays: the pool was taken away under a service that is in
 * use. A sentence says so.
 */
#include "agent/services/allocate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/search.h"

/* An address and who has it. Sorted by address, then in the order in which they were put. */
struct holder {
	struct addr addr; /* first: addr_compare_first() */
	size_t who;
};

struct work {
	const struct allocate_input *in;
	struct allocation *out;
	struct holder *holders;
	size_t n_holders, room_holders;
	struct addr *next; /* of each pool: everything before is taken */
};

static const struct allocate_pool *pool_of(const struct work *w, const struct addr *a)
{
	for (size_t i = 0; i < w->in->n_pools; i++)
		if (cidr_contains(&w->in->pools[i].cidr, a))
			return &w->in->pools[i];
	return NULL;
}

static size_t first_holder(const struct work *w, const struct addr *a)
{
	return search_lower_bound(
		w->holders, w->n_holders, sizeof(*w->holders), a, addr_compare_first);
}

/* A service that has the address and does not share it with who; NULL: none. */
static const struct demand *find_rival(const struct work *w, const struct addr *a, size_t who)
{
	for (size_t i = first_holder(w, a); i < w->n_holders && addr_equal(&w->holders[i].addr, a);
		i++) {
		const struct demand *other = w->in->all[w->holders[i].who];
		if (w->holders[i].who != who && !demand_may_share(w->in->all[who], other))
			return other;
	}
	return NULL;
}

static bool is_held(const struct work *w, const struct addr *a)
{
	size_t i = first_holder(w, a);
	return i < w->n_holders && addr_equal(&w->holders[i].addr, a);
}

static void hold(struct work *w, const struct addr *a, size_t who)
{
	size_t at = first_holder(w, a);
	w->holders = mem_grow(w->holders, &w->room_holders, w->n_holders, sizeof(*w->holders));
	memmove(&w->holders[at + 1], &w->holders[at], (w->n_holders++ - at) * sizeof(*w->holders));
	w->holders[at] = (struct holder){.addr = *a, .who = who};
}

static void give(struct work *w, const struct addr *a, size_t who)
{
	struct allocation *o = &w->out[who];
	if (o->n < DEMAND_MOST)
		o->addrs[o->n++] = *a;
	hold(w, a, who);
}

static bool names_pool(const struct demand *d, const struct allocate_pool *p)
{
	for (size_t i = 0; i < d->n_pools; i++)
		if (strcmp(d->pools[i], p->name) == 0)
			return true;
	return false;
}

static bool has_asked(const struct demand *d, enum family f)
{
	for (size_t i = 0; i < d->n_asked; i++)
		if (d->asked[i].family == family_af(f))
			return true;
	return false;
}

static bool asks_for(const struct demand *d, const struct addr *a)
{
	for (size_t i = 0; i < d->n_asked; i++)
		if (addr_equal(&d->asked[i], a))
			return true;
	return false;
}

static bool has_family(const struct allocation *o, enum family f)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->addrs[i].family == family_af(f))
			return true;
	return false;
}

/* ---- The first round: what stays ---- */

static bool may_keep(const struct work *w, size_t who, const struct addr *a)
{
	const struct demand *d = w->in->all[who];
	enum family f = family_of(a->family);
	const struct allocate_pool *p = pool_of(w, a);
	if (find_rival(w, a, who))
		return false;
	if (*d->wrong)
		return true;
	if (!d->wants[f] || (has_asked(d, f) && !asks_for(d, a)))
		return false;
	if (!has_asked(d, f) && has_family(&w->out[who], f))
		return false;
	return !p || d->n_pools == 0 || names_pool(d, p) || asks_for(d, a);
}

static void keep(struct work *w, size_t who)
{
	const struct demand *d = w->in->all[who];
	struct allocation *o = &w->out[who];
	for (size_t i = 0; i < d->n_has; i++) {
		const struct addr *a = &d->has[i];
		if (!may_keep(w, who, a))
			continue;
		give(w, a, who);
		if (!pool_of(w, a))
			(void)snprintf(o->why, sizeof(o->why),
				"its address %s is in no IPPool with allowedUses [LoadBalancer]: "
				"it stays until the service is made anew",
				ADDR_STRING(a));
	}
}

/* ---- The second round: what is new ---- */

static void give_asked(struct work *w, size_t who, const struct addr *a)
{
	const struct allocate_pool *p = pool_of(w, a);
	const struct demand *rival = find_rival(w, a, who);
	struct allocation *o = &w->out[who];
	for (size_t i = 0; i < o->n; i++)
		if (addr_equal(&o->addrs[i], a))
			return;
	if (!w->in->all[who]->wants[family_of(a->family)])
		(void)snprintf(o->why, sizeof(o->why),
			"it asks for %s, whose family is not among its ipFamilies", ADDR_STRING(a));
	else if (!p)
		(void)snprintf(o->why, sizeof(o->why),
			"it asks for %s, which is in no IPPool with allowedUses [LoadBalancer]",
			ADDR_STRING(a));
	else if (p->disabled)
		(void)snprintf(o->why, sizeof(o->why),
			"it asks for %s of IPPool %.63s, which is disabled", ADDR_STRING(a),
			p->name);
	else if (rival)
		(void)snprintf(o->why, sizeof(o->why),
			"it asks for %s, which Service %.63s/%.63s has%s", ADDR_STRING(a),
			rival->namespace_, rival->name,
			rival->is_ours ? " and does not share with it" : "");
	else
		give(w, a, who);
}

/* Whether the service may get an address of the pool without naming it. */
static bool is_open(const struct demand *d, const struct allocate_pool *p, enum family f)
{
	return p->cidr.addr.family == family_af(f) && !p->disabled &&
	       (d->n_pools ? names_pool(d, p) : !p->manual);
}

/* One that another service of the same key has. */
static bool give_shared(struct work *w, size_t who, enum family f)
{
	for (size_t i = 0; i < w->n_holders; i++) {
		struct addr a = w->holders[i].addr;
		const struct allocate_pool *p = pool_of(w, &a);
		if (a.family != family_af(f) || !p || !is_open(w->in->all[who], p, f) ||
			find_rival(w, &a, who))
			continue;
		give(w, &a, who);
		return true;
	}
	return false;
}

/* The first address from *next on that is free; false: none. *next is behind it then. */
static bool find_free(const struct work *w, const struct cidr *pool, struct addr *next)
{
	struct addr last = cidr_last(pool);
	while (next->family && addr_compare(next, &last) <= 0) {
		struct addr a = *next;
		const struct cidr *over = NULL;
		for (size_t i = 0; i < w->in->n_reserved && !over; i++)
			if (cidr_contains(&w->in->reserved[i], &a))
				over = &w->in->reserved[i];
		if (!over && !is_held(w, &a))
			return true;
		struct addr end = over ? cidr_last(over) : a;
		if (addr_compare(&end, &last) >= 0)
			break;
		*next = addr_plus(&end, 1);
	}
	next->family = 0;
	return false;
}

static bool give_free(struct work *w, size_t who, enum family f)
{
	static const struct hash none;
	const struct demand *d = w->in->all[who];
	if (!hash_equal(&d->key, &none) && give_shared(w, who, f))
		return true;
	for (size_t i = 0; i < w->in->n_pools; i++) {
		const struct allocate_pool *p = &w->in->pools[i];
		if (!is_open(d, p, f) || !find_free(w, &p->cidr, &w->next[i]))
			continue;
		struct addr a = w->next[i];
		give(w, &a, who);
		return true;
	}
	return false;
}

static bool is_any_open(const struct work *w, size_t who, enum family f)
{
	for (size_t i = 0; i < w->in->n_pools; i++)
		if (is_open(w->in->all[who], &w->in->pools[i], f))
			return true;
	return false;
}

/* A second family that no pool has is missed only where both are required. */
static void say_nothing_free(struct work *w, size_t who, enum family f)
{
	const struct demand *d = w->in->all[who];
	struct allocation *o = &w->out[who];
	bool open = is_any_open(w, who, f);
	if (!open && has_family(o, !f) && !d->must_have_both)
		return;
	(void)snprintf(o->why, sizeof(o->why),
		open ? "all %s addresses of the IPPools that it may use are taken: make another "
		       "one with allowedUses [LoadBalancer]"
		     : "there is no IPPool with allowedUses [LoadBalancer] that gives it an %s "
		       "address",
		family_name(f));
}

static void complete(struct work *w, size_t who)
{
	const struct demand *d = w->in->all[who];
	struct allocation *o = &w->out[who];
	if (*d->wrong) {
		(void)snprintf(o->why, sizeof(o->why), "%s", d->wrong);
		return;
	}
	for (size_t i = 0; i < d->n_asked; i++)
		give_asked(w, who, &d->asked[i]);
	/* Whoever asks for addresses gets those and no others. */
	for (enum family f = IPV4; f < FAMILIES && d->n_asked == 0; f++)
		if (d->wants[f] && !has_family(o, f) && !give_free(w, who, f))
			say_nothing_free(w, who, f);
}

struct allocation *allocate(const struct allocate_input *in)
{
	struct work w = {.in = in,
		.out = mem_new(in->n + 1, sizeof(*w.out)),
		.next = mem_new(in->n_pools + 1, sizeof(*w.next))};
	for (size_t i = 0; i < in->n_pools; i++)
		w.next[i] = in->pools[i].cidr.addr;
	for (size_t i = 0; i < in->n; i++)
		for (size_t k = 0; !in->all[i]->is_ours && k < in->all[i]->n_has; k++)
			hold(&w, &in->all[i]->has[k], i);
	for (size_t i = 0; i < in->n; i++)
		if (in->all[i]->is_ours)
			keep(&w, i);
	for (size_t i = 0; i < in->n; i++)
		if (in->all[i]->is_ours)
			complete(&w, i);
	free(w.holders);
	free(w.next);
	return w.out;
}
