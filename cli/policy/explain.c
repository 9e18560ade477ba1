/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl policy explain: whether a connection is allowed, and why. The answer is made here from what the cluster
 * says now (cli/policy/gather.h); then the agent of this machine, if there is one, is asked the same. It answers from
 * its own view, and whether the kernel holds what it shall hold: so a difference shows where the fault is.
 *
 * The exit status is the verdict: 0 allowed, 1 denied, 2 nobody can tell.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "cli/policy/connection.h"
#include "cli/policy/gather.h"
#include "cli/policy/say.h"
#include "lib/ask.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/match.h"

#define AGENT_MS 5000
#define SHOWN_STRANGERS 8 /* policies that do not select the pod */

static const char *const direction_names[POLICY_DIRECTIONS] = {"ingress", "egress"};
/* The order in which a packet meets them. */
static const enum policy_direction directions[POLICY_DIRECTIONS] = {POLICY_EGRESS, POLICY_INGRESS};

struct explanation {
	struct connection connection;
	struct connection_verdict verdicts[FAMILIES];
	struct policy_trail trails[FAMILIES][POLICY_DIRECTIONS];
	bool is_allowed; /* in every family */
	json_t *agent;	 /* what it said; NULL: it was not asked, or did not answer */
};

static void explanation_done(struct explanation *x)
{
	for (int f = 0; f < FAMILIES; f++) {
		for (int d = 0; d < POLICY_DIRECTIONS; d++)
			policy_trail_done(&x->trails[f][d]);
	}
	json_decref(x->agent);
}

static void explain_judge(const struct policy_world *w, bool with_staged, struct explanation *x)
{
	x->is_allowed = true;
	for (size_t i = 0; i < x->connection.n_flows; i++) {
		x->verdicts[i] = connection_judge(w, &x->connection, i, with_staged, x->trails[i]);
		x->is_allowed = x->is_allowed && x->verdicts[i].all;
	}
}

/* The agent. */

static json_t *agent_end(const struct connection_end *end)
{
	struct text CLEANUP_TEXT t = {0};
	if (end->is_node)
		return json_string("node");
	if (end->pod)
		text_add(&t, "%s/%s", end->pod->namespace, end->pod->name);
	else
		text_add(&t, "%s", ADDR_STRING(&end->addrs[0]));
	return json_of_text(t.buf);
}

/* An agent that is not there is no fault: the command runs anywhere. */
static void ask_agent(const struct options *o, struct explanation *x)
{
	struct config c;
	struct err ignored = {0};
	struct text CLEANUP_TEXT protocol = {0};
	const struct policy_flow *f = &x->connection.flows[0];
	if (o->n_files || (o->given & OPTION_STAGED) || config_socket(o, &c, &ignored) < 0)
		return;
	policy_say_proto(&protocol, f->proto);
	CLEANUP_JSON json_t *request = json_pack("{s:s, s:o, s:o, s:s, s:i}", "op",
		"policy-explain", "source", agent_end(&x->connection.from), "destination",
		agent_end(&x->connection.to), "protocol", protocol.buf, "port", (int)f->dport);
	(void)ask(c.socket, request, o->timeout_ms ? o->timeout_ms : AGENT_MS, &x->agent, &ignored);
}

/* Whether the agent's view leads to the same verdicts: its flows stand in the same order. */
static bool agent_agrees(const struct explanation *x)
{
	const json_t *flows = json_object_get(x->agent, "flows");
	if (json_array_size(flows) != x->connection.n_flows)
		return false;
	for (size_t i = 0; i < x->connection.n_flows; i++) {
		const json_t *allowed = json_object_get(json_array_get(flows, i), "allowed");
		if (json_is_true(allowed) != x->verdicts[i].all)
			return false;
	}
	return true;
}

/* People. */

static void print_step(const struct policy_step *s)
{
	static const unsigned int indents[] = {
		[POLICY_STEP_TIER] = 2,
		[POLICY_STEP_POLICY] = 4,
		[POLICY_STEP_MISS] = 6,
		[POLICY_STEP_MATCH] = 6,
		[POLICY_STEP_END] = 4,
		[POLICY_STEP_VERDICT] = 2,
	};
	bool is_stranger = s->kind == POLICY_STEP_MISS && s->rule < 0;
	say_line(is_stranger ? 4 : indents[s->kind], s->text);
}

static void print_trail(const struct policy_trail *t)
{
	size_t strangers = 0;
	for (size_t i = 0; i < t->n; i++) {
		bool is_stranger = t->v[i].kind == POLICY_STEP_MISS && t->v[i].rule < 0;
		strangers += is_stranger;
		if (!is_stranger || strangers <= SHOWN_STRANGERS)
			print_step(&t->v[i]);
	}
	if (strangers > SHOWN_STRANGERS)
		(void)printf(
			"  (%zu more policies do not select it)\n", strangers - SHOWN_STRANGERS);
}

static void add_ends(struct text *t, const struct connection *c, size_t flow)
{
	const struct policy_flow *f = &c->flows[flow];
	connection_say_end(&c->from, &f->source, t);
	text_add(t, " -> ");
	connection_say_end(&c->to, &f->destination, t);
	text_add(t, ", ");
	policy_say_flow(t, f);
}

static void print_flow(const struct explanation *x, size_t flow)
{
	struct text CLEANUP_TEXT title = {0};
	add_ends(&title, &x->connection, flow);
	text_add(&title, ": %s", x->verdicts[flow].all ? "allowed" : "denied");
	say_line(0, title.buf);
	for (size_t i = 0; i < POLICY_DIRECTIONS; i++) {
		enum policy_direction d = directions[i];
		(void)printf("%s: %s\n", direction_names[d],
			x->verdicts[flow].is_allowed[d] ? "allowed" : "denied");
		print_trail(&x->trails[flow][d]);
	}
}

static bool has_same_verdicts(
	const struct connection_verdict *a, const struct connection_verdict *b)
{
	return a->is_allowed[POLICY_INGRESS] == b->is_allowed[POLICY_INGRESS] &&
	       a->is_allowed[POLICY_EGRESS] == b->is_allowed[POLICY_EGRESS];
}

/* What the agent of this machine and its kernel say. */
static void print_agent(const struct explanation *x)
{
	if (!x->agent)
		return;
	const char *kernel = json_text_at(x->agent, "kernel");
	(void)printf("\n");
	output_line("agent here", agent_agrees(x) ? "agrees"
						  : "says otherwise: its view is older, or it does "
						    "not reach the API or the store "
						    "(roostctl status)");
	output_line("kernel here", strcmp(kernel, "differs") == 0
					   ? "does not hold what the agent wants: the agent writes "
					     "it anew (roostctl status)"
					   : kernel);
}

static void print_explanation(const struct explanation *x)
{
	print_flow(x, 0);
	for (size_t i = 1; i < x->connection.n_flows; i++) {
		struct text CLEANUP_TEXT same = {0};
		(void)printf("\n");
		if (!has_same_verdicts(&x->verdicts[0], &x->verdicts[i])) {
			print_flow(x, i);
			continue;
		}
		add_ends(&same, &x->connection, i);
		text_add(&same, ": the same");
		say_line(0, same.buf);
	}
	print_agent(x);
}

/* Programs. */

static json_t *flow_object(const struct explanation *x, size_t i)
{
	const struct policy_flow *f = &x->connection.flows[i];
	struct text CLEANUP_TEXT protocol = {0};
	policy_say_proto(&protocol, f->proto);
	json_t *o = json_pack("{s:o, s:o, s:s, s:i, s:b}", "source", json_of_addr(&f->source),
		"destination", json_of_addr(&f->destination), "protocol", protocol.buf, "port",
		(int)f->dport, "allowed", (int)x->verdicts[i].all);
	for (size_t k = 0; k < POLICY_DIRECTIONS; k++) {
		enum policy_direction d = directions[k];
		json_put(o, direction_names[d],
			json_pack("{s:b, s:o}", "allowed", (int)x->verdicts[i].is_allowed[d],
				"steps", say_trail(&x->trails[i][d])));
	}
	return o;
}

static void print_document(const struct options *o, const struct explanation *x)
{
	json_t *flows = json_array();
	for (size_t i = 0; i < x->connection.n_flows; i++)
		(void)json_array_append_new(flows, flow_object(x, i));
	json_t *doc = json_pack("{s:o, s:o, s:o, s:b, s:o}", "from", json_of_text(o->operands[0]),
		"to", json_of_text(o->operands[1]), "port", json_of_text(o->operands[2]), "allowed",
		(int)x->is_allowed, "flows", flows);
	if (x->agent) {
		json_put(doc, "agent", json_string(agent_agrees(x) ? "agrees" : "differs"));
		json_put(doc, "kernel", json_of_text(json_text_at(x->agent, "kernel")));
	}
	output_json(doc);
}

int policy_explain(const struct options *o)
{
	CLEANUP_SCENE struct scene s = {0};
	struct explanation x = {0};
	struct err e = {0};
	int r = gather(o, &s, &e);
	if (r == 0)
		r = connection_parse(s.world, (const char *const[]){o->operands[0], o->operands[1]},
			o->operands[2], &x.connection, &e);
	if (r < 0) {
		if (*e.text)
			(void)output_error(&e);
		return 2;
	}
	explain_judge(s.world, o->given & OPTION_STAGED, &x);
	ask_agent(o, &x);
	if (o->json)
		print_document(o, &x);
	else
		print_explanation(&x);
	bool is_allowed = x.is_allowed;
	explanation_done(&x);
	return !is_allowed;
}
