/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods need of the whole host, put right where it is not: an ADD on a new host does it once. A pod that
 * network policies may select needs a gate that is closed.
 */
#include "plugins/host.h"

#include "lib/antispoof.h"
#include "lib/forward.h"
#include "lib/log.h"
#include "lib/policy_gate.h"

static int turn_on_forwarding(struct net *host, enum family f, struct err *e)
{
	char kept[FORWARD_KEPT];
	log_info("turning on forwarding family=%s", family_name(f));
	int r = forward_on(host, family_af(f), kept, e);
	if (r >= 0 && *kept)
		log_info("the default route came by router advertisement: accept_ra=2 device=%s",
			kept);
	return r;
}

int host_prepare(const struct pod *p, const struct net_host *look, const char *prefix,
	struct net *host, struct err *e)
{
	int r = 0;
	for (enum family f = IPV4; r >= 0 && f < FAMILIES; f++)
		if (p->has[f] && !look->forwards[f])
			r = turn_on_forwarding(host, f, e);
	if (r >= 0)
		r = antispoof_ensure(prefix, e);
	if (r >= 0 && pod_group(&p->gate))
		r = policy_gate_ensure(e);
	return r < 0 ? r : 0;
}
