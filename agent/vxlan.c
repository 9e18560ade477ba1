/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a device of agent/vxlan_device.c the node's tunnel: its settings, its addresses, its
 * peers. A sync that finds everything right sends questions only.
 *
 * Two settings want a reason:
 *  - rp_filter=2 (loose): across subnets an answer may come directly although the question went
 *    through the tunnel, and the other way round; with net.ipv4.conf.all.rp_filter=1 it would be
 *    dropped (the larger value counts). Pods' own links stay strict, so nobody can forge.
 *  - no checksum offload: a VXLAN device promises checksums that the network card has to make, and
 *    kernels and cards get that wrong again and again (calico#3145, #4865; since Linux 6.12 a
 *    thirtieth of the speed, calico#11435). The kernel makes them itself then. To see whether that is
 *    obsolete: `ethtool -K vxlan.roost tx-checksum-ip-generic on`, and measure before the next
 *    sync turns it off.
 */
#include "agent/vxlan.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/ip.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "agent/vxlan_device.h"
#include "agent/vxlan_peers.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/mem.h"
#include "lib/net_link.h"

#define LOOSE 2

struct vxlan {
	struct vxlan_kernel kernel;
	int fd; /* for ethtool's ioctl */
};

int vxlan_open(struct vxlan **out, struct err *e)
{
	struct vxlan *v = mem_new(1, sizeof(*v));
	v->fd = -1;
	int r = net_open(&v->kernel.net, e);
	if (r >= 0)
		r = vxlan_device_open(&v->kernel.sock, e);
	if (r >= 0) {
		v->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (v->fd < 0)
			r = err_set(e, errno, "cannot open a socket: %s", strerror(errno));
	}
	if (r < 0) {
		vxlan_close(v);
		return r;
	}
	*out = v;
	return 0;
}

void vxlan_close(struct vxlan *v)
{
	if (!v)
		return;
	vxlan_device_close(v->kernel.sock);
	net_close(v->kernel.net);
	if (v->fd >= 0)
		(void)close(v->fd);
	free(v);
}

void vxlan_mac(const char *node, uint8_t family, uint8_t out[6])
{
	char text[512];
	int len = snprintf(text, sizeof(text), "vxlan %d %s", family == AF_INET ? 4 : 6, node);
	struct hash h = hash_of(text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
	memcpy(out, h.bytes, 6);
	out[0] = (uint8_t)((out[0] & 0xfc) | 2); /* unicast, locally administered */
}

struct addr vxlan_link_local(const uint8_t mac[6])
{
	return (struct addr){
		.family = AF_INET6,
		.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe,
			mac[3], mac[4], mac[5]},
	};
}

/* 1: the device's reverse path check is not the loose one. */
static int is_strict(const char *device, struct err *e)
{
	char path[128];
	long value = 0;
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", device);
	int r = file_get_number(path, &value, e);
	return r < 0 ? r : value != LOOSE;
}

/* Hosts that turn IPv6 off for new devices must not take the VTEP address away. */
static int enable_ipv6(const struct vxlan_want *w, struct err *e)
{
	char path[128];
	long value = 0;
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", w->device);
	if (!w->vtep6.family)
		return 0;
	int r = file_get_number(path, &value, e);
	if (r < 0 || !value)
		return r;
	r = file_put_number(path, 0, e);
	return r < 0 ? r : 1;
}

static int stop_offload(struct vxlan *v, const char *device, struct err *e)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GTXCSUM};
	struct ifreq request = {.ifr_data = (void *)&value};
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (ioctl(v->fd, SIOCETHTOOL, &request) < 0)
		return err_set(
			e, errno, "cannot read the offloads of %s: %s", device, strerror(errno));
	if (!value.data)
		return 0;
	value = (struct ethtool_value){.cmd = ETHTOOL_STXCSUM};
	if (ioctl(v->fd, SIOCETHTOOL, &request) < 0)
		return err_set(e, errno, "cannot turn off checksum offload of %s: %s", device,
			strerror(errno));
	return 1;
}

enum want { WANT_IPV4, WANT_IPV6, WANT_LINK_LOCAL, WANTED };

static enum want want_of(const struct addr *a)
{
	if (a->family == AF_INET)
		return WANT_IPV4;
	return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80 ? WANT_LINK_LOCAL : WANT_IPV6;
}

/* The device's addresses become those of the VTEP. */
static int put_addresses(struct vxlan *v, int index, const struct vxlan_want *w, struct err *e)
{
	CLEANUP_FREE struct net_addr *list = NULL;
	size_t n = 0;
	int changes = 0;
	struct cidr want[WANTED] = {
		[WANT_IPV4] = cidr_of_host(&w->vtep4), [WANT_IPV6] = cidr_of_host(&w->vtep6)};
	bool have[WANTED] = {false};
	if (w->vtep6.family)
		want[WANT_LINK_LOCAL] = (struct cidr){.addr = vxlan_link_local(w->mac), .len = 64};
	int r = net_list_addrs(v->kernel.net, &list, &n, e);
	for (size_t i = 0; i < n && r >= 0; i++) {
		if (list[i].dev != index)
			continue;
		enum want kind = want_of(&list[i].address.addr);
		if (cidr_equal(&list[i].address, &want[kind])) {
			have[kind] = true;
			continue;
		}
		r = vxlan_device_delete_address(&v->kernel, &list[i], e);
		changes++;
	}
	for (size_t i = 0; i < WANTED && r >= 0; i++)
		if (want[i].addr.family && !have[i]) {
			net_add_addr(v->kernel.net, index, &want[i]);
			changes++;
		}
	if (r >= 0)
		r = net_commit(v->kernel.net, NULL, e);
	return r < 0 ? r : changes;
}

static int put_settings(
	struct vxlan *v, const struct vxlan_want *w, const struct vxlan_device *d, struct err *e)
{
	struct net *n = v->kernel.net;
	const struct net_dev dev = {.index = d->index, .name = w->device};
	int changes = !d->labelled + d->auto_link_local;
	if (!d->labelled)
		net_set_alias(n, dev, vxlan_device_alias(w));
	if (d->auto_link_local)
		net_set_no_auto_link_local(n, dev);
	int r = is_strict(w->device, e);
	if (r > 0) {
		const struct net_conf4 conf = {IPV4_DEVCONF_RP_FILTER, LOOSE};
		net_set_conf4(n, dev, &conf, 1);
	}
	if (r >= 0) {
		changes += r;
		r = net_commit(n, NULL, e);
	}
	if (r >= 0) {
		r = stop_offload(v, w->device, e);
		changes += r > 0;
	}
	return r < 0 ? r : changes;
}

static int bring_up(
	struct vxlan *v, const struct vxlan_want *w, const struct vxlan_device *d, struct err *e)
{
	if (d->up)
		return 0;
	net_set_up(v->kernel.net, (struct net_dev){.index = d->index, .name = w->device});
	int r = net_commit(v->kernel.net, NULL, e);
	if (r == -EADDRINUSE)
		err_details(e, "another program has UDP port %u: ss -ulnp", w->port);
	return r < 0 ? r : 1;
}

/* In this order: a neighbour needs a device that is up. */
static int furnish(
	struct vxlan *v, const struct vxlan_want *w, const struct vxlan_device *d, struct err *e)
{
	int changes = put_settings(v, w, d, e);
	int r = changes;
	if (r >= 0) {
		r = enable_ipv6(w, e);
		changes += r;
	}
	if (r >= 0) {
		r = put_addresses(v, d->index, w, e);
		changes += r;
	}
	if (r >= 0) {
		r = bring_up(v, w, d, e);
		changes += r;
	}
	if (r >= 0) {
		r = vxlan_peers_sync(v->kernel.net, d->index, w->peers, w->n_peers, e);
		changes += r;
	}
	return r < 0 ? r : changes;
}

int vxlan_sync(struct vxlan *v, const struct vxlan_want *w, struct err *e)
{
	if (!w->on && w->keep)
		return 0;
	if (!w->on)
		return vxlan_device_remove(&v->kernel, w, e);
	struct vxlan_device d;
	int changes = vxlan_device_settle(&v->kernel, w, &d, e);
	if (changes < 0)
		return changes;
	int r = furnish(v, w, &d, e);
	return r < 0 ? r : changes + r;
}
