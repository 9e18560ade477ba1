/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calico's NetworkPolicy and GlobalNetworkPolicy: rules in order that allow, deny, pass or log, about both ends
 * of a connection. The end that is not the selected pod's is the rule's peer; the selected pod's own end is told
 * as well, and seldom.
 *
 * Which namespaces an end is about is Calico's rule: those of namespaceSelector; without it, of a namespaced
 * policy, its own one as soon as a selector (or notSelector, or service accounts) is there; else any.
 *
 * A rule that is not understood fails closed (read_fail_closed()). A policy whose own selector is none, or that
 * is for host endpoints (doNotTrack, preDNAT), selects no pod.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "policy/read.h"
#include "policy/read_impl.h"

#define CLOSED "an Allow or Log matches nothing, a Deny or Pass denies everything"
#define NOBODY "it selects no pod"
#define ACCOUNTS_MAX 256

static bool read_protocol(const json_t *value, uint8_t *out)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} names[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP},
		{"ICMP", IPPROTO_ICMP}, {"ICMPv6", IPPROTO_ICMPV6}, {"UDPLite", IPPROTO_UDPLITE}};
	json_int_t n = json_integer_value(value);
	if (json_is_integer(value) && n >= 1 && n <= 255) {
		*out = (uint8_t)n;
		return true;
	}
	for (size_t i = 0; json_is_string(value) && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(json_string_value(value), names[i].name) == 0) {
			*out = names[i].proto;
			return true;
		}
	return !value;
}

/* "80", "80:90", "http"; false: none of these. */
static bool read_port_text(const char *s, struct policy_port *p)
{
	char *end;
	if (*s < '0' || *s > '9')
		return read_port_name(s, p->name);
	unsigned long first = strtoul(s, &end, 10), last = first;
	if (*end == ':' && end[1] >= '0' && end[1] <= '9')
		last = strtoul(end + 1, &end, 10);
	if (*end)
		return read_port_name(s, p->name);
	if (first > last || last > UINT16_MAX)
		return false;
	p->first = (uint16_t)first;
	p->last = (uint16_t)last;
	return true;
}

static bool read_port(const json_t *value, uint8_t proto, struct policy_port *out)
{
	struct policy_port p = {.proto = proto, .last = UINT16_MAX};
	json_int_t n = json_integer_value(value);
	if (json_is_integer(value) && n >= 0 && n <= UINT16_MAX)
		p.first = p.last = (uint16_t)n;
	else if (!json_is_string(value) || !read_port_text(json_string_value(value), &p))
		return false;
	*out = p;
	return true;
}

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

struct ports_wanted {
	uint8_t proto;
	bool numbers_only; /* of a source */
	struct policy_port **list;
	size_t *n;
};

static bool read_ports(
	struct reading *r, const char *where, const json_t *value, const struct ports_wanted *w)
{
	size_t n = json_array_size(value);
	if (!value || (json_is_array(value) && n == 0))
		return true;
	if (!json_is_array(value) || n > POLICY_PORTS_MAX || !has_ports(w->proto)) {
		reading_problem(r, where,
			"must be a list of at most %d, with protocol TCP, UDP or SCTP: " CLOSED,
			POLICY_PORTS_MAX);
		return false;
	}
	*w->list = mem_new(n, sizeof(**w->list));
	for (size_t i = 0; i < n; i++) {
		struct policy_port *p = &(*w->list)[i];
		if (read_port(json_array_get(value, i), w->proto, p) &&
			!(w->numbers_only && p->name[0])) {
			(*w->n)++;
			continue;
		}
		reading_problem(r, where, "entry %zu is no port%s: " CLOSED, i,
			w->numbers_only ? " in numbers" : "");
		return false;
	}
	return true;
}

static bool read_accounts(
	struct reading *r, const char *where, const json_t *value, struct policy_end *end)
{
	static const char *const known[] = {"names", "selector", NULL};
	if (!value)
		return true;
	if (!read_is_known(r, where, value, known, CLOSED))
		return false;
	const json_t *names = read_member(value, "names"),
		     *selector = read_member(value, "selector");
	size_t n = json_array_size(names);
	if ((names && !json_is_array(names)) || n > ACCOUNTS_MAX) {
		reading_problem(
			r, where, "names must be a list of at most %d: " CLOSED, ACCOUNTS_MAX);
		return false;
	}
	end->account_names = n ? mem_new(n, sizeof(*end->account_names)) : NULL;
	for (size_t i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		if (!name || !text_is_dns_name(name)) {
			reading_problem(r, where, "entry %zu of names is no name: " CLOSED, i);
			return false;
		}
		end->account_names[end->n_account_names++] = mem_strdup(name);
	}
	if (*json_text_at(value, "selector") || (selector && !json_is_string(selector)))
		return read_text_selector(r, where, selector, &end->accounts, CLOSED);
	return true;
}

/* A selector that is not empty. */
static bool read_selector(struct reading *r, const char *above, const json_t *object,
	const char *key, struct policy_selector **out)
{
	const json_t *value = read_member(object, key);
	char where[READ_WHERE];
	if (!value || (json_is_string(value) && !*json_string_value(value)))
		return true;
	(void)read_place(where, above, key, -1);
	if (!read_text_selector(r, where, value, out, CLOSED))
		return false;
	if (!policy_selector_is_global(*out) || strcmp(key, "namespaceSelector") == 0)
		return true;
	reading_problem(r, where, "global() goes with namespaceSelector: " CLOSED);
	return false;
}

static bool read_nets(
	struct reading *r, const char *above, const json_t *object, struct policy_end *end)
{
	char where[READ_WHERE];
	struct cidr *nets = NULL;
	size_t n = 0;
	(void)read_place(where, above, "nets", -1);
	if (!read_prefixes(r, where, read_member(object, "nets"), &nets, &n, CLOSED))
		return false;
	end->nets = n ? mem_new(n, sizeof(*end->nets)) : NULL;
	end->n_nets = n;
	for (size_t i = 0; i < n; i++)
		end->nets[i].net = nets[i];
	free(nets);
	(void)read_place(where, above, "notNets", -1);
	return read_prefixes(
		r, where, read_member(object, "notNets"), &end->not_nets, &end->n_not_nets, CLOSED);
}

static bool read_end(
	struct reading *r, const char *where, const json_t *object, struct policy_end *end)
{
	char accounts[READ_WHERE];
	(void)read_place(accounts, where, "serviceAccounts", -1);
	if (!read_nets(r, where, object, end) ||
		!read_selector(r, where, object, "selector", &end->pods) ||
		!read_selector(r, where, object, "notSelector", &end->not_pods) ||
		!read_selector(r, where, object, "namespaceSelector", &end->namespaces) ||
		!read_accounts(r, accounts, read_member(object, "serviceAccounts"), end))
		return false;
	bool names_pods = end->pods || end->not_pods || end->accounts || end->n_account_names;
	if (names_pods && !end->namespaces)
		(void)text_copy(end->own, sizeof(end->own), r->p->namespace);
	end->has_sets = end->pods || end->not_pods || end->namespaces;
	return true;
}

/* Whether both ends of a rule, and their ports, are understood. */
static bool read_ends(struct reading *r, const char *above, enum policy_direction d,
	const json_t *object, struct policy_rule *rule)
{
	static const char *const known[] = {"nets", "notNets", "selector", "notSelector",
		"namespaceSelector", "ports", "notPorts", "serviceAccounts", NULL};
	static const char *const sides[] = {"source", "destination"};
	struct policy_end *ends[2] = {&rule->self, &rule->self};
	struct ports_wanted ports[] = {
		{rule->proto, true, &rule->sources, &rule->n_sources},
		{rule->proto, false, &rule->ports, &rule->n_ports},
	};
	struct ports_wanted not_ports[] = {
		{rule->proto, true, &rule->not_sources, &rule->n_not_sources},
		{rule->proto, false, &rule->not_ports, &rule->n_not_ports},
	};
	rule->peers = mem_new(1, sizeof(*rule->peers));
	rule->n_peers = 1;
	ends[d == POLICY_INGRESS ? 0 : 1] = &rule->peers[0];
	for (size_t i = 0; i < 2; i++) {
		const json_t *side = read_member(object, sides[i]);
		char where[READ_WHERE], place[READ_WHERE];
		(void)read_place(where, above, sides[i], -1);
		if (!side)
			continue;
		if (!read_is_known(r, where, side, known, CLOSED) ||
			!read_end(r, where, side, ends[i]) ||
			!read_ports(r, (read_place(place, where, "ports", -1), place),
				read_member(side, "ports"), &ports[i]) ||
			!read_ports(r, (read_place(place, where, "notPorts", -1), place),
				read_member(side, "notPorts"), &not_ports[i]))
			return false;
	}
	return true;
}

static bool read_icmp(struct reading *r, const char *above, const json_t *object, const char *key,
	struct policy_rule *rule, struct policy_icmp *out)
{
	static const char *const known[] = {"type", "code", NULL};
	const json_t *icmp = read_member(object, key);
	char where[READ_WHERE];
	(void)read_place(where, above, key, -1);
	if (!icmp)
		return true;
	if (!read_is_known(r, where, icmp, known, CLOSED))
		return false;
	const json_t *type = read_member(icmp, "type"), *code = read_member(icmp, "code");
	bool is_icmp = rule->proto == IPPROTO_ICMP || rule->proto == IPPROTO_ICMPV6;
	json_int_t t = type ? json_integer_value(type) : -1,
		   c = code ? json_integer_value(code) : -1;
	if (!is_icmp || t < -1 || t > 254 || c < -1 || c > 255 || (code && !type) ||
		(type && (!json_is_integer(type) || t < 0)) ||
		(code && (!json_is_integer(code) || c < 0))) {
		reading_problem(r, where,
			"must be a type of 0 to 254 and a code of 0 to 255 behind protocol ICMP or "
			"ICMPv6: " CLOSED);
		return false;
	}
	*out = (struct policy_icmp){.type = (int16_t)t, .code = (int16_t)c};
	return true;
}

static bool read_family(struct reading *r, const char *where, const json_t *version, uint8_t *out)
{
	json_int_t n = json_integer_value(version);
	if (version && n != 4 && n != 6) {
		reading_problem(r, where, "ipVersion must be 4 or 6: " CLOSED);
		return false;
	}
	*out = n == 4 ? AF_INET : n == 6 ? AF_INET6 : 0;
	return true;
}

static bool says_nothing(const struct policy_end *e)
{
	return !e->pods && !e->not_pods && !e->namespaces && !e->accounts && !e->n_account_names &&
	       !e->n_nets && !e->n_not_nets;
}

static bool read_conditions(struct reading *r, const char *where, enum policy_direction d,
	const json_t *object, struct policy_rule *rule)
{
	static const char *const known[] = {"action", "metadata", "ipVersion", "protocol",
		"notProtocol", "icmp", "notICMP", "source", "destination", NULL};
	if (!read_is_known(r, where, object, known, CLOSED) ||
		!read_family(r, where, read_member(object, "ipVersion"), &rule->family))
		return false;
	if (!read_protocol(read_member(object, "protocol"), &rule->proto) ||
		!read_protocol(read_member(object, "notProtocol"), &rule->not_proto)) {
		reading_problem(r, where,
			"a protocol must be TCP, UDP, SCTP, ICMP, ICMPv6, UDPLite or 1 to "
			"255: " CLOSED);
		return false;
	}
	if (!read_icmp(r, where, object, "icmp", rule, &rule->icmp) ||
		!read_icmp(r, where, object, "notICMP", rule, &rule->not_icmp) ||
		!read_ends(r, where, d, object, rule))
		return false;
	if (says_nothing(&rule->peers[0])) {
		free(rule->peers);
		rule->peers = NULL;
		rule->n_peers = 0;
	}
	return true;
}

static void read_rule(struct reading *r, const char *where, enum policy_direction d,
	const json_t *object, struct policy_rule *rule)
{
	static const char *const actions[] = {"Allow", "Deny", "Pass", "Log"};
	const char *action = json_string_value(read_member(object, "action"));
	int a = action ? TEXT_INDEX(action, actions) : -1;
	rule->action = a < 0 ? POLICY_DENY : (enum policy_action)a;
	if (a < 0)
		reading_problem(r, where,
			"action must be Allow, Deny, Pass or Log: the rule denies everything");
	if (a < 0 || !read_conditions(r, where, d, object, rule))
		read_fail_closed(rule);
}

/* Egress alone when there are egress rules only; else Ingress, and Egress if there are such. */
static void read_types(struct reading *r, const json_t *spec)
{
	const json_t *list = read_list(r, "spec.types", read_member(spec, "types"));
	if (json_array_size(list) == 0) {
		r->p->applies[POLICY_EGRESS] = json_array_size(read_member(spec, "egress")) > 0;
		r->p->applies[POLICY_INGRESS] = !r->p->applies[POLICY_EGRESS] ||
						json_array_size(read_member(spec, "ingress")) > 0;
	}
	read_directions(r, "spec.types", list);
}

static bool read_subject(struct reading *r, const json_t *spec)
{
	static const char *const host_only[] = {"doNotTrack", "preDNAT"};
	const struct {
		const char *key, *place;
		struct policy_selector **out;
		bool global_only;
	} selectors[] = {
		{"selector", "spec.selector", &r->p->pods, false},
		{"namespaceSelector", "spec.namespaceSelector", &r->p->namespaces, true},
		{"serviceAccountSelector", "spec.serviceAccountSelector", &r->p->accounts, false},
	};
	for (size_t i = 0; i < 2; i++)
		if (json_is_true(json_object_get(spec, host_only[i]))) {
			reading_problem(r, "spec",
				"%s is for host endpoints, which roost does not have: " NOBODY,
				host_only[i]);
			return false;
		}
	for (size_t i = 0; i < 3; i++) {
		const json_t *value = read_member(spec, selectors[i].key);
		if (!value || (json_is_string(value) && !*json_string_value(value)) ||
			(selectors[i].global_only && r->p->kind != POLICY_CALICO_GLOBAL))
			continue;
		if (!read_text_selector(r, selectors[i].place, value, selectors[i].out, NOBODY))
			return false;
	}
	return true;
}

static void read_head(struct reading *r, const json_t *spec)
{
	const char *tier = json_text_at(spec, "tier");
	const json_t *order = read_member(spec, "order");
	if (*tier && !text_is_dns_name(tier))
		reading_problem(r, "spec.tier", "is no name: it counts as default");
	(void)text_copy(r->p->tier, sizeof(r->p->tier),
		*tier && text_is_dns_name(tier) ? tier : POLICY_TIER_DEFAULT);
	r->p->order = json_is_number(order) ? json_number_value(order) : POLICY_ORDER_LAST;
	if (order && !json_is_number(order))
		reading_problem(r, "spec.order", "must be a number: it comes last");
}

void read_calico_spec(struct reading *r, const json_t *spec)
{
	static const char *const known[] = {"order", "tier", "selector", "namespaceSelector",
		"serviceAccountSelector", "types", "ingress", "egress", "doNotTrack", "preDNAT",
		"applyOnForward", "performanceHints", "stagedAction", NULL};
	read_head(r, spec);
	if (spec)
		(void)read_is_known(r, "spec", spec, known, "the rest of the policy holds");
	if (!read_subject(r, spec))
		return;
	read_types(r, spec);
	if (r->p->applies[POLICY_INGRESS])
		(void)read_deciding_rules(
			r, POLICY_INGRESS, read_member(spec, "ingress"), read_rule);
	if (r->p->applies[POLICY_EGRESS])
		(void)read_deciding_rules(r, POLICY_EGRESS, read_member(spec, "egress"), read_rule);
}
