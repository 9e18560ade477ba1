/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes a device of agent/kernel/vxlan_device.c the node's tunnel: its settings, its addresses, its
 * peers. A sync that finds everything right sends questions only.
 *
 * One setting wants a reason, checksum offload: a VXLAN device promises checksums that the network card
 * has to make. Kernels before 5.8 get that wrong when the outer packet is translated, so it is off
 * there. Later ones are left to it: when the kernel makes the checksums it also cuts the segments itself,
 * before the tunnel, which costs three quarters of the throughput (docs/PERFORMANCE.md). Some cards and
 * drivers still get it wrong. roostctl conformance finds and names them; vxlan.checksumOffload
 * turns it off.
 */
#include "agent/kernel/vxlan.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "agent/kernel/tunnel.h"
#include "agent/kernel/vtep.h"
#include "agent/kernel/vxlan_device.h"
#include "agent/kernel/vxlan_peers.h"
#include "lib/file.h"
#include "lib/mem.h"
#include "lib/net_link.h"

struct vxlan {
	struct vxlan_kernel kernel;
	int fd; /* for ethtool's ioctl */
	bool can_offload;
};

bool vxlan_can_offload(const char *release)
{
	char *end;
	unsigned long major = strtoul(release, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > 5 || (major == 5 && minor >= 8);
}

int vxlan_open(struct vxlan **out, struct err *e)
{
	struct vxlan *v = mem_new(1, sizeof(*v));
	struct utsname system = {0};
	v->fd = -1;
	v->can_offload = uname(&system) == 0 && vxlan_can_offload(system.release);
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

/* Hosts that turn IPv6 off for new devices must not take the VTEP address away. */
static int vxlan_enable_ipv6(const struct vxlan_want *w, struct err *e)
{
	char path[128];
	long value = 0;
	(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", w->device);
	if (!w->vtep[IPV6].family)
		return 0;
	int r = file_get_number(path, &value, e);
	if (r < 0 || !value)
		return r;
	r = file_put_number(path, 0, e);
	return r < 0 ? r : 1;
}

static int vxlan_set_offload(struct vxlan *v, const char *device, bool on, struct err *e)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GTXCSUM};
	struct ifreq request = {.ifr_data = (void *)&value};
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (ioctl(v->fd, SIOCETHTOOL, &request) < 0)
		return err_set(
			e, errno, "cannot read the offloads of %s: %s", device, strerror(errno));
	if ((value.data != 0) == on)
		return 0;
	value = (struct ethtool_value){.cmd = ETHTOOL_STXCSUM, .data = on};
	if (ioctl(v->fd, SIOCETHTOOL, &request) < 0)
		return err_set(e, errno, "cannot turn %s checksum offload of %s: %s",
			on ? "on" : "off", device, strerror(errno));
	return 1;
}

static int vxlan_sync_addresses(
	struct vxlan *v, int index, const struct vxlan_want *w, struct err *e)
{
	struct cidr want[3] = {cidr_of_host(&w->vtep[IPV4]), cidr_of_host(&w->vtep[IPV6])};
	if (w->vtep[IPV6].family)
		want[2] = (struct cidr){.addr = vtep_link_local(w->mac), .len = 64};
	return tunnel_sync_addresses(v->kernel.net, index, 0, want, 3, e);
}

static int vxlan_set_settings(
	struct vxlan *v, const struct vxlan_want *w, const struct vxlan_device *d, struct err *e)
{
	struct net *n = v->kernel.net;
	const struct net_dev dev = {.index = d->index, .name = w->device};
	int total = !d->labelled + d->auto_link_local;
	if (!d->labelled)
		net_set_alias(n, dev, vxlan_device_alias(w), 0);
	if (d->auto_link_local)
		net_set_no_auto_link_local(n, dev);
	(void)(tunnel_add_changes(&total, tunnel_set_rp_filter(n, dev, e)) &&
		tunnel_add_changes(&total, net_commit(n, NULL, e)) &&
		tunnel_add_changes(
			&total, vxlan_set_offload(v, w->device, w->offload && v->can_offload, e)));
	return total;
}

static int vxlan_bring_up(
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

int vxlan_sync(struct vxlan *v, const struct vxlan_want *w, struct err *e)
{
	struct net *n = v->kernel.net;
	struct vxlan_device d;
	int total = 0;
	if (!w->on)
		return w->keep ? 0 : vxlan_device_remove(&v->kernel, w, e);
	/* In this order: a neighbour needs a device that is up. */
	(void)(tunnel_add_changes(&total, vxlan_device_sync(&v->kernel, w, &d, e)) &&
		tunnel_add_changes(&total, vxlan_set_settings(v, w, &d, e)) &&
		tunnel_add_changes(&total, vxlan_enable_ipv6(w, e)) &&
		tunnel_add_changes(&total, vxlan_sync_addresses(v, d.index, w, e)) &&
		tunnel_add_changes(&total, vxlan_bring_up(v, w, &d, e)) &&
		tunnel_add_changes(&total, vxlan_peers_sync(n, d.index, w->peers, w->n_peers, e)));
	return total;
}
