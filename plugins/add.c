/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ADD: look, plan, apply. Everything that can be refused is refused before anything is touched. The
 * record of the address commits first and the link comes second, so a process killed anywhere
 * leaves at most a record without link, or a link whose owner has a record; DEL, GC or the next ADD
 * of the same attachment clean up. A failed ADD is undone by the same functions that DEL uses, as
 * far as this very call made it.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "ipam/agent_lock.h"
#include "lib/cni_result.h"
#include "lib/conntrack.h"
#include "lib/deadline.h"
#include "lib/gateway.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/shape.h"
#include "plugins/call.h"
#include "plugins/foreign.h"
#include "plugins/guard.h"
#include "plugins/host.h"
#include "plugins/hostports.h"
#include "plugins/pod.h"
#include "plugins/addresses.h"
#include "plugins/unwire.h"
#include "plugins/wire.h"

#define CODE_KERNEL 101 /* docs/CNI.md */

/* The interface is not in CNI_NETNS: what the owner still has is of a killed ADD or a dead
 * namespace. Its link goes first, then its record may change. */
static int remove_stale(struct call *c, const struct hash *owner, struct err *e)
{
	struct node_leases had;
	int r = node_find(c->node, owner, &had, e);
	if (r <= 0)
		return r;
	struct owned_hints hints = owned_hints_of(c->conf.prefix, &had.v[0].addr);
	CLEANUP_FREE struct port *ports = NULL;
	int has_ports = node_ports(c->node, owner, &ports, e);
	if (has_ports < 0)
		return has_ports;
	const struct unwire u = {.owner = *owner,
		.hints = &hints,
		.how = OWNED_DELETE,
		.may_have_ports = has_ports > 0};
	r = unwire(c, &u, e);
	if (r > 0)
		log_warning("removed the stale link of an attachment that begins again "
			    "container=%s interface=%s",
			c->request->container, c->request->ifname);
	return r;
}

static int foreign_addresses(struct call *c, struct pod_addresses *out, struct err *e)
{
	struct hash owner = call_owner(c);
	const struct unwire u = {.owner = owner,
		.how = OWNED_DELETE,
		.may_have_ports = c->request->wishes.n_ports > 0};
	int r = unwire(c, &u, e);
	return r < 0 ? r : foreign_add(c->request, c->conf.ipam_type, out, e);
}

static int own_addresses(
	struct call *c, struct node_leases *leases, struct pod_addresses *out, struct err *e)
{
	struct owner owner = addresses_owner(c->request, false, net_cookie(c->inside));
	int r = remove_stale(c, &owner.hash, e);
	if (r >= 0)
		r = addresses_assign(c->node, c->request, &c->conf, &owner, leases, e);
	if (r < 0)
		return r;
	*out = (struct pod_addresses){0};
	for (size_t i = 0; i < leases->n; i++)
		out->addrs[out->n_addrs++] =
			(struct pod_addr){.addr = leases->v[i].addr, .block = leases->v[i].block};
	return 0;
}

/* error: of the wiring. EEXIST says that somebody we do not know uses the address: it is
 * released, so that it is the last to be tried again and does not stand in the way of every pod
 * to come. */
static void undo_addresses(struct call *c, const struct node_leases *leases, int error)
{
	struct err e;
	int r;
	struct hash owner = call_owner(c);
	if (!c->conf.in_process)
		r = foreign_run(c->request, c->conf.ipam_type, "DEL", &e);
	else if (error == -EEXIST)
		r = node_release(c->node, &owner, 1, &e);
	else
		r = node_unassign(c->node, &owner, leases, &e);
	if (r < 0)
		log_error("the addresses of the failed ADD stay until DEL: %s", e.text);
}

static int read_facts(struct call *c, struct pod_facts *facts, struct err *e)
{
	if (getrandom(facts->random_mac, sizeof(facts->random_mac), 0) !=
		(ssize_t)sizeof(facts->random_mac))
		return err_set(e, errno, "cannot get random bytes: %s", strerror(errno));
	facts->random_mac[0] = (uint8_t)((facts->random_mac[0] & 0xfe) | 2); /* local, unicast */
	int r = net_get_host(c->host, &facts->host, e);
	if (r < 0)
		return r;
	/* As far as one can say before the addresses are there. */
	return pod_check_mtu(&c->conf, facts, conf_has_pool(&c->conf, AF_INET6), e);
}

/* Which namespace the pod is of, for policies: outside Kubernetes it need not say. */
#define NAMESPACE_DEFAULT "default"

/* What policies close for this pod. With a foreign IPAM the node state is looked at for this alone. */
static int read_gate(struct call *c, struct node_gate *out, struct err *e)
{
	const struct cni_wishes *w = &c->request->wishes;
	struct node *state = c->node;
	int r = 0;
	if (!state)
		r = guard_open(&c->conf, NODE_READ, &state, e);
	if (r >= 0)
		r = node_get_gate(state, *w->pod_namespace ? w->pod_namespace : NAMESPACE_DEFAULT,
			w->pod_uid, out, e);
	if (!c->node)
		node_close(state);
	return r == -ENOENT ? 0 : r;
}

/* A pod that policies may select inherits no connection: rules accept those that are known. Whoever had an address of
 * a foreign IPAM is not known. */
static void forget_connections(const struct node_leases *leases, const struct pod_addresses *a,
	const struct node_gate *gate)
{
	struct addr addrs[POD_ADDRS];
	size_t n = 0;
	struct err e;
	for (size_t i = 0; i < a->n_addrs && (gate->ingress || gate->egress); i++)
		if (i >= leases->n || leases->v[i].was_used)
			addrs[n++] = a->addrs[i].addr;
	if (n && conntrack_forget_addrs(addrs, n, &e) < 0)
		log_warning(
			"connections of a pod that had the address before may go on: %s", e.text);
}

static void log_plan(const struct call *c, const struct pod *p)
{
	if (c->conf.log_level != LOG_LEVEL_DEBUG)
		return;
	char text[2048];
	struct text t = TEXT_ON(text);
	pod_describe(p, &t);
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (*line)
			log_debug("plan: %s", line);
}

static int wire_pod(struct call *c, const struct pod_addresses *addresses,
	const struct pod_facts *facts, struct pod *pod, struct err *e)
{
	int r = pod_plan(c->request, &c->conf, addresses, facts, pod, e);
	if (r < 0)
		return r;
	log_plan(c, pod);
	r = host_prepare(pod, &facts->host, c->conf.prefix, c->host, e);
	if (r >= 0)
		r = wire_apply(pod, &c->ns, c->host, c->inside, e);
	/* The kernel's EINVAL is no word on the configuration; want of memory passes. */
	bool tells = r == -EEXIST || r == -ENOMEM || r == -ENOBUFS;
	if (r < 0 && !tells && !e->code)
		e->code = CODE_KERNEL;
	return r;
}

static int print_answer(struct call *c, const struct pod *pod, const json_t *dns,
	struct cni_result *result, struct err *e)
{
	pod_report(pod, c->request->netns, result);
	cni_result_set_dns(result, dns);
	cni_result_set_dns(result, c->request->wishes.dns);
	int r = cni_result_print(result, c->request->version, e);
	return r;
}

static int limit_pod(const struct pod *p, struct net *host, struct err *e)
{
	const struct shape none = {0};
	struct net_link link;
	if (!p->limits.ingress.rate && !p->limits.egress.rate)
		return 0;
	int r = net_find_link(host, (struct net_dev){.name = p->host}, &link, e);
	return r < 0 ? r : shape_apply(host, &link, &p->label.owner, &p->limits, &none, e);
}

/* What comes when the pod is wired; undone with the wiring. */
static int finish_pod(struct call *c, const struct pod *pod, const json_t *dns,
	struct cni_result *result, struct err *e)
{
	int r = limit_pod(pod, c->host, e);
	if (r >= 0)
		r = hostports_add(pod, c->conf.prefix, c->host, e);
	if (r >= 0)
		r = print_answer(c, pod, dns, result, e);
	if (r < 0) {
		const struct unwire u = {.owner = pod->label.owner,
			.how = OWNED_DELETE,
			.may_have_ports = pod->n_ports > 0,
			.is_there = true};
		struct err undo;
		(void)unwire(c, &u, &undo);
	}
	return r;
}

/* One look into the pod: is there the interface, has another one the routes already, and does the
 * namespace forward? */
struct inside_look {
	struct net_link link;
	struct net_route routes[FAMILIES];
	bool forwards[FAMILIES], link_forwards;
};

static int look_once(struct call *c, struct inside_look *out, struct err *e)
{
	struct addr gateway = gateway_of(AF_INET); /* ours, or anybody's default route */
	*out = (struct inside_look){0};
	net_ask_link(c->inside, c->request->ifname, &out->link);
	net_ask_route(c->inside, &gateway, &out->routes[IPV4]);
	net_ask_default(c->inside, AF_INET6, &out->routes[IPV6]);
	for (enum family f = IPV4; f < FAMILIES; f++)
		net_ask_forwarding(c->inside, f, NET_CONF_ALL, &out->forwards[f]);
	net_ask_forwarding(c->inside, IPV4, NET_CONF_DEFAULT, &out->link_forwards);
	int r = net_commit(c->inside, NULL, e);
	if (r < 0 || !wire_is_near_second(&out->routes[IPV4]))
		return r;
	out->routes[IPV4] = (struct net_route){0}; /* of one whose first interface is gone */
	net_ask_default(c->inside, AF_INET, &out->routes[IPV4]);
	return net_commit(c->inside, NULL, e);
}

/* Deletes an interface of the pod that a DEL left for the agent to delete. 1: it is gone. */
static int remove_marked(struct call *c, const struct net_link *end, struct err *e)
{
	struct net_link other;
	struct err look;
	if (!end->is_veth || !end->peer ||
		net_find_link(c->host, (struct net_dev){.index = end->peer}, &other, &look) < 0)
		return !end->index || end->is_veth; /* gone between the two looks, or look again */
	if (!owned_is_marked(&other) || other.peer != end->index)
		return 0;
	int r = owned_remove(c->host, &other.index, 1, e);
	return r < 0 ? r : 1;
}

static int remove_marked_dev(struct call *c, int dev, struct err *e)
{
	struct net_link end;
	struct err look;
	if (!dev || net_find_link(c->inside, (struct net_dev){.index = dev}, &end, &look) < 0)
		return dev != 0;
	return remove_marked(c, &end, e);
}

/* Whether what was found was only marked: then one looks again. */
static int clear_marked(struct call *c, const struct inside_look *seen, struct err *e)
{
	int cleared = seen->link.index ? remove_marked(c, &seen->link, e) : 0;
	for (size_t i = 0; i < FAMILIES && cleared == 0; i++)
		cleared = remove_marked_dev(c, seen->routes[i].dev, e);
	return cleared;
}

static int look_inside(struct call *c, struct pod_facts *facts, struct err *e)
{
	const struct cni_request *r = c->request;
	struct inside_look seen;
	int found = look_once(c, &seen, e);
	int again = found < 0 ? found : clear_marked(c, &seen, e);
	if (again > 0)
		again = look_once(c, &seen, e);
	if (again < 0)
		return again;
	for (enum family f = IPV4; f < FAMILIES; f++)
		facts->is_second[f] = seen.routes[f].dev != 0;
	memcpy(facts->forwards, seen.forwards, sizeof(facts->forwards));
	facts->link_forwards = seen.link_forwards;
	if (!seen.link.index)
		return 0;
	(void)err_set(e, EEXIST, "interface %s already exists in the pod", r->ifname);
	err_details(e, "network namespace %s, container %.64s; DEL the attachment first", r->netns,
		r->container);
	return -EEXIST;
}

/* An agent that is gone left its marked links to us. */
static void sweep_left_links(struct call *c)
{
	struct err e;
	if (agent_lock_find(c->conf.state_dir) == AGENT_LOCK_LEFT && owned_sweep(c->host, &e) < 0)
		log_warning("links that wait for deletion stay: %s", e.text);
}

static int add_with(
	struct call *c, struct pod_facts *facts, struct cni_result *result, struct err *e)
{
	struct node_leases leases = {0};
	struct pod_addresses addresses = {0};
	struct pod pod;
	int r = read_facts(c, facts, e);
	if (r >= 0)
		r = read_gate(c, &facts->gate, e);
	if (r >= 0)
		r = c->conf.in_process ? own_addresses(c, &leases, &addresses, e)
				       : foreign_addresses(c, &addresses, e);
	if (r < 0)
		return r;
	CLEANUP_JSON json_t *dns = addresses.dns;
	deadline_doing("wiring the pod");
	forget_connections(&leases, &addresses, &facts->gate);
	r = wire_pod(c, &addresses, facts, &pod, e);
	if (r >= 0)
		r = finish_pod(c, &pod, dns, result, e);
	if (r < 0)
		undo_addresses(c, &leases, r);
	return r;
}

int call_add(struct call *c, struct err *e)
{
	struct cni_result result;
	struct pod_facts facts = {0};
	int r = call_open_pod(c, e);
	if (r >= 0)
		r = net_open(&c->host, e);
	if (r >= 0)
		r = call_open_state(c, NODE_SHARED, e);
	if (r >= 0 && c->conf.cluster)
		r = addresses_load(c->node, &c->conf, e);
	if (r >= 0)
		r = call_lock_attachment(c, e);
	if (r < 0)
		return r;
	if (*c->conf.ignored)
		calico_warn_once(c->conf.state_dir, c->conf.ignored);
	if (*c->request->wishes.unserved)
		log_warning("these annotations limit nothing here: %s container=%s",
			c->request->wishes.unserved, c->request->container);
	sweep_left_links(c);
	r = look_inside(c, &facts, e);
	if (r < 0)
		return r;
	if (c->request->prev)
		r = cni_result_parse(c->request->prev, c->request->version, &result, e);
	else
		cni_result_init(&result);
	if (r < 0)
		return r;
	r = add_with(c, &facts, &result, e);
	cni_result_done(&result);
	return r;
}
