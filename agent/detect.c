/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's address. What the words mean is in cluster/detect_how.c. Candidates are all usable
 * addresses in the order of the facts (link index; within a link primary ones first), after those of
 * the link with the default route; on one link an address that has the gateway in its subnet goes
 * first. Then the method decides, and an address that was the node's
 * before wins over all others as long as it is a candidate: peers know it.
 *
 * What container runtimes and other networks make on a host is known by name, tunnels by kind, and
 * only first-found avoids them: every other method says which network is meant, and that may well be
 * a WireGuard device or a docker bridge. A name tells little: the link with the default route is no
 * container network's, whatever its name, and a bridge br-ex is taken when there is nothing else (docker's
 * are br- and twelve hexadecimal digits). A tunnel with the default route is a VPN, and nodes reach
 * each other beside it. Our own links never count, nor those of pods, which the facts do not have.
 * Kinds are no help for veth: a node in a container or a network namespace has one as its uplink.
 *
 * A link in a VRF has a routing table of its own. What arrives there looks for pods in that table, where
 * none are: such an address is of no use, and said to be so.
 */
#include "agent/detect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"

static bool starts_with(const char *s, const char *start)
{
	return strncmp(s, start, strlen(start)) == 0;
}

/* Names as routing agents and container runtimes give them; a star at the end. */
static bool is_foreign_name(const char *name)
{
	static const char *const starts[] = {"docker", "cbr", "dummy", "podman", "virbr", "lxcbr",
		"lxdbr", "veth", "br-", "cali", "tunl", "flannel", "kube-ipvs", "kube-bridge",
		"cni", "vxlan.calico", "vxlan-v6.calico", "wireguard.cali", "wg-v6.cali",
		"nodelocaldns", "cilium", "lxc", "weave", "ovn", "antrea", "incusbr"};
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (starts_with(name, starts[i]))
			return true;
	return false;
}

static bool is_our_name(const char *name)
{
	return starts_with(name, "roost") || starts_with(name, "vxlan.roost");
}

static bool is_tunnel(const char *kind)
{
	static const char *const kinds[] = {"ipip", "sit", "gre", "gretap", "ip6tnl", "ip6gre",
		"ip6gretap", "erspan", "ip6erspan", "vti", "vti6", "xfrm", "vxlan", "geneve",
		"wireguard", "tun", "ppp", "bareudp"};
	return TEXT_INDEX(kind, kinds) >= 0;
}

/* docker's bridges are br- and an identifier. */
static bool is_docker_name(const char *name)
{
	return strspn(name + strlen("br-"), "0123456789abcdef") == 12 &&
	       strlen(name) == strlen("br-") + 12;
}

static bool has_default_route(const struct facts *f, const struct facts_link *l)
{
	return f->defaults[IPV4].link == l->index || f->defaults[IPV6].link == l->index;
}

/* How well a link fits first-found: 2 an uplink like any other, 1 when there is nothing else, 0 not. */
static unsigned int uplink_rank(const struct facts *f, const struct facts_link *l)
{
	if (is_tunnel(l->kind))
		return 0;
	if (!is_foreign_name(l->name) || has_default_route(f, l))
		return 2;
	return starts_with(l->name, "br-") && !is_docker_name(l->name);
}

/* The VRF that a link is in, or that it is; NULL: none. */
static const struct facts_link *vrf_of(const struct facts *f, const struct facts_link *l)
{
	const struct facts_link *v = strcmp(l->kind, "vrf") == 0 ? l : facts_link(f, l->master);
	return v && strcmp(v->kind, "vrf") == 0 ? v : NULL;
}

/* What makes one candidate better than another; the first that differs decides. */
struct rank {
	bool fits;
	unsigned int uplink; /* first-found */
	bool preferred;
	unsigned int by_name; /* interface= */
	bool on_default_link;
	bool running;
	unsigned int near; /* 2: its subnet has the target; 1: the gateway */
	size_t after;	   /* kubernetes: so many of the Node's addresses go before it */
};

static bool link_fits(const struct detect_want *w, const struct facts *f,
	const struct facts_link *l, struct rank *r)
{
	switch (w->how->method) {
	case DETECT_NONE:
		return false;
	case DETECT_SKIP:
		if (detect_rank_name(w->how, l->name))
			return false;
		/* fallthrough */
	case DETECT_FIRST_FOUND:
		r->uplink = uplink_rank(f, l);
		return r->uplink > 0;
	case DETECT_INTERFACE:
		r->by_name = detect_rank_name(w->how, l->name);
		return r->by_name > 0;
	case DETECT_CAN_REACH:
		return l->index == w->route_dev;
	case DETECT_CIDR:
	case DETECT_FIXED:
	case DETECT_KUBERNETES:
		return true;
	}
	return false;
}

static bool addr_fits(const struct detect *d, const struct addr *a)
{
	if (d->method == DETECT_FIXED)
		return addr_equal(a, &d->target);
	bool is_list = d->method == DETECT_CIDR || d->method == DETECT_KUBERNETES;
	return !is_list || cidr_any_contains(d->within, d->n_within, a);
}

/* Kubelet puts the address that it was told (--node-ip) first. */
static size_t count_before(const struct detect *d, const struct addr *a)
{
	size_t n = 0;
	while (d->method == DETECT_KUBERNETES && n < d->n_within &&
		!cidr_contains(&d->within[n], a))
		n++;
	return n;
}

static struct rank rank_of(
	const struct detect_want *w, const struct facts *f, const struct facts_addr *a)
{
	struct rank r = {0};
	const struct detect *d = w->how;
	const struct facts_link *l = facts_link(f, a->link);
	if (!l || !l->up || !a->usable || a->addr.addr.family != w->family || is_our_name(l->name))
		return r;
	/* Routers on the host keep a node's address on lo; but it has to be named. */
	if (l->loopback && d->method != DETECT_FIXED && d->method != DETECT_KUBERNETES)
		return r;
	if (cidr_any_contains(w->avoid, w->n_avoid, &a->addr.addr) ||
		!addr_fits(d, &a->addr.addr) || !link_fits(w, f, l, &r) ||
		(vrf_of(f, l) && !w->any_vrf))
		return r;
	const struct facts_route *route = &f->defaults[family_of(w->family)];
	r.fits = true;
	r.preferred = w->preferred.addr.family && addr_equal(&w->preferred.addr, &a->addr.addr);
	r.on_default_link = route->link == l->index;
	r.running = l->running;
	r.after = count_before(d, &a->addr.addr);
	if (d->method == DETECT_CAN_REACH && cidr_contains(&a->addr, &d->target))
		r.near = 2;
	else if (r.on_default_link && cidr_contains(&a->addr, &route->via))
		r.near = 1;
	return r;
}

static bool is_better(const struct rank *a, const struct rank *b)
{
	if (a->fits != b->fits)
		return a->fits;
	if (a->uplink != b->uplink)
		return a->uplink > b->uplink;
	if (a->preferred != b->preferred)
		return a->preferred;
	if (a->after != b->after)
		return a->after < b->after;
	if (a->by_name != b->by_name)
		return a->by_name > b->by_name;
	if (a->on_default_link != b->on_default_link)
		return a->on_default_link;
	if (a->running != b->running)
		return a->running;
	return a->near > b->near;
}

/* An address that only the pools stand against. */
static const struct addr *find_avoided(const struct detect_want *w, const struct facts *f)
{
	struct detect_want all = *w;
	all.n_avoid = 0;
	for (size_t i = 0; i < f->n_addrs; i++)
		if (rank_of(&all, f, &f->addrs[i]).fits)
			return &f->addrs[i].addr.addr;
	return NULL;
}

/* An address that only its VRF stands against. */
static const struct facts_addr *find_in_vrf(const struct detect_want *w, const struct facts *f)
{
	struct detect_want all = *w;
	all.any_vrf = true;
	for (size_t i = 0; i < f->n_addrs; i++)
		if (rank_of(&all, f, &f->addrs[i]).fits)
			return &f->addrs[i];
	return NULL;
}

static int refuse_vrf(const struct detect_want *w, const struct facts *f,
	const struct facts_addr *a, struct err *e)
{
	const struct facts_link *l = facts_link(f, a->link);
	return err_set(e, EADDRNOTAVAIL,
		"%s: %s is on %s in the VRF %s, whose routing table has no pods, so that packets "
		"from "
		"other nodes end there: name an address outside the VRF, or take the link out of "
		"it",
		w->how->text, ADDR_STRING(&a->addr.addr), l->name, vrf_of(f, l)->name);
}

/* An uplink may be a tunnel; then a person has to name it. */
static int refuse_first_found(const struct detect_want *w, const struct facts *f, struct err *e)
{
	enum family family = family_of(w->family);
	const struct facts_link *uplink = facts_link(f, f->defaults[family].link);
	char hint[128] = "";
	if (uplink && !is_our_name(uplink->name) && is_tunnel(uplink->kind))
		(void)snprintf(hint, sizeof(hint),
			" (%s, which has the default route, is skipped as it is a tunnel; "
			"interface=%s asks for it)",
			uplink->name, uplink->name);
	return err_set(e, EADDRNOTAVAIL,
		"%s: no link that is up, and not for containers or a tunnel, has a usable %s "
		"address%s",
		w->how->text, family_name(family), hint);
}

static int refuse_kubernetes(const struct detect_want *w, struct err *e)
{
	const struct detect *d = w->how;
	const char *family = family_name(family_of(w->family));
	if (d->n_within == 0)
		return err_set(e, EADDRNOTAVAIL,
			"%s: this machine's Node has no %s InternalIP yet: kubelet registers it; "
			"the "
			"name of this node must be that of kubelet (NODE_NAME)",
			d->text, family);
	return err_set(e, EADDRNOTAVAIL,
		"%s: the Node has the %s InternalIP %s, which no link of this host that is up has: "
		"set "
		"kubelet's --node-ip to an address of this host, or address.%s in roostd.json",
		d->text, family, ADDR_STRING(&d->within[0].addr),
		w->family == AF_INET ? "ipv4" : "ipv6");
}

static int refuse_detection(const struct detect_want *w, const struct facts *f, struct err *e)
{
	const char *family = family_name(family_of(w->family));
	const char *text = w->how->text;
	const struct addr *inside = find_avoided(w, f);
	if (inside) {
		char address[ADDR_TEXT];
		addr_format(inside, address);
		return err_set(e, EADDRNOTAVAIL,
			"%s: %s is inside a pool in use and cannot be the node's address", text,
			address);
	}
	const struct facts_addr *in_vrf = find_in_vrf(w, f);
	if (in_vrf)
		return refuse_vrf(w, f, in_vrf, e);
	switch (w->how->method) {
	case DETECT_FIXED:
		return err_set(e, EADDRNOTAVAIL,
			"%s is not a usable address of this host (it must be on a link that is up)",
			text);
	case DETECT_CAN_REACH:
		if (!w->route_dev)
			return err_set(e, EADDRNOTAVAIL, "%s: there is no route to it", text);
		return err_set(e, EADDRNOTAVAIL, "%s: the link towards it has no usable %s address",
			text, family);
	case DETECT_INTERFACE:
		return err_set(e, EADDRNOTAVAIL,
			"%s: no such link is up and has a usable %s address", text, family);
	case DETECT_CIDR:
		return err_set(e, EADDRNOTAVAIL,
			"%s: no link that is up has a usable %s address in it", text, family);
	case DETECT_KUBERNETES:
		return refuse_kubernetes(w, e);
	default:
		return refuse_first_found(w, f, e);
	}
}

int detect_find(const struct detect_want *w, const struct facts *f, struct cidr *out, int *link,
	struct err *e)
{
	const struct facts_addr *best = NULL;
	struct rank rank = {0};
	if (w->how->method == DETECT_NONE) {
		*out = (struct cidr){0};
		*link = 0;
		return 0;
	}
	for (size_t i = 0; i < f->n_addrs; i++) {
		struct rank r = rank_of(w, f, &f->addrs[i]);
		if (r.fits && is_better(&r, &rank)) {
			best = &f->addrs[i];
			rank = r;
		}
	}
	if (!best)
		return refuse_detection(w, f, e);
	*out = best->addr;
	*link = best->link;
	return 0;
}
