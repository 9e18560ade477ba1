/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GC: what no valid attachment of this network explains goes, links first, then records, under
 * the exclusive lock. Links are found by their labels, so also those whose record is lost; other
 * networks' are never touched.
 *
 * A call that says nothing of valid attachments (libcni's GC without arguments, which is what cnitool
 * sends) is not taken for one that says "none": whoever has a link is valid then. The host end of a
 * pair vanishes with the pod's namespace, so such a link means that somebody may be using it, while a
 * record without one is a leak. Foreign IPAM plugins are not asked: most cannot tell the two
 * calls apart.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostport.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "plugins/call.h"
#include "plugins/foreign.h"
#include "plugins/addresses.h"

/* What one GC works with. */
struct garbage {
	struct addresses_valid valid;
	struct owned kernel;
	struct hash *stale; /* owners of records */
	size_t n_stale;
};

static void garbage_done(struct garbage *g)
{
	addresses_valid_done(&g->valid);
	owned_done(&g->kernel);
	free(g->stale);
}

static bool is_of_network(const struct call *c, const struct owned_link *l)
{
	return strcmp(l->label.network, c->request->network) == 0;
}

/* Whoever has a link is valid. */
static void keep_living(const struct call *c, struct garbage *g)
{
	struct hash *owners = mem_new(g->kernel.n_links, sizeof(*owners));
	size_t n = 0;
	for (size_t i = 0; i < g->kernel.n_links; i++)
		if (is_of_network(c, &g->kernel.links[i]))
			owners[n++] = g->kernel.links[i].label.owner;
	qsort(owners, n, sizeof(*owners), hash_compare);
	free(g->valid.owners);
	g->valid.owners = owners;
	g->valid.n = n;
}

static bool is_stale_link(const struct call *c, const struct garbage *g, const struct owned_link *l)
{
	return is_of_network(c, l) && !addresses_is_valid(&g->valid, &l->label.owner);
}

/* Links of this network that no valid attachment explains, by their labels. */
static size_t stale_links(const struct call *c, const struct garbage *g, int *indexes)
{
	size_t n = 0;
	for (size_t i = 0; i < g->kernel.n_links; i++) {
		const struct owned_link *l = &g->kernel.links[i];
		if (is_stale_link(c, g, l))
			indexes[n++] = l->link.index;
	}
	return n;
}

/* Unfinished links of killed ADDs: they have no label, but a group made of their owner's hash. */
static size_t stale_newborns(const struct garbage *g, int *indexes)
{
	size_t n = 0;
	for (size_t i = 0; i < g->kernel.n_newborns; i++)
		for (size_t k = 0; k < g->n_stale; k++)
			if (owned_is_newborn_of(&g->kernel.newborns[i], &g->stale[k])) {
				indexes[n++] = g->kernel.newborns[i].index;
				break;
			}
	return n;
}

/* Devices of limits whose pod's link is not there, or goes now. */
static size_t stale_ifbs(const struct call *c, const struct garbage *g, int *indexes)
{
	size_t n = 0;
	for (size_t i = 0; i < g->kernel.n_ifbs; i++) {
		bool kept = false;
		for (size_t k = 0; k < g->kernel.n_links && !kept; k++) {
			const struct owned_link *l = &g->kernel.links[k];
			kept = owned_is_ifb_of(&g->kernel.ifbs[i], &l->label.owner) &&
			       !is_stale_link(c, g, l);
		}
		if (!kept)
			indexes[n++] = g->kernel.ifbs[i].index;
	}
	return n;
}

static int remove_links(struct call *c, const struct garbage *g, struct err *e)
{
	CLEANUP_FREE int *indexes = mem_new(
		g->kernel.n_links + g->kernel.n_newborns + g->kernel.n_ifbs, sizeof(*indexes));
	size_t n = stale_links(c, g, indexes);
	n += stale_newborns(g, indexes + n);
	n += stale_ifbs(c, g, indexes + n);
	if (n)
		log_info("garbage collection removes links network=%s count=%zu",
			c->request->network, n);
	/* Marked ones may have been left by anybody who was killed. */
	return n ? owned_remove(c->host, indexes, n, e) : owned_sweep(c->host, e);
}

/* Ports of links that go now, and of whoever has no link any more. */
static int remove_ports(struct call *c, const struct garbage *g, struct err *e)
{
	CLEANUP_FREE struct hash *orphans = NULL;
	CLEANUP_FREE struct hash *owners = mem_new(g->kernel.n_links + 1, sizeof(*owners));
	size_t n_orphans = 0, n = 0;
	for (size_t i = 0; i < g->kernel.n_links; i++)
		if (is_stale_link(c, g, &g->kernel.links[i]))
			owners[n++] = g->kernel.links[i].label.owner;
	int r = hostport_orphans(c->host, &orphans, &n_orphans, e);
	if (r >= 0 && n_orphans)
		r = hostport_remove(orphans, n_orphans, NULL, e);
	if (r >= 0 && n)
		r = hostport_remove(owners, n, NULL, e);
	return r < 0 ? r : 0;
}

static int gc_foreign(struct call *c, struct err *e)
{
	int supports = foreign_supports(c->request, c->conf.ipam_type, e);
	return supports > 0 ? foreign_run(c->request, c->conf.ipam_type, "GC", e) : supports;
}

static int collect(struct call *c, struct garbage *g, struct err *e)
{
	int r = addresses_valid(c->request, &g->valid, e);
	if (r >= 0)
		r = owned_list(c->host, &g->kernel, e);
	if (r < 0)
		return r;
	if (!g->valid.is_named)
		keep_living(c, g);
	if (c->node)
		r = addresses_stale(c->node, c->request, &g->valid, &g->stale, &g->n_stale, e);
	if (r >= 0)
		r = remove_ports(c, g, e);
	if (r >= 0)
		r = remove_links(c, g, e);
	if (r < 0)
		return r;
	if (c->node)
		return node_release(c->node, g->stale, g->n_stale, e);
	return g->valid.is_named ? gc_foreign(c, e) : 0;
}

int call_gc(struct call *c, struct err *e)
{
	struct garbage g = {0};
	int r = net_open(&c->host, e);
	if (r >= 0)
		r = call_open_state(c, NODE_EXCLUSIVE, e);
	if (r >= 0)
		r = collect(c, &g, e);
	garbage_done(&g);
	return r;
}
