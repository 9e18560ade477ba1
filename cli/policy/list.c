/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl policy list and show: the policies in the order in which they are judged, and one with all its rules.
 * Of each it is told how many pods it selects: a policy that selects nobody is the most common mistake. Where an agent
 * runs, it is told what the kernel counted, too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/policy/counts.h"
#include "cli/policy/gather.h"
#include "cli/policy/say.h"
#include "cli/table.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/nearest.h"
#include "lib/text.h"
#include "policy/judge.h"

#define SHOWN_PODS 20

static const char *const direction_names[POLICY_DIRECTIONS] = {"ingress", "egress"};

static bool is_subject(
	const struct policy_world *w, const struct policy *p, const struct policy_pod *pod)
{
	return !pod->is_over && policy_selects(w, p, pod);
}

static size_t count_pods(const struct policy_world *w, const struct policy *p)
{
	size_t n, selected = 0;
	const struct policy_pod *const *pods = policy_world_pods(w, &n);
	for (size_t i = 0; i < n; i++)
		selected += is_subject(w, p, pods[i]);
	return selected;
}

/* "-": it says nothing of this direction. */
static void say_direction(struct text *t, const struct policy *p, enum policy_direction d)
{
	bool is_allowing = p->kind == POLICY_NETWORK;
	if (!p->applies[d])
		text_add(t, "-");
	else if (!p->n_rules[d])
		text_add(t, "%s", is_allowing ? "deny all" : "no rules");
	else
		text_add(t, "%s", COUNT_STRING(p->n_rules[d], "rule", "rules"));
}

static void say_order(struct text *t, const struct policy *p)
{
	if (p->order < POLICY_ORDER_LAST)
		text_add(t, "%g", p->order);
	else
		text_add(t, "last");
}

static const char *note_of(const struct policy *p)
{
	if (p->problems)
		return p->staged ? "staged, has problems" : "has problems";
	return p->staged ? "staged" : "";
}

static void list_row(struct table *t, const struct policy_world *w, const struct counts *counts,
	const struct policy *p)
{
	struct counts_sum sum;
	char order[32], directions[POLICY_DIRECTIONS][40];
	struct text text = TEXT_ON(order);
	say_order(&text, p);
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		struct text cell = TEXT_ON(directions[d]);
		say_direction(&cell, p, (enum policy_direction)d);
	}
	bool counted = counts_sum(counts, p, &sum);
	const char *const cells[] = {POLICY_STRING(p), p->tier, order,
		NUMBER_STRING(count_pods(w, p)), directions[POLICY_INGRESS],
		directions[POLICY_EGRESS], counted ? NUMBER_STRING(sum.allowed) : "-",
		counted ? NUMBER_STRING(sum.denied) : "-", note_of(p)};
	if (counts->list)
		table_add(t, cells, sizeof(cells) / sizeof(cells[0]));
	else
		table_row(
			t, cells[0], cells[1], cells[2], cells[3], cells[4], cells[5], note_of(p));
}

/* Documents. */

static json_t *rules_array(const struct policy *p, enum policy_direction d)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->n_rules[d]; i++) {
		struct text CLEANUP_TEXT t = {0};
		say_rule(&t, &p->rules[d][i], d);
		(void)json_array_append_new(list, json_of_text(t.buf));
	}
	return list;
}

static json_t *policy_document(const struct policy_world *w, const struct counts *counts,
	const struct policy *p, bool whole)
{
	struct text CLEANUP_TEXT selects = {0};
	say_selection(&selects, p);
	json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:f, s:b, s:o, s:I, s:o}", "policy",
		json_of_text(POLICY_STRING(p)), "namespace", json_of_text(p->namespace), "name",
		json_of_text(p->name), "tier", json_of_text(p->tier), "order", p->order, "staged",
		(int)p->staged, "selects", json_of_text(selects.buf), "pods",
		(json_int_t)count_pods(w, p), "problems",
		json_of_text(p->problems ? p->problems : ""));
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		enum policy_direction direction = (enum policy_direction)d;
		json_t *rules = !p->applies[d] ? json_null()
				: whole	       ? rules_array(p, direction)
					       : json_integer((json_int_t)p->n_rules[d]);
		json_put(o, direction_names[d], rules);
	}
	json_put(o, "counters", counts_object(counts, p));
	return o;
}

static int gather_or_complain(const struct options *o, struct scene *s)
{
	struct err e = {0};
	int r = gather(o, s, &e);
	if (r < 0 && *e.text)
		(void)output_error(&e);
	return r;
}

int policy_list(const struct options *o)
{
	CLEANUP_SCENE struct scene s = {0};
	if (gather_or_complain(o, &s) < 0)
		return 1;
	CLEANUP_COUNTS struct counts counts = {0};
	counts_ask(o, &counts);
	size_t n;
	const struct policy *const *all = policy_world_policies(s.world, &n);
	if (o->json) {
		json_t *list = json_array();
		for (size_t i = 0; i < n; i++)
			(void)json_array_append_new(
				list, policy_document(s.world, &counts, all[i], false));
		output_json(json_pack("{s:o}", "policies", list));
		return 0;
	}
	CLEANUP_TABLE struct table t;
	table_init(&t, counts.list ? "POLICY|TIER|>ORDER|>PODS|INGRESS|EGRESS|>ALLOWED|>DENIED|NOTE"
				   : "POLICY|TIER|>ORDER|>PODS|INGRESS|EGRESS|NOTE");
	for (size_t i = 0; i < n; i++)
		list_row(&t, s.world, &counts, all[i]);
	if (n)
		table_print(&t, stdout);
	else
		(void)fprintf(stderr, "roostctl: there is no network policy\n");
	return 0;
}

/* One of them. */

static bool is_meant(const struct policy *p, const char *text)
{
	const char *slash = strchr(text, '/');
	if (!slash)
		return strcmp(p->name, text) == 0;
	return strcmp(p->name, slash + 1) == 0 && strlen(p->namespace) == (size_t)(slash - text) &&
	       strncmp(p->namespace, text, (size_t)(slash - text)) == 0;
}

static void print_rules(const struct policy *p, enum policy_direction d)
{
	struct text CLEANUP_TEXT title = {0};
	say_direction(&title, p, d);
	output_line(direction_names[d], p->applies[d] ? title.buf : "not judged by this policy");
	for (size_t i = 0; p->applies[d] && i < p->n_rules[d]; i++) {
		struct text CLEANUP_TEXT t = {0};
		text_add(&t, "%s[%zu]: ", direction_names[d], i);
		if (p->rules[d][i].name[0])
			text_add(&t, "\"%s\": ", p->rules[d][i].name);
		say_rule(&t, &p->rules[d][i], d);
		say_line(2, t.buf);
	}
}

static void print_pods(const struct policy_world *w, const struct policy *p)
{
	size_t n, shown = 0, selected = count_pods(w, p);
	const struct policy_pod *const *pods = policy_world_pods(w, &n);
	output_line("pods", selected ? NUMBER_STRING(selected) : "none: it selects nobody");
	for (size_t i = 0; i < n && shown < SHOWN_PODS; i++) {
		if (!is_subject(w, p, pods[i]))
			continue;
		struct text CLEANUP_TEXT t = {0};
		text_add(&t, "%s/%s", pods[i]->namespace, pods[i]->name);
		for (size_t k = 0; k < pods[i]->n_addrs; k++)
			text_add(&t, " %s", ADDR_STRING(&pods[i]->addrs[k]));
		say_line(2, t.buf);
		shown++;
	}
	if (selected > shown)
		(void)printf("  and %zu more\n", selected - shown);
}

static void print_policy(
	const struct policy_world *w, const struct counts *counts, const struct policy *p)
{
	struct text CLEANUP_TEXT tier = {0}, selects = {0};
	output_line("policy", POLICY_STRING(p));
	text_add(&tier, "%s, order ", p->tier);
	say_order(&tier, p);
	output_line("tier", tier.buf);
	if (p->staged)
		output_line("staged", "it is judged and reported, not enforced");
	say_selection(&selects, p);
	output_line("selects", selects.buf);
	print_rules(p, POLICY_INGRESS);
	print_rules(p, POLICY_EGRESS);
	output_line("problems", p->problems);
	counts_print(counts, p);
	print_pods(w, p);
}

static int complain_missing(const struct policy_world *w, const char *name)
{
	struct nearest near = NEAREST_TO(name);
	struct err e = {0};
	size_t n;
	const struct policy *const *all = policy_world_policies(w, &n);
	char(*names)[POLICY_TITLE] = mem_new(n, sizeof(*names));
	for (size_t i = 0; i < n; i++) {
		struct text t = TEXT_ON(names[i]);
		text_add(&t, "%s%s%s", all[i]->namespace, *all[i]->namespace ? "/" : "",
			all[i]->name);
		nearest_offer(&near, names[i]);
	}
	(void)err_set(&e, ENOENT, "there is no policy %.300s", name);
	nearest_add(&near, &e);
	free(names);
	return output_error(&e);
}

int policy_show(const struct options *o)
{
	CLEANUP_SCENE struct scene s = {0};
	if (gather_or_complain(o, &s) < 0)
		return 1;
	CLEANUP_COUNTS struct counts counts = {0};
	counts_ask(o, &counts);
	size_t n, found = 0;
	const struct policy *const *all = policy_world_policies(s.world, &n);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		if (!is_meant(all[i], o->operands[0]))
			continue;
		if (o->json)
			(void)json_array_append_new(
				list, policy_document(s.world, &counts, all[i], true));
		else if (found)
			(void)printf("\n");
		if (!o->json)
			print_policy(s.world, &counts, all[i]);
		found++;
	}
	if (found && o->json)
		output_json(json_incref(list));
	json_decref(list);
	return found ? 0 : complain_missing(s.world, o->operands[0]);
}
