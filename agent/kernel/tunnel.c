/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of tunnel devices. Made equal by difference: an address that is right is never
 * touched, as packets of the node itself take it as their source at any moment.
 */
#include "agent/kernel/tunnel.h"

#include <linux/ip.h>
#include <stdio.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/net_link.h"

#define LOOSE 2

bool tunnel_add_changes(int *total, int changes)
{
	*total = changes < 0 ? changes : *total + changes;
	return changes >= 0;
}

int tunnel_sync_addresses(struct net *n, int index, uint8_t family, const struct cidr *want,
	size_t n_want, struct err *e)
{
	CLEANUP_FREE struct net_addr *list = NULL;
	CLEANUP_FREE struct cidr *have = NULL;
	size_t n_list = 0, n_have = 0;
	int changes = 0;
	int r = net_list_addrs(n, &list, &n_list, e);
	if (r < 0)
		return r;
	have = mem_new(n_list + 1, sizeof(*have));
	for (size_t i = 0; i < n_list; i++) {
		const struct cidr *c = &list[i].address;
		if (list[i].dev != index || (family && c->addr.family != family))
			continue;
		if (cidr_is_among(want, n_want, c)) {
			have[n_have++] = *c;
			continue;
		}
		net_del_addr(n, index, c, NET_MAY_LACK);
		changes++;
	}
	for (size_t i = 0; i < n_want; i++)
		if (want[i].addr.family && !cidr_is_among(have, n_have, &want[i])) {
			net_add_addr(n, index, &want[i]);
			changes++;
		}
	r = changes ? net_commit(n, NULL, e) : 0;
	return r < 0 ? r : changes;
}

int tunnel_set_rp_filter(struct net *n, struct net_dev d, struct err *e)
{
	char path[128];
	long value = 0;
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", d.name);
	int r = file_get_number(path, &value, e);
	if (r < 0 || value == LOOSE)
		return r < 0 ? r : 0;
	const struct net_conf4 conf = {IPV4_DEVCONF_RP_FILTER, LOOSE};
	net_set_conf4(n, d, &conf, 1);
	return 1;
}
