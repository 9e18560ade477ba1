/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl policy test: what manifests mean, against what somebody expects of them. No cluster is asked, so that
 * it can run where policies are reviewed. A case that fails is told with the verdict's reason, which most often
 * is all that one needs.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/policy/connection.h"
#include "cli/policy/say.h"
#include "cli/policy/scene.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

struct test_result {
	bool is_as_expected, is_wrong; /* wrong: the case cannot be judged */
	char *why;		       /* of one that is not as expected; else NULL */
};

/* The sentences of the verdicts that are not what was expected. */
static void say_verdicts(struct text *t, const struct policy_trail trails[POLICY_DIRECTIONS],
	const struct connection_verdict *v)
{
	static const enum policy_direction order[] = {POLICY_EGRESS, POLICY_INGRESS};
	for (size_t i = 0; i < POLICY_DIRECTIONS; i++) {
		const struct policy_trail *trail = &trails[order[i]];
		if (!v->all && v->is_allowed[order[i]])
			continue;
		text_add(t, "%s%s: %s", t->len ? "; " : "",
			order[i] == POLICY_EGRESS ? "egress" : "ingress",
			trail->n ? trail->v[trail->n - 1].text : "");
	}
}

static struct test_result judge_case(
	const struct scene *s, const struct scene_case *c, bool with_staged)
{
	struct connection connection;
	struct err e = {0};
	struct test_result out = {.is_as_expected = true};
	if (connection_parse(
		    s->world, (const char *const[]){c->from, c->to}, c->port, &connection, &e) < 0)
		return (struct test_result){.is_wrong = true, .why = mem_strdup(e.text)};
	for (size_t i = 0; i < connection.n_flows && out.is_as_expected; i++) {
		struct policy_trail trails[POLICY_DIRECTIONS] = {0};
		struct connection_verdict v =
			connection_judge(s->world, &connection, i, with_staged, trails);
		if (v.all != c->is_allowed) {
			struct text t = {0};
			say_verdicts(&t, trails, &v);
			out = (struct test_result){.why = text_take(&t)};
		}
		policy_trail_done(&trails[POLICY_INGRESS]);
		policy_trail_done(&trails[POLICY_EGRESS]);
	}
	return out;
}

static void print_failure(const struct scene_case *c, const struct test_result *r)
{
	struct text CLEANUP_TEXT t = {0};
	text_add(&t, "%s:%u: %s%s%s -> %s, %s: ", c->file, c->line, c->name, *c->name ? ": " : "",
		c->from, c->to, c->port);
	if (r->is_wrong)
		text_add(&t, "%s", r->why);
	else
		text_add(&t, "is %s, expected %s", c->is_allowed ? "denied" : "allowed",
			c->is_allowed ? "allow" : "deny");
	say_line(0, t.buf);
	if (!r->is_wrong)
		say_line(4, r->why);
}

static json_t *result_json(const struct scene_case *c, const struct test_result *r)
{
	json_t *o = json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:s, s:b}", "file",
		json_of_text(c->file), "line", (int)c->line, "name", json_of_text(c->name), "from",
		json_of_text(c->from), "to", json_of_text(c->to), "port", json_of_text(c->port),
		"expect", c->is_allowed ? "allow" : "deny", "ok", (int)r->is_as_expected);
	if (r->why)
		json_put(o, "why", json_of_text(r->why));
	return o;
}

int policy_test(const struct options *o)
{
	CLEANUP_SCENE struct scene s;
	if (!o->n_files) {
		scene_init(&s);
		return output_usage(o->command, "policy test needs files: -f FILE");
	}
	if (scene_read(o, &s) > 0)
		return 2;
	if (!s.n_cases) {
		(void)output_complain("no file has a document of kind PolicyTest with cases");
		return 2;
	}
	size_t failed = 0;
	json_t *results = json_array();
	for (size_t i = 0; i < s.n_cases; i++) {
		struct test_result r = judge_case(&s, &s.cases[i], o->given & OPTION_STAGED);
		failed += !r.is_as_expected;
		if (o->json)
			(void)json_array_append_new(results, result_json(&s.cases[i], &r));
		else if (!r.is_as_expected)
			print_failure(&s.cases[i], &r);
		free(r.why);
	}
	if (o->json)
		output_json(json_pack("{s:I, s:I, s:o}", "cases", (json_int_t)s.n_cases, "failed",
			(json_int_t)failed, "results", results));
	else
		json_decref(results);
	if (!o->json && failed)
		(void)printf(
			"%zu of %s failed\n", failed, COUNT_STRING(s.n_cases, "case", "cases"));
	else if (!o->json)
		(void)printf("%s passed\n", COUNT_STRING(s.n_cases, "case", "cases"));
	return failed > 0;
}
