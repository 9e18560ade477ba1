/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers of all kinds stand on: problems in words, members of documents, selectors, prefixes.
 *
 * Documents come from whoever may write policies, through an API server that has judged them or a store that
 * has not. So every list has a bound, and a problem repeats a document's text only shortened and cleaned.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "policy/read.h"
#include "policy/read_impl.h"

#define PROBLEMS_MAX 16
#define PROBLEM_SIZE 320

void reading_problem(struct reading *r, const char *where, const char *fmt, ...)
{
	char sentence[PROBLEM_SIZE], clean[PROBLEM_SIZE];
	va_list args;
	if (++r->n_problems > PROBLEMS_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	(void)json_clean(clean, sizeof(clean), sentence);
	text_add(&r->problems, "%s%s: %s", r->n_problems > 1 ? "\n" : "", where, clean);
}

void reading_finish(struct reading *r)
{
	if (r->n_problems > PROBLEMS_MAX)
		text_add(&r->problems, "\nand %zu more", r->n_problems - PROBLEMS_MAX);
	if (r->n_problems)
		r->p->problems = text_take(&r->problems);
}

const json_t *read_member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	return json_is_null(value) ? NULL : value;
}

bool read_is_known(struct reading *r, const char *where, const json_t *object,
	const char *const known[], const char *meaning)
{
	const char *key;
	json_t *value;
	if (!json_is_object(object)) {
		reading_problem(r, where, "%s where an object belongs: %s", json_type_text(object),
			meaning);
		return false;
	}
	json_object_foreach ((json_t *)object, key, value) {
		size_t i = 0;
		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (known[i] || json_is_null(value))
			continue;
		reading_problem(r, where, "%.60s is not served by roost: %s", key, meaning);
		return false;
	}
	return true;
}

const json_t *read_list(struct reading *r, const char *where, const json_t *value)
{
	if (!value || json_is_array(value))
		return value;
	reading_problem(r, where, "%s where a list belongs", json_type_text(value));
	return NULL;
}

bool read_place(char out[READ_WHERE], const char *above, const char *key, int index)
{
	struct text t = {.buf = out, .size = READ_WHERE};
	text_add(&t, "%s%s%s", above, *above && *key ? "." : "", key);
	if (index >= 0)
		text_add(&t, "[%d]", index);
	return true;
}

static bool take_selector(
	struct reading *r, const char *where, int error, const struct err *e, const char *meaning)
{
	if (error < 0)
		reading_problem(r, where, "%s: %s", e->text, meaning);
	return error == 0;
}

bool read_label_selector(struct reading *r, const char *where, const json_t *value,
	struct policy_selector **out, const char *meaning)
{
	struct err e = {0};
	return take_selector(r, where, policy_selector_of_object(value, out, &e), &e, meaning);
}

bool read_text_selector(struct reading *r, const char *where, const json_t *value,
	struct policy_selector **out, const char *meaning)
{
	struct err e = {0};
	if (value && !json_is_string(value)) {
		reading_problem(r, where, "%s where a selector belongs: %s", json_type_text(value),
			meaning);
		return false;
	}
	return take_selector(
		r, where, policy_selector_of_text(json_string_value(value), out, &e), &e, meaning);
}

bool read_prefix(const json_t *value, struct cidr *out)
{
	struct err ignored;
	struct addr a;
	const char *text = json_string_value(value);
	if (!text)
		return false;
	if (!strchr(text, '/') && addr_parse(text, &a, &ignored) == 0) {
		*out = cidr_of_host(&a);
		return true;
	}
	if (cidr_parse(text, out, &ignored) < 0)
		return false;
	*out = cidr_masked(&out->addr, out->len);
	return true;
}

bool read_prefixes(struct reading *r, const char *where, const json_t *value, struct cidr **out,
	size_t *n, const char *meaning)
{
	size_t size = json_array_size(value);
	if (value && !json_is_array(value)) {
		reading_problem(
			r, where, "%s where a list belongs: %s", json_type_text(value), meaning);
		return false;
	}
	if (size > READ_END_NETS) {
		reading_problem(
			r, where, "%zu prefixes, %d at most: %s", size, READ_END_NETS, meaning);
		return false;
	}
	struct cidr *list = size ? mem_new(size, sizeof(*list)) : NULL;
	for (size_t i = 0; i < size; i++) {
		const json_t *one = json_array_get(value, i);
		if (read_prefix(one, &list[i]))
			continue;
		reading_problem(r, where, "\"%.60s\" is no prefix: %s",
			json_is_string(one) ? json_string_value(one) : json_type_text(one),
			meaning);
		free(list);
		return false;
	}
	*out = list;
	*n = size;
	return true;
}

static void rule_say_nothing(struct policy_rule *rule)
{
	rule->icmp.type = rule->icmp.code = rule->not_icmp.type = rule->not_icmp.code = -1;
}

struct policy_rule *read_make_rules(struct reading *r, enum policy_direction d, size_t n)
{
	static const char *const names[POLICY_DIRECTIONS] = {"spec.ingress", "spec.egress"};
	size_t kept = n > POLICY_RULES_MAX ? POLICY_RULES_MAX : n;
	struct policy_rule *rules = kept ? mem_new(kept, sizeof(*rules)) : NULL;
	for (size_t i = 0; i < kept; i++)
		rule_say_nothing(&rules[i]);
	if (kept < n)
		reading_problem(r, names[d], "%zu rules, %d at most: those behind count as denied",
			n, POLICY_RULES_MAX);
	r->p->rules[d] = rules;
	r->p->n_rules[d] = kept;
	return rules;
}

void read_match_nothing(struct policy_rule *rule)
{
	struct policy_rule nothing = {
		.action = rule->action, .peers = mem_new(1, sizeof(*nothing.peers)), .n_peers = 1};
	(void)text_copy(nothing.name, sizeof(nothing.name), rule->name);
	nothing.peers[0].nobody = true;
	rule_say_nothing(&nothing);
	policy_rule_done(rule);
	*rule = nothing;
}

void read_fail_closed(struct policy_rule *rule)
{
	struct policy_rule all = {.action = POLICY_DENY};
	if (rule->action == POLICY_ALLOW || rule->action == POLICY_LOG) {
		read_match_nothing(rule);
		return;
	}
	(void)text_copy(all.name, sizeof(all.name), rule->name);
	rule_say_nothing(&all);
	policy_rule_done(rule);
	*rule = all;
}

bool read_port_name(const char *s, char out[POLICY_PORT_NAME])
{
	bool has_letter = false;
	size_t len = strlen(s);
	for (size_t i = 0; i < len; i++) {
		if (!text_is_alnum(s[i]) && s[i] != '-')
			return false;
		has_letter = has_letter || (text_is_alnum(s[i]) && (s[i] < '0' || s[i] > '9'));
	}
	return has_letter && text_copy(out, POLICY_PORT_NAME, s);
}

bool read_port_number(const json_t *value, uint16_t *out)
{
	json_int_t n = json_integer_value(value);
	if (!json_is_integer(value) || n < 1 || n > UINT16_MAX)
		return false;
	*out = (uint16_t)n;
	return true;
}

size_t read_deciding_rules(
	struct reading *r, enum policy_direction d, const json_t *list, read_rule_fn *read_rule)
{
	static const char *const names[POLICY_DIRECTIONS] = {"spec.ingress", "spec.egress"};
	const json_t *rules = read_list(r, names[d], list);
	size_t n = json_array_size(rules);
	struct policy_rule *out = read_make_rules(r, d, n);
	char here[READ_WHERE];
	for (size_t i = 0; i < r->p->n_rules[d]; i++) {
		(void)read_place(here, names[d], "", (int)i);
		read_rule(r, here, d, json_array_get(rules, i), &out[i]);
	}
	if (r->p->n_rules[d] < n) {
		out[r->p->n_rules[d] - 1].action = POLICY_DENY;
		read_fail_closed(&out[r->p->n_rules[d] - 1]);
	}
	return n;
}

void read_directions(struct reading *r, const char *where, const json_t *list)
{
	static const char *const names[POLICY_DIRECTIONS] = {"Ingress", "Egress"};
	for (size_t i = 0; i < json_array_size(list) && i < POLICY_RULES_MAX; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		int d = text ? TEXT_INDEX(text, names) : -1;
		if (d >= 0)
			r->p->applies[d] = true;
		else
			reading_problem(r, where,
				"only Ingress and Egress are served: the others do nothing");
	}
}
