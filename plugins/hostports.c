/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow of UDP has no end that the kernel could see. A client that sent to the port before the pod was there
 * is tracked as a flow to the host itself, and as long as it goes on sending nothing would lead it to the pod;
 * one that was led to a pod would go on to that pod's address, whoever gets it next. So the first are
 * forgotten when a port is there, the second when it is gone.
 */
#include "plugins/hostports.h"

#include <netinet/in.h>

#include "lib/conntrack.h"
#include "lib/hostport.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/net_link.h"

struct before {
	const struct port *ports;
	size_t n_ports;
	const struct net_addr *addrs; /* of the host */
	size_t n_addrs;
};

static bool is_host_address(const struct before *b, const struct addr *a)
{
	if (a->family == AF_INET && a->bytes[0] == 127)
		return true;
	for (size_t i = 0; i < b->n_addrs; i++)
		if (addr_equal(&b->addrs[i].address.addr, a))
			return true;
	return false;
}

/* A flow to a port of the host that leads to the pod from now on. */
static bool is_before(const struct conntrack_flow *f, const void *arg)
{
	const struct before *b = arg;
	for (size_t i = 0; i < b->n_ports; i++) {
		const struct port *p = &b->ports[i];
		if (p->proto == IPPROTO_UDP && p->host == f->to_port &&
			port_is_of(p, f->to.family) &&
			(port_is_any(p) ? is_host_address(b, &f->to) : addr_equal(&p->at, &f->to)))
			return true;
	}
	return false;
}

/* Only that a client has to begin anew is lost when this cannot be done. */
static void forget_before(const struct pod *p, struct net *host)
{
	CLEANUP_FREE struct net_addr *addrs = NULL;
	struct before b = {.ports = p->ports, .n_ports = p->n_ports};
	struct err e;
	bool udp = false;
	for (size_t i = 0; i < p->n_ports; i++)
		udp |= p->ports[i].proto == IPPROTO_UDP;
	int r = udp ? net_list_addrs(host, &addrs, &b.n_addrs, &e) : 0;
	b.addrs = addrs;
	if (udp && r >= 0)
		r = conntrack_forget_udp(is_before, &b, &e);
	if (r < 0)
		log_warning("UDP flows to a new host port may go on past the pod: %s", e.text);
}

int hostports_add(const struct pod *p, const char *prefix, struct net *host, struct err *e)
{
	struct addr addrs[POD_ADDRS];
	if (!p->n_ports)
		return 0;
	for (size_t i = 0; i < p->n_addrs; i++)
		addrs[i] = p->addrs[i].addr;
	const struct hostport_pod pod = {.owner = p->label.owner,
		.name = *p->label.pod ? p->label.pod : p->label.container,
		.addrs = addrs,
		.n_addrs = p->n_addrs,
		.ports = p->ports,
		.n_ports = p->n_ports};
	int r = hostport_add(host, &pod, NULL, prefix, e);
	if (r >= 0)
		forget_before(p, host);
	return r;
}

struct after {
	struct addr pods[POD_ADDRS];
	size_t n;
};

/* A flow that was led to the pod. */
static bool is_after(const struct conntrack_flow *f, const void *arg)
{
	const struct after *a = arg;
	for (size_t i = 0; i < a->n; i++)
		if (addr_equal(&f->answers, &a->pods[i]) && !addr_equal(&f->to, &a->pods[i]))
			return true;
	return false;
}

int hostports_remove(const struct hash *owner, struct err *e)
{
	struct hostport_list gone = {0};
	struct after a = {0};
	struct err flows;
	int r = hostport_remove(owner, 1, &gone, e);
	a.n = hostport_udp(&gone, a.pods, POD_ADDRS);
	if (a.n && conntrack_forget_udp(is_after, &a, &flows) < 0)
		log_warning("UDP flows to a host port that is gone may go on: %s", flows.text);
	hostport_list_done(&gone);
	return r < 0 ? r : 0;
}
