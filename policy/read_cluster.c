/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.networking.k8s.io ClusterNetworkPolicy: rules in order that accept, deny, or pass. Its text wants that
 * an implementation fails closed where it meets a peer that it does not know, of a later version perhaps: an
 * Accept matches nothing then, a Deny or Pass denies everything. The same is done with protocols.
 *
 * A subject that is not understood selects nobody. Failing closed there would cut the whole cluster off, the
 * pods too that could mend it.
 */
#include <netinet/in.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "policy/read.h"
#include "policy/read_impl.h"

#define CLOSED "an Accept matches nothing, a Deny or Pass denies everything"
#define NOBODY "it selects no pod"

static bool read_pods(struct reading *r, const char *where, const json_t *pods,
	struct policy_selector **namespaces, struct policy_selector **out, const char *meaning)
{
	static const char *const known[] = {"namespaceSelector", "podSelector", NULL};
	return read_is_known(r, where, pods, known, meaning) &&
	       read_label_selector(
		       r, where, read_member(pods, "namespaceSelector"), namespaces, meaning) &&
	       read_label_selector(r, where, read_member(pods, "podSelector"), out, meaning);
}

static bool read_networks(
	struct reading *r, const char *where, const json_t *networks, struct policy_end *end)
{
	struct cidr *list = NULL;
	size_t n = 0;
	if (!read_prefixes(r, where, networks, &list, &n, CLOSED))
		return false;
	if (n == 0) {
		reading_problem(r, where, "networks names none: " CLOSED);
		return false;
	}
	end->nets = mem_new(n, sizeof(*end->nets));
	end->n_nets = n;
	for (size_t i = 0; i < n; i++)
		end->nets[i].net = list[i];
	free(list);
	return true;
}

static bool read_peer(struct reading *r, const char *where, enum policy_direction d,
	const json_t *peer, struct policy_end *end)
{
	static const char *const known[POLICY_DIRECTIONS][4] = {
		{"namespaces", "pods", NULL}, {"namespaces", "pods", "networks", NULL}};
	if (!read_is_known(r, where, peer, known[d], CLOSED))
		return false;
	const json_t *namespaces = read_member(peer, "namespaces"),
		     *pods = read_member(peer, "pods");
	const json_t *networks = read_member(peer, "networks");
	if (!!namespaces + !!pods + !!networks != 1) {
		reading_problem(r, where, "a peer is of one kind, this one is of %s: " CLOSED,
			namespaces || pods || networks ? "several" : "none");
		return false;
	}
	if (namespaces)
		return read_label_selector(r, where, namespaces, &end->namespaces, CLOSED);
	if (pods)
		return read_pods(r, where, pods, &end->namespaces, &end->pods, CLOSED);
	return read_networks(r, where, networks, end);
}

static bool read_peers(struct reading *r, const char *where, enum policy_direction d,
	const json_t *list, struct policy_rule *rule)
{
	size_t n = json_array_size(list);
	char here[READ_WHERE];
	if (n == 0 || n > POLICY_PEERS_MAX) {
		reading_problem(
			r, where, "%zu peers, must be 1 to %d: " CLOSED, n, POLICY_PEERS_MAX);
		return false;
	}
	rule->peers = mem_new(n, sizeof(*rule->peers));
	rule->n_peers = n;
	for (size_t i = 0; i < n; i++) {
		(void)read_place(here, where, "", (int)i);
		if (!read_peer(r, here, d, json_array_get(list, i), &rule->peers[i]))
			return false;
	}
	return true;
}

static bool read_range(const json_t *port, struct policy_port *out)
{
	const json_t *number = read_member(port, "number"), *range = read_member(port, "range");
	if (!json_is_object(port) || json_object_size(port) != 1)
		return false;
	if (number && read_port_number(number, &out->first)) {
		out->last = out->first;
		return true;
	}
	return json_object_size(range) == 2 &&
	       read_port_number(read_member(range, "start"), &out->first) &&
	       read_port_number(read_member(range, "end"), &out->last) && out->first <= out->last;
}

/* One entry; a named port is one of each protocol. */
static bool read_protocol(const json_t *entry, struct policy_rule *rule)
{
	static const char *const names[] = {"tcp", "udp", "sctp"};
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	const json_t *name = read_member(entry, "destinationNamedPort");
	struct policy_port p = {.last = UINT16_MAX};
	if (!json_is_object(entry) || json_object_size(entry) != 1)
		return false;
	if (name && (!json_is_string(name) || !read_port_name(json_string_value(name), p.name)))
		return false;
	for (size_t i = 0; name && i < 3; i++) {
		p.proto = protos[i];
		rule->ports[rule->n_ports++] = p;
	}
	for (size_t i = 0; !name && i < 3; i++) {
		const json_t *one = read_member(entry, names[i]);
		if (!one)
			continue;
		p.proto = protos[i];
		if (json_object_size(one) != 1 ||
			!read_range(read_member(one, "destinationPort"), &p))
			return false;
		rule->ports[rule->n_ports++] = p;
		return true;
	}
	return name;
}

static bool read_protocols(
	struct reading *r, const char *where, const json_t *list, struct policy_rule *rule)
{
	size_t n = json_array_size(list);
	if (!list)
		return true;
	if (n == 0 || n > POLICY_PORTS_MAX) {
		reading_problem(
			r, where, "%zu protocols, must be 1 to %d: " CLOSED, n, POLICY_PORTS_MAX);
		return false;
	}
	rule->ports = mem_new(3 * n, sizeof(*rule->ports));
	for (size_t i = 0; i < n; i++) {
		if (read_protocol(json_array_get(list, i), rule))
			continue;
		reading_problem(r, where,
			"entry %zu must be a destinationPort of tcp, udp or sctp, or a "
			"destinationNamedPort: " CLOSED,
			i);
		return false;
	}
	return true;
}

static void read_rule(struct reading *r, const char *where, enum policy_direction d,
	const json_t *object, struct policy_rule *rule)
{
	static const char *const sides[POLICY_DIRECTIONS] = {"from", "to"};
	static const char *const actions[] = {"Accept", "Deny", "Pass"};
	static const enum policy_action meanings[] = {POLICY_ALLOW, POLICY_DENY, POLICY_PASS};
	const char *const known[] = {"name", "action", "protocols", sides[d], NULL};
	const char *action = json_string_value(read_member(object, "action"));
	char peers[READ_WHERE], protocols[READ_WHERE];
	int a = action ? TEXT_INDEX(action, actions) : -1;
	rule->action = a < 0 ? POLICY_DENY : meanings[a];
	(void)json_clean(rule->name, sizeof(rule->name), json_text_at(object, "name"));
	(void)read_place(peers, where, sides[d], -1);
	(void)read_place(protocols, where, "protocols", -1);
	if (a < 0)
		reading_problem(r, where,
			"action must be Accept, Deny or Pass: the rule denies everything");
	if (a < 0 || !read_is_known(r, where, object, known, CLOSED) ||
		!read_peers(r, peers, d, read_member(object, sides[d]), rule) ||
		!read_protocols(r, protocols, read_member(object, "protocols"), rule))
		read_fail_closed(rule);
}

/* A direction without rules is not touched. */
static void read_direction(struct reading *r, enum policy_direction d, const json_t *list)
{
	r->p->applies[d] = read_deciding_rules(r, d, list, read_rule) > 0;
}

static bool read_subject(struct reading *r, const json_t *subject)
{
	static const char *const known[] = {"namespaces", "pods", NULL};
	const char *where = "spec.subject";
	if (!read_is_known(r, where, subject, known, NOBODY))
		return false;
	const json_t *namespaces = read_member(subject, "namespaces");
	const json_t *pods = read_member(subject, "pods");
	if (!namespaces == !pods) {
		reading_problem(r, where, "must be namespaces or pods: " NOBODY);
		return false;
	}
	if (namespaces)
		return read_label_selector(r, where, namespaces, &r->p->namespaces, NOBODY);
	return read_pods(r, where, pods, &r->p->namespaces, &r->p->pods, NOBODY);
}

void read_cluster_spec(struct reading *r, const json_t *spec)
{
	static const char *const known[] = {
		"tier", "priority", "subject", "ingress", "egress", NULL};
	const char *tier = json_text_at(spec, "tier");
	const json_t *priority = read_member(spec, "priority");
	bool is_baseline = strcmp(tier, "Baseline") == 0;
	(void)text_copy(r->p->tier, sizeof(r->p->tier),
		is_baseline ? POLICY_TIER_BASELINE : POLICY_TIER_ADMIN);
	r->p->order = json_is_integer(priority) ? (double)json_integer_value(priority)
						: POLICY_ORDER_LAST;
	if (!is_baseline && strcmp(tier, "Admin") != 0)
		reading_problem(r, "spec.tier", "must be Admin or Baseline: it counts as Admin");
	if (!json_is_integer(priority))
		reading_problem(r, "spec.priority", "must be 0 to 1000: it comes last");
	if (json_is_object(spec))
		(void)read_is_known(r, "spec", spec, known, "the rest of the policy holds");
	if (!read_subject(r, read_member(spec, "subject")))
		return;
	read_direction(r, POLICY_INGRESS, read_member(spec, "ingress"));
	read_direction(r, POLICY_EGRESS, read_member(spec, "egress"));
}
