/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold between the node state and the kernel, and what is said when it does not:
 *
 * - record of a pod of roost: its host link exists (else leaked), and all of lib/wiring.h holds;
 * - link of ours: a record of its owner has each address that is routed through it;
 * - block with a record of a pod of roost: its blackhole stands;
 * - blackhole of protocol 82: the block is ours;
 * - route of protocol 82: it leads through a link of ours;
 * - route of somebody else: it hides no way to pods, and BIRD's lead somewhere;
 * - address of a block: it is on no device of this host, unless it is a reserved gateway, or that
 *   of the node's own tunnel on the tunnel's device.
 *
 * What is none of our business is left alone: records made for other main plugins (the kernel does
 * not show whether those pods live; their blocks may have no blackhole), links whose addresses are
 * in no pool of this state (roost with another IPAM plugin), and the blocks of other state folders
 * of this host.
 *
 * A fix is offered only where it takes nothing from anybody who may be alive. The host end of a
 * veth pair vanishes with the pod's namespace, so a link that stands means that somebody may be
 * using it: it is entered into the state again rather than deleted. Where two claim one address,
 * people decide. One problem may hide another: who repairs looks again.
 */
#include "cli/audit.h"

#include <stdarg.h>
#include <sys/socket.h>

#include "cli/output.h"
#include "ipam/node_view.h"
#include "lib/hostport.h"
#include "lib/mem.h"
#include "lib/text.h"

const char *audit_kind_text(enum audit_kind k)
{
	static const char *const names[] = {"leaked", "missing", "foreign"};
	return names[k];
}

void audit_done(struct audit *a)
{
	free(a->v);
	*a = (struct audit){0};
}

__attribute__((format(printf, 2, 3))) static void audit_say(
	char out[AUDIT_TEXT], const char *fmt, ...)
{
	char raw[AUDIT_TEXT];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	output_clean(out, AUDIT_TEXT, raw);
}

static struct audit_problem *problem_add(
	struct audit *a, enum audit_kind kind, enum audit_fix fix, const char *object)
{
	a->v = mem_grow(a->v, &a->room, a->n, sizeof(*a->v));
	struct audit_problem *p = &a->v[a->n++];
	*p = (struct audit_problem){.kind = kind, .fix = fix};
	(void)text_copy(p->object, sizeof(p->object), object);
	return p;
}

static struct audit_problem *add_addr(
	struct audit *a, enum audit_kind kind, enum audit_fix fix, const struct addr *addr)
{
	struct audit_problem *p = problem_add(a, kind, fix, ADDR_STRING(addr));
	p->addr = *addr;
	return p;
}

static struct audit_problem *add_cidr(
	struct audit *a, enum audit_kind kind, enum audit_fix fix, const struct cidr *cidr)
{
	struct audit_problem *p = problem_add(a, kind, fix, CIDR_STRING(cidr));
	p->block = *cidr;
	return p;
}

/* Looking things up. */

const struct owned_link *audit_link(const struct owned *kernel, int index)
{
	for (size_t i = 0; i < kernel->n_links; i++)
		if (kernel->links[i].link.index == index)
			return &kernel->links[i];
	return NULL;
}

static bool has_addr(const struct owned_link *l, const struct addr *a)
{
	for (size_t i = 0; i < l->n_addrs; i++)
		if (addr_equal(&l->addrs[i], a))
			return true;
	return false;
}

/* The owner's link; of several (a stale one beside the living) the one that leads to a. */
static const struct owned_link *link_of(
	const struct owned *kernel, const struct hash *owner, const struct addr *a)
{
	const struct owned_link *found = NULL;
	for (size_t i = 0; i < kernel->n_links; i++)
		if (hash_equal(&kernel->links[i].label.owner, owner) &&
			(!found || has_addr(&kernel->links[i], a)))
			found = &kernel->links[i];
	return found;
}

static const struct owned_link *link_routing(const struct owned *kernel, const struct addr *a)
{
	for (size_t i = 0; i < kernel->n_links; i++)
		if (has_addr(&kernel->links[i], a))
			return &kernel->links[i];
	return NULL;
}

static bool is_used(const struct node_entry *n)
{
	return n && n->state == NODE_USED;
}

/* A record of the owner in that family (0: in any). */
static const struct node_entry *record_of(
	const struct node_view *v, const struct hash *owner, uint8_t family)
{
	for (size_t i = 0; i < v->n_entries; i++)
		if (is_used(v->entries[i]) && hash_equal(&v->entries[i]->owner.hash, owner) &&
			(family == 0 || v->entries[i]->addr.family == family))
			return v->entries[i];
	return NULL;
}

static bool in_pool(const struct node_view *v, const struct addr *a, uint8_t len)
{
	for (size_t i = 0; i < v->n_pools; i++)
		if (cidr_contains(&v->pools[i].pool.cidr, a) && len >= v->pools[i].pool.cidr.len)
			return true;
	return false;
}

/* Whether the address is this state's business. A rebuilt state has blocks before it hears of their
 * pools. */
static bool is_known(const struct audit_input *in, const struct addr *a)
{
	return node_view_block(in->view, a) ||
	       (in_pool(in->view, a, addr_bits(a)) &&
		       !cidr_any_contains(in->others, in->n_others, a));
}

static const struct net_link *find_device(const struct audit_input *in, int index)
{
	for (size_t i = 0; i < in->n_links; i++)
		if (in->links[i].index == index)
			return &in->links[i];
	return NULL;
}

static const char *device_name(const struct audit_input *in, int index)
{
	const struct net_link *l = find_device(in, index);
	return l ? l->name : "a device that is gone";
}

/* Records. */

static void check_record(const struct audit_input *in, struct audit *a, const struct node_entry *n)
{
	if (!is_used(n) || n->owner.foreign)
		return;
	if (link_of(in->kernel, &n->owner.hash, &n->addr))
		return; /* see check_pod() */
	struct audit_problem *p = add_addr(a, AUDIT_LEAKED, AUDIT_FIX_RELEASE, &n->addr);
	audit_say(p->expected, "the host link of %s", OWNER_STRING(&n->owner));
	audit_say(p->seen, "a record, but no link");
	audit_say(p->advice, "--repair releases it, or: roostctl ipam release %s", p->object);
}

/* Pods: the list of lib/wiring.h. */

struct wiring_pod *audit_pods(const struct node_view *v, const struct owned *kernel, size_t *count)
{
	struct wiring_pod *pods = mem_new(kernel->n_links + 1, sizeof(*pods));
	size_t n = 0;
	for (size_t i = 0; i < v->n_entries; i++) {
		const struct node_entry *x = v->entries[i];
		bool pod = is_used(x) && !x->owner.foreign;
		const struct owned_link *l = pod ? link_of(kernel, &x->owner.hash, &x->addr) : NULL;
		size_t at = 0;
		while (l && at < n && pods[at].link.index != l->link.index)
			at++;
		if (!l)
			continue;
		n += at == n;
		pods[at].owner = l->label.owner;
		pods[at].ports = ports_list_of(&v->ports, &l->label.owner, &pods[at].n_ports);
		pods[at].limits = node_limits_of(v->limits, v->n_limits, &l->label.owner);
		pods[at].link = l->link;
		if (pods[at].n_addrs < OWNED_ADDRS)
			pods[at].addrs[pods[at].n_addrs++] = x->addr;
	}
	*count = n;
	return pods;
}

static void add_fault(struct audit *a, const struct wiring_fault *x, enum audit_fix fix,
	const char *object, int dev)
{
	struct audit_problem *p = x->addr.family ? add_addr(a, AUDIT_MISSING, fix, &x->addr)
						 : problem_add(a, AUDIT_MISSING, fix, object);
	p->dev = dev;
	audit_say(p->expected, "%s", x->must);
	audit_say(p->seen, "%s", x->is);
	audit_say(p->advice, "--repair puts it right, and roostd does by itself");
}

static void check_pod(const struct audit_input *in, struct audit *a, const struct wiring_pod *pod)
{
	struct wiring_faults faults = {0};
	wiring_compare(pod, &faults);
	for (size_t i = 0; i < faults.n; i++) {
		const struct wiring_fault *x = &faults.v[i];
		/* A route through somebody else's link is reported with that link. */
		const struct owned_link *other =
			x->what == WIRING_ROUTE ? link_routing(in->kernel, &x->addr) : NULL;
		if (!other || other->link.index == pod->link.index)
			add_fault(a, x, AUDIT_FIX_WIRING, pod->link.name, pod->link.index);
	}
}

static void check_host(const struct audit_input *in, struct audit *a)
{
	struct wiring_faults faults = {0};
	if (in->host)
		wiring_compare_host(in->host, &faults);
	for (size_t i = 0; i < faults.n; i++)
		add_fault(a, &faults.v[i], AUDIT_FIX_HOST,
			faults.v[i].what == WIRING_RULE	   ? "table inet roost"
			: faults.v[i].what == WIRING_PORTS ? "table inet " HOSTPORT_TABLE
							   : "forwarding",
			0);
}

/* Links. */

/* The route of somebody else's address through this link. */
static void report_usurper(const struct audit_input *in, struct audit *a,
	const struct owned_link *l, const struct node_entry *n, const char *label)
{
	if (!n->owner.foreign && !link_of(in->kernel, &n->owner.hash, &n->addr)) {
		struct audit_problem *p = add_addr(a, AUDIT_MISSING, AUDIT_FIX_NONE, &n->addr);
		audit_say(p->expected, "a record of %s, which %s leads to", label, l->link.name);
		audit_say(p->seen, "a record of %s, whose link is gone", OWNER_STRING(&n->owner));
		audit_say(p->advice, "--repair releases that record and enters this one");
		return;
	}
	struct audit_problem *p = add_addr(a, AUDIT_FOREIGN, AUDIT_FIX_NONE, &n->addr);
	audit_say(
		p->expected, "nothing but the pod it is recorded for, %s", OWNER_STRING(&n->owner));
	audit_say(p->seen, "a route through %s to %s", l->link.name, label);
	audit_say(p->advice, "two pods claim this address: restart both");
}

/* A routed address of our pools that its link's owner has no record for. */
static void report_unrecorded(const struct audit_input *in, struct audit *a,
	const struct owned_link *l, const struct addr *addr, const char *label)
{
	const struct node_entry *n = node_view_entry(in->view, addr);
	const struct node_entry *own = record_of(in->view, &l->label.owner, addr->family);
	const char *state = n ? node_state_text(n->state) : "free";
	if (is_used(n)) {
		report_usurper(in, a, l, n, label);
		return;
	}
	struct audit_problem *p =
		add_addr(a, AUDIT_MISSING, own ? AUDIT_FIX_NONE : AUDIT_FIX_RECORD, addr);
	p->dev = l->link.index;
	if (own) {
		p->kind = AUDIT_FOREIGN;
		audit_say(p->expected, "no route, %s is recorded with %s", label,
			ADDR_STRING(&own->addr));
		audit_say(p->seen, "a route through %s to an address that is %s", l->link.name,
			state);
		audit_say(p->advice, "restart this pod, or: ip route del %s dev %s", p->object,
			l->link.name);
		return;
	}
	audit_say(p->expected, "a record of %s, which %s leads to", label, l->link.name);
	audit_say(p->seen, "the address is %s", state);
	audit_say(p->advice, "--repair enters it into the state again");
}

static void check_link(const struct audit_input *in, struct audit *a, const struct owned_link *l)
{
	char label[OUTPUT_OWNER];
	output_label(&l->label, label);
	for (size_t i = 0; i < l->n_addrs; i++) {
		const struct node_entry *n = node_view_entry(in->view, &l->addrs[i]);
		bool own = is_used(n) && hash_equal(&n->owner.hash, &l->label.owner);
		if (!own && is_known(in, &l->addrs[i]))
			report_unrecorded(in, a, l, &l->addrs[i], label);
	}
	if (l->n_addrs || record_of(in->view, &l->label.owner, 0))
		return;
	struct audit_problem *p = problem_add(a, AUDIT_MISSING, AUDIT_FIX_DEL_LINK, l->link.name);
	p->dev = l->link.index;
	audit_say(p->expected, "a record and a route of %s", label);
	audit_say(p->seen, "neither, nothing can reach this pod");
	audit_say(p->advice, "--repair deletes the link; restart the pod if it is wanted");
}

/* Blocks and routes. */

static bool has_roost_pod(const struct node_view *v, const struct cidr *block)
{
	for (size_t i = 0; i < v->n_entries; i++)
		if (is_used(v->entries[i]) && !v->entries[i]->owner.foreign &&
			cidr_contains(block, &v->entries[i]->addr))
			return true;
	return false;
}

/* Where the metric matters: a pod's route may have the same prefix, and the kernel deletes an IPv6
 * route by its metric, whatever its type. */
static const char *metric_words(const struct cidr *block)
{
	if (block->len < addr_bits(&block->addr))
		return "";
	return block->addr.family == AF_INET ? " metric 1" : " metric 1025";
}

static void check_block(const struct audit_input *in, struct audit *a, const struct node_block *b)
{
	if (!has_roost_pod(in->view, &b->cidr) ||
		cidr_is_among(in->kernel->blocks, in->kernel->n_blocks, &b->cidr))
		return;
	struct audit_problem *p = add_cidr(a, AUDIT_MISSING, AUDIT_FIX_ADD_BLACKHOLE, &b->cidr);
	audit_say(p->expected, "the blackhole route of a block with pods in it");
	audit_say(p->seen, "none, packets to its unused addresses leave this host");
	audit_say(p->advice, "--repair adds it, or: ip route add blackhole %s%s proto %d",
		p->object, metric_words(&b->cidr), OWNED_PROTOCOL);
}

static void check_blackhole(const struct audit_input *in, struct audit *a, const struct cidr *c)
{
	for (size_t i = 0; i < in->view->n_blocks; i++)
		if (cidr_equal(&in->view->blocks[i].cidr, c))
			return;
	if (cidr_is_among(in->others, in->n_others, c))
		return;
	bool pool = in_pool(in->view, &c->addr, c->len);
	struct audit_problem *p =
		add_cidr(a, AUDIT_FOREIGN, pool ? AUDIT_FIX_DEL_BLACKHOLE : AUDIT_FIX_NONE, c);
	audit_say(p->expected, "no blackhole route, this is no block of this node");
	audit_say(p->seen, "a blackhole route of protocol %d", OWNED_PROTOCOL);
	if (pool)
		audit_say(p->advice, "--repair deletes it, or: ip route del blackhole %s%s",
			p->object, metric_words(c));
	else
		audit_say(p->advice,
			"it is in no pool known here; if nobody needs it: ip route del blackhole "
			"%s%s",
			p->object, metric_words(c));
}

static void check_stray(const struct audit_input *in, struct audit *a, const struct net_route *r)
{
	const struct node_entry *n = node_view_entry(in->view, &r->dst.addr);
	bool host = r->dst.len == addr_bits(&r->dst.addr);
	bool recorded = host && is_used(n);
	bool removable = !recorded && in_pool(in->view, &r->dst.addr, r->dst.len);
	struct audit_problem *p = add_cidr(
		a, AUDIT_FOREIGN, removable ? AUDIT_FIX_DEL_ROUTE : AUDIT_FIX_NONE, &r->dst);
	p->dev = r->dev;
	if (recorded) {
		audit_say(p->expected, "a route through the link of %s", OWNER_STRING(&n->owner));
	} else {
		audit_say(p->expected, "no route of protocol %d but through links of roost",
			OWNED_PROTOCOL);
	}
	audit_say(p->seen, "a route through %s, which is not ours", device_name(in, r->dev));
	audit_say(p->advice, "%sip route del %s dev %s proto %d",
		removable ? "--repair deletes it, or: " : "if nobody needs it: ", p->object,
		device_name(in, r->dev), OWNED_PROTOCOL);
}

static void check_poolroute(
	const struct audit_input *in, struct audit *a, const struct poolroute *r)
{
	bool hides = r->kind == POOLROUTE_HIDES;
	const struct net_link *l =
		r->route.n_hops == 1 ? find_device(in, r->route.hops[0].dev) : NULL;
	const char *text = POOLROUTE_STRING(&r->route, l ? l->name : "");
	struct audit_problem *p =
		add_cidr(a, hides ? AUDIT_FOREIGN : AUDIT_MISSING, AUDIT_FIX_NONE, &r->route.dst);
	audit_say(p->seen, "%s", text);
	if (hides) {
		audit_say(p->expected, "no route of others that hides the way to pods");
		audit_say(p->advice, "ip route del %s", text);
	} else {
		audit_say(p->expected, "a way to the pods of another node");
		audit_say(p->advice, "BIRD knows no next hop for it; roostctl status says more");
	}
}

/* The address of one of the node's own tunnels, on a device that is not the tunnel's. */
static void report_borrowed(const struct audit_input *in, struct audit *a,
	const struct net_addr *at, const struct owner *tunnel)
{
	const char *dev = device_name(in, at->dev);
	struct audit_problem *p = add_addr(a, AUDIT_FOREIGN, AUDIT_FIX_NONE, &at->address.addr);
	audit_say(p->expected, "nothing but the device of %s", OWNER_STRING(tunnel));
	audit_say(p->seen, "on %s of this host", dev);
	audit_say(p->advice, "ip address del %s/%u dev %s", p->object, at->address.len, dev);
}

static void check_host_address(
	const struct audit_input *in, struct audit *a, const struct net_addr *at)
{
	const struct node_entry *n = node_view_entry(in->view, &at->address.addr);
	if (!node_view_block(in->view, &at->address.addr) || (n && n->state == NODE_RESERVED))
		return;
	if (is_used(n) && owner_is_tunnel(&n->owner)) {
		const struct net_link *l = find_device(in, at->dev);
		if (!l || !owned_is_tunnel(l, n->owner.container))
			report_borrowed(in, a, at, &n->owner);
		return;
	}
	const char *dev = device_name(in, at->dev);
	struct audit_problem *p = add_addr(a, AUDIT_FOREIGN, AUDIT_FIX_NONE, &at->address.addr);
	audit_say(p->expected, "an address that only a pod may have (it is %s)",
		n ? node_state_text(n->state) : "free");
	audit_say(p->seen, "on %s of this host", dev);
	audit_say(p->advice, "ip address del %s/%u dev %s, or take it out of the pool", p->object,
		at->address.len, dev);
}

void audit_run(const struct audit_input *in, struct audit *out)
{
	*out = (struct audit){0};
	for (size_t i = 0; i < in->view->n_entries; i++)
		check_record(in, out, in->view->entries[i]);
	for (size_t i = 0; i < in->n_pods; i++)
		check_pod(in, out, &in->pods[i]);
	check_host(in, out);
	for (size_t i = 0; i < in->kernel->n_links; i++)
		check_link(in, out, &in->kernel->links[i]);
	for (size_t i = 0; i < in->view->n_blocks; i++)
		check_block(in, out, &in->view->blocks[i]);
	for (size_t i = 0; i < in->kernel->n_blocks; i++)
		check_blackhole(in, out, &in->kernel->blocks[i]);
	for (size_t i = 0; i < in->kernel->n_strays; i++)
		check_stray(in, out, &in->kernel->strays[i]);
	for (size_t i = 0; i < in->n_routes; i++)
		check_poolroute(in, out, &in->routes[i]);
	for (size_t i = 0; i < in->n_addrs; i++)
		check_host_address(in, out, &in->addrs[i]);
}
