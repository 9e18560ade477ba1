/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps. The link is last, as it is what shows that somebody of this owner was here.
 */
#include "plugins/unwire.h"

#include "plugins/hostports.h"
#include "plugins/wire.h"

static void keep_first(int *first, struct err *first_e, int r, const struct err *e)
{
	if (r < 0 && *first >= 0) {
		*first = r;
		*first_e = *e;
	}
}

int unwire(struct call *c, const struct unwire *u, struct err *e)
{
	struct err step;
	int first = 0;
	if (u->may_have_ports)
		keep_first(&first, e, hostports_remove(&u->owner, &step), &step);
	if (u->is_there && c->ns.fd >= 0)
		keep_first(&first, e,
			wire_remove_inside(c->host, &c->ns, c->request->ifname, &u->owner, &step),
			&step);
	int removed = owned_remove_owner(c->host, &u->owner, u->hints, u->how, &step);
	keep_first(&first, e, removed, &step);
	return first < 0 ? first : removed;
}
