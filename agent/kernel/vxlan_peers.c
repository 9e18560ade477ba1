/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three comparisons of sorted lists: forwarding entries by MAC, neighbours of each family by
 * address. First everything that is missing or wrong is put, then what nobody wants is deleted.
 *
 * On our device every entry is ours, whoever made it, with two exceptions that belong to the
 * kernel: multicast neighbours, and addresses that somebody asked for in vain (failed or
 * incomplete), which it forgets by itself. Deleting those would make each sync a change.
 *
 * Permanent neighbours do not count against the kernel's limit of 1024 (gc_thresh3): five thousand
 * peers fit without a setting.
 */
#include "agent/kernel/vxlan_peers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/kernel/batch.h"
#include "lib/mem.h"
#include "lib/net_neigh.h"
#include "lib/search.h"

struct entry {
	struct net_neigh neigh;
	size_t order; /* as given: of equal keys the first counts */
};

struct entries {
	struct entry *v;
	size_t n;
};

static int compare_key(const struct net_neigh *a, const struct net_neigh *b)
{
	return a->is_forwarding ? memcmp(a->mac, b->mac, sizeof(a->mac))
				: addr_compare(&a->dst, &b->dst);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;
	int r = compare_key(&x->neigh, &y->neigh);
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static void sort_entries(struct entries *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare_entries);
}

static bool is_same(const struct net_neigh *a, const struct net_neigh *b)
{
	return a->permanent == b->permanent && addr_equal(&a->dst, &b->dst) &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static int compare_entry_key(const void *entry, const void *key)
{
	return compare_key(&((const struct entry *)entry)->neigh, key);
}

/* The first of those with the same key. */
static size_t find_key(const struct entries *l, const struct net_neigh *key)
{
	return search_lower_bound(l->v, l->n, sizeof(*l->v), key, compare_entry_key);
}

static void put_missing(
	struct batch *b, int device, const struct entries *want, const struct entries *have)
{
	for (size_t i = 0; i < want->n; i++) {
		const struct net_neigh *w = &want->v[i].neigh;
		if (i && compare_key(&want->v[i - 1].neigh, w) == 0)
			continue;
		bool found = false;
		for (size_t k = find_key(have, w);
			k < have->n && compare_key(&have->v[k].neigh, w) == 0; k++)
			found |= is_same(w, &have->v[k].neigh);
		if (found)
			continue;
		net_put_neigh(b->net, device, w);
		batch_add(b);
	}
}

static bool has_twin(const struct entries *l, size_t i)
{
	const struct net_neigh *key = &l->v[i].neigh;
	return (i && compare_key(&l->v[i - 1].neigh, key) == 0) ||
	       (i + 1 < l->n && compare_key(&l->v[i + 1].neigh, key) == 0);
}

/* A wanted key keeps its entry, which is right by now; a second destination of the same MAC goes. */
static void delete_superfluous(
	struct batch *b, int device, const struct entries *want, const struct entries *have)
{
	for (size_t i = 0; i < have->n; i++) {
		const struct net_neigh *h = &have->v[i].neigh;
		size_t at = find_key(want, h);
		bool wanted = at < want->n && compare_key(&want->v[at].neigh, h) == 0;
		if (wanted && (!has_twin(have, i) || is_same(&want->v[at].neigh, h)))
			continue;
		if (h->needs_none || (!wanted && h->failed))
			continue;
		net_del_neigh(b->net, device, h, NET_MAY_LACK);
		batch_add(b);
	}
}

static void sync_entries(
	struct batch *b, int device, struct entries *want, struct net_neigh *list, size_t n)
{
	struct entries have = {.v = mem_new(n, sizeof(*have.v)), .n = n};
	for (size_t i = 0; i < n; i++)
		have.v[i] = (struct entry){.neigh = list[i], .order = i};
	sort_entries(want);
	sort_entries(&have);
	put_missing(b, device, want, &have);
	delete_superfluous(b, device, want, &have);
	batch_commit(b);
	free(have.v);
}

static void add_entry(
	struct entries *l, const struct addr *dst, const struct vxlan_peer *p, bool forward)
{
	if (!dst->family)
		return;
	struct entry *x = &l->v[l->n];
	x->neigh = (struct net_neigh){.dst = *dst, .permanent = true, .is_forwarding = forward};
	memcpy(x->neigh.mac, p->mac, sizeof(x->neigh.mac));
	x->order = l->n++;
}

int vxlan_peers_sync(
	struct net *n, int device, const struct vxlan_peer *peers, size_t n_peers, struct err *e)
{
	struct batch b = {.net = n, .e = e};
	struct entries want = {.v = mem_new(n_peers, sizeof(*want.v))};
	CLEANUP_FREE struct net_neigh *forwarding = NULL;
	size_t n_have = 0;
	int r = net_list_neighs(n, device, AF_BRIDGE, &forwarding, &n_have, e);
	for (size_t i = 0; i < n_peers && r >= 0; i++)
		add_entry(&want, &peers[i].node, &peers[i], true);
	if (r >= 0)
		sync_entries(&b, device, &want, forwarding, n_have);
	for (enum family f = IPV4; f < FAMILIES && r >= 0; f++) {
		CLEANUP_FREE struct net_neigh *neighs = NULL;
		r = net_list_neighs(n, device, family_af(f), &neighs, &n_have, e);
		want.n = 0;
		for (size_t i = 0; i < n_peers; i++)
			add_entry(&want, &peers[i].vtep[f], &peers[i], false);
		if (r >= 0)
			sync_entries(&b, device, &want, neighs, n_have);
	}
	free(want.v);
	return r < 0 ? r : b.changes;
}
