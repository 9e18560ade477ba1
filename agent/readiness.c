/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order is that in which a node comes up, so the first thing that is missing is the one that somebody
 * has to look at. A graceful restart that is under way counts as missing: while BIRD recovers, a second
 * node that restarts would not get this one's routes.
 */
#include "agent/readiness.h"

static const char *lacks_blocks(const struct readiness *in)
{
	if (in->n_blocks[IPV4] == 0 && in->n_blocks[IPV6] == 0)
		return "this node has no block of addresses yet";
	if (in->gives[IPV4] && in->n_blocks[IPV4] == 0)
		return "this node has no block of IPv4 addresses yet";
	if (in->gives[IPV6] && in->n_blocks[IPV6] == 0)
		return "this node has no block of IPv6 addresses yet";
	return NULL;
}

const char *readiness_lacks(const struct readiness *in)
{
	if (*in->waits)
		return in->waits;
	if (!in->has_reconciled)
		return "the cluster store has not been read yet";
	if (!in->has_address)
		return "this node has no address yet";
	if (!in->bird->up)
		return "BIRD does not answer";
	if (in->bird->loaded != in->generation)
		return "BIRD has not loaded the present configuration yet";
	if (in->bird->recovering)
		return "BIRD is recovering from a restart";
	return in->drain ? NULL : lacks_blocks(in);
}
