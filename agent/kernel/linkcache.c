/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of what libnl has parsed the few fields that matter are taken. The host ends of pods are left out
 * of the links, and their addresses with them, however many there are: they are known by their
 * label, or while they are being made by their group.
 */
#include "agent/kernel/linkcache.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/ipip.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/text.h"

bool linkcache_is_marked(struct rtnl_link *l)
{
	return rtnl_link_get_group(l) == OWNED_REAP_GROUP;
}

/* The host end of a pod, from its creation until it is deleted. */
static bool is_of_pod(struct rtnl_link *l)
{
	const char *kind = rtnl_link_get_type(l);
	const char *alias = rtnl_link_get_ifalias(l);
	struct owned_label label;
	if (linkcache_is_marked(l))
		return true;
	if (!kind || strcmp(kind, "veth") != 0)
		return false;
	if (alias && *alias)
		return owned_label_parse(alias, &label);
	return (rtnl_link_get_group(l) & 0xff000000u) == OWNED_NEWBORN_GROUP;
}

static struct addr end_of_tunnel(uint32_t address)
{
	struct addr a = {.family = address ? AF_INET : 0};
	memcpy(a.bytes, &address, sizeof(address));
	return a;
}

static struct facts_link link_facts(struct rtnl_link *l)
{
	unsigned int flags = rtnl_link_get_flags(l);
	struct facts_link f = {
		.index = rtnl_link_get_ifindex(l),
		.master = rtnl_link_get_master(l),
		.mtu = rtnl_link_get_mtu(l),
		.group = rtnl_link_get_group(l),
		.up = flags & IFF_UP,
		.running = flags & IFF_RUNNING,
		.loopback = flags & IFF_LOOPBACK,
	};
	const char *name = rtnl_link_get_name(l);
	const char *kind = rtnl_link_get_family(l) == AF_BRIDGE ? "bridge" : rtnl_link_get_type(l);
	const struct nl_addr *mac = rtnl_link_get_addr(l);
	(void)text_copy(f.name, sizeof(f.name), name ? name : "");
	(void)text_copy(f.kind, sizeof(f.kind), kind ? kind : "");
	if (rtnl_link_is_ipip(l)) {
		f.far = end_of_tunnel(rtnl_link_ipip_get_remote(l));
		f.near = end_of_tunnel(rtnl_link_ipip_get_local(l));
	}
	if (mac && nl_addr_get_len(mac) == sizeof(f.mac))
		memcpy(f.mac, nl_addr_get_binary_addr(mac), sizeof(f.mac));
	return f;
}

static int compare_links(const void *a, const void *b)
{
	int x = ((const struct facts_link *)a)->index;
	int y = ((const struct facts_link *)b)->index;
	return (x > y) - (x < y);
}

/* libnl gives a bridge the family AF_BRIDGE. A bridge's ports are in the cache once more with that
 * family. The kind is no help: a change of a bridge's VLANs takes it away from the cached bridge.
 * What the cache has with AF_INET6 may outlive its link. */
static bool is_device(struct nl_cache *cache, struct rtnl_link *l, struct rtnl_link *key)
{
	int family = rtnl_link_get_family(l);
	if (family != AF_BRIDGE)
		return family == AF_UNSPEC;
	rtnl_link_set_ifindex(key, rtnl_link_get_ifindex(l));
	struct nl_object *same = nl_cache_search(cache, (struct nl_object *)key);
	nl_object_put(same);
	return !same;
}

void linkcache_links(struct nl_cache *cache, struct facts *f)
{
	struct rtnl_link *key = rtnl_link_alloc();
	if (!key)
		err_abort("out of memory");
	rtnl_link_set_family(key, AF_UNSPEC);
	f->links = mem_new((size_t)nl_cache_nitems(cache), sizeof(*f->links));
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *l = (struct rtnl_link *)o;
		if (is_device(cache, l, key) && !is_of_pod(l))
			f->links[f->n_links++] = link_facts(l);
	}
	rtnl_link_put(key);
	if (f->n_links)
		qsort(f->links, f->n_links, sizeof(*f->links), compare_links);
}

/* An address and what decides its place among those of its link. */
struct ranked {
	struct facts_addr addr;
	bool secondary; /* or temporary (IPv6 privacy) */
	bool host;	/* /32, /128: often one that wanders between hosts */
};

static bool rank_addr(struct rtnl_addr *a, struct ranked *out)
{
	const struct nl_addr *local = rtnl_addr_get_local(a);
	unsigned int flags = rtnl_addr_get_flags(a);
	const unsigned int unusable = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
	struct ranked r = {
		.addr.link = rtnl_addr_get_ifindex(a),
		.addr.usable = rtnl_addr_get_scope(a) == RT_SCOPE_UNIVERSE && !(flags & unusable),
		.secondary = flags & IFA_F_SECONDARY,
	};
	int family = rtnl_addr_get_family(a);
	if (!local || (family != AF_INET && family != AF_INET6))
		return false;
	r.addr.addr.addr.family = (uint8_t)family;
	if (nl_addr_get_len(local) != addr_size(&r.addr.addr.addr))
		return false;
	memcpy(r.addr.addr.addr.bytes, nl_addr_get_binary_addr(local), nl_addr_get_len(local));
	r.addr.addr.len = (uint8_t)rtnl_addr_get_prefixlen(a);
	r.host = r.addr.addr.len == addr_bits(&r.addr.addr.addr);
	*out = r;
	return true;
}

static int compare_addrs(const void *a, const void *b)
{
	const struct ranked *x = a;
	const struct ranked *y = b;
	if (x->addr.link != y->addr.link)
		return x->addr.link < y->addr.link ? -1 : 1;
	if (x->secondary != y->secondary)
		return x->secondary ? 1 : -1;
	if (x->host != y->host)
		return x->host ? 1 : -1;
	return addr_compare(&x->addr.addr.addr, &y->addr.addr.addr);
}

void linkcache_addrs(struct nl_cache *cache, struct facts *f)
{
	size_t room = (size_t)nl_cache_nitems(cache);
	CLEANUP_FREE struct ranked *ranked = mem_new(room, sizeof(*ranked));
	size_t n = 0;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o))
		if (rank_addr((struct rtnl_addr *)o, &ranked[n]) &&
			facts_link(f, ranked[n].addr.link))
			n++;
	if (n)
		qsort(ranked, n, sizeof(*ranked), compare_addrs);
	f->addrs = mem_new(n, sizeof(*f->addrs));
	for (; f->n_addrs < n; f->n_addrs++)
		f->addrs[f->n_addrs] = ranked[f->n_addrs].addr;
}
