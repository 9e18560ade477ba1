/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opening steps. The lock of the state folder is held until the call ends: shared by ADD and
 * DEL, exclusive for GC, which therefore never sees a pod half made. With a foreign IPAM there
 * is no state to open, but the same lock.
 */
#include "plugins/call.h"

#include <stdio.h>
#include <unistd.h>

#include "ipam/session.h"
#include "lib/deadline.h"
#include "lib/file.h"
#include "lib/lock.h"
#include "plugins/guard.h"

void call_done(struct call *c)
{
	if (c->lock >= 0)
		(void)close(c->lock);
	node_close(c->node);
	net_close(c->inside);
	net_close(c->host);
	ns_close(&c->ns);
}

int call_open_pod(struct call *c, struct err *e)
{
	int r = ns_open(c->request->netns, &c->ns, e);
	if (r < 0)
		return r;
	r = ns_enter(&c->ns, e);
	if (r < 0)
		return r;
	r = net_open(&c->inside, e);
	ns_leave(&c->ns);
	return r;
}

static int lock_folder(struct call *c, bool exclusive, struct err *e)
{
	char path[300];
	(void)snprintf(path, sizeof(path), "%s/wiring.lock", c->conf.state_dir);
	int r = file_make_dir(c->conf.state_dir, 0700, e);
	if (r < 0)
		return r;
	r = lock_take(path, exclusive ? LOCK_ALONE : LOCK_SHARED, e);
	if (r >= 0)
		c->lock = r;
	return r < 0 ? r : 0;
}

int call_open_state(struct call *c, enum node_mode mode, struct err *e)
{
	if (!c->conf.in_process)
		return lock_folder(c, mode == NODE_EXCLUSIVE, e);
	int r = guard_open(&c->conf, mode, &c->node, e);
	return r < 0 || mode == NODE_READ ? r : session_adopt(c->node, &c->host, e);
}

struct hash call_owner(const struct call *c)
{
	const struct cni_request *r = c->request;
	return owner_hash(r->network, r->container, r->ifname);
}

int call_lock_attachment(struct call *c, struct err *e)
{
	struct hash owner = call_owner(c);
	deadline_doing("waiting for another call for the same attachment");
	return c->node ? node_lock_owner(c->node, &owner, e)
		       : lock_slot(c->lock, hash_slot(&owner), e);
}
