/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rule against one connection. Each test answers by itself, and says what stands in its way when somebody
 * wants to read it: what the rule asks for, and what is there instead. Without a reader no text is made.
 *
 * Addresses stand for pods by policy_world_owner(): a pod that is over, on the host, or has lost its address to
 * a younger one is nobody's peer.
 */
#include "policy/match.h"

#include <string.h>

#define SAY_LIST 6 /* so many of a list are named */

const struct addr *policy_view_own(const struct policy_view *v)
{
	return v->direction == POLICY_INGRESS ? &v->flow->destination : &v->flow->source;
}

const struct addr *policy_view_other(const struct policy_view *v)
{
	return v->direction == POLICY_INGRESS ? &v->flow->source : &v->flow->destination;
}

/* Texts. */

void policy_say_proto(struct text *t, uint8_t proto)
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {{IPPROTO_TCP, "TCP"}, {IPPROTO_UDP, "UDP"}, {IPPROTO_SCTP, "SCTP"},
		{IPPROTO_ICMP, "ICMP"}, {IPPROTO_ICMPV6, "ICMPv6"}, {IPPROTO_UDPLITE, "UDPLite"}};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].proto == proto) {
			text_add(t, "%s", names[i].name);
			return;
		}
	}
	text_add(t, "protocol %d", proto);
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_UDPLITE;
}

void policy_say_port(struct text *t, uint8_t proto, uint16_t port)
{
	if (has_ports(proto))
		text_add(t, "%d/", port);
	policy_say_proto(t, proto);
}

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

void policy_say_flow(struct text *t, const struct policy_flow *f)
{
	policy_say_port(t, f->proto, f->dport);
	if (is_icmp(f->proto))
		text_add(t, " type %d", f->icmp_type);
}

void policy_say_end(struct text *t, const struct policy_pod *pod, const struct addr *a)
{
	if (pod)
		text_add(t, "%s/%s (%s)", pod->namespace, pod->name, ADDR_STRING(a));
	else
		text_add(t, "%s", ADDR_STRING(a));
}

void policy_say_ports(struct text *t, const struct policy_port *p, size_t n)
{
	for (size_t i = 0; i < n && i < SAY_LIST; i++) {
		text_add(t, "%s", i ? ", " : "");
		if (p[i].name[0])
			text_add(t, "%s/", p[i].name);
		else if (p[i].first != p[i].last && (p[i].first || p[i].last != UINT16_MAX))
			text_add(t, "%d-%d/", p[i].first, p[i].last);
		else if (p[i].first == p[i].last)
			text_add(t, "%d/", p[i].first);
		if (p[i].proto)
			policy_say_proto(t, p[i].proto);
		else
			text_add(t, "any protocol");
	}
	if (n > SAY_LIST)
		text_add(t, " and %zu more", n - SAY_LIST);
}

static void say_miss(struct text *t, const struct policy_selector *s, const struct policy_labels *l)
{
	char miss[POLICY_MISS];
	policy_selector_miss(s, l, miss);
	text_add(t, "%s", miss);
}

static const struct policy_labels no_labels;

static const struct policy_labels *namespace_labels(
	const struct policy_world *w, const char *namespace)
{
	const struct policy_namespace *n = policy_world_namespace(w, namespace);
	return n ? &n->labels : &no_labels;
}

static const struct policy_labels *account_labels(
	const struct policy_world *w, const struct policy_pod *pod)
{
	const struct policy_account *a = policy_world_account(w, pod->namespace, pod->account);
	return a ? &a->labels : &no_labels;
}

/* A selector against labels of something; subject: a format's end of what it is about. */
static bool labels_match(const struct policy_selector *s, const struct policy_labels *l,
	const char *what, const char *name, struct text *why)
{
	if (!s || policy_selector_matches(s, l))
		return true;
	if (why) {
		text_add(why, "%s %s is not ", what, name);
		say_miss(why, s, l);
	}
	return false;
}

/* Ends. */

static bool accounts_match(const struct policy_world *w, const struct policy_end *e,
	const struct policy_pod *pod, struct text *why)
{
	if (e->accounts && !labels_match(e->accounts, account_labels(w, pod), "service account",
				   pod->account, why))
		return false;
	bool is_named = !e->n_account_names;
	for (size_t i = 0; !is_named && i < e->n_account_names; i++)
		is_named = strcmp(e->account_names[i], pod->account) == 0;
	if (!is_named && why)
		text_add(why, "the service account of %s/%s is %s, not %s%s", pod->namespace,
			pod->name, pod->account[0] ? pod->account : "not known",
			e->account_names[0],
			e->n_account_names > 1 ? " or another one that is named" : "");
	return is_named;
}

static bool pod_matches(const struct policy_world *w, const struct policy_end *e,
	const struct policy_pod *pod, struct text *why)
{
	if (e->own[0] && strcmp(e->own, pod->namespace) != 0) {
		if (why)
			text_add(why, "%s/%s is not in namespace %s", pod->namespace, pod->name,
				e->own);
		return false;
	}
	if (e->namespaces && policy_selector_is_global(e->namespaces)) {
		if (why)
			text_add(why, "%s/%s is in a namespace, and global() matches none",
				pod->namespace, pod->name);
		return false;
	}
	return labels_match(e->namespaces, namespace_labels(w, pod->namespace), "namespace",
		       pod->namespace, why) &&
	       labels_match(e->pods, &pod->labels, "pod", pod->name, why) &&
	       accounts_match(w, e, pod, why);
}

static bool set_is_in_namespaces(
	const struct policy_world *w, const struct policy_end *e, const struct policy_netset *set)
{
	bool is_global = e->namespaces && policy_selector_is_global(e->namespaces);
	if (!set->namespace[0])
		return !e->own[0] && (!e->namespaces || is_global);
	if (e->own[0] && strcmp(e->own, set->namespace) != 0)
		return false;
	return !is_global && (!e->namespaces || policy_selector_matches(e->namespaces,
							namespace_labels(w, set->namespace)));
}

/* A network set that stands for the pod of this end; NULL: none. */
static const struct policy_netset *set_of_end(
	const struct policy_world *w, const struct policy_end *e, const struct addr *a)
{
	if (!e->has_sets || e->accounts || e->n_account_names)
		return NULL;
	size_t n;
	const struct policy_netset *const *sets = policy_world_netsets(w, &n);
	for (size_t i = 0; i < n; i++) {
		if (cidr_any_contains(sets[i]->nets, sets[i]->n_nets, a) &&
			set_is_in_namespaces(w, e, sets[i]) &&
			(!e->pods || policy_selector_matches(e->pods, &sets[i]->labels)))
			return sets[i];
	}
	return NULL;
}

static bool end_names_pods(const struct policy_end *e)
{
	return e->own[0] || e->namespaces || e->pods || e->accounts || e->n_account_names;
}

static bool end_pods_match(const struct policy_view *v, const struct policy_end *e,
	const struct policy_pod *pod, const struct addr *a, struct text *why)
{
	if (!end_names_pods(e))
		return true;
	if ((pod && pod_matches(v->w, e, pod, NULL)) || set_of_end(v->w, e, a))
		return true;
	if (!why)
		return false;
	if (pod)
		(void)pod_matches(v->w, e, pod, why);
	else
		text_add(why, "%s is no pod's address%s", ADDR_STRING(a),
			e->has_sets ? " and in no network set that is meant" : "");
	return false;
}

static bool end_not_pods_match(const struct policy_view *v, const struct policy_end *e,
	const struct policy_pod *pod, const struct addr *a, struct text *why)
{
	if (!e->not_pods)
		return true;
	struct policy_end only = {.pods = e->not_pods, .has_sets = e->has_sets};
	bool is_one = (pod && policy_selector_matches(e->not_pods, &pod->labels)) ||
		      set_of_end(v->w, &only, a);
	if (is_one && why) {
		policy_say_end(why, pod, a);
		text_add(why, " is one of %s, which the rule leaves out",
			policy_selector_text(e->not_pods));
	}
	return !is_one;
}

static void say_nets(struct text *t, const struct policy_end *e, const struct addr *a)
{
	for (size_t i = 0; i < e->n_nets; i++) {
		const struct policy_net *net = &e->nets[i];
		for (size_t k = 0; cidr_contains(&net->net, a) && k < net->n_excepts; k++) {
			if (!cidr_contains(&net->excepts[k], a))
				continue;
			text_add(t, "%s is in %s, which is excepted from %s", ADDR_STRING(a),
				CIDR_STRING(&net->excepts[k]), CIDR_STRING(&net->net));
			return;
		}
	}
	text_add(t, "%s is not in ", ADDR_STRING(a));
	for (size_t i = 0; i < e->n_nets && i < SAY_LIST; i++)
		text_add(t, "%s%s", i ? ", " : "", CIDR_STRING(&e->nets[i].net));
	if (e->n_nets > SAY_LIST)
		text_add(t, " and %zu more", e->n_nets - SAY_LIST);
}

static bool end_nets_match(const struct policy_end *e, const struct addr *a, struct text *why)
{
	bool is_in = !e->n_nets;
	for (size_t i = 0; !is_in && i < e->n_nets; i++)
		is_in = cidr_contains(&e->nets[i].net, a) &&
			!cidr_any_contains(e->nets[i].excepts, e->nets[i].n_excepts, a);
	if (!is_in) {
		if (why)
			say_nets(why, e, a);
		return false;
	}
	for (size_t i = 0; i < e->n_not_nets; i++) {
		if (!cidr_contains(&e->not_nets[i], a))
			continue;
		if (why)
			text_add(why, "%s is in %s, which the rule leaves out", ADDR_STRING(a),
				CIDR_STRING(&e->not_nets[i]));
		return false;
	}
	return true;
}

static bool end_matches(const struct policy_view *v, const struct policy_end *e,
	const struct policy_pod *pod, const struct addr *a, struct text *why)
{
	if (e->nobody) {
		if (why)
			text_add(why, "the rule means nobody there: see the policy's problems");
		return false;
	}
	return end_pods_match(v, e, pod, a, why) && end_nets_match(e, a, why) &&
	       end_not_pods_match(v, e, pod, a, why);
}

static bool peers_match(const struct policy_view *v, const struct policy_rule *r, struct text *why)
{
	const struct addr *a = policy_view_other(v);
	for (size_t i = 0; i < r->n_peers; i++) {
		if (end_matches(v, &r->peers[i], v->peer, a, NULL))
			return true;
	}
	if (!r->n_peers)
		return true;
	for (size_t i = 0; why && i < r->n_peers && i < SAY_LIST; i++) {
		text_add(why, "%s", i ? "; " : "");
		(void)end_matches(v, &r->peers[i], v->peer, a, why);
	}
	if (why && r->n_peers > SAY_LIST)
		text_add(why, "; and %zu peers more", r->n_peers - SAY_LIST);
	return false;
}

/* Ports. */

/* Whether the port is one that the destination's pod calls so. */
static bool named_port_matches(
	const struct policy_view *v, const struct policy_port *p, uint16_t port)
{
	const struct policy_pod *pod = v->direction == POLICY_INGRESS ? v->pod : v->peer;
	for (size_t i = 0; pod && i < pod->n_ports; i++) {
		if (pod->ports[i].proto == p->proto && pod->ports[i].first == port &&
			strcmp(pod->ports[i].name, p->name) == 0)
			return true;
	}
	return false;
}

static bool ports_match(
	const struct policy_view *v, const struct policy_port *p, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++) {
		if (!p[i].proto)
			return true;
		if (p[i].proto != v->flow->proto)
			continue;
		if (p[i].name[0] ? named_port_matches(v, &p[i], port)
				 : port >= p[i].first && port <= p[i].last)
			return true;
	}
	return false;
}

/* What stands behind the names among these ports. */
static void say_names(struct text *t, const struct policy_view *v, const struct policy_rule *r)
{
	const struct policy_pod *pod = v->direction == POLICY_INGRESS ? v->pod : v->peer;
	for (size_t i = 0; i < r->n_ports && i < SAY_LIST; i++) {
		const struct policy_port *p = &r->ports[i];
		if (!p->name[0])
			continue;
		if (!pod) {
			text_add(t, "; %s is no pod with a port %s",
				ADDR_STRING(&v->flow->destination), p->name);
			continue;
		}
		const struct policy_port *found = NULL;
		for (size_t k = 0; k < pod->n_ports; k++) {
			if (strcmp(pod->ports[k].name, p->name) == 0 &&
				(!found || pod->ports[k].proto == p->proto))
				found = &pod->ports[k];
		}
		text_add(t, found ? "; %s of %s/%s is " : "; no port %s of %s/%s", p->name,
			pod->namespace, pod->name);
		if (found)
			policy_say_port(t, found->proto, found->first);
	}
}

static bool destination_ports_match(
	const struct policy_view *v, const struct policy_rule *r, struct text *why)
{
	const struct policy_flow *f = v->flow;
	if (r->n_ports && !ports_match(v, r->ports, r->n_ports, f->dport)) {
		if (why) {
			policy_say_flow(why, f);
			text_add(why, " is not ");
			policy_say_ports(why, r->ports, r->n_ports);
			say_names(why, v, r);
		}
		return false;
	}
	if (ports_match(v, r->not_ports, r->n_not_ports, f->dport)) {
		if (why) {
			policy_say_flow(why, f);
			text_add(why, " is one of the ports that the rule leaves out: ");
			policy_say_ports(why, r->not_ports, r->n_not_ports);
		}
		return false;
	}
	return true;
}

static bool source_ports_match(
	const struct policy_view *v, const struct policy_rule *r, struct text *why)
{
	const struct policy_flow *f = v->flow;
	bool is_in = !r->n_sources || ports_match(v, r->sources, r->n_sources, f->sport);
	if (is_in && !ports_match(v, r->not_sources, r->n_not_sources, f->sport))
		return true;
	if (why) {
		text_add(why, "the source port ");
		policy_say_port(why, f->proto, f->sport);
		text_add(why, is_in ? " is one of those that the rule leaves out: " : " is not ");
		if (is_in)
			policy_say_ports(why, r->not_sources, r->n_not_sources);
		else
			policy_say_ports(why, r->sources, r->n_sources);
	}
	return false;
}

/* Protocols. */

static bool icmp_is(const struct policy_flow *f, const struct policy_icmp *i)
{
	return is_icmp(f->proto) && f->icmp_type == i->type &&
	       (i->code < 0 || f->icmp_code == i->code);
}

static bool proto_matches(
	const struct policy_flow *f, const struct policy_rule *r, struct text *why)
{
	bool is_other = r->proto && f->proto != r->proto;
	if (!is_other && !(r->not_proto && f->proto == r->not_proto))
		return true;
	if (why) {
		text_add(why, "the rule is about %s", is_other ? "" : "all but ");
		policy_say_proto(why, is_other ? r->proto : r->not_proto);
		text_add(why, ", this is ");
		policy_say_proto(why, f->proto);
	}
	return false;
}

static bool icmp_matches(const struct policy_flow *f, const struct policy_rule *r, struct text *why)
{
	bool is_in = r->icmp.type < 0 || icmp_is(f, &r->icmp);
	if (is_in && !(r->not_icmp.type >= 0 && icmp_is(f, &r->not_icmp)))
		return true;
	if (why) {
		const struct policy_icmp *i = is_in ? &r->not_icmp : &r->icmp;
		text_add(why, "the rule is about %sICMP type %d", is_in ? "all but " : "", i->type);
		if (i->code >= 0)
			text_add(why, " code %d", i->code);
		text_add(why, ", this is ");
		policy_say_flow(why, f);
	}
	return false;
}

static bool family_matches(
	const struct policy_flow *f, const struct policy_rule *r, struct text *why)
{
	if (!r->family || r->family == f->source.family)
		return true;
	if (why)
		text_add(why, "the rule is about IPv%d", r->family == AF_INET ? 4 : 6);
	return false;
}

bool policy_rule_matches(const struct policy_view *v, const struct policy_rule *r, struct text *why)
{
	return family_matches(v->flow, r, why) && proto_matches(v->flow, r, why) &&
	       icmp_matches(v->flow, r, why) && peers_match(v, r, why) &&
	       end_matches(v, &r->self, v->pod, policy_view_own(v), why) &&
	       destination_ports_match(v, r, why) && source_ports_match(v, r, why);
}

bool policy_selects_pod(const struct policy_world *w, const struct policy *p,
	const struct policy_pod *pod, struct text *why)
{
	if (pod->on_host) {
		if (why)
			text_add(why, "%s/%s is on the host's network", pod->namespace, pod->name);
		return false;
	}
	if (p->namespace[0] && strcmp(p->namespace, pod->namespace) != 0) {
		if (why)
			text_add(why, "it selects pods of namespace %s alone", p->namespace);
		return false;
	}
	return labels_match(p->namespaces, namespace_labels(w, pod->namespace), "namespace",
		       pod->namespace, why) &&
	       labels_match(p->pods, &pod->labels, "pod", pod->name, why) &&
	       labels_match(
		       p->accounts, account_labels(w, pod), "service account", pod->account, why);
}
