/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields about exits, of BGPConfiguration and BGPPeer; all of them are ours and not Calico's.
 * A prefix that hosts treat specially is no exit, though a wider one may contain it, as 0.0.0.0/0
 * does. An entry of exits without a selector would make exits of all nodes, so that nobody would use any:
 * it has to be said.
 */
#include <errno.h>

#include "cluster/resource_impl.h"
#include "ipam/pool.h"

#define SPECIAL_LEN 8 /* prefixes that are wider are never special as a whole */

static int resource_read_exit_cidr(const struct schema_at *at, const char *text, void *out)
{
	const struct cidr *c = out, *before = c - at->index;
	int r = fields_prefix.parse(at, text, out);
	const char *what = r == 0 && c->len >= SPECIAL_LEN ? pool_special(c) : NULL;
	if (what)
		return schema_refuse(at, EINVAL, "is %.60s, which contains %s", text, what);
	if (r == 0 && cidr_is_among(before, at->index, c))
		return schema_refuse(at, EINVAL, "is %.60s, which is there twice", text);
	return r;
}

static int resource_check_exit(const struct schema_at *at, void *out)
{
	const struct resource_exit *x = out;
	if (!*x->selector)
		return schema_refuse(SCHEMA_IN(at, "nodeSelector"), EINVAL,
			"is missing: it says which nodes are exits, all() would leave none to use "
			"them");
	return x->n_cidrs ? 0
			  : schema_refuse(SCHEMA_IN(at, "cidrs"), EINVAL,
				    "is missing: it says where the exits lead, 0.0.0.0/0 and ::/0 "
				    "are everywhere");
}

static int resource_read_enabled(const struct schema_at *at, void *out)
{
	int r = schema_bool.read(at, out);
	if (r == 0)
		*(bool *)out = !*(bool *)out;
	return r;
}

const struct schema_type resource_exit_cidr = {.parse = resource_read_exit_cidr};

#define EXIT(field) SCHEMA_AT(struct resource_exit, field)
static const struct schema_member exit_members[] = {
	{"nodeSelector", &fields_selector, EXIT(selector)},
	{"cidrs", &schema_list, EXIT(cidrs), .max = RESOURCE_EXIT_CIDRS,
		.count = offsetof(struct resource_exit, n_cidrs),
		.of = SCHEMA_ELEMENT(&resource_exit_cidr, sizeof(struct cidr))},
	{.type = SCHEMA_READER(resource_check_exit)},
};
const struct schema resource_exit = SCHEMA_OF(exit_members);

#define EXITS(field) SCHEMA_AT(struct resource_exits, field)
static const struct schema_member bfd_members[] = {
	{"enabled", SCHEMA_READER(resource_read_enabled), EXITS(no_bfd)},
	{"intervalMs", &schema_number, EXITS(bfd_interval_ms), .min = 20, .max = 10000},
	{"multiplier", &schema_number, EXITS(bfd_multiplier), .min = 2, .max = 50},
};
const struct schema resource_exit_bfd = SCHEMA_OF(bfd_members);
