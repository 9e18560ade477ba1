/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networking.k8s.io/v1 NetworkPolicy: rules that only allow. So whatever is not understood matches nothing: a
 * peer, a port, a rule. When none of a rule's peers or ports is left, the rule matches nothing, for without
 * them it would match everything. A selector of pods that is none selects the whole namespace, which is
 * isolated then.
 */
#include <netinet/in.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "policy/read.h"
#include "policy/read_impl.h"

#define NOTHING "it matches nothing"

static bool read_block(
	struct reading *r, const char *where, const json_t *block, struct policy_end *end)
{
	static const char *const known[] = {"cidr", "except", NULL};
	struct policy_net net = {.n_excepts = 0};
	if (!read_is_known(r, where, block, known, NOTHING))
		return false;
	if (!read_prefix(read_member(block, "cidr"), &net.net)) {
		reading_problem(r, where, "cidr is no prefix: " NOTHING);
		return false;
	}
	if (!read_prefixes(
		    r, where, read_member(block, "except"), &net.excepts, &net.n_excepts, NOTHING))
		return false;
	end->nets = mem_new(1, sizeof(*end->nets));
	end->nets[0] = net;
	end->n_nets = 1;
	return true;
}

static bool read_peer(
	struct reading *r, const char *where, const json_t *peer, struct policy_end *end)
{
	static const char *const known[] = {"podSelector", "namespaceSelector", "ipBlock", NULL};
	if (!read_is_known(r, where, peer, known, NOTHING))
		return false;
	const json_t *pods = read_member(peer, "podSelector");
	const json_t *namespaces = read_member(peer, "namespaceSelector");
	const json_t *block = read_member(peer, "ipBlock");
	if (block && !pods && !namespaces)
		return read_block(r, where, block, end);
	if (block || (!pods && !namespaces)) {
		reading_problem(r, where, "%s: " NOTHING,
			block ? "ipBlock goes without selectors" : "a peer that says nothing");
		return false;
	}
	if (pods && !read_label_selector(r, where, pods, &end->pods, NOTHING))
		return false;
	if (!namespaces)
		return text_copy(end->own, sizeof(end->own), r->p->namespace);
	return read_label_selector(r, where, namespaces, &end->namespaces, NOTHING);
}

/* Peers of a rule; none left of some: the rule matches nothing. */
static void read_peers(
	struct reading *r, const char *where, const json_t *peers, struct policy_rule *rule)
{
	size_t n = json_array_size(peers);
	char here[READ_WHERE];
	if (n > POLICY_PEERS_MAX) {
		reading_problem(r, where, "%zu peers, %d at most: those behind match nothing", n,
			POLICY_PEERS_MAX);
		n = POLICY_PEERS_MAX;
	}
	rule->peers = n ? mem_new(n, sizeof(*rule->peers)) : NULL;
	rule->n_peers = n;
	for (size_t i = 0; i < n; i++) {
		(void)read_place(here, where, "", (int)i);
		if (read_peer(r, here, json_array_get(peers, i), &rule->peers[i]))
			continue;
		policy_end_done(&rule->peers[i]);
		rule->peers[i].nobody = true;
	}
}

static bool read_protocol(const json_t *value, uint8_t *out)
{
	static const char *const names[] = {"TCP", "UDP", "SCTP"};
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	const char *text = value ? json_string_value(value) : "TCP";
	int i = text ? TEXT_INDEX(text, names) : -1;
	if (i >= 0)
		*out = protos[i];
	return i >= 0;
}

static bool read_port(
	struct reading *r, const char *where, const json_t *port, struct policy_port *out)
{
	static const char *const known[] = {"protocol", "port", "endPort", NULL};
	const json_t *first = read_member(port, "port"), *last = read_member(port, "endPort");
	struct policy_port p = {.last = UINT16_MAX};
	const char *what = NULL;
	if (!read_is_known(r, where, port, known, NOTHING))
		return false;
	if (!read_protocol(read_member(port, "protocol"), &p.proto))
		what = "protocol must be TCP, UDP or SCTP";
	else if (json_is_string(first) && last)
		what = "endPort goes with a number in port";
	else if (json_is_string(first) && !read_port_name(json_string_value(first), p.name))
		what = "port is no name of a port";
	else if (first && !json_is_string(first) && !read_port_number(first, &p.first))
		what = "port must be 1 to 65535, or a name";
	else if (last && (!first || !read_port_number(last, &p.last) || p.last < p.first))
		what = "endPort must be port or more, 65535 at most";
	if (what) {
		reading_problem(r, where, "%s: " NOTHING, what);
		return false;
	}
	if (json_is_integer(first) && !last)
		p.last = p.first;
	*out = p;
	return true;
}

/* false: none is left of some. */
static bool read_ports(
	struct reading *r, const char *where, const json_t *ports, struct policy_rule *rule)
{
	size_t n = json_array_size(ports);
	char here[READ_WHERE];
	if (n > POLICY_PORTS_MAX)
		reading_problem(r, where, "%zu ports, %d at most: those behind match nothing", n,
			POLICY_PORTS_MAX);
	n = n > POLICY_PORTS_MAX ? POLICY_PORTS_MAX : n;
	rule->ports = n ? mem_new(n, sizeof(*rule->ports)) : NULL;
	for (size_t i = 0; i < n; i++) {
		(void)read_place(here, where, "", (int)i);
		if (read_port(r, here, json_array_get(ports, i), &rule->ports[rule->n_ports]))
			rule->n_ports++;
	}
	return n == 0 || rule->n_ports > 0;
}

static void read_rule(struct reading *r, const char *where, const json_t *object, const char *peers,
	struct policy_rule *rule)
{
	const char *const known[] = {peers, "ports", NULL};
	const json_t *list = read_member(object, peers), *ports = read_member(object, "ports");
	char here[READ_WHERE];
	rule->action = POLICY_ALLOW;
	if (!read_is_known(r, where, object, known, NOTHING) ||
		(list && !read_list(r, where, list)) || (ports && !read_list(r, where, ports))) {
		read_match_nothing(rule);
		return;
	}
	(void)read_place(here, where, peers, -1);
	read_peers(r, here, list, rule);
	(void)read_place(here, where, "ports", -1);
	if (!read_ports(r, here, ports, rule))
		read_match_nothing(rule);
}

static void read_rules(struct reading *r, enum policy_direction d, const json_t *list)
{
	static const char *const names[POLICY_DIRECTIONS] = {"spec.ingress", "spec.egress"};
	static const char *const peers[POLICY_DIRECTIONS] = {"from", "to"};
	const json_t *rules = read_list(r, names[d], list);
	struct policy_rule *out = read_make_rules(r, d, json_array_size(rules));
	char here[READ_WHERE];
	for (size_t i = 0; i < r->p->n_rules[d]; i++) {
		(void)read_place(here, names[d], "", (int)i);
		read_rule(r, here, json_array_get(rules, i), peers[d], &out[i]);
	}
}

static void read_types(struct reading *r, const json_t *types, bool has_egress)
{
	const json_t *list = read_list(r, "spec.policyTypes", types);
	if (json_array_size(list) == 0) {
		r->p->applies[POLICY_INGRESS] = true;
		r->p->applies[POLICY_EGRESS] = has_egress;
	}
	read_directions(r, "spec.policyTypes", list);
}

void read_network_spec(struct reading *r, const json_t *spec)
{
	static const char *const known[] = {
		"podSelector", "policyTypes", "ingress", "egress", "stagedAction", NULL};
	static const char *const keys[POLICY_DIRECTIONS] = {"ingress", "egress"};
	(void)text_copy(r->p->tier, sizeof(r->p->tier), POLICY_TIER_DEFAULT);
	r->p->order = 1000; /* where Calico puts them, too */
	if (spec)
		(void)read_is_known(r, "spec", spec, known, "the rest of the policy holds");
	read_types(r, read_member(spec, "policyTypes"),
		json_array_size(read_member(spec, "egress")) > 0);
	bool understood =
		read_label_selector(r, "spec.podSelector", read_member(spec, "podSelector"),
			&r->p->pods, "all pods of the namespace are isolated");
	for (int d = 0; d < POLICY_DIRECTIONS && understood; d++)
		if (r->p->applies[d])
			read_rules(r, (enum policy_direction)d, read_member(spec, keys[d]));
}
