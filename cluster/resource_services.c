/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields about services, of BGPConfiguration: three lists of {cidr: ...}, as Calico's. Every node
 * announces such a prefix as a whole, so one that hosts treat specially, or one as wide as a default
 * route, would pull the traffic of others to all nodes: it is refused.
 */
#include <errno.h>

#include "cluster/resource_impl.h"
#include "ipam/pool.h"

#define WIDEST 8 /* the shortest prefix of services */

static int resource_read_service_cidr(const struct schema_at *at, const char *text, void *out)
{
	const struct cidr *c = out;
	int r = fields_prefix.parse(at, text, out);
	if (r < 0)
		return r;
	if (c->len < WIDEST)
		return schema_refuse(at, EINVAL, "is %.60s, wider than /%d", text, WIDEST);
	const char *what = pool_special(c);
	if (what)
		return schema_refuse(at, EINVAL, "is %.60s, which contains %s", text, what);
	/* at->above is the object in the list, whose elements lie one after the other. */
	if (cidr_is_among(c - at->above->index, at->above->index, c))
		return schema_refuse(at, EINVAL, "is %.60s, which is there twice", text);
	return 0;
}

static const struct schema_member service_members[] = {
	{.key = "cidr",
		.type = SCHEMA_PARSER(resource_read_service_cidr),
		.size = sizeof(struct cidr),
		.flags = SCHEMA_REQUIRED},
};
const struct schema resource_service_cidr = SCHEMA_OF(service_members);
