/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending. A link that was taken down lost its routes and IPv6 addresses, so setting it up brings all of
 * them back. Settings of IPv6 go by /proc/sys, before the link is up; the rest is one batch.
 */
#include "lib/wiring.h"

#include <errno.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/antispoof.h"
#include "lib/file.h"
#include "lib/forward.h"
#include "lib/gateway.h"
#include "lib/hostport.h"

#define METRIC_LOCAL6 1024
#define METRIC_NEAR6 256 /* what the kernel gives its own routes to an address's prefix */

/* With a prefix of 64 bits a host that forwards would also join the anycast address of the subnet's
 * routers on each link, and deleting the link would then wait twice for the kernel's readers
 * (net/ipv6/anycast.c frees it in two steps); so the prefix is a route. */
void wiring_queue_gateway6(struct net *n, int link)
{
	struct addr gateway = gateway_of(AF_INET6);
	struct cidr address = cidr_of_host(&gateway);
	net_add_addr(n, link, &address);
}

void wiring_queue_near6(struct net *n, int link)
{
	struct addr gateway = gateway_of(AF_INET6);
	struct net_route near = {
		.dst = cidr_masked(&gateway, 64),
		.dev = link,
		.protocol = NET_PROTO_KERNEL,
		.metric = METRIC_NEAR6,
	};
	net_append_route(n, &near);
}

void wiring_queue_localnet(struct net *n, int link)
{
	static const struct net_conf4 on = {IPV4_DEVCONF_ROUTE_LOCALNET, 1};
	net_set_conf4(n, (struct net_dev){.index = link}, &on, 1);
}

/* Behind the one of lo, which has the metric 0. */
void wiring_queue_local6(struct net *n, int link)
{
	const struct net_route r = {
		.dst = {.addr = {.family = AF_INET6, .bytes = {[15] = 1}}, .len = 128},
		.dev = link,
		.protocol = OWNED_PROTOCOL,
		.metric = METRIC_LOCAL6,
		.local = true,
	};
	net_append_route(n, &r);
}

static bool has_fault(const struct wiring_faults *f, enum wiring_what what)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].what == what)
			return true;
	return false;
}

static int mend_sysctls(const struct wiring_pod *p, const struct wiring_faults *f, struct err *e)
{
	static const char *const off[] = {"accept_ra", "accept_redirects"};
	static const char *const disable[] = {"disable_ipv6"};
	char dir[64];
	(void)snprintf(dir, sizeof(dir), "/proc/sys/net/ipv6/conf/%s", p->link.name);
	int r = has_fault(f, WIRING_CONF6) ? file_put_numbers(dir, off, 2, 0, e) : 0;
	if (r >= 0 && has_fault(f, WIRING_IPV6))
		r = file_put_numbers(dir, disable, 1, 0, e);
	return r;
}

static void queue_route(struct net *n, const struct wiring_pod *p, size_t i)
{
	const struct net_route r = {
		.dst = cidr_of_host(&p->addrs[i]),
		.dev = p->link.index,
		.protocol = OWNED_PROTOCOL,
		.on_link = p->addrs[i].family == AF_INET,
	};
	net_add_route(n, &r, NET_MAY_EXIST);
}

/* What goes with a link that is taken down, or whose IPv6 is turned off. */
static void queue_again(struct net *n, const struct wiring_pod *p, bool all)
{
	bool six = false;
	for (size_t i = 0; i < p->n_addrs; i++) {
		six |= p->addrs[i].family == AF_INET6;
		if (all || p->addrs[i].family == AF_INET6)
			queue_route(n, p, i);
	}
	if (six && !p->has_gateway6)
		wiring_queue_gateway6(n, p->link.index);
	if (six && !p->has_near6)
		wiring_queue_near6(n, p->link.index);
	if (six && !p->has_local6 && wiring_needs_local(p->ports, p->n_ports, IPV6))
		wiring_queue_local6(n, p->link.index);
}

static void queue_one(struct net *n, const struct wiring_pod *p, const struct wiring_fault *x)
{
	const struct net_dev dev = {.index = p->link.index};
	struct net_neigh entry = {.dst = x->addr, .permanent = true};
	switch (x->what) {
	case WIRING_LINK_MAC:
		net_set_mac(n, dev, gateway_mac);
		break;
	case WIRING_CONF4:
		net_set_conf4(n, dev, &wiring_conf4[x->at], 1);
		break;
	case WIRING_LINK_UP:
		net_set_up(n, dev);
		queue_again(n, p, true);
		break;
	case WIRING_IPV6:
		queue_again(n, p, false);
		break;
	case WIRING_GATEWAY6:
		wiring_queue_gateway6(n, dev.index);
		break;
	case WIRING_NEAR6:
		wiring_queue_near6(n, dev.index);
		break;
	case WIRING_ROUTE:
		queue_route(n, p, x->at);
		break;
	case WIRING_NEIGHBOUR:
		memcpy(entry.mac, p->peer_mac, sizeof(entry.mac));
		net_put_neigh(n, dev.index, &entry);
		break;
	case WIRING_LOCALNET:
		wiring_queue_localnet(n, dev.index);
		break;
	case WIRING_LOCAL6:
		wiring_queue_local6(n, dev.index);
		break;
	case WIRING_PORT:
	case WIRING_PORTS:
	case WIRING_LIMIT:
	case WIRING_CONF6:
	case WIRING_FORWARDING:
	case WIRING_RULE:
	case WIRING_WHATS:
		break;
	}
}

/* Those that are not there. */
static int mend_ports(struct net *n, const struct wiring_pod *p, struct err *e)
{
	struct hostport_list have = {0};
	struct owned_label label = {0};
	char prefix[OWNED_PREFIX_MAX + 1];
	if (!owned_label_parse(p->link.alias, &label) || !owned_prefix_of(p->link.name, prefix))
		return err_set(e, EINVAL, "%s has lost its name", p->link.name);
	const struct hostport_pod pod = {.owner = p->owner,
		.name = *label.pod ? label.pod : label.container,
		.addrs = p->addrs,
		.n_addrs = p->n_addrs,
		.ports = p->ports,
		.n_ports = p->n_ports};
	int r = hostport_list_read(&have, e);
	if (r >= 0)
		r = hostport_add(n, &pod, &have, prefix, e);
	hostport_list_done(&have);
	return r;
}

int wiring_mend(
	struct net *n, const struct wiring_pod *p, const struct wiring_faults *f, struct err *e)
{
	int r = mend_sysctls(p, f, e);
	for (size_t i = 0; i < f->n; i++)
		queue_one(n, p, &f->v[i]);
	int done = net_commit(n, NULL, r < 0 ? &(struct err){0} : e);
	if (r >= 0 && done >= 0 && has_fault(f, WIRING_PORT))
		done = mend_ports(n, p, e);
	if (r >= 0 && done >= 0 && has_fault(f, WIRING_LIMIT))
		done = shape_apply(n, &p->link, &p->owner, &p->limits, &p->shape, e);
	return r < 0 ? r : done;
}

int wiring_mend_host(
	struct net *n, const struct wiring_host *h, const struct wiring_faults *f, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < f->n && r >= 0; i++) {
		if (f->v[i].what == WIRING_FORWARDING)
			r = forward_on(n, family_af((enum family)f->v[i].at), NULL, e);
		else if (f->v[i].what == WIRING_RULE)
			r = antispoof_ensure(h->prefixes[f->v[i].at].text, e);
		else if (f->v[i].what == WIRING_PORTS)
			r = hostport_ensure_table(h->prefixes[f->v[i].at].text, e);
	}
	return r < 0 ? r : 0;
}
