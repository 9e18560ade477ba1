/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turning on IPv6 forwarding has a side effect that has cut off many a host: the kernel then
 * ignores router advertisements, and a node that lives on them loses its default route at its next
 * expiry. accept_ra=2 on such an uplink comes first (Documentation/networking/ip-sysctl.rst).
 *
 * "all" is what counts for IPv6 (each packet's device is asked for IPv4 alone, and writing ip_forward
 * sets all of them); both switches also set the default for devices made later.
 */
#include "lib/forward.h"

#include <stdio.h>
#include <sys/socket.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/net_route.h"
#include "lib/text.h"

static int keep_route(
	struct net *n, const struct net_route *route, struct text *kept, struct err *e)
{
	struct net_link link;
	int r = net_find_link(n, (struct net_dev){.index = route->dev}, &link, e);
	if (r < 0)
		return r;
	char path[128];
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/accept_ra", link.name);
	long value = 0;
	r = file_get_number(path, &value, e);
	if (r < 0 || value == 2)
		return r;
	text_add(kept, "%s%s", kept->len ? " " : "", link.name);
	return file_put_number(path, 2, e);
}

static int keep_advertised_routes(struct net *n, struct text *kept, struct err *e)
{
	CLEANUP_FREE struct net_route *routes = NULL;
	size_t count = 0;
	int r = net_list_routes(n, AF_INET6, NET_PROTO_RA, &routes, &count, e);
	for (size_t i = 0; i < count && r >= 0; i++)
		if (routes[i].dst.len == 0 && routes[i].dev)
			r = keep_route(n, &routes[i], kept, e);
	return r;
}

int forward_on(struct net *n, uint8_t family, char kept[FORWARD_KEPT], struct err *e)
{
	char buf[FORWARD_KEPT] = "";
	struct text names = TEXT_ON(buf);
	int r = 0;
	if (family == AF_INET6)
		r = keep_advertised_routes(n, &names, e);
	if (kept)
		(void)text_copy(kept, FORWARD_KEPT, buf);
	if (r < 0)
		return r;
	return file_put_number(family == AF_INET ? "/proc/sys/net/ipv4/ip_forward"
						 : "/proc/sys/net/ipv6/conf/all/forwarding",
		1, e);
}
