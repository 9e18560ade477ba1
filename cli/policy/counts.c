/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's list has a counter of each kind for a policy, and one for each way and list of policies that isolate
 * pods together. They are found by the policy's title, which is how the agent names it.
 */
#include "cli/policy/counts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/config.h"
#include "cli/output.h"
#include "cli/policy/say.h"
#include "lib/ask.h"
#include "lib/json.h"
#include "lib/text.h"

#define AGENT_MS 5000

void counts_ask(const struct options *o, struct counts *out)
{
	struct config c;
	struct err e = {0};
	CLEANUP_JSON json_t *request = json_pack("{s:s}", "op", "policy-counters");
	CLEANUP_JSON json_t *answer = NULL;
	*out = (struct counts){0};
	if (o->n_files || config_socket(o, &c, &e) < 0)
		return;
	int r = ask(c.socket, request, o->timeout_ms ? o->timeout_ms : AGENT_MS, &answer, &e);
	if (r < 0 && r != -ECONNREFUSED && r != -ENOENT)
		(void)output_complain("counters of this node are not shown: %s", e.text);
	if (r >= 0)
		out->list = json_incref(json_object_get(answer, "counters"));
}

void counts_done(struct counts *c)
{
	json_decref(c->list);
	*c = (struct counts){0};
}

static bool counter_is_of(const json_t *counter, const char *title)
{
	const json_t *one;
	size_t i;
	json_array_foreach (json_object_get(counter, "policies"), i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), title) == 0)
			return true;
	return false;
}

static uint64_t counter_number(const json_t *counter, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(counter, key));
}

bool counts_sum(const struct counts *c, const struct policy *p, struct counts_sum *out)
{
	const char *title = POLICY_STRING(p);
	const json_t *counter;
	bool found = false;
	size_t i;
	*out = (struct counts_sum){0};
	json_array_foreach (c->list, i, counter) {
		const char *kind = json_text_at(counter, "kind");
		if (!counter_is_of(counter, title))
			continue;
		found = true;
		if (strcmp(kind, "allowed") == 0)
			out->allowed += counter_number(counter, "packets");
		else if (strcmp(kind, "logged") != 0)
			out->denied += counter_number(counter, "packets");
	}
	return found;
}

static void say_others(struct text *t, const json_t *counter, const char *title)
{
	const json_t *one;
	const char *before = ", together with ";
	size_t i;
	json_array_foreach (json_object_get(counter, "policies"), i, one) {
		const char *other = json_string_value(one);
		if (!other || strcmp(other, title) == 0)
			continue;
		text_add(t, "%s%s", before, other);
		before = ", ";
	}
}

static void print_counter(const json_t *counter, const char *title)
{
	struct text CLEANUP_TEXT t = {0};
	const char *way = json_text_at(counter, "way"), *since = json_text_at(counter, "since");
	text_add(&t, "%s%s%s: %s, %s", json_text_at(counter, "kind"), *way ? " " : "", way,
		COUNT_STRING(counter_number(counter, "packets"), "packet", "packets"),
		COUNT_STRING(counter_number(counter, "bytes"), "byte", "bytes"));
	if (*since)
		text_add(&t, " since %s", since);
	say_others(&t, counter, title);
	say_line(2, t.buf);
}

void counts_print(const struct counts *c, const struct policy *p)
{
	const char *title = POLICY_STRING(p);
	struct counts_sum ignored;
	const json_t *counter;
	size_t i;
	if (!c->list || p->staged)
		return;
	bool any = counts_sum(c, p, &ignored);
	output_line("counted here", any ? "the first packets of connections"
					: "nothing: it selects no pod of this node");
	json_array_foreach (c->list, i, counter)
		if (counter_is_of(counter, title))
			print_counter(counter, title);
}

/* Of a counter, what does not repeat the policy. */
static json_t *figures(const json_t *counter)
{
	return json_pack("{s:I, s:I, s:o}", "packets",
		(json_int_t)counter_number(counter, "packets"), "bytes",
		(json_int_t)counter_number(counter, "bytes"), "since",
		json_of_text(json_text_at(counter, "since")));
}

json_t *counts_object(const struct counts *c, const struct policy *p)
{
	const char *title = POLICY_STRING(p);
	const json_t *counter;
	size_t i;
	if (!c->list)
		return json_null();
	json_t *out = json_object(), *isolated = json_array();
	json_array_foreach (c->list, i, counter) {
		const char *kind = json_text_at(counter, "kind");
		json_t *f = counter_is_of(counter, title) ? figures(counter) : NULL;
		if (f && strcmp(kind, "isolated") != 0) {
			json_put(out, kind, f);
		} else if (f) {
			json_put(f, "way", json_of_text(json_text_at(counter, "way")));
			json_put(f, "policies", json_incref(json_object_get(counter, "policies")));
			json_append(isolated, f);
		}
	}
	json_put(out, "isolated", isolated);
	return out;
}
