/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An end of a connection is a pod, "NAMESPACE/NAME", an address, or "node": this node itself. Pods have addresses
 * of both families, and each is judged alone, so an answer holds a connection for each family that both ends have.
 */
#include "agent/policy/answers.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/family.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/judge.h"

struct answers_end {
	bool is_node;
	const struct policy_pod *pod; /* NULL: an address */
	struct addr addr;
};

static const struct {
	const char *name;
	uint8_t proto;
} protocols[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP},
	{"ICMP", IPPROTO_ICMP}, {"ICMPv6", IPPROTO_ICMPV6}};

/* ---- The question ---- */

static int read_end(const struct answers_view *v, const json_t *request, const char *key,
	struct answers_end *out, struct err *e)
{
	const char *text = NULL;
	char namespace[POLICY_NAMESPACE];
	*out = (struct answers_end){0};
	int r = json_get_string(request, "", key, &text, e);
	if (r <= 0)
		return r < 0 ? r : err_set(e, EINVAL, "%s is missing", key);
	out->is_node = strcmp(text, "node") == 0;
	const char *slash = strchr(text, '/');
	if (out->is_node || !slash)
		return out->is_node ? 0 : addr_parse(text, &out->addr, e);
	if ((size_t)(slash - text) >= sizeof(namespace))
		return err_set(e, EINVAL, "%s is no pod", key);
	memcpy(namespace, text, (size_t)(slash - text));
	namespace[slash - text] = '\0';
	out->pod = policy_world_pod(v->world, namespace, slash + 1);
	if (!out->pod)
		return err_set(e, ENOENT, "no pod %.100s is known here", text);
	return 0;
}

static int read_protocol(const json_t *request, uint8_t *out, struct err *e)
{
	const char *text = "TCP";
	int r = json_get_string(request, "", "protocol", &text, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(protocols[i].name, text) == 0) {
			*out = protocols[i].proto;
			return 0;
		}
	return err_set(e, EINVAL, "protocol is none of TCP, UDP, SCTP, ICMP, ICMPv6");
}

/* false: this end has no address of the family. */
static bool address_of(const struct answers_end *end, enum family f, struct addr *out)
{
	if (end->addr.family) {
		*out = end->addr;
		return family_of(end->addr.family) == f;
	}
	for (size_t i = 0; end->pod && i < end->pod->n_addrs; i++)
		if (family_of(end->pod->addrs[i].family) == f) {
			*out = end->pod->addrs[i];
			return true;
		}
	return false;
}

/* ---- The answer ---- */

static const char *const step_kinds[] = {
	[POLICY_STEP_TIER] = "tier",
	[POLICY_STEP_POLICY] = "policy",
	[POLICY_STEP_MISS] = "miss",
	[POLICY_STEP_MATCH] = "match",
	[POLICY_STEP_END] = "end",
	[POLICY_STEP_VERDICT] = "verdict",
};

static json_t *step_object(const struct policy_step *s)
{
	json_t *o = json_pack("{s:s, s:s, s:b, s:o}", "kind", step_kinds[s->kind], "direction",
		s->direction == POLICY_INGRESS ? "ingress" : "egress", "staged", s->staged, "text",
		json_of_text(s->text ? s->text : ""));
	if (s->rule >= 0)
		json_put(o, "rule", json_integer(s->rule));
	return o;
}

static json_t *judge(const struct answers_view *v, const struct policy_flow *flow)
{
	struct policy_trail trail = {0};
	json_t *steps = json_array();
	enum policy_action verdict = policy_judge_flow(v->world, flow, false, &trail);
	for (size_t i = 0; i < trail.n; i++)
		json_append(steps, step_object(&trail.v[i]));
	policy_trail_done(&trail);
	return json_pack("{s:o, s:o, s:b, s:o}", "source", json_of_addr(&flow->source),
		"destination", json_of_addr(&flow->destination), "allowed", verdict == POLICY_ALLOW,
		"steps", steps);
}

static const char *kernel_text(const struct answers_view *v)
{
	struct err ignored; /* then nobody knows */
	int r = policy_writer_agrees(v->writer, &ignored);
	return r < 0 ? "unknown" : r ? "agrees" : "differs";
}

int answers_explain(
	const struct answers_view *v, const json_t *request, json_t **out, struct err *e)
{
	struct answers_end source, destination;
	struct policy_flow flow = {.sport = 49152};
	int64_t port = 0;
	if (!v->told)
		return err_set(e, EAGAIN, "the agent does not know all policies and pods yet");
	int r = read_end(v, request, "source", &source, e);
	if (r >= 0)
		r = read_end(v, request, "destination", &destination, e);
	if (r >= 0)
		r = read_protocol(request, &flow.proto, e);
	if (r >= 0)
		r = json_get_number(request, "", "port", 0, UINT16_MAX, &port, e);
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	flow.dport = (uint16_t)port;
	flow.from_node = source.is_node;
	flow.to_node = destination.is_node;
	json_t *flows = json_array();
	for (enum family f = IPV4; f < FAMILIES; f++) {
		bool has_source = address_of(&source, f, &flow.source) || source.is_node;
		bool has_destination =
			address_of(&destination, f, &flow.destination) || destination.is_node;
		if (has_source && has_destination)
			json_append(flows, judge(v, &flow));
	}
	*out = json_pack("{s:o, s:s}", "flows", flows, "kernel", kernel_text(v));
	return 0;
}

/* ---- The list ---- */

static json_t *policy_object(const struct policy *p)
{
	static const char *const kinds[POLICY_KINDS] = {
		[POLICY_NETWORK] = "NetworkPolicy",
		[POLICY_CLUSTER] = "ClusterNetworkPolicy",
		[POLICY_CALICO] = "NetworkPolicy.projectcalico.org",
		[POLICY_CALICO_GLOBAL] = "GlobalNetworkPolicy.projectcalico.org",
	};
	return json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:o}", "kind", kinds[p->kind],
		"namespace", json_of_text(p->namespace), "name", json_of_text(p->name), "tier",
		json_of_text(p->tier), "staged", p->staged, "ingress", p->applies[POLICY_INGRESS],
		"egress", p->applies[POLICY_EGRESS], "problems",
		json_of_text(p->problems ? p->problems : ""));
}

static json_t *titles_array(const char *titles)
{
	json_t *list = json_array();
	while (*titles) {
		size_t len = strcspn(titles, "\n");
		json_append(list, json_stringn(titles, len));
		titles += len + (titles[len] == '\n');
	}
	return list;
}

/* Those that always stand are named as what they count. */
static json_t *counter_object(const struct answers_view *v, const struct policy_count *c)
{
	static const struct {
		char kind;
		const char *name;
	} kinds[] = {{POLICY_COUNTS_ALLOWED, "allowed"}, {POLICY_COUNTS_DENIED, "denied"},
		{POLICY_COUNTS_LOGGED, "logged"}, {POLICY_COUNTS_ISOLATED, "isolated"}};
	struct policy_counted about = {.titles = ""};
	const char *kind = c->name;
	CLEANUP_TEXT struct text of = {0};
	if (policy_compiler_counted(v->compiler, c->name, &about))
		kind = "";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == about.kind)
			kind = kinds[i].name;
	(void)policy_compiler_explain_counter(v->compiler, c->name, &of);
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "name", c->name, "kind", kind,
		"way", about.way, "policies", titles_array(about.titles), "of",
		json_of_text(of.buf ? of.buf : ""), "since", c->since, "packets",
		json_of_number(c->packets), "bytes", json_of_number(c->bytes));
}

static json_t *list_counters(const struct answers_view *v)
{
	CLEANUP_FREE struct policy_count *counts = NULL;
	size_t n = 0;
	struct err ignored; /* no table, no counters */
	json_t *list = json_array();
	if (policy_writer_counts(v->writer, &counts, &n, &ignored) < 0)
		return list;
	for (size_t i = 0; i < n; i++)
		json_append(list, counter_object(v, &counts[i]));
	return list;
}

json_t *answers_counters(const struct answers_view *v)
{
	return json_pack("{s:b, s:o}", "told", v->told, "counters", list_counters(v));
}

json_t *answers_policies(const struct answers_view *v)
{
	size_t n;
	const struct policy *const *policies = policy_world_policies(v->world, &n);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_append(list, policy_object(policies[i]));
	return json_pack(
		"{s:b, s:o, s:o}", "told", v->told, "policies", list, "counters", list_counters(v));
}
