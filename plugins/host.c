/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pods need of the whole host, put right where it is not: an ADD on a new host does it once.
 */
#include "plugins/host.h"

#include <sys/socket.h>

#include "lib/antispoof.h"
#include "lib/forward.h"
#include "lib/log.h"

static int forward(struct net *host, uint8_t family, struct err *e)
{
	char kept[FORWARD_KEPT];
	log_info("turning on forwarding family=%s", family == AF_INET ? "IPv4" : "IPv6");
	int r = forward_on(host, family, kept, e);
	if (r >= 0 && *kept)
		log_info("the default route came by router advertisement: accept_ra=2 device=%s",
			kept);
	return r;
}

int host_prepare(const struct pod *p, const struct net_host *look, const char *prefix,
	struct net *host, struct err *e)
{
	int r = 0;
	if (p->has4 && !look->forwards[IPV4])
		r = forward(host, AF_INET, e);
	if (r >= 0 && p->has6 && !look->forwards[IPV6])
		r = forward(host, AF_INET6, e);
	if (r >= 0)
		r = antispoof_ensure(prefix, e);
	return r < 0 ? r : 0;
}
