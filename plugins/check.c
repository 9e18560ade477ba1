/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The comparison starts from prevResult, not from what an ADD would do today: a chained tuning
 * plugin may have changed MAC or MTU and has said so in the result. The attachment's own entries
 * are the interface named CNI_IFNAME in this sandbox, the addresses whose "interface" points to it,
 * and the host link that carries our label.
 */
#include "plugins/check.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "ipam/owner.h"
#include "lib/family.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/wiring.h"

#define MAIN_TABLE 254

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

/* The index of the attachment's interface in the result. */
static int find_interface(
	const struct cni_request *r, const struct cni_result *prev, size_t *index, struct err *e)
{
	size_t i;
	const json_t *one;
	json_array_foreach (prev->interfaces, i, one) {
		if (strcmp(text_of(one, "name"), r->ifname) != 0 || !*text_of(one, "sandbox"))
			continue;
		if (strcmp(text_of(one, "sandbox"), r->netns) != 0)
			return err_set(e, ENODATA,
				"Sandbox in prevResult %s doesn't match configured netns: %s",
				text_of(one, "sandbox"), r->netns);
		*index = i;
		return 0;
	}
	return err_set(e, ENODATA, "prevResult has no interface %s in a sandbox", r->ifname);
}

static int check_link(
	const json_t *expected, struct net *inside, struct net_link *out, struct err *e)
{
	const char *name = text_of(expected, "name");
	struct err look;
	if (net_find_link(inside, (struct net_dev){.name = name}, out, &look) < 0)
		return err_set(e, ENODATA, "interface %s is missing in the pod", name);
	char mac[MAC_TEXT];
	mac_format(out->mac, mac);
	if (*text_of(expected, "mac") && strcasecmp(text_of(expected, "mac"), mac) != 0)
		return err_set(e, ENODATA, "interface %s has MAC %s, prevResult says %s", name, mac,
			text_of(expected, "mac"));
	if (!out->up)
		return err_set(e, ENODATA, "interface %s is down in the pod", name);
	return 0;
}

static int check_host_link(const struct cni_request *r, struct net *host,
	const struct net_link *end, struct net_link *out, struct err *e)
{
	struct hash owner = owner_hash(r->network, r->container, r->ifname);
	struct err look;
	if (net_find_link(host, (struct net_dev){.index = end->peer}, out, &look) < 0 ||
		!owned_is_link_of(out, &owner) || owned_is_marked(out))
		return err_set(e, ENODATA,
			"the host end of interface %s is missing, or it is not this attachment's",
			r->ifname);
	return 0;
}

static bool has_address(const struct net_addr *list, size_t n, const struct cidr *wanted, int dev)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].dev == dev && addr_equal(&list[i].address.addr, &wanted->addr))
			return true;
	return false;
}

static int check_address(const char *text, const struct net_link *pod_link,
	const struct net_addr *list, size_t n, struct cidr *out, struct err *e)
{
	int r = cidr_parse(text, out, e);
	if (r < 0)
		return r;
	if (!has_address(list, n, out, pod_link->index))
		return err_set(
			e, ENODATA, "address %s is missing on %s in the pod", text, pod_link->name);
	return 0;
}

/* In the pod; those that are, the host has to reach. */
static int check_addresses(const struct cni_result *prev, size_t interface, struct net *inside,
	const struct net_link *pod_link, struct wiring_pod *must, struct err *e)
{
	CLEANUP_FREE struct net_addr *list = NULL;
	size_t n = 0;
	int r = net_list_addrs(inside, &list, &n, e);
	size_t i;
	const json_t *ip;
	json_array_foreach (prev->ips, i, ip) {
		const json_t *index = json_object_get(ip, "interface");
		if (r < 0)
			return r;
		if (!json_is_integer(index) || json_integer_value(index) != (json_int_t)interface ||
			must->n_addrs == OWNED_ADDRS)
			continue;
		struct cidr address;
		r = check_address(text_of(ip, "address"), pod_link, list, n, &address, e);
		if (r >= 0)
			must->addrs[must->n_addrs++] = address.addr;
	}
	return r;
}

/* The list that ipam check and the agent have, too: lib/wiring.h. */
static int check_host(struct net *host, struct wiring_pod *must, struct err *e)
{
	struct wiring_host h;
	struct wiring_faults faults = {0};
	int r = wiring_look(host, must, 1, &h, e);
	if (r < 0)
		return r;
	wiring_compare(must, &faults);
	wiring_compare_host(&h, &faults);
	return faults.n ? err_set(e, ENODATA, "%s", faults.v[0].is) : 0;
}

static bool has_route(
	const struct net_route *list, size_t n, const struct cidr *dst, const char *gateway)
{
	struct addr via = {0};
	struct err ignored;
	bool any = !*gateway || addr_parse(gateway, &via, &ignored) < 0;
	for (size_t i = 0; i < n; i++)
		if (cidr_equal(&list[i].dst, dst) && (any || addr_equal(&list[i].via, &via)))
			return true;
	return false;
}

/* The result's routes belong to the whole chain: each must be somewhere in the pod. */
static int check_routes(
	const struct cni_result *prev, struct net *inside, enum family f, struct err *e)
{
	CLEANUP_FREE struct net_route *list = NULL;
	size_t n = 0;
	int r = net_list_routes(inside, family_af(f), 0, &list, &n, e);
	size_t i;
	const json_t *route;
	json_array_foreach (prev->routes, i, route) {
		struct cidr dst;
		if (r >= 0)
			r = cidr_parse(text_of(route, "dst"), &dst, e);
		if (r < 0)
			return r;
		const json_t *table = json_object_get(route, "table");
		if (dst.addr.family != family_af(f) ||
			(json_is_integer(table) && json_integer_value(table) != MAIN_TABLE))
			continue; /* of the other family, or another plugin's in a table of its own */
		if (!has_route(list, n, &dst, text_of(route, "gw")))
			return err_set(e, ENODATA, "route %s via %s is missing in the pod",
				text_of(route, "dst"), text_of(route, "gw"));
	}
	return r;
}

int check_wiring(const struct cni_request *r, const struct cni_result *prev, struct net *host,
	struct net *inside, const struct bandwidths *limits, struct err *e)
{
	size_t interface = 0;
	struct net_link pod_link, host_link;
	int result = find_interface(r, prev, &interface, e);
	if (result >= 0)
		result = check_link(
			json_array_get(prev->interfaces, interface), inside, &pod_link, e);
	if (result >= 0)
		result = check_host_link(r, host, &pod_link, &host_link, e);
	if (result < 0)
		return result;
	struct wiring_pod must = {.owner = owner_hash(r->network, r->container, r->ifname),
		.link = host_link,
		.ports = r->wishes.ports,
		.n_ports = r->wishes.n_ports,
		.limits = *limits};
	result = check_addresses(prev, interface, inside, &pod_link, &must, e);
	if (result >= 0)
		result = check_host(host, &must, e);
	for (enum family f = IPV4; result >= 0 && f < FAMILIES; f++)
		result = check_routes(prev, inside, f, e);
	return result;
}
