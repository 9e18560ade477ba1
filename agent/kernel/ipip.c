/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunl0 comes with the kernel's module: in every network namespace, down, without addresses, and
 * nobody can delete it. So it is not made but adopted, and at the end given back as it was found.
 *
 * Whose it is, is in its alias, which is written before anything else is changed. Without an alias
 * it is nobody's as long as it is down and has no address; else somebody uses it (`ip tunnel`, another
 * network), and it is left alone. The kernel says of each tunnel which ends it has: a device of this
 * name that has some is not the kernel's own one, and packets of other peers would never reach it.
 *
 * IPv6 is no business of this device: where the kernel puts a link-local address on it, it stays.
 */
#include "agent/kernel/ipip.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/kernel/tunnel.h"
#include "lib/mem.h"
#include "lib/net_detail.h"
#include "lib/net_link.h"
#include "lib/owned.h"

#define ALIAS OWNED_ALIAS_IPIP

static struct net_dev device(const struct net_link *l)
{
	return (struct net_dev){.index = l->index, .name = IPIP_DEVICE};
}

/* 1: it is there; 0: not. */
static int ipip_find(struct net *n, struct net_link *out, struct err *e)
{
	int r = net_find_link(n, (struct net_dev){.name = IPIP_DEVICE}, out, e);
	return r == -ENODEV ? 0 : r < 0 ? r : 1;
}

static int ipip_make(struct net *n, struct net_link *out, struct err *e)
{
	net_add_ipip(n, IPIP_DEVICE);
	int r = net_commit(n, NULL, e);
	if (r == -EOPNOTSUPP)
		return err_set(e, EOPNOTSUPP,
			"cannot make device " IPIP_DEVICE
			": this kernel has no IPIP (module ipip: modprobe ipip); pods of IPIP "
			"pools reach no other node");
	if (r >= 0)
		r = ipip_find(n, out, e);
	return r == 0 ? err_set(e, ENODEV, "device " IPIP_DEVICE " vanished") : r;
}

static int refuse_foreign(const char *why, struct err *e)
{
	return err_set(e, EEXIST,
		"device " IPIP_DEVICE " is not ours: %s; free it, or use another encapsulation",
		why);
}

static int has_address(struct net *n, int index, struct err *e)
{
	CLEANUP_FREE struct net_addr *list = NULL;
	size_t count = 0;
	int r = net_list_addrs(n, &list, &count, e);
	for (size_t i = 0; i < count && r == 0; i++)
		r = list[i].dev == index && list[i].address.addr.family == AF_INET;
	return r;
}

/* 0: it is the kernel's own device, and nobody uses it. */
static int ipip_check(struct net *n, const struct net_link *l, struct err *e)
{
	CLEANUP_FREE struct net_detail_link *all = NULL;
	const struct net_detail_link *d = NULL;
	size_t count = 0;
	int r = net_detail_links(n, &all, &count, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++)
		if (all[i].link.index == l->index)
			d = &all[i];
	if (!d)
		return err_set(e, ENODEV, "device " IPIP_DEVICE " vanished");
	if (strcmp(d->kind, "ipip") != 0)
		return refuse_foreign("it is no IPIP device", e);
	if (d->local.family || d->remote.family)
		return refuse_foreign("it is a tunnel between two fixed ends", e);
	if (*l->alias)
		return refuse_foreign("it has somebody else's alias", e);
	if (l->up)
		return refuse_foreign("it is up and has no alias", e);
	r = has_address(n, l->index, e);
	return r > 0 ? refuse_foreign("it has an address and no alias", e) : r;
}

/* 1: it became ours; 0: it was. */
static int ipip_adopt(struct net *n, struct net_link *l, struct err *e)
{
	if (strcmp(l->alias, ALIAS) == 0)
		return 0;
	int r = ipip_check(n, l, e);
	if (r < 0)
		return r;
	net_set_alias(n, device(l), ALIAS, 0);
	net_set_no_auto_link_local(n, device(l));
	r = net_commit(n, NULL, e);
	return r < 0 ? r : 1;
}

static int ipip_set_mtu(struct net *n, const struct net_link *l, uint32_t mtu)
{
	if (l->mtu == mtu)
		return 0;
	net_set_mtu(n, device(l), mtu);
	return 1;
}

static int ipip_bring_up(struct net *n, const struct net_link *l, struct err *e)
{
	if (l->up)
		return 0;
	net_set_up(n, device(l));
	int r = net_commit(n, NULL, e);
	return r < 0 ? r : 1;
}

static int ipip_configure(
	struct net *n, const struct net_link *l, const struct ipip_want *w, struct err *e)
{
	const struct cidr want = cidr_of_host(&w->addr);
	int total = 0;
	(void)(tunnel_add_changes(&total, tunnel_set_rp_filter(n, device(l), e)) &&
		tunnel_add_changes(&total, ipip_set_mtu(n, l, w->mtu)) &&
		tunnel_add_changes(&total, net_commit(n, NULL, e)) &&
		tunnel_add_changes(
			&total, tunnel_sync_addresses(n, l->index, AF_INET, &want, 1, e)) &&
		tunnel_add_changes(&total, ipip_bring_up(n, l, e)));
	return total;
}

/* As it was found. The alias goes last: until then it is ours to give back. */
static int ipip_restore(struct net *n, const struct net_link *l, struct err *e)
{
	net_set_down(n, device(l));
	int r = net_commit(n, NULL, e);
	if (r >= 0)
		r = tunnel_sync_addresses(n, l->index, AF_INET, NULL, 0, e);
	if (r < 0)
		return r;
	net_set_alias(n, device(l), "", 0);
	r = net_commit(n, NULL, e);
	return r < 0 ? r : 1;
}

bool ipip_is_foreign(struct net *n)
{
	struct net_link l;
	struct err ignored;
	return ipip_find(n, &l, &ignored) == 1 && strcmp(l.alias, ALIAS) != 0 &&
	       ipip_check(n, &l, &ignored) == -EEXIST;
}

int ipip_source(const struct addr *to, struct addr *out, struct err *e)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "cannot open a socket: %s", strerror(errno));
	memcpy(&a.sin_addr, to->bytes, sizeof(a.sin_addr));
	int r = connect(fd, (const struct sockaddr *)&a, sizeof(a));
	if (r == 0)
		r = getsockname(fd, (struct sockaddr *)&a, &size);
	if (r < 0)
		r = err_set(e, errno, "no source for a node: %s", strerror(errno));
	(void)close(fd);
	if (r < 0)
		return r;
	*out = (struct addr){.family = AF_INET};
	memcpy(out->bytes, &a.sin_addr, sizeof(a.sin_addr));
	return 0;
}

int ipip_sync(struct net *n, const struct ipip_want *w, struct err *e)
{
	struct net_link l;
	if (!w->on && w->keep)
		return 0;
	int r = ipip_find(n, &l, e);
	if (r < 0)
		return r;
	if (!w->on)
		return r && strcmp(l.alias, ALIAS) == 0 ? ipip_restore(n, &l, e) : 0;
	if (r == 0)
		r = ipip_make(n, &l, e);
	int total = 0;
	(void)(r >= 0 && tunnel_add_changes(&total, ipip_adopt(n, &l, e)) &&
		tunnel_add_changes(&total, ipip_configure(n, &l, w, e)));
	return r < 0 ? r : total;
}
