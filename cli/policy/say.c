/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of rules. They follow the order of the tests in policy/match.c, and leave out what is not said.
 */
#include "cli/policy/say.h"

#include <stdio.h>
#include <string.h>

#include "cli/output.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "policy/match.h"

#define SAY_NETS 8 /* so many are named */

void say_line(unsigned int indent, const char *text)
{
	size_t size = strlen(text) * 3 + 1;
	CLEANUP_FREE char *clean = mem_new(size, 1);
	output_clean(clean, size, text);
	(void)printf("%*s%s\n", (int)indent, "", clean);
}

static void say_cidrs(struct text *t, const struct cidr *c, size_t n)
{
	for (size_t i = 0; i < n && i < SAY_NETS; i++)
		text_add(t, "%s%s", i ? ", " : "", CIDR_STRING(&c[i]));
	if (n > SAY_NETS)
		text_add(t, " and %zu more", n - SAY_NETS);
}

static void say_nets(struct text *t, const struct policy_end *e)
{
	for (size_t i = 0; i < e->n_nets && i < SAY_NETS; i++) {
		text_add(t, "%s%s", i ? ", " : "", CIDR_STRING(&e->nets[i].net));
		if (!e->nets[i].n_excepts)
			continue;
		text_add(t, " except ");
		say_cidrs(t, e->nets[i].excepts, e->nets[i].n_excepts);
	}
	if (e->n_nets > SAY_NETS)
		text_add(t, " and %zu more", e->n_nets - SAY_NETS);
}

static void say_namespaces(
	struct text *t, const char *own, const struct policy_selector *namespaces)
{
	if (own[0])
		text_add(t, " of namespace %s", own);
	else if (namespaces && policy_selector_is_global(namespaces))
		text_add(t, " of no namespace");
	else if (namespaces && !policy_selector_is_all(namespaces))
		text_add(t, " of namespaces %s", policy_selector_text(namespaces));
	else
		text_add(t, " of all namespaces");
}

static void say_accounts(struct text *t, const struct policy_end *e)
{
	if (e->accounts)
		text_add(t, " with service accounts %s", policy_selector_text(e->accounts));
	for (size_t i = 0; i < e->n_account_names && i < SAY_NETS; i++)
		text_add(t, "%s%s", i ? " or " : " of service account ", e->account_names[i]);
}

static bool names_pods(const struct policy_end *e)
{
	return e->own[0] || e->namespaces || e->pods || e->accounts || e->n_account_names;
}

/* Nothing for an end that may be anybody. */
static bool say_end(struct text *t, const struct policy_end *e)
{
	if (e->nobody) {
		text_add(t, "nobody");
		return true;
	}
	size_t before = t->len;
	if (names_pods(e)) {
		bool all = !e->pods || policy_selector_is_all(e->pods);
		text_add(t, "%s%s", all ? "all pods" : "pods ",
			all ? "" : policy_selector_text(e->pods));
		say_namespaces(t, e->own, e->namespaces);
		say_accounts(t, e);
	}
	if (e->n_nets) {
		text_add(t, "%s", t->len > before ? " within " : "");
		say_nets(t, e);
	}
	if (e->n_not_nets) {
		text_add(t, "%sall but ", t->len > before ? ", " : "");
		say_cidrs(t, e->not_nets, e->n_not_nets);
	}
	if (e->not_pods)
		text_add(t, "%sall but pods %s", t->len > before ? ", " : "",
			policy_selector_text(e->not_pods));
	return t->len > before;
}

static void say_protocol(struct text *t, const struct policy_rule *r)
{
	if (r->family)
		text_add(t, " IPv%d", r->family == AF_INET ? 4 : 6);
	if (r->proto) {
		text_add(t, " ");
		policy_say_proto(t, r->proto);
	}
	if (r->not_proto) {
		text_add(t, " all protocols but ");
		policy_say_proto(t, r->not_proto);
	}
	if (r->icmp.type >= 0)
		text_add(t, " type %d", r->icmp.type);
	if (r->icmp.type >= 0 && r->icmp.code >= 0)
		text_add(t, " code %d", r->icmp.code);
	if (r->not_icmp.type >= 0)
		text_add(t, " but not type %d", r->not_icmp.type);
}

static void say_some_ports(
	struct text *t, const char *before, const struct policy_port *p, size_t n)
{
	if (!n)
		return;
	text_add(t, "%s", before);
	policy_say_ports(t, p, n);
}

void say_rule(struct text *t, const struct policy_rule *r, enum policy_direction d)
{
	static const char *const actions[] = {"allow", "deny", "pass", "log"};
	text_add(t, "%s", actions[r->action]);
	say_protocol(t, r);
	say_some_ports(t, " to ports ", r->ports, r->n_ports);
	say_some_ports(t, " to all ports but ", r->not_ports, r->n_not_ports);
	say_some_ports(t, " from source ports ", r->sources, r->n_sources);
	say_some_ports(t, " from all source ports but ", r->not_sources, r->n_not_sources);
	for (size_t i = 0; i < r->n_peers; i++) {
		text_add(t, "%s", i ? "; or " : d == POLICY_INGRESS ? " from " : " to ");
		if (!say_end(t, &r->peers[i]))
			text_add(t, "anybody");
	}
	if (!r->n_peers)
		text_add(t, "%s anybody", d == POLICY_INGRESS ? " from" : " to");
	struct text CLEANUP_TEXT self = {0};
	if (say_end(&self, &r->self))
		text_add(t, ", for %s", self.buf);
}

void say_selection(struct text *t, const struct policy *p)
{
	bool all = !p->pods || policy_selector_is_all(p->pods);
	text_add(t, "%s%s", all ? "all pods" : "pods ", all ? "" : policy_selector_text(p->pods));
	say_namespaces(t, p->namespace, p->namespaces);
	if (p->accounts)
		text_add(t, " with service accounts %s", policy_selector_text(p->accounts));
}

json_t *say_trail(const struct policy_trail *t)
{
	static const char *const kinds[] = {"tier", "policy", "miss", "match", "end", "verdict"};
	json_t *list = json_array();
	for (size_t i = 0; i < t->n; i++) {
		const struct policy_step *s = &t->v[i];
		json_t *o = json_pack("{s:s, s:b, s:o}", "kind", kinds[s->kind], "staged",
			(int)s->staged, "text", json_of_text(s->text));
		if (s->policy)
			(void)json_object_set_new(
				o, "policy", json_of_text(POLICY_STRING(s->policy)));
		if (s->rule >= 0)
			(void)json_object_set_new(o, "rule", json_integer(s->rule));
		(void)json_array_append_new(list, o);
	}
	return list;
}
