/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function a fix. Each of them may be killed anywhere and done again; each is a single change,
 * of the state or of the kernel, with the order of DESIGN section 6 where both are meant: the
 * record stands before the link is relied on.
 *
 * Entering a living link into the state is an ordinary assignment that asks for the addresses which
 * the kernel routes to it, on behalf of the owner named by the link's label. The label's text may
 * have been cut to fit, its hash never is.
 */
#include "cli/repair.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/node_view.h"
#include "lib/text.h"

const char *repair_text(enum audit_fix fix)
{
	static const char *const texts[] = {
		[AUDIT_FIX_NONE] = "",
		[AUDIT_FIX_RELEASE] = "released",
		[AUDIT_FIX_RECORD] = "entered into the state again",
		[AUDIT_FIX_WIRING] = "put right",
		[AUDIT_FIX_HOST] = "put right",
		[AUDIT_FIX_DEL_LINK] = "link deleted",
		[AUDIT_FIX_DEL_ROUTE] = "route deleted",
		[AUDIT_FIX_ADD_BLACKHOLE] = "blackhole route added",
		[AUDIT_FIX_DEL_BLACKHOLE] = "blackhole route deleted",
	};
	return texts[fix];
}

/* "namespace/name" of a label as two strings inside buf. */
static void split_pod(char *buf, struct owner *o)
{
	char *slash = strchr(buf, '/');
	if (!slash) {
		o->pod_name = buf;
		return;
	}
	*slash = '\0';
	o->pod_namespace = buf;
	o->pod_name = slash + 1;
}

/* An assignment would not get it; one that only cools down it gets. */
static bool is_quarantined(const struct node_view *v, const struct addr *a)
{
	const struct node_entry *n = node_view_entry(v, a);
	return n && n->state == NODE_QUARANTINED;
}

static int repair_record(const struct repair *r, const struct owned_link *l, struct err *e)
{
	struct addr wanted[FAMILIES];
	struct pool pools[FAMILIES];
	size_t n = 0;
	for (size_t i = 0; i < l->n_addrs; i++) {
		const struct node_pool *p = node_view_pool(r->in->view, &l->addrs[i]);
		if (!p || n == FAMILIES || (n && wanted[0].family == l->addrs[i].family))
			continue;
		wanted[n] = l->addrs[i];
		pools[n++] = p->pool;
	}
	if (n == 0)
		return err_set(e, ENOENT, "the pool of %s is not known to the state", l->link.name);
	char pod[sizeof(l->label.pod)];
	(void)text_copy(pod, sizeof(pod), l->label.pod);
	struct owner owner = owner_of(l->label.network, l->label.container, l->label.ifname);
	owner.hash = l->label.owner;
	split_pod(pod, &owner);
	for (size_t i = 0; i < n; i++) {
		int done = is_quarantined(r->in->view, &wanted[i])
				   ? node_release_addr(r->node, &wanted[i], e)
				   : 0;
		if (done < 0 && done != -ENOENT)
			return done;
	}
	struct node_want want = {.owner = owner,
		.pools = pools,
		.n_pools = n,
		.requested = wanted,
		.n_requested = n};
	struct node_leases leases;
	return node_assign(r->node, &want, &leases, e);
}

/* All that does not hold for the pod, at once: one thing follows from another. */
static int repair_wiring(const struct repair *r, const struct audit_problem *p, struct err *e)
{
	for (size_t i = 0; i < r->in->n_pods; i++) {
		const struct wiring_pod *pod = &r->in->pods[i];
		struct wiring_faults faults = {0};
		if (pod->link.index != p->dev)
			continue;
		wiring_compare(pod, &faults);
		return wiring_mend(r->net, pod, &faults, e);
	}
	return 0;
}

static int repair_host(const struct repair *r, struct err *e)
{
	struct wiring_faults faults = {0};
	wiring_compare_host(r->in->host, &faults);
	return wiring_mend_host(r->net, r->in->host, &faults, e);
}

static int del_route(const struct repair *r, const struct audit_problem *p, struct err *e)
{
	for (size_t i = 0; i < r->in->kernel->n_strays; i++) {
		const struct net_route *stray = &r->in->kernel->strays[i];
		if (stray->dev == p->dev && cidr_equal(&stray->dst, &p->block))
			net_del_route(r->net, stray, NET_MAY_LACK);
	}
	return net_commit(r->net, NULL, e);
}

int repair_one(const struct repair *r, const struct audit_problem *p, struct err *e)
{
	const struct owned_link *l = audit_link(r->in->kernel, p->dev);
	switch (p->fix) {
	case AUDIT_FIX_RELEASE:
		return node_release_addr(r->node, &p->addr, e);
	case AUDIT_FIX_RECORD:
		return l ? repair_record(r, l, e) : 0;
	case AUDIT_FIX_WIRING:
		return repair_wiring(r, p, e);
	case AUDIT_FIX_HOST:
		return repair_host(r, e);
	case AUDIT_FIX_DEL_LINK:
		return owned_remove(r->net, &p->dev, 1, e);
	case AUDIT_FIX_DEL_ROUTE:
		return del_route(r, p, e);
	case AUDIT_FIX_ADD_BLACKHOLE:
		owned_queue_blackhole(r->net, &p->block);
		return net_commit(r->net, NULL, e);
	case AUDIT_FIX_DEL_BLACKHOLE:
		return owned_del_blackholes(r->net, &p->block, 1, e);
	case AUDIT_FIX_NONE:
		break;
	}
	return 0;
}
