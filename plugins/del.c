/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEL: every step is done, whatever the others met, then the first error is told; nothing there is
 * success. A node state of another version's format is no reason to keep a pod from ending: its wiring goes, and
 * its record stays for that version, as nobody else gives the address away (docs/IPAM.md). The link goes before the record, so that nobody gets an address to which an old route
 * leads (taking a link down takes its routes along in the same kernel operation).
 *
 * With a living agent the link is only taken down and marked, which takes a fiftieth of the time of
 * deleting it; the agent deletes what is marked. Nobody else takes a marked link for a pod's: an
 * ADD that meets one in its way deletes it. Without an agent DEL deletes, and whatever an agent
 * that is gone has left goes in the same message.
 */
#include <errno.h>

#include "ipam/agent_lock.h"
#include "lib/deadline.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "plugins/call.h"
#include "plugins/foreign.h"
#include "plugins/guard.h"
#include "plugins/unwire.h"

/* Keeps the first of several errors: DEL does every step, then reports. */
static void keep_first(int *first, struct err *first_e, int r, const struct err *e)
{
	if (r < 0 && *first >= 0) {
		*first = r;
		*first_e = *e;
	}
}

static int release_record(struct call *c, const struct hash *owner, struct err *e)
{
	if (!c->conf.in_process)
		return foreign_run(c->request, c->conf.ipam_type, "DEL", e);
	return node_release(c->node, owner, 1, e);
}

/* The pod's namespace, when CNI_NETNS still leads to one. Our own is an error, but only a late one.
 */
static int try_namespace(struct call *c, struct err *e)
{
	if (!*c->request->netns)
		return 0;
	int r = ns_open(c->request->netns, &c->ns, e);
	return r == -EXDEV ? r : 0;
}

/* Without a record of the attachment nobody knows. */
static bool may_have_ports(struct call *c, const struct hash *owner, const struct node_leases *had)
{
	CLEANUP_FREE struct port *ports = NULL;
	struct err e;
	return !c->node || !had->n || node_ports(c->node, owner, &ports, &e) != 0;
}

/* The link, what leads to it, and what it has in the pod. */
static int remove_link(
	struct call *c, const struct hash *owner, const struct node_leases *had, struct err *e)
{
	struct owned_hints hints = {0};
	if (had->n)
		hints = owned_hints_of(c->conf.prefix, &had->v[0].addr);
	for (size_t i = 1; i < had->n; i++)
		hints.addrs[hints.n_addrs++] = had->v[i].addr;
	enum agent_lock agent = agent_lock_find(c->conf.state_dir);
	const struct unwire u = {
		.owner = *owner,
		.hints = had->n ? &hints : NULL,
		.how = agent == AGENT_LOCK_HELD ? OWNED_MARK : OWNED_DELETE,
		.may_have_ports = may_have_ports(c, owner, had),
		.is_there = true,
	};
	int r = unwire(c, &u, e);
	if (r == 0 && agent == AGENT_LOCK_LEFT)
		r = owned_sweep(c->host, e);
	return r < 0 ? r : 0;
}

int call_del(struct call *c, struct err *e)
{
	struct hash owner = call_owner(c);
	struct err step;
	int first = 0;
	keep_first(&first, e, try_namespace(c, &step), &step);
	int result = net_open(&c->host, e);
	if (result < 0)
		return result;
	int state = call_open_state(c, NODE_SHARED, &step);
	bool recordless = c->conf.in_process && !c->node &&
			  (guard_is_unborn(&c->conf, state) ||
				  guard_is_of_another(state, &step, c->request->container));
	if (recordless)
		state = 0;
	else if (state >= 0)
		state = call_lock_attachment(c, &step);
	keep_first(&first, e, state, &step);
	struct node_leases had = {0};
	if (c->node)
		keep_first(&first, e, node_find(c->node, &owner, &had, &step), &step);
	deadline_doing("removing the pod's link");
	int removed = remove_link(c, &owner, &had, &step);
	keep_first(&first, e, removed, &step);
	/* An address is free only when nothing leads to its old pod any more. */
	if (removed >= 0 && state >= 0 && !recordless)
		keep_first(&first, e, release_record(c, &owner, &step), &step);
	return first;
}
