/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of policies in the kernel: each folder of tests/data/policy_rules is a cluster (objects.yaml), of whose
 * pods those on the node "here" are this node's, and the rule set that is made for them. A document of kind PolicyTest
 * says what must hold: the evaluator and an interpreter of the rule set are both asked.
 *
 * Names in a rule set are hashes of content. Here they are numbered in the order in which they come, and counters say
 * what they are about.
 */
#include "tests/unit/golden.h"

#include <ctype.h>

#include "cli/policy/connection.h"
#include "cli/policy/scene.h"
#include "lib/mem.h"
#include "policy/compile.h"
#include "tests/policy/walk.h"

#define FIRST_LINK 11
#define LOCALS 16
#define NAMES 256
#define DIGITS 12 /* of a hash, at least */

struct scenario {
	const char *dir;
	struct scene scene;
	struct policy_local locals[LOCALS];
	size_t n_locals;
	struct policy_compiler *compiler;
	struct policy_ruleset rules;
};

static int compare_locals(const void *a, const void *b)
{
	return strcmp(
		((const struct policy_local *)a)->name, ((const struct policy_local *)b)->name);
}

static void list_locals(struct scenario *s)
{
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(s->scene.world, &n);
	for (size_t i = 0; i < n; i++) {
		const struct policy_pod *p = pods[i];
		if (strcmp(p->node, "here") != 0 || p->on_host)
			continue;
		assert_true(s->n_locals < LOCALS);
		struct policy_local *l = &s->locals[s->n_locals++];
		(void)text_copy(l->namespace, sizeof(l->namespace), p->namespace);
		(void)text_copy(l->name, sizeof(l->name), p->name);
	}
	qsort(s->locals, s->n_locals, sizeof(s->locals[0]), compare_locals);
	for (size_t i = 0; i < s->n_locals; i++)
		s->locals[i].link = FIRST_LINK + (int)i;
}

static void scenario_open(struct scenario *s, const char *dir)
{
	size_t len = 0;
	char *bytes = golden_read(dir, "objects.yaml", &len);
	*s = (struct scenario){.dir = dir};
	assert_non_null(bytes);
	scene_init(&s->scene);
	assert_int_equal(scene_add(&s->scene, dir, bytes, len), 0);
	free(bytes);
	scene_complete(&s->scene);
	list_locals(s);
	s->compiler = policy_compiler_new(s->scene.world);
	policy_compile(s->compiler, s->locals, s->n_locals, &s->rules);
	walk_check(&s->rules);
}

static void scenario_close(struct scenario *s)
{
	policy_ruleset_done(&s->rules);
	policy_compiler_free(s->compiler);
	scene_done(&s->scene);
}

/* ---- What must hold ---- */

static int link_of(const struct scenario *s, const struct policy_pod *p)
{
	for (size_t i = 0; p && i < s->n_locals; i++)
		if (strcmp(s->locals[i].name, p->name) == 0 &&
			strcmp(s->locals[i].namespace, p->namespace) == 0)
			return s->locals[i].link;
	return 0;
}

/* By the rule set, as far as the ends are on this node; those elsewhere are judged there. */
static bool kernel_allows(const struct scenario *s, const struct policy_flow *f)
{
	const struct policy_world *w = s->scene.world;
	const struct policy_pod *source = policy_world_owner(w, &f->source);
	const struct policy_pod *destination = policy_world_owner(w, &f->destination);
	const struct walk_packet p = {
		.flow = *f, .iif = link_of(s, source), .oif = link_of(s, destination)};
	const struct policy_dispatch *out = walk_dispatch(&s->rules, p.iif);
	const struct policy_dispatch *in = walk_dispatch(&s->rules, p.oif);
	bool allows = true;
	if (p.iif && !f->from_node)
		allows = walk_chain(&s->rules, f->to_node ? out->to_host : out->egress, &p, NULL) ==
			 POLICY_ALLOW;
	if (p.oif && !f->from_node)
		allows &= walk_chain(&s->rules, in->ingress, &p, NULL) == POLICY_ALLOW;
	return allows;
}

static void check_case(const struct scenario *s, const struct scene_case *c)
{
	struct connection connection;
	struct err e = {0};
	if (connection_parse(s->scene.world, (const char *const[]){c->from, c->to}, c->port,
		    &connection, &e) < 0)
		fail_msg("%s:%u: %s", c->file, c->line, e.text);
	for (size_t i = 0; i < connection.n_flows; i++) {
		bool judged = connection_judge(s->scene.world, &connection, i, false, NULL).all;
		bool kernel = kernel_allows(s, &connection.flows[i]);
		if (judged != c->is_allowed || kernel != c->is_allowed)
			fail_msg("%s:%u: %s -> %s %s: expected %d, evaluator %d, rules %d", s->dir,
				c->line, c->from, c->to, c->port, c->is_allowed, judged, kernel);
	}
}

/* ---- The text ---- */

/* "d_0123456789abcdef": its length; 0: no name begins here. */
static size_t name_length(const char *at)
{
	size_t kind = 0, digits = 0;
	while (kind < 3 && (islower((unsigned char)at[kind]) || isdigit((unsigned char)at[kind])))
		kind++;
	if (!kind || at[kind] != '_')
		return 0;
	while (isxdigit((unsigned char)at[kind + 1 + digits]))
		digits++;
	return digits >= DIGITS ? kind + 1 + digits : 0;
}

struct numbering {
	char names[NAMES][POLICY_OBJECT_NAME];
	size_t n;
};

static void add_number(struct numbering *k, const char *name, size_t len, struct text *out)
{
	size_t kind = strcspn(name, "_") + 1, at = 0, number = 0;
	while (at < k->n && (strlen(k->names[at]) != len || memcmp(k->names[at], name, len) != 0))
		at++;
	assert_true(at < NAMES && len < POLICY_OBJECT_NAME);
	if (at == k->n)
		memcpy(k->names[k->n++], name, len);
	for (size_t i = 0; i <= at; i++)
		number += strncmp(k->names[i], name, kind) == 0;
	text_add_bytes(out, name, kind);
	text_add(out, "%zu", number);
}

static void number_names(const char *text, struct text *out)
{
	struct numbering k = {0};
	bool inside = false;
	while (*text) {
		size_t len = inside ? 0 : name_length(text);
		if (len)
			add_number(&k, text, len, out);
		else
			text_add_bytes(out, text, 1);
		inside = !len && (isalnum((unsigned char)*text) || *text == '_');
		text += len ? len : 1;
	}
}

static void describe_counters(const struct scenario *s, struct text *out)
{
	for (size_t i = 0; i < s->rules.n_counters; i++) {
		text_add(out, "# %s: ", s->rules.counters[i]);
		assert_true(
			policy_compiler_explain_counter(s->compiler, s->rules.counters[i], out));
		text_add(out, "\n");
	}
}

static void describe_pods(const struct scenario *s, struct text *out)
{
	for (size_t i = 0; i < s->n_locals; i++)
		text_add(out, "# link %d: %s/%s\n", s->locals[i].link, s->locals[i].namespace,
			s->locals[i].name);
}

static void describe_closed(const struct scenario *s, struct text *out)
{
	static const char *const ways[POLICY_WAYS] = {[POLICY_WAY_IN] = "in",
		[POLICY_WAY_OUT] = "out",
		[POLICY_WAY_TO_HOST] = "to the host"};
	CLEANUP_FREE struct policy_closed *closed = NULL;
	size_t n = policy_compiler_closed(s->compiler, &closed);
	for (size_t i = 0; i < n; i++) {
		const char *before = ": ";
		text_add(out, "closed %s",
			*closed[i].namespace ? closed[i].namespace : "(any other)");
		for (int way = 0; way < POLICY_WAYS; way++)
			if (closed[i].ways[way]) {
				text_add(out, "%s%s", before, ways[way]);
				before = ", ";
			}
		text_add(out, "\n");
	}
}

static void run(const char *dir, char *out, size_t size)
{
	struct scenario s;
	CLEANUP_TEXT struct text raw = {0};
	CLEANUP_TEXT struct text named = {0};
	scenario_open(&s, dir);
	assert_true(s.scene.n_cases > 0);
	for (size_t i = 0; i < s.scene.n_cases; i++)
		check_case(&s, &s.scene.cases[i]);
	describe_counters(&s, &raw);
	describe_pods(&s, &raw);
	policy_ruleset_describe(&s.rules, &raw);
	describe_closed(&s, &raw);
	number_names(raw.buf, &named);
	assert_true(text_copy(out, size, named.buf));
	scenario_close(&s);
}

TEST(policies_become_these_rules)
{
	golden_run("policy_rules", run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_become_these_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
