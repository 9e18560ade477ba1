/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a pod's wiring into the kernel, in the order that keeps each moment safe:
 *
 *  1. the pair is created, both ends down, the pod's end in the pod's namespace at once. The host
 *     end is in the newborn group: the kernel takes no label in this message, so until the next
 *     one the group says that this link is unfinished (owned.h);
 *  2. IPv6 router advertisements and redirects are turned off through /proc/sys, the only way the
 *     kernel offers, as long as the link is down and nothing can arrive;
 *  3. one batch in the pod, then one batch on the host: label, IPv4 settings (strict reverse
 *     path, proxy ARP), link-local address, up, routes. The host end comes up last, so that its
 *     carrier is there from its first moment.
 *
 * The creating message travels alone: the kernel goes on after a refused message, and what
 * follows would change a link that belongs to somebody else.
 */
#include "plugins/wire.h"

#include <errno.h>
#include <linux/ip.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/file.h"
#include "lib/gateway.h"
#include "lib/log.h"
#include "lib/net_rule.h"
#include "lib/policy_gate.h"
#include "lib/wiring.h"

#define LOOPBACK_INDEX 1 /* in every namespace */

/* A pod's second interface answers from its own address through itself: strict reverse path
 * filtering drops what leaves by another one. Its table is this plus its index. */
#define TABLE_BASE 8200
#define RULE_PRIORITY 8200

static int create_veth(const struct pod *p, const struct ns *ns, struct net *host,
	struct net_link *out, struct err *e)
{
	struct net_veth v = {
		.name = p->host,
		.peer = p->ifname,
		.peer_ns = ns->fd,
		.mtu = p->mtu,
		.group = owned_newborn_group(&p->label.owner),
	};
	memcpy(v.mac, gateway_mac, sizeof(v.mac));
	memcpy(v.peer_mac, p->mac, sizeof(v.peer_mac));
	net_add_veth(host, &v);
	net_ask_link(host, p->host, out);
	int r = net_commit(host, NULL, e);
	if (r >= 0 && (!out->index || !out->peer))
		return err_set(e, ENODEV, "the pair %s - %s vanished while it was made", p->host,
			p->ifname);
	return r;
}

static void describe_owner(const struct net_link *l, struct text *out)
{
	struct owned_label label;
	if (owned_label_parse(l->alias, &label)) {
		const char *pod = label.pod + (label.pod[0] == '/'); /* without a namespace */
		text_add(out, "%s (container %.64s, interface %s, network %s%s%s)", l->name,
			label.container, label.ifname, label.network, *pod ? ", pod " : "", pod);
	} else {
		text_add(out, "%s, which roost did not make", l->name);
	}
}

/* Whether the host already routes one of the pod's addresses through this link. */
static bool has_route_of(const struct pod *p, struct net *host, int dev)
{
	for (size_t i = 0; i < p->n_addrs; i++) {
		struct net_route r;
		struct err ignored;
		if (net_find_route(host, &p->addrs[i].addr, &r, &ignored) == 0 && r.dev == dev &&
			r.dst.len == addr_bits(&r.dst.addr))
			return true;
	}
	return false;
}

/* The name is taken. 1: try again (a stale or marked link is gone, or p->host is another name
 * now). */
static int resolve_name(struct pod *p, struct net *host, struct err *e)
{
	struct net_link l;
	struct err look;
	if (net_find_link(host, (struct net_dev){.name = p->host}, &l, &look) < 0)
		return 1; /* gone meanwhile, or it is the pod's end that exists: the last try says so */
	if (owned_is_link_of(&l, &p->label.owner) || owned_is_newborn_of(&l, &p->label.owner) ||
		owned_is_marked(&l)) {
		int r = owned_remove(host, &l.index, 1, e);
		return r < 0 ? r : 1;
	}
	if (strcmp(p->host, p->host_second) != 0 && !has_route_of(p, host, l.index)) {
		(void)text_copy(p->host, sizeof(p->host), p->host_second);
		return 1;
	}
	char owner[512];
	struct text t = TEXT_ON(owner);
	describe_owner(&l, &t);
	(void)err_set(e, EEXIST, "host interface %s belongs to somebody else: %s", p->host, owner);
	err_details(e, "see roostctl ipam check");
	return -EEXIST;
}

/* The answer was lost, not the link: an unfinished one of this name is the one just made. */
static void remove_unanswered(const struct pod *p, struct net *host)
{
	struct net_link l;
	struct err ignored;
	if (net_find_link(host, (struct net_dev){.name = p->host}, &l, &ignored) == 0 &&
		owned_is_newborn_of(&l, &p->label.owner))
		(void)owned_remove(host, &l.index, 1, &ignored);
}

/* Creates the pair; a stale link in the way is replaced. A namespace that dies beside us makes the
 * kernel answer ENODEV or EEXIST for a moment: one retry each. */
static int create_pair(
	struct pod *p, const struct ns *ns, struct net *host, struct net_link *out, struct err *e)
{
	int r = 0;
	for (int attempt = 0; attempt < 3; attempt++) {
		*out = (struct net_link){0};
		r = create_veth(p, ns, host, out, e);
		if (r == -EEXIST) {
			int again = resolve_name(p, host, e);
			if (again < 0)
				return again;
		} else if (r != -ENODEV) {
			if (r < 0)
				remove_unanswered(p, host);
			return r;
		}
	}
	return r;
}

/* Where /proc/sys is read-only: a link that forwards takes neither redirects nor, unless
 * accept_ra is 2, router advertisements (Documentation/networking/ip-sysctl.rst). Otherwise the
 * sentence in e stands. */
static bool is_hardened6(const char *dir)
{
	char path[96];
	struct err ignored;
	long forwarding = 0, accept_ra = 2;
	(void)snprintf(path, sizeof(path), "%s/forwarding", dir);
	if (file_get_number(path, &forwarding, &ignored) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/accept_ra", dir);
	return file_get_number(path, &accept_ra, &ignored) == 0 && forwarding && accept_ra != 2;
}

/* Before the link is up: nothing that a pod sends may change the host's routes
 * (CVE-2020-10749). A kernel without IPv6 has nothing to turn off. */
static int harden6(const struct pod *p, const struct net_link *link, struct err *e)
{
	static const char *const off[] = {"accept_ra", "accept_redirects", "disable_ipv6"};
	bool enable = p->has[IPV6] && link->ipv6_disabled;
	char dir[64];
	(void)snprintf(dir, sizeof(dir), "/proc/sys/net/ipv6/conf/%s", p->host);
	int r = file_put_numbers(dir, off, enable ? 3 : 2, 0, e);
	if (r == -EROFS && ((link->ipv6_disabled && !enable) || is_hardened6(dir)))
		r = enable ? file_put_numbers(dir, off + 2, 1, 0, e) : 0;
	return r;
}

static void queue_host_routes(const struct pod *p, struct net *host, int link)
{
	for (size_t i = 0; i < p->n_addrs; i++) {
		const struct pod_addr *a = &p->addrs[i];
		struct net_route r = {
			.dst = cidr_of_host(&a->addr),
			.dev = link,
			.protocol = OWNED_PROTOCOL,
			.on_link = a->addr.family == AF_INET,
		};
		if (a->block.addr.family)
			owned_queue_blackhole(host, &a->block);
		net_tag(host, (int)i + 1);
		net_add_route(host, &r, NET_STRICT);
		net_tag(host, 0);
	}
}

static void queue_host(const struct pod *p, struct net *host, int link)
{
	struct net_dev dev = {.index = link};
	char label[NET_ALIAS];
	owned_label_format(&p->label, label);
	net_set_alias(host, dev, label, pod_group(&p->gate));
	net_set_conf4(host, dev, wiring_conf4, WIRING_CONF4S);
	if (p->has[IPV4] && wiring_needs_local(p->ports, p->n_ports, IPV4))
		wiring_queue_localnet(host, link);
	net_set_no_proxy_delay(host, link);
	net_set_no_auto_link_local(host, dev);
	if (p->has[IPV6])
		wiring_queue_gateway6(host, link);
	net_set_up(host, dev);
	if (p->has[IPV6])
		wiring_queue_near6(host, link);
	if (p->has[IPV6] && wiring_needs_local(p->ports, p->n_ports, IPV6))
		wiring_queue_local6(host, link);
	queue_host_routes(p, host, link);
}

/* A host route stands already: say whose it is. */
static int explain_route(const struct addr *a, struct net *host, struct err *e)
{
	struct net_route r;
	struct net_link l = {.name = "nowhere"};
	struct err look;
	char text[ADDR_TEXT];
	addr_format(a, text);
	if (net_find_route(host, a, &r, &look) < 0)
		return -EEXIST;
	if (r.dev)
		(void)net_find_link(host, (struct net_dev){.index = r.dev}, &l, &look);
	char owner[512];
	struct text t = TEXT_ON(owner);
	describe_owner(&l, &t);
	(void)err_set(e, EEXIST, "a route to %s exists already (protocol %u): it leads to %s", text,
		r.protocol, owner);
	err_details(e, "see ip route show %s and roostctl ipam check", text);
	return -EEXIST;
}

static int finish_host(const struct pod *p, struct net *host, int link, struct err *e)
{
	int at = 0;
	queue_host(p, host, link);
	int r = net_commit(host, &at, e);
	return r == -EEXIST && at ? explain_route(&p->addrs[at - 1].addr, host, e) : r;
}

static void queue_route_inside(struct net *inside, int link, const struct cidr *dst, uint32_t table,
	enum net_tolerance tolerance)
{
	struct net_route r = {
		.dst = *dst,
		.via = gateway_of(dst->addr.family),
		.dev = link,
		.protocol = NET_PROTO_BOOT,
		.via_is_near = table || tolerance == NET_MAY_EXIST,
		.table = table,
	};
	net_add_route(inside, &r, tolerance);
}

static uint32_t table_of(int link)
{
	return TABLE_BASE + (uint32_t)link;
}

/* The way to the IPv4 gateway. A second interface has it, too, where nothing but a route through that very
 * interface finds it: other plugins make such routes from the result's gateway (sbr). */
static void queue_near4(struct net *inside, int link, bool is_second)
{
	struct addr gateway = gateway_of(AF_INET);
	struct net_route near = {
		.dst = cidr_of_host(&gateway),
		.dev = link,
		.protocol = NET_PROTO_BOOT,
		.on_link = true,
		.metric = is_second ? table_of(link) : 0,
	};
	net_add_route(inside, &near, NET_STRICT);
}

/* The first interface of a family: the main table. */
static void queue_first(const struct pod *p, uint8_t family, struct net *inside, int link)
{
	if (family == AF_INET)
		queue_near4(inside, link, false);
	for (size_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].addr.family == family)
			queue_route_inside(inside, link, &p->routes[i], 0, NET_STRICT);
}

/* What comes from a second interface's addresses leaves by it: a table of its own with nothing
 * but a default route. Of the main table it gets what it was given by name, unless an earlier
 * interface has that. */
static void queue_second(const struct pod *p, uint8_t family, struct net *inside, int link)
{
	struct cidr everywhere = {.addr.family = family};
	if (family == AF_INET)
		queue_near4(inside, link, true);
	queue_route_inside(inside, link, &everywhere, table_of(link), NET_STRICT);
	for (size_t i = 0; i < p->n_addrs; i++) {
		const struct net_rule rule = {.from = cidr_of_host(&p->addrs[i].addr),
			.table = table_of(link),
			.priority = RULE_PRIORITY};
		if (rule.from.addr.family == family)
			net_add_rule(inside, &rule);
	}
	for (size_t i = 0; i < p->n_routes; i++)
		if (p->routes[i].len && p->routes[i].addr.family == family)
			queue_route_inside(inside, link, &p->routes[i], 0, NET_MAY_EXIST);
}

/* What an interface forwards is decided by its own IPv4 switch, and for IPv6 by the namespace's. */
static void queue_forwarding(const struct pod *p, struct net *inside, int link)
{
	const struct net_conf4 conf = {IPV4_DEVCONF_FORWARDING, p->forwarding};
	if (p->sets_link)
		net_set_conf4(inside, (struct net_dev){.index = link}, &conf, 1);
}

static void queue_inside(const struct pod *p, struct net *inside, int link)
{
	net_set_up(inside, (struct net_dev){.index = LOOPBACK_INDEX});
	for (size_t i = 0; i < p->n_addrs; i++) {
		struct cidr address = cidr_of_host(&p->addrs[i].addr);
		net_add_addr(inside, link, &address);
	}
	/* Without IPv6 a link-local address has nobody to talk to; its multicast groups and
	 * solicitations would only fill the kernel's neighbour table, which all pods share. */
	if (!p->has[IPV6])
		net_set_no_auto_link_local(inside, (struct net_dev){.index = link});
	queue_forwarding(p, inside, link);
	net_set_up(inside, (struct net_dev){.index = link});
	struct addr gateway = gateway_of(AF_INET);
	if (p->has[IPV4])
		net_add_neigh(inside, link, &gateway, gateway_mac);
	for (enum family f = IPV4; f < FAMILIES; f++) {
		if (p->has[f] && p->is_second[f])
			queue_second(p, family_af(f), inside, link);
		else if (p->has[f])
			queue_first(p, family_af(f), inside, link);
	}
}

bool wire_is_near_second(const struct net_route *r)
{
	struct addr gateway = gateway_of(AF_INET);
	struct cidr near = cidr_of_host(&gateway);
	return r->dev && cidr_equal(&r->dst, &near) && r->metric == table_of(r->dev);
}

/* What does not go with the link. */
static void remove_rules(struct net *inside, int link)
{
	struct err ignored; /* none there, in nearly every pod */
	for (enum family f = IPV4; f < FAMILIES; f++)
		do
			net_del_rule_of(inside, family_af(f), table_of(link), NET_STRICT);
		while (net_commit(inside, NULL, &ignored) == 0);
}

/* Some runtimes start pods with IPv6 disabled by default; a pod with an IPv6 address wants it. */
static int enable_ipv6_inside(const struct pod *p, const struct ns *ns, struct err *e)
{
	static const char *const name[] = {"disable_ipv6"};
	char dir[64];
	(void)snprintf(dir, sizeof(dir), "/proc/sys/net/ipv6/conf/%s", p->ifname);
	int r = ns_enter(ns, e);
	if (r < 0)
		return r;
	r = file_put_numbers("/proc/sys/net/ipv6/conf/lo", name, 1, 0, e);
	if (r >= 0)
		r = file_put_numbers(dir, name, 1, 0, e);
	ns_leave(ns);
	return r;
}

static int set_switch(enum pod_switch s, const char *dir, const char *name, struct err *e)
{
	const char *const names[] = {name};
	return s == POD_KEEP ? 0 : file_put_numbers(dir, names, 1, s == POD_ON, e);
}

static int forward_inside(const struct pod *p, const struct ns *ns, struct err *e)
{
	if (p->forward[IPV4] == POD_KEEP && p->forward[IPV6] == POD_KEEP)
		return 0;
	int r = ns_enter(ns, e);
	if (r < 0)
		return r;
	r = set_switch(p->forward[IPV4], "/proc/sys/net/ipv4", "ip_forward", e);
	/* Where /proc/sys is read-only the interface's own switch does for what arrives there. */
	if (r >= 0 || (r == -EROFS && p->forward[IPV4] == POD_OFF))
		r = set_switch(p->forward[IPV6], "/proc/sys/net/ipv6/conf/all", "forwarding", e);
	ns_leave(ns);
	return r;
}

static int finish_inside(
	const struct pod *p, const struct ns *ns, struct net *inside, int link, struct err *e)
{
	int r = forward_inside(p, ns, e);
	if (r < 0)
		return r;
	queue_inside(p, inside, link);
	r = net_commit(inside, NULL, e);
	if (r < 0)
		err_add(e, "in the pod");
	return r;
}

/* The pod's end came up without a carrier; the kernel lets it send when a worker has seen that
 * there is one now, which can take long on a busy host: the first packets would be lost. Asking
 * for the link makes the kernel look at once (rtnl_getlink(), Linux 6.8). */
static void settle_carrier(struct net *inside, int link)
{
	struct net_link l;
	struct err ignored;
	(void)net_find_link(inside, (struct net_dev){.index = link}, &l, &ignored);
}

/* Chains that were made for this very pod before its ADD. Where one is gone, or anything fails, the pod stays
 * closed until the agent opens it: no reason to refuse it. */
static void open_gate(const struct pod *p, int link)
{
	const struct node_staged *s = &p->gate.staged;
	const struct policy_gate_way way = {
		.ingress = s->ingress, .egress = s->egress, .to_host = s->to_host};
	struct err e;
	if (!p->gate.is_staged || !pod_group(&p->gate))
		return;
	int r = policy_gate_open(link, &way, &e);
	if (r < 0 && r != -ENOENT)
		log_warning("the pod waits for the agent's network policy: %s", e.text);
}

/* One try, undone when it fails. */
static int wire_once(struct pod *p, const struct ns *ns, struct net *const nets[2],
	bool enable_ipv6, struct err *e)
{
	struct net *host = nets[0];
	struct net *inside = nets[1];
	struct net_link link;
	int r = create_pair(p, ns, host, &link, e);
	if (r < 0)
		return r;
	r = harden6(p, &link, e);
	if (r >= 0 && enable_ipv6)
		r = enable_ipv6_inside(p, ns, e);
	if (r >= 0)
		r = finish_inside(p, ns, inside, link.peer, e);
	if (r >= 0) {
		open_gate(p, link.index);
		r = finish_host(p, host, link.index, e);
	}
	if (r >= 0) {
		settle_carrier(inside, link.peer);
		return 0;
	}
	struct err undo; /* the first error is the one to tell */
	if (pod_is_second(p))
		remove_rules(inside, link.peer);
	(void)owned_remove(host, &link.index, 1, &undo);
	return r;
}

/* The kernel answers EACCES to an IPv6 address on a link where IPv6 is disabled. Asking
 * beforehand would cost every ADD a walk through the pod's /proc/sys/net, which gets slower with
 * every pod. */
int wire_apply(
	struct pod *p, const struct ns *ns, struct net *host, struct net *inside, struct err *e)
{
	struct net *const nets[2] = {host, inside};
	int r = wire_once(p, ns, nets, false, e);
	return r == -EACCES && p->has[IPV6] ? wire_once(p, ns, nets, true, e) : r;
}

/* With the pod's namespace at hand: the rules of a second interface, if the interface is this
 * owner's and not another attachment's of the same name. */
static void remove_inside(
	struct net *host, struct net *inside, const char *ifname, const struct hash *owner)
{
	struct net_link end, other;
	struct err look;
	if (net_find_link(inside, (struct net_dev){.name = ifname}, &end, &look) < 0 ||
		!end.is_veth || !end.peer ||
		net_find_link(host, (struct net_dev){.index = end.peer}, &other, &look) < 0)
		return;
	bool ours = owned_is_link_of(&other, owner) || owned_is_newborn_of(&other, owner);
	if (ours && other.peer == end.index)
		remove_rules(inside, end.index);
}

static int open_inside(const struct ns *ns, struct net **out, struct err *e)
{
	int r = ns_enter(ns, e);
	if (r < 0)
		return r;
	r = net_open(out, e);
	ns_leave(ns);
	return r;
}

int wire_remove_inside(struct net *host, const struct ns *ns, const char *ifname,
	const struct hash *owner, struct err *e)
{
	CLEANUP_NET struct net *inside = NULL;
	int r = open_inside(ns, &inside, e);
	if (r >= 0)
		remove_inside(host, inside, ifname, owner);
	return r < 0 ? r : 0;
}
