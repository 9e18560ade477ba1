/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list, as a comparison of values. Each entry names what must be and, as a sentence, what is.
 *
 * IPv4 forwards by the switch of the device that a packet arrives on, IPv6 by the namespace's alone; so a
 * link has to forward IPv4 and the host both. Whether a link takes router advertisements and redirects is
 * not one switch but two: a link that forwards takes neither redirects nor, unless accept_ra is 2,
 * advertisements (Documentation/networking/ip-sysctl.rst).
 *
 * A neighbour is the kernel's own affair as long as the pod answers. One that stays silent gets a
 * permanent entry (arp_ignore=2 in the pod makes it answer none but hosts of its subnet, and it has none),
 * and a permanent entry has to have the pod's MAC, which the pod may change.
 */
#include "lib/wiring.h"

#include <inttypes.h>
#include <linux/ip.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/gateway.h"
#include "lib/hostport.h"
#include "lib/text.h"

const struct net_conf4 wiring_conf4[WIRING_CONF4S] = {
	{IPV4_DEVCONF_PROXY_ARP, 1},
	{IPV4_DEVCONF_FORWARDING, 1},
	{IPV4_DEVCONF_RP_FILTER, 1},
	{IPV4_DEVCONF_ACCEPT_REDIRECTS, 0},
	{IPV4_DEVCONF_SEND_REDIRECTS, 0},
};

/* One more; without room it is not said, but nor is the last of so many. */
static struct wiring_fault *fault_add(struct wiring_faults *f, enum wiring_what what)
{
	struct wiring_fault *x = &f->v[f->n < WIRING_FAULTS ? f->n++ : WIRING_FAULTS - 1];
	*x = (struct wiring_fault){.what = what};
	return x;
}

static void fault_must(struct wiring_fault *x, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void fault_must(struct wiring_fault *x, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(x->must, sizeof(x->must), fmt, args);
	va_end(args);
}

static void fault_is(struct wiring_fault *x, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void fault_is(struct wiring_fault *x, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(x->is, sizeof(x->is), fmt, args);
	va_end(args);
}

static const char *mac_text(char out[MAC_TEXT], const uint8_t mac[6])
{
	mac_format(mac, out);
	return out;
}

/* The pod's IPv6 address; family 0: none. */
static struct addr six_of(const struct wiring_pod *p)
{
	for (size_t i = 0; i < p->n_addrs; i++)
		if (p->addrs[i].family == AF_INET6)
			return p->addrs[i];
	return (struct addr){0};
}

static void compare_mac(const struct wiring_pod *p, struct wiring_faults *out)
{
	const struct net_link *l = &p->link;
	if (memcmp(l->mac, gateway_mac, sizeof(l->mac)) == 0)
		return;
	struct wiring_fault *x = fault_add(out, WIRING_LINK_MAC);
	fault_must(x, "the MAC %s on %s", mac_text((char[MAC_TEXT]){0}, gateway_mac), l->name);
	fault_is(x, "host interface %s has MAC %s, and pods know it by %s", l->name,
		mac_text((char[MAC_TEXT]){0}, l->mac), mac_text((char[MAC_TEXT]){0}, gateway_mac));
}

static void compare_conf4(const struct wiring_pod *p, struct wiring_faults *out)
{
	const struct net_link_conf *c = &p->link.conf;
	const struct {
		const char *name;
		uint32_t is;
	} conf[WIRING_CONF4S] = {
		{"proxy_arp", c->proxy_arp},
		{"forwarding", c->forwarding},
		{"rp_filter", c->rp_filter},
		{"accept_redirects", c->accept_redirects},
		{"send_redirects", c->send_redirects},
	};
	for (size_t i = 0; i < WIRING_CONF4S && c->has[IPV4]; i++) {
		if (conf[i].is == wiring_conf4[i].value)
			continue;
		struct wiring_fault *x = fault_add(out, WIRING_CONF4);
		x->at = i;
		fault_must(x, "net.ipv4.conf.%s.%s to be %u", p->link.name, conf[i].name,
			wiring_conf4[i].value);
		fault_is(x, "net.ipv4.conf.%s.%s is %u and has to be %u", p->link.name,
			conf[i].name, conf[i].is, wiring_conf4[i].value);
	}
}

static void compare_conf6(const struct wiring_pod *p, struct wiring_faults *out)
{
	const struct net_link_conf *c = &p->link.conf;
	if (!c->has[IPV6])
		return;
	bool advertisements = c->accept_ra == 2 || (c->accept_ra && !c->forwarding6);
	bool redirects = c->accept_redirects6 && !c->forwarding6;
	if (!advertisements && !redirects)
		return;
	struct wiring_fault *x = fault_add(out, WIRING_CONF6);
	const char *name = advertisements ? "accept_ra" : "accept_redirects";
	fault_must(x, "net.ipv6.conf.%s.%s to be 0", p->link.name, name);
	fault_is(x, "net.ipv6.conf.%s.%s is %u and has to be 0", p->link.name, name,
		advertisements ? c->accept_ra : c->accept_redirects6);
}

static void compare_near6(const struct wiring_pod *p, struct wiring_faults *out)
{
	const struct addr six = six_of(p);
	if (!p->has_gateway6) {
		struct wiring_fault *x = fault_add(out, WIRING_GATEWAY6);
		fault_must(x, "the address %s on %s, the gateway of this pod", GATEWAY6_TEXT,
			p->link.name);
		x->addr = six;
		fault_is(x, "host interface %s has lost the address %s, the pod's IPv6 gateway",
			p->link.name, GATEWAY6_TEXT);
	}
	if (!p->has_near6) {
		struct wiring_fault *x = fault_add(out, WIRING_NEAR6);
		x->addr = six;
		fault_must(x, "the route fe80::/64 through %s", p->link.name);
		fault_is(x, "the host's route fe80::/64 via %s is missing", p->link.name);
	}
}

static void compare_route(const struct wiring_pod *p, size_t i, struct wiring_faults *out)
{
	const struct net_route *r = &p->routes[i];
	const char *to = ADDR_STRING(&p->addrs[i]);
	bool host = r->dst.len == addr_bits(&p->addrs[i]);
	if (r->dev == p->link.index && host)
		return;
	struct wiring_fault *x = fault_add(out, WIRING_ROUTE);
	x->at = i;
	x->addr = p->addrs[i];
	fault_must(x, "a route to %s through %s", to, p->link.name);
	if (host && (r->dev || r->blackhole))
		fault_is(x, "the host's route to %s via %s is hidden by another one (protocol %u)",
			to, p->link.name, r->protocol);
	else
		fault_is(x, "the host's route to %s via %s is missing", to, p->link.name);
}

static void compare_neighbour(const struct wiring_pod *p, size_t i, struct wiring_faults *out)
{
	const struct net_neigh *n = &p->neighs[i];
	bool right = n->permanent && memcmp(n->mac, p->peer_mac, sizeof(n->mac)) == 0;
	if (!n->dst.family || !p->has_peer || right)
		return;
	struct wiring_fault *x = fault_add(out, WIRING_NEIGHBOUR);
	x->at = i;
	x->addr = p->addrs[i];
	fault_must(x, "an answer for %s through %s", ADDR_STRING(&p->addrs[i]), p->link.name);
	if (n->permanent)
		fault_is(x, "the neighbour %s of %s has MAC %s, and the pod has %s",
			ADDR_STRING(&p->addrs[i]), p->link.name,
			mac_text((char[MAC_TEXT]){0}, n->mac),
			mac_text((char[MAC_TEXT]){0}, p->peer_mac));
	else
		fault_is(x, "the pod does not answer for %s on %s (%s)", ADDR_STRING(&p->addrs[i]),
			p->link.name,
			n->dst.family == AF_INET ? "arp_ignore of its namespace is 2, perhaps"
						 : "neighbour discovery");
}

bool wiring_needs_local(const struct port *ports, size_t n, enum family f)
{
	for (size_t i = 0; i < n; i++)
		if (port_is_local(&ports[i], family_af(f)))
			return true;
	return false;
}

static bool has_four(const struct wiring_pod *p)
{
	for (size_t i = 0; i < p->n_addrs; i++)
		if (p->addrs[i].family == AF_INET)
			return true;
	return false;
}

static void compare_ports(const struct wiring_pod *p, struct wiring_faults *out)
{
	if (p->lacks_ports) {
		struct wiring_fault *x = fault_add(out, WIRING_PORT);
		fault_must(x, "host port %s to lead to the pod of %s", PORT_STRING(&p->lacks),
			p->link.name);
		fault_is(x, "host port %s does not lead to the pod of %s", PORT_STRING(&p->lacks),
			p->link.name);
	}
	if (!has_four(p) || !wiring_needs_local(p->ports, p->n_ports, IPV4) ||
		p->link.conf.route_localnet || !p->link.conf.has[IPV4])
		return;
	struct wiring_fault *x = fault_add(out, WIRING_LOCALNET);
	fault_must(x, "net.ipv4.conf.%s.route_localnet to be 1", p->link.name);
	fault_is(x, "net.ipv4.conf.%s.route_localnet is 0, so 127.0.0.1 does not lead to the pod",
		p->link.name);
}

static void compare_local6(const struct wiring_pod *p, struct wiring_faults *out)
{
	if (p->has_local6 || !wiring_needs_local(p->ports, p->n_ports, IPV6))
		return;
	struct wiring_fault *x = fault_add(out, WIRING_LOCAL6);
	fault_must(x, "the route local ::1 through %s", p->link.name);
	fault_is(x, "the host's route local ::1 via %s is missing, so ::1 does not lead to the pod",
		p->link.name);
}

static void is_limit(struct wiring_fault *x, const char *does, const char *device,
	const struct net_rate *is, const struct bandwidth *must)
{
	fault_must(x, "the limit of what the pod %s, %" PRIu64 " bits a second, on %s", does,
		must->rate, device);
	if (!is->rate)
		fault_is(x, "the limit of what the pod %s is missing on %s", does, device);
	else
		fault_is(x,
			"the limit of what the pod %s is %" PRIu64 " bits a second, burst %" PRIu32
			" bytes, on %s, and has to be %" PRIu64 " and %" PRIu32,
			does, is->rate * 8, is->burst, device, must->rate, must->burst);
}

static void compare_sends(const struct wiring_pod *p, struct wiring_faults *out)
{
	const struct shape *s = &p->shape;
	const struct net_rate none = {0};
	if (shape_sends(s, &p->limits))
		return;
	struct wiring_fault *x = fault_add(out, WIRING_LIMIT);
	char name[NET_NAME];
	owned_ifb_name(&p->owner, name);
	if (s->ifb.index && s->redirect.to != s->ifb.index)
		is_limit(x, "sends", p->link.name, &none, &p->limits.egress);
	else
		is_limit(x, "sends", name, s->ifb.up ? &s->sent : &none, &p->limits.egress);
}

static void compare_limits(const struct wiring_pod *p, struct wiring_faults *out)
{
	if (!shape_receives(&p->shape, &p->limits)) {
		struct wiring_fault *x = fault_add(out, WIRING_LIMIT);
		is_limit(x, "receives", p->link.name, &p->shape.link, &p->limits.ingress);
	}
	compare_sends(p, out);
}

/* With the link's IPv6 off its addresses and routes are gone. */
static bool compare_ipv6(const struct wiring_pod *p, struct wiring_faults *out)
{
	if (!p->link.ipv6_disabled) {
		compare_near6(p, out);
		compare_local6(p, out);
		return true;
	}
	struct wiring_fault *x = fault_add(out, WIRING_IPV6);
	fault_must(x, "net.ipv6.conf.%s.disable_ipv6 to be 0", p->link.name);
	fault_is(x, "net.ipv6.conf.%s.disable_ipv6 is 1, and the pod has IPv6", p->link.name);
	return false;
}

void wiring_compare(const struct wiring_pod *p, struct wiring_faults *out)
{
	compare_mac(p, out);
	compare_conf4(p, out);
	compare_ports(p, out);
	compare_limits(p, out);
	if (!p->link.ipv6_disabled)
		compare_conf6(p, out);
	if (!p->link.up) {
		struct wiring_fault *x = fault_add(out, WIRING_LINK_UP);
		fault_must(x, "%s to be up", p->link.name);
		fault_is(x, "host interface %s is down", p->link.name);
		return;
	}
	bool six = six_of(p).family && compare_ipv6(p, out);
	for (size_t i = 0; i < p->n_addrs; i++) {
		if (p->addrs[i].family == AF_INET6 && !six)
			continue;
		compare_route(p, i, out);
		compare_neighbour(p, i, out);
	}
}

void wiring_compare_host(const struct wiring_host *h, struct wiring_faults *out)
{
	static const char *const names[FAMILIES] = {
		"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"};
	for (enum family f = IPV4; f < FAMILIES; f++) {
		if (!h->has[f] || h->forwards[f])
			continue;
		struct wiring_fault *x = fault_add(out, WIRING_FORWARDING);
		x->at = f;
		fault_must(x, "%s to be 1", names[f]);
		fault_is(x, "%s is 0, so this host forwards nothing to and from pods", names[f]);
	}
	for (size_t i = 0; i < h->n_prefixes; i++) {
		if (h->prefixes[i].needs_ports && !h->prefixes[i].has_ports) {
			struct wiring_fault *x = fault_add(out, WIRING_PORTS);
			x->at = i;
			fault_must(x, "the chains of nf_tables table inet %s", HOSTPORT_TABLE);
			fault_is(x,
				"nf_tables table inet %s is missing or not whole, so host ports "
				"do not lead to pods",
				HOSTPORT_TABLE);
		}
		if (h->prefixes[i].has_rule)
			continue;
		struct wiring_fault *x = fault_add(out, WIRING_RULE);
		x->at = i;
		fault_must(
			x, "chain antispoof-%s in nf_tables table inet roost", h->prefixes[i].text);
		fault_is(x,
			"the rule against spoofed sources is missing in nf_tables table inet "
			"roost, "
			"chain antispoof-%s",
			h->prefixes[i].text);
	}
}
