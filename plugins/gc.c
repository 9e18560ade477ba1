/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GC: what no valid attachment of this network explains goes, links first, then records, under
 * the exclusive lock. Links are found by their labels, so also those whose record is lost; other
 * networks' are never touched.
 */
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "plugins/call.h"
#include "plugins/foreign.h"
#include "plugins/addresses.h"

/* Links of this network that no valid attachment explains, by their labels. */
static size_t stale_links(const struct call *c, const struct owned *kernel,
	const struct hash *valid, size_t n_valid, int *indexes)
{
	size_t n = 0;
	for (size_t i = 0; i < kernel->n_links; i++) {
		const struct owned_link *l = &kernel->links[i];
		if (strcmp(l->label.network, c->request->network) == 0 &&
			!addresses_is_valid(valid, n_valid, &l->label.owner))
			indexes[n++] = l->link.index;
	}
	return n;
}

/* Unfinished links of killed ADDs: they have no label, but a group made of their owner's hash. */
static size_t stale_newborns(
	const struct owned *kernel, const struct hash *stale, size_t n_stale, int *indexes)
{
	size_t n = 0;
	for (size_t i = 0; i < kernel->n_newborns; i++)
		for (size_t k = 0; k < n_stale; k++)
			if (owned_is_newborn_of(&kernel->newborns[i], &stale[k])) {
				indexes[n++] = kernel->newborns[i].index;
				break;
			}
	return n;
}

static int collect_links(struct call *c, const struct hash *stale, size_t n_stale, struct err *e)
{
	CLEANUP_FREE struct hash *valid = NULL;
	size_t n_valid = 0;
	struct owned kernel;
	int r = addresses_valid(c->request, &valid, &n_valid, e);
	if (r >= 0)
		r = owned_list(c->host, &kernel, e);
	if (r < 0)
		return r;
	CLEANUP_FREE int *indexes = mem_new(kernel.n_links + kernel.n_newborns, sizeof(*indexes));
	size_t n = stale_links(c, &kernel, valid, n_valid, indexes);
	n += stale_newborns(&kernel, stale, n_stale, indexes + n);
	owned_done(&kernel);
	if (n)
		log_info("garbage collection removes links network=%s count=%zu",
			c->request->network, n);
	/* Marked ones may have been left by anybody who was killed. */
	return n ? owned_remove(c->host, indexes, n, e) : owned_sweep(c->host, e);
}

static int gc_foreign(struct call *c, struct err *e)
{
	int supports = foreign_supports(c->request, c->conf.ipam_type, e);
	return supports > 0 ? foreign_run(c->request, c->conf.ipam_type, "GC", e) : supports;
}

int call_gc(struct call *c, struct err *e)
{
	CLEANUP_FREE struct hash *stale = NULL;
	size_t n_stale = 0;
	int r = net_open(&c->host, e);
	if (r >= 0)
		r = call_open_state(c, NODE_EXCLUSIVE, e);
	if (r >= 0 && c->node)
		r = addresses_stale(c->node, c->request, &stale, &n_stale, e);
	if (r >= 0)
		r = collect_links(c, stale, n_stale, e);
	if (r < 0)
		return r;
	return c->node ? node_release(c->node, stale, n_stale, e) : gc_foreign(c, e);
}
