/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device itself, over libnl-route-3: look, then make, change or delete.
 *
 * Whose it is, is in its alias. The kernel ignores an alias in the creating message, so until the
 * next message a link group marks the device as ours; one that is still in that group was left by
 * a killed agent, and is finished. A device of another name with our alias is of an earlier
 * configuration: it would hold the VNI, and goes before ours is made.
 *
 * MTU, MAC, local address and parent are changed in place. VNI, port and family cannot be: the device
 * is deleted and made again, as two devices cannot have one name, nor one VNI and port. In that gap
 * of a few milliseconds packets through the tunnel are lost.
 */
#include "agent/kernel/vxlan_device.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/vxlan.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/net_link.h"
#include "lib/owned.h"

#define NEWBORN_GROUP 8203

static void free_link(struct rtnl_link **l)
{
	rtnl_link_put(*l);
}
#define CLEANUP_LINK __attribute__((cleanup(free_link)))

static void free_nl_addr(struct nl_addr **a)
{
	nl_addr_put(*a);
}
#define CLEANUP_NL_ADDR __attribute__((cleanup(free_nl_addr)))

/* libnl has numbers of its own, several errnos in one; these are the ones that mean something. */
static int errno_of(int nl)
{
	static const struct {
		int nl, error;
	} table[] = {{NLE_EXIST, EEXIST}, {NLE_BUSY, EBUSY}, {NLE_OPNOTSUPP, EOPNOTSUPP},
		{NLE_PERM, EPERM}, {NLE_NODEV, ENODEV}, {NLE_OBJ_NOTFOUND, ENODEV},
		{NLE_NOMEM, ENOBUFS}, {NLE_NOACCESS, EACCES}, {NLE_NOADDR, EADDRNOTAVAIL},
		{NLE_AF_NOSUPPORT, EAFNOSUPPORT}, {NLE_RANGE, ERANGE}};
	int code = nl < 0 ? -nl : nl;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].nl == code)
			return table[i].error;
	return EINVAL;
}

static int libnl_error(int nl, const char *what, const char *device, struct err *e)
{
	return err_set(e, errno_of(nl), "cannot %s %s: %s", what, device, nl_geterror(nl));
}

int vxlan_device_open(struct nl_sock **out, struct err *e)
{
	struct nl_sock *sock = nl_socket_alloc();
	if (!sock)
		err_abort("out of memory");
	int nl = nl_connect(sock, NETLINK_ROUTE);
	if (nl < 0) {
		nl_socket_free(sock);
		return err_set(
			e, errno_of(nl), "cannot open a netlink socket: %s", nl_geterror(nl));
	}
	*out = sock;
	return 0;
}

void vxlan_device_close(struct nl_sock *sock)
{
	nl_socket_free(sock);
}

const char *vxlan_device_alias(const struct vxlan_want *w)
{
	return w->local.family == AF_INET6 ? OWNED_ALIAS_VXLAN " over IPv6"
					   : OWNED_ALIAS_VXLAN " over IPv4";
}

/* ---- Looking ---- */

/* 1 and the link, or 0. */
static int vxlan_device_find(
	const struct vxlan_kernel *k, const char *device, struct rtnl_link **out, struct err *e)
{
	int nl = rtnl_link_get_kernel(k->sock, 0, device, out);
	if (nl == 0)
		return 1;
	if (errno_of(nl) == ENODEV)
		return 0;
	return libnl_error(nl, "look at device", device, e);
}

/* The aliases of both families: a device whose family changed is ours, too. */
static bool is_ours(struct rtnl_link *l)
{
	const char *alias = rtnl_link_get_ifalias(l);
	if (!rtnl_link_is_vxlan(l))
		return false;
	return rtnl_link_get_group(l) == NEWBORN_GROUP ||
	       (alias && strncmp(alias, OWNED_ALIAS_VXLAN, strlen(OWNED_ALIAS_VXLAN)) == 0);
}

/* The local end; family 0: none. */
static struct addr local_of(struct rtnl_link *l)
{
	CLEANUP_NL_ADDR struct nl_addr *a = NULL;
	struct addr local = {0};
	if (rtnl_link_vxlan_get_local(l, &a) < 0 || nl_addr_get_len(a) > sizeof(local.bytes))
		return local;
	local.family = (uint8_t)nl_addr_get_family(a);
	memcpy(local.bytes, nl_addr_get_binary_addr(a), nl_addr_get_len(a));
	return local;
}

/* Whether the device can become what is wanted without being made again. */
static bool can_stay(struct rtnl_link *l, const struct vxlan_want *w)
{
	uint32_t vni = 0, port = 0;
	return rtnl_link_vxlan_get_id(l, &vni) == 0 && vni == w->vni &&
	       rtnl_link_vxlan_get_port(l, &port) == 0 && port == w->port &&
	       local_of(l).family == w->local.family;
}

/* ---- Making and changing ---- */

static struct nl_addr *new_nl_addr(int family, const void *bytes, size_t size)
{
	struct nl_addr *a = nl_addr_build(family, bytes, size);
	if (!a)
		err_abort("out of memory");
	return a;
}

static struct rtnl_link *new_link(void)
{
	struct rtnl_link *l = rtnl_link_vxlan_alloc();
	if (!l)
		err_abort("out of memory");
	return l;
}

static void set_endpoint(struct rtnl_link *l, const struct vxlan_want *w)
{
	CLEANUP_NL_ADDR struct nl_addr *local =
		new_nl_addr(w->local.family, w->local.bytes, addr_size(&w->local));
	(void)rtnl_link_vxlan_set_local(l, local);
	(void)rtnl_link_vxlan_set_link(l, (uint32_t)w->parent);
	(void)rtnl_link_vxlan_set_learning(l, 0);
}

static void set_mac(struct rtnl_link *l, const struct vxlan_want *w)
{
	CLEANUP_NL_ADDR struct nl_addr *mac = new_nl_addr(AF_LLC, w->mac, sizeof(w->mac));
	rtnl_link_set_addr(l, mac);
}

static int not_made(int nl, const struct vxlan_want *w, struct err *e)
{
	int error = errno_of(nl);
	if (error == EOPNOTSUPP)
		return err_set(e, error,
			"cannot make device %s: this kernel has no VXLAN (module vxlan: modprobe "
			"vxlan)",
			w->device);
	if (error == EEXIST)
		return err_set(e, error,
			"cannot make device %s: another VXLAN device has VNI %u and UDP port %u "
			"(ip -d link show type vxlan)",
			w->device, w->vni, w->port);
	if (error == ENODEV)
		return err_set(e, error, "cannot make device %s: its parent, link %d, is gone",
			w->device, w->parent);
	return libnl_error(nl, "make device", w->device, e);
}

/* Devices of ours under other names. */
static int delete_leftovers(const struct vxlan_kernel *k, const struct vxlan_want *w, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	size_t n = 0;
	int r = net_list_links(k->net, &links, &n, e);
	for (size_t i = 0; i < n && r >= 0; i++) {
		if (strcmp(links[i].alias, vxlan_device_alias(w)) != 0 ||
			strcmp(links[i].name, w->device) == 0)
			continue;
		net_del_link(k->net, (struct net_dev){.index = links[i].index}, NET_MAY_LACK);
		r = net_commit(k->net, NULL, e);
	}
	return r;
}

static int vxlan_device_make(
	const struct vxlan_kernel *k, const struct vxlan_want *w, struct err *e)
{
	int r = delete_leftovers(k, w, e);
	if (r < 0)
		return r;
	CLEANUP_LINK struct rtnl_link *l = new_link();
	rtnl_link_set_name(l, w->device);
	rtnl_link_set_group(l, NEWBORN_GROUP);
	set_mac(l, w);
	if (w->mtu)
		rtnl_link_set_mtu(l, w->mtu);
	(void)rtnl_link_vxlan_set_id(l, w->vni);
	(void)rtnl_link_vxlan_set_port(l, w->port);
	set_endpoint(l, w);
	int nl = rtnl_link_add(k->sock, l, NLM_F_CREATE | NLM_F_EXCL);
	return nl < 0 ? not_made(nl, w, e) : 0;
}

static int delete_link(const struct vxlan_kernel *k, struct rtnl_link *l, struct err *e)
{
	net_del_link(k->net, (struct net_dev){.index = rtnl_link_get_ifindex(l)}, NET_MAY_LACK);
	return net_commit(k->net, NULL, e);
}

/* The parameters that the kernel changes in place. Returns how many it changed. */
static int vxlan_device_change(const struct vxlan_kernel *k, struct rtnl_link *l,
	const struct vxlan_want *w, struct err *e)
{
	int changes = 0;
	uint32_t parent = 0;
	(void)rtnl_link_vxlan_get_link(l, &parent);
	struct nl_addr *mac = rtnl_link_get_addr(l);
	CLEANUP_LINK struct rtnl_link *endpoint = new_link();
	const struct addr local = local_of(l);
	if (!addr_equal(&local, &w->local) || parent != (uint32_t)w->parent ||
		rtnl_link_vxlan_get_learning(l) != 0) {
		set_endpoint(endpoint, w);
		int nl = rtnl_link_change(k->sock, l, endpoint, 0);
		if (nl < 0)
			return libnl_error(
				nl, "change the local address or parent of", w->device, e);
		changes++;
	}
	CLEANUP_LINK struct rtnl_link *simple = rtnl_link_alloc();
	if (!simple)
		err_abort("out of memory");
	bool has_mac = mac && nl_addr_get_len(mac) == sizeof(w->mac) &&
		       memcmp(nl_addr_get_binary_addr(mac), w->mac, sizeof(w->mac)) == 0;
	bool has_mtu = !w->mtu || rtnl_link_get_mtu(l) == w->mtu;
	if (has_mac && has_mtu)
		return changes;
	if (!has_mac)
		set_mac(simple, w);
	if (!has_mtu)
		rtnl_link_set_mtu(simple, w->mtu);
	int nl = rtnl_link_change(k->sock, l, simple, 0);
	if (nl < 0 && !has_mtu)
		return err_set(e, errno_of(nl), "cannot set the MTU of %s to %u: %s", w->device,
			w->mtu, nl_geterror(nl));
	if (nl < 0)
		return libnl_error(nl, "set the MAC of", w->device, e);
	return changes + 1;
}

static int refuse_foreign(const struct vxlan_want *w, struct err *e)
{
	return err_set(e, EEXIST,
		"device %s exists and is not ours (its alias does not say so): delete or rename it",
		w->device);
}

static struct vxlan_device describe_device(struct rtnl_link *l, const struct vxlan_want *w)
{
	const char *alias = rtnl_link_get_ifalias(l);
	uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	(void)rtnl_link_inet6_get_addr_gen_mode(l, &mode);
	return (struct vxlan_device){
		.index = rtnl_link_get_ifindex(l),
		.up = rtnl_link_get_flags(l) & IFF_UP,
		.labelled = alias && strcmp(alias, vxlan_device_alias(w)) == 0,
		.auto_link_local = mode != IN6_ADDR_GEN_MODE_NONE,
	};
}

/* Made anew; what was there, if anything, is in the way. */
static int vxlan_device_replace(const struct vxlan_kernel *k, const struct vxlan_want *w,
	struct rtnl_link *old, struct vxlan_device *out, struct err *e)
{
	CLEANUP_LINK struct rtnl_link *made = NULL;
	int r = old ? delete_link(k, old, e) : 0;
	if (r >= 0)
		r = vxlan_device_make(k, w, e);
	if (r >= 0)
		r = vxlan_device_find(k, w->device, &made, e);
	if (r == 0)
		return err_set(e, ENODEV, "device %s vanished", w->device);
	if (r < 0)
		return r;
	*out = describe_device(made, w);
	return old ? 2 : 1;
}

int vxlan_device_sync(const struct vxlan_kernel *k, const struct vxlan_want *w,
	struct vxlan_device *out, struct err *e)
{
	CLEANUP_LINK struct rtnl_link *l = NULL;
	int r = vxlan_device_find(k, w->device, &l, e);
	if (r < 0)
		return r;
	if (l && !is_ours(l))
		return refuse_foreign(w, e);
	if (!l || !can_stay(l, w))
		return vxlan_device_replace(k, w, l, out, e);
	r = vxlan_device_change(k, l, w, e);
	if (r >= 0)
		*out = describe_device(l, w);
	return r;
}

int vxlan_device_remove(const struct vxlan_kernel *k, const struct vxlan_want *w, struct err *e)
{
	CLEANUP_LINK struct rtnl_link *l = NULL;
	int r = w->device[0] ? vxlan_device_find(k, w->device, &l, e) : 0;
	if (r <= 0 || !is_ours(l))
		return r < 0 ? r : 0;
	r = delete_link(k, l, e);
	return r < 0 ? r : 1;
}
