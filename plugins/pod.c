/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to a plan. Pure: no kernel, no state, no clock. The pod sees a point-to-point
 * world: its own address as /32 or /128, and one next hop that is the same for every pod on every
 * node, 169.254.1.1 and the host end's fixed link-local address, so that nothing in a pod ever
 * depends on where it runs.
 */
#include "plugins/pod.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/owner.h"
#include "lib/gateway.h"

#define MTU_WITHOUT_UPLINK 1500

static void plan_label(const struct cni_request *r, struct pod *p)
{
	(void)text_copy(p->label.network, sizeof(p->label.network), r->network);
	(void)text_copy(p->label.ifname, sizeof(p->label.ifname), r->ifname);
	(void)text_copy(p->label.container, sizeof(p->label.container), r->container);
	struct text pod = TEXT_ON(p->label.pod);
	if (r->wishes.pod_name[0])
		text_add(&pod, "%s/%s", r->wishes.pod_namespace, r->wishes.pod_name);
}

/* The routes of an executed IPAM, or default routes; both when the configuration says so. */
static void plan_routes(const struct conf *c, const struct pod_addresses *a, struct pod *p)
{
	for (size_t i = 0; i < a->n_routes; i++)
		p->routes[p->n_routes++] = a->routes[i];
	if (a->n_routes && !c->default_routes)
		return;
	for (enum family f = IPV4; f < FAMILIES; f++) {
		struct cidr everywhere = {.addr.family = family_af(f)};
		if (p->has[f] && !cidr_is_among(p->routes, p->n_routes, &everywhere))
			p->routes[p->n_routes++] = everywhere;
	}
}

static uint32_t mtu_of(const struct conf *c, const struct pod_facts *facts)
{
	if (c->mtu)
		return c->mtu;
	uint32_t uplink = facts->host.uplink.index ? facts->host.uplink.mtu : MTU_WITHOUT_UPLINK;
	if (!c->cluster_mtu)
		return uplink;
	return c->uplink_mtu && uplink < c->cluster_mtu ? uplink : c->cluster_mtu;
}

int pod_check_mtu(const struct conf *c, const struct pod_facts *facts, bool has6, struct err *e)
{
	uint32_t mtu = mtu_of(c, facts);
	if (has6 && mtu < CONF_MTU_MIN6)
		return err_set(
			e, EINVAL, "mtu %u is less than %d, which IPv6 needs", mtu, CONF_MTU_MIN6);
	return 0;
}

/* A namespace may be born with forwarding on: IPv4's settings are the host's at that moment. What is on
 * beside another interface was perhaps allowed to that one. */
static void plan_forwarding(const struct pod_facts *facts, struct pod *p)
{
	bool alone = !facts->is_second[IPV4] && !facts->is_second[IPV6];
	if (!p->forwarding && !alone)
		return;
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (facts->forwards[f] != p->forwarding)
			p->forward[f] = p->forwarding ? POD_ON : POD_OFF;
	p->sets_link = facts->link_forwards != p->forwarding;
}

/* A port at an address of the host leads to a pod's address of the same family. */
static int plan_ports(const struct pod *p, struct err *e)
{
	for (size_t i = 0; i < p->n_ports; i++) {
		const struct port *port = &p->ports[i];
		if (!port_is_any(port) && !p->has[family_of(port->at.family)])
			return err_set(e, EINVAL,
				"host port %s cannot lead to the pod, which has no %s address",
				PORT_STRING(port), family_name(family_of(port->at.family)));
	}
	return 0;
}

int pod_plan(const struct cni_request *r, const struct conf *c, const struct pod_addresses *a,
	const struct pod_facts *facts, struct pod *out, struct err *e)
{
	struct pod p = {.forwarding = c->forwarding,
		.ports = r->wishes.ports,
		.n_ports = r->wishes.n_ports,
		.limits = *conf_limits(c, &r->wishes),
		.gate = facts->gate};
	memcpy(p.is_second, facts->is_second, sizeof(p.is_second));
	plan_forwarding(facts, &p);
	plan_label(r, &p);
	p.label.owner = owner_hash(r->network, r->container, r->ifname);
	(void)text_copy(p.ifname, sizeof(p.ifname), r->ifname);
	memcpy(p.mac, r->wishes.has_mac ? r->wishes.mac : facts->random_mac, sizeof(p.mac));
	for (size_t i = 0; i < a->n_addrs; i++) {
		p.addrs[p.n_addrs++] = a->addrs[i];
		p.has[family_of(a->addrs[i].addr.family)] = true;
	}
	const struct addr *named = &p.addrs[0].addr;
	for (size_t i = 0; i < p.n_addrs && named->family != AF_INET; i++)
		named = &p.addrs[i].addr;
	owned_name(c->prefix, named, p.host);
	owned_name_second(c->prefix, named, p.host_second);
	plan_routes(c, a, &p);
	p.mtu = mtu_of(c, facts);
	int result = pod_check_mtu(c, facts, p.has[IPV6], e);
	if (result >= 0)
		result = plan_ports(&p, e);
	if (result < 0)
		return result;
	*out = p;
	return 0;
}

bool pod_is_second(const struct pod *p)
{
	return (p->has[IPV4] && p->is_second[IPV4]) || (p->has[IPV6] && p->is_second[IPV6]);
}

/* A second interface leaves the default route to the first. */
static bool is_in_main_table(const struct pod *p, const struct cidr *route)
{
	return route->len || !p->is_second[family_of(route->addr.family)];
}

uint32_t pod_group(const struct node_gate *g)
{
	uint32_t ways = (g->egress ? OWNED_PENDING_EGRESS : 0u) |
			(g->ingress ? OWNED_PENDING_INGRESS : 0u) |
			(g->to_host ? OWNED_PENDING_TO_HOST : 0u);
	return ways ? OWNED_PENDING_GROUP | ways : 0;
}

static void describe_gate(const struct pod *p, struct text *out)
{
	const struct node_gate *g = &p->gate;
	if (!pod_group(g))
		return;
	text_add(out, "host: group %u, closed for %s%s%s%s\n", pod_group(g),
		g->ingress ? "ingress" : "", g->ingress && g->egress ? " and " : "",
		g->egress ? "egress" : "", g->to_host ? ", to this host as well" : "");
	if (g->is_staged)
		text_add(out, "host: opened by ingress %s egress %s host %s\n",
			*g->staged.ingress ? g->staged.ingress : "accept",
			*g->staged.egress ? g->staged.egress : "accept",
			*g->staged.to_host ? g->staged.to_host : "accept");
}

static void describe_host(const struct pod *p, struct text *out)
{
	char label[NET_ALIAS];
	owned_label_format(&p->label, label);
	text_add(out, "host: link %s mac ee:ee:ee:ee:ee:ee mtu %u\n", p->host, p->mtu);
	text_add(out, "host: alias %s\n", label);
	describe_gate(p, out);
	for (size_t i = 0; i < p->n_addrs; i++) {
		const struct pod_addr *a = &p->addrs[i];
		char text[CIDR_TEXT];
		cidr_format(&(struct cidr){a->addr, addr_bits(&a->addr)}, text);
		text_add(out, "host: route %s dev %s proto %d\n", text, p->host, OWNED_PROTOCOL);
		if (!a->block.addr.family)
			continue;
		cidr_format(&a->block, text);
		text_add(out, "host: route blackhole %s proto %d", text, OWNED_PROTOCOL);
		if (a->block.len == addr_bits(&a->addr))
			text_add(out, " metric %u", owned_blackhole(&a->block).metric);
		text_add(out, "\n");
	}
}

static void describe_limits(const struct pod *p, struct text *out)
{
	const struct bandwidth *const limits[] = {&p->limits.ingress, &p->limits.egress};
	static const char *const words[] = {"receives", "sends"};
	for (size_t i = 0; i < 2; i++)
		if (limits[i]->rate)
			text_add(out,
				"host: the pod %s %" PRIu64 " bits a second, burst %u bytes\n",
				words[i], limits[i]->rate, limits[i]->burst);
}

static void describe_ports(const struct pod *p, struct text *out)
{
	for (size_t i = 0; i < p->n_ports; i++)
		text_add(out, "host: port %s to port %u of the pod\n", PORT_STRING(&p->ports[i]),
			p->ports[i].pod);
}

void pod_describe(const struct pod *p, struct text *out)
{
	describe_host(p, out);
	describe_ports(p, out);
	describe_limits(p, out);
	char text[CIDR_TEXT];
	mac_format(p->mac, text);
	text_add(out, "pod: link %s mac %s mtu %u%s\n", p->ifname, text, p->mtu,
		p->forwarding ? " forwarding" : "");
	for (enum family f = IPV4; f < FAMILIES; f++)
		if (p->forward[f] == POD_OFF)
			text_add(out, "pod: %s forwarding off\n", family_name(f));
	for (size_t i = 0; i < p->n_addrs; i++) {
		cidr_format(&(struct cidr){p->addrs[i].addr, addr_bits(&p->addrs[i].addr)}, text);
		text_add(out, "pod: address %s dev %s\n", text, p->ifname);
	}
	if (p->has[IPV4])
		text_add(out, "pod: neighbour %s mac ee:ee:ee:ee:ee:ee permanent\n", GATEWAY4_TEXT);
	if (p->has[IPV4])
		text_add(out, "pod: route %s/32 dev %s scope link%s\n", GATEWAY4_TEXT, p->ifname,
			p->is_second[IPV4] ? " behind the first interface's" : "");
	if (pod_is_second(p))
		text_add(out, "pod: packets from these addresses leave by %s\n", p->ifname);
	for (size_t i = 0; i < p->n_routes; i++) {
		cidr_format(&p->routes[i], text);
		bool v4 = p->routes[i].addr.family == AF_INET;
		if (is_in_main_table(p, &p->routes[i]))
			text_add(out, "pod: route %s via %s dev %s\n", text,
				v4 ? GATEWAY4_TEXT : GATEWAY6_TEXT, p->ifname);
	}
}

void pod_report(const struct pod *p, const char *netns, struct cni_result *result)
{
	(void)cni_result_add_interface(result, p->host, gateway_mac, NULL, p->mtu);
	size_t inside = cni_result_add_interface(result, p->ifname, p->mac, netns, p->mtu);
	for (size_t i = 0; i < p->n_addrs; i++) {
		const struct addr *a = &p->addrs[i].addr;
		struct cidr address = cidr_of_host(a);
		struct addr gateway = gateway_of(a->family);
		cni_result_add_ip(result, &address, &gateway, (int)inside);
	}
	for (size_t i = 0; i < p->n_routes; i++) {
		struct addr gateway = gateway_of(p->routes[i].addr.family);
		if (is_in_main_table(p, &p->routes[i]))
			cni_result_add_route(result, &p->routes[i], &gateway);
	}
}
