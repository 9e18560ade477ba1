/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an address cannot be had. Names of containers and pods come from the runtime and may be long;
 * they are cut, so that the end of the sentence, which says what is wrong, always fits.
 */
#include "ipam/messages.h"

#include <errno.h>
#include <inttypes.h>

#include "ipam/node_impl.h"
#include "lib/family.h"
#include "lib/text.h"

/* "100.66.0.0/16, 100.67.0.0/16": the usable pools of a family. */
static void list_pools(const struct node_want *w, uint8_t family, struct text *t)
{
	for (size_t i = 0; i < w->n_pools; i++) {
		char cidr[CIDR_TEXT];
		if (!node_want_uses(w, i, family))
			continue;
		cidr_format(&w->pools[i].cidr, cidr);
		text_add(t, "%s%s", t->len ? ", " : "", cidr);
	}
	if (!t->len)
		text_add(t, "none");
}

int messages_outside(const struct node_want *w, const struct addr *a, struct err *e)
{
	char text[ADDR_TEXT];
	char pools[300];
	struct text t = TEXT_ON(pools);
	addr_format(a, text);
	list_pools(w, a->family, &t);
	return err_set(e, EADDRNOTAVAIL,
		"requested address %s is in no pool that may be used here (%s pools: %s)", text,
		family_name(family_of(a->family)), pools);
}

int messages_taken(const struct addr *a, const struct record_addr *rec, struct err *e)
{
	char text[ADDR_TEXT];
	char name[256] = "";
	addr_format(a, text);
	struct text t = TEXT_ON(name);
	switch (rec->state) {
	case RECORD_USED:
		if (*rec->owner.pod_name)
			text_add(&t, " (pod %.100s%s%.120s)", rec->owner.pod_namespace,
				*rec->owner.pod_namespace ? "/" : "", rec->owner.pod_name);
		return err_set(e, EADDRINUSE,
			"address %s is used by container %.64s, interface %s, network %.64s%s",
			text, rec->owner.container, rec->owner.ifname, rec->owner.network, name);
	case RECORD_RESERVED:
		return err_set(e, EADDRINUSE,
			"address %s is reserved, for a gateway or by the cluster", text);
	case RECORD_LENT:
		return err_set(e, EADDRINUSE, "address %s is lent to another node", text);
	default:
		(void)err_set(e, EADDRINUSE,
			"address %s is quarantined: an earlier state of this node was lost, and "
			"something may still use it",
			text);
		err_details(e, "when nothing uses it any more: roostctl ipam release %s", text);
		return -EADDRINUSE;
	}
}

int messages_not_ours(const struct addr *a, const struct record_block *block, struct err *e)
{
	char text[ADDR_TEXT];
	addr_format(a, text);
	if (block && block->draining)
		return err_set(e, EADDRNOTAVAIL,
			"address %s cannot be had: its block is being given back to the cluster",
			text);
	if (block)
		return err_set(e, EADDRNOTAVAIL,
			"address %s cannot be had: the cluster does not say that its block is this "
			"node's",
			text);
	(void)err_set(
		e, EADDRNOTAVAIL, "requested address %s is not in a block of this node", text);
	err_details(e,
		"an address can be had only on the node that owns its block: roostctl ipam show "
		"--cluster");
	return -EADDRNOTAVAIL;
}

int messages_cluster_pool(const struct cidr *pool, struct err *e)
{
	char text[CIDR_TEXT];
	cidr_format(pool, text);
	(void)err_set(e, EINVAL,
		"pool %s is the cluster's: a configuration cannot claim blocks of it", text);
	err_details(e, "leave ipam.pools out of the network configuration: then this node's agent "
		       "says which pools there are");
	return -EINVAL;
}

static int explain_pool(struct node *n, const struct cidr *pool, struct text *t, struct err *e)
{
	struct node_pool p;
	char cidr[CIDR_TEXT];
	int r = node_count_pool(n, pool, &p, e);
	if (r < 0)
		return r;
	cidr_format(pool, cidr);
	text_add(t,
		"%spool %s is exhausted: %" PRIu64 " addresses, %" PRIu64 " used, %" PRIu64
		" cooling, %" PRIu64 " reserved, %" PRIu64 " quarantined",
		t->len ? "; " : "", cidr, p.size, p.used, p.cooling, p.reserved, p.quarantined);
	return 0;
}

/* In a cluster it is the node's blocks that are full, whatever the pools still have. */
static int exhausted_blocks(
	struct node *n, const struct node_want *w, uint8_t family, struct err *e)
{
	struct node_view view;
	char pools[200];
	struct text t = TEXT_ON(pools);
	uint64_t blocks = 0, used = 0, cooling = 0, held = 0;
	int r = node_list_within(n, &view, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < view.n_blocks; i++) {
		const struct node_block *b = &view.blocks[i];
		const struct pool *p = pool_find(w->pools, w->n_pools, &b->cidr.addr);
		if (!p || !node_want_uses(w, (size_t)(p - w->pools), family) || b->draining ||
			b->disowned)
			continue;
		blocks++;
		used += b->used;
		cooling += b->cooling;
		held += b->reserved + b->quarantined;
	}
	node_view_done(&view);
	list_pools(w, family, &t);
	return err_set(e, EAGAIN,
		"this node has no free %s address: %" PRIu64 " blocks of %s, %" PRIu64
		" addresses used, %" PRIu64 " cooling, %" PRIu64 " reserved or quarantined",
		family_name(family_of(family)), blocks, pools, used, cooling, held);
}

int messages_exhausted(struct node *n, const struct node_want *w, uint8_t family, struct err *e)
{
	char text[480];
	struct text t = TEXT_ON(text);
	if (w->cluster)
		return exhausted_blocks(n, w, family, e);
	for (size_t i = 0; i < w->n_pools; i++) {
		if (!node_want_uses(w, i, family))
			continue;
		int r = explain_pool(n, &w->pools[i].cidr, &t, e);
		if (r < 0)
			return r;
	}
	int r = err_set(e, EAGAIN, "%s", text);
	err_details(e,
		"stop pods, configure a larger or a further %s pool, or release addresses "
		"that nothing uses any more (roostctl ipam show, roostctl ipam release)",
		family_name(family_of(family)));
	return r;
}
