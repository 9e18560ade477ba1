/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turning on IPv6 forwarding has a side effect that has cut off many a host: the kernel then
 * ignores router advertisements, and a node that lives on them loses its default route at its next
 * expiry. accept_ra=2 on such an uplink comes first (Documentation/networking/ip-sysctl.rst).
 */
#include "plugins/host.h"

#include <stdio.h>
#include <sys/socket.h>

#include "lib/antispoof.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/mem.h"

static int keep_advertised_route(const struct net_route *route, struct net *host, struct err *e)
{
	struct net_link link;
	int r = net_find_link(host, (struct net_dev){.index = route->dev}, &link, e);
	if (r < 0)
		return r;
	char path[128];
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", link.name);
	long value = 0;
	r = file_get_number(path, &value, e);
	if (r < 0 || value == 2)
		return r;
	log_info(
		"the default route came by router advertisement: accept_ra=2 device=%s", link.name);
	return file_put_number(path, 2, e);
}

static int keep_advertised_routes(struct net *host, struct err *e)
{
	CLEANUP_FREE struct net_route *routes = NULL;
	size_t n = 0;
	int r = net_list_routes(host, AF_INET6, NET_PROTO_RA, &routes, &n, e);
	for (size_t i = 0; i < n && r >= 0; i++)
		if (routes[i].dst.len == 0 && routes[i].dev)
			r = keep_advertised_route(&routes[i], host, e);
	return r;
}

static int forward4(struct err *e)
{
	log_info("turning on forwarding family=IPv4");
	return file_put_number("/proc/sys/net/ipv4/ip_forward", 1, e);
}

static int forward6(struct net *host, struct err *e)
{
	log_info("turning on forwarding family=IPv6");
	int r = keep_advertised_routes(host, e);
	return r < 0 ? r : file_put_number("/proc/sys/net/ipv6/conf/all/forwarding", 1, e);
}

int host_prepare(const struct pod *p, const struct net_look *look, const char *prefix,
	struct net *host, struct err *e)
{
	int r = 0;
	if (p->has4 && !look->forwards4)
		r = forward4(e);
	if (r >= 0 && p->has6 && !look->forwards6)
		r = forward6(host, e);
	if (r >= 0)
		r = antispoof_ensure(prefix, e);
	return r < 0 ? r : 0;
}
