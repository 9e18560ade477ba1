/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what probes say to checks and verdicts. A golden case is a cluster as a document: members with
 * their answers to look and pod-add, pools of the store, answers to tries by the beginning of a check's
 * words. What comes out is the report in text.
 */
#include "tests/unit/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/conform/judge.h"
#include "cli/conform/pairs.h"
#include "cli/conform/plan.h"
#include "cli/conform/report.h"
#include "cli/conform/static.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/unit/golden.h"

static const json_t *get(const json_t *o, const char *key)
{
	return json_object_get(o, key);
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(get(o, key));
	return s ? s : "";
}

static enum resource_encap encap(const json_t *o, const char *key)
{
	static const char *const names[] = {"", "Always", "CrossSubnet"};
	for (int i = 1; i < 3; i++)
		if (strcmp(text(o, key), names[i]) == 0)
			return (enum resource_encap)i;
	return ENCAP_NEVER;
}

static void take_member(const json_t *doc, struct conform_member *m)
{
	struct err e = {0};
	size_t i = 0;
	json_t *pod = NULL;
	(void)snprintf(m->name, sizeof(m->name), "%s", text(doc, "name"));
	m->is_outside = json_is_true(get(doc, "outside"));
	m->alive = true;
	m->ports = (struct conform_ports){4000, 4000};
	m->host_port = (uint16_t)json_integer_value(get(doc, "hostPort"));
	if (conform_facts_parse(get(doc, "look"), &m->facts, &e) < 0)
		fail_msg("%s: %s", m->name, e.text);
	json_array_foreach (get(doc, "pods"), i, pod)
		if (conform_pod_parse(pod, &m->pods[m->n_pods++], &e) < 0)
			fail_msg("%s: %s", m->name, e.text);
	conform_member_find_addresses(m);
}

static void take_cluster(const json_t *doc, struct conform_cluster *c)
{
	const json_t *members = get(doc, "members"), *pools = get(doc, "pools");
	json_t *o = NULL;
	size_t i = 0;
	*c = (struct conform_cluster){
		.members = mem_new(json_array_size(members) + 1, sizeof(*c->members)),
		.pools = mem_new(json_array_size(pools) + 1, sizeof(*c->pools)),
		.has_store = pools != NULL,
		.families = {true, true},
		.routed = json_is_true(get(doc, "routed")),
		.seed = 1,
	};
	json_array_foreach (members, i, o) {
		take_member(o, &c->members[c->n++]);
		c->has_outside = c->members[c->n - 1].is_outside;
	}
	json_array_foreach (pools, i, o) {
		struct conform_pool *p = &c->pools[c->n_pools++];
		p->cidr = cidr(text(o, "cidr"));
		p->ipip = encap(o, "ipip");
		p->vxlan = encap(o, "vxlan");
		p->nat = json_is_true(get(o, "nat"));
	}
}

/* The answer with the longest key that the check's words begin with; "" is for all others. */
static const json_t *answer_of(const json_t *answers, const char *what)
{
	const char *key = NULL;
	const json_t *best = NULL;
	json_t *value = NULL;
	size_t longest = 0;
	json_object_foreach ((json_t *)answers, key, value) {
		if (strncmp(what, key, strlen(key)) == 0 && strlen(key) >= longest) {
			best = value;
			longest = strlen(key);
		}
	}
	return best;
}

static void judge(const struct conform_cluster *c, const json_t *answers, struct conform_check *k)
{
	const json_t *answer = answer_of(answers, k->what);
	struct conform_outcome o = {0};
	struct err e = {0};
	struct conform_heard heard = {0};
	if (k->verdict != CONFORM_OPEN || !answer)
		return;
	if (k->kind == CONFORM_ARRIVE || k->kind == CONFORM_REPEL) {
		assert_int_equal(conform_heard_parse(answer, &heard, &e), 0);
		conform_judge_heard(c, &heard, k);
		return;
	}
	assert_int_equal(conform_outcome_parse(answer, &o, &e), 0);
	conform_judge(c, &o, k);
}

static void run_case(const char *dir, char *out, size_t size)
{
	size_t len = 0;
	struct err e = {0};
	CLEANUP_FREE char *bytes = golden_read(dir, "cluster.json", &len);
	CLEANUP_JSON json_t *doc = NULL;
	assert_non_null(bytes);
	if (json_parse(bytes, len, &doc, &e) < 0)
		fail_msg("%s: %s", dir, e.text);
	struct conform_cluster c;
	struct conform_checks checks = {0};
	take_cluster(doc, &c);
	conform_addresses(&c, &checks);
	conform_routes(&c, &checks);
	conform_plan(&c, &checks);
	if (get(doc, "after"))
		conform_leftovers(&c, &checks);
	for (size_t i = 0; i < checks.n; i++)
		judge(&c, get(doc, "answers"), &checks.list[i]);
	FILE *f = fmemopen(out, size, "w");
	struct conform_progress progress = {.format = CONFORM_TEXT};
	const struct conform_totals facts = {.nodes = 2, .pods = 2, .all_pairs = true};
	conform_progress_print(f, &progress, &checks);
	conform_report_end(f, &checks, &facts);
	(void)fclose(f);
	conform_checks_done(&checks);
	conform_cluster_done(&c);
}

TEST(clusters_are_judged_as_the_golden_folders_say)
{
	golden_run("conform", run_case);
}

/* ---- Pairs ---- */

static void make_pods(struct conform_cluster *c, size_t nodes, size_t pods)
{
	*c = (struct conform_cluster){
		.members = mem_new(nodes, sizeof(*c->members)), .n = nodes, .seed = 7};
	for (size_t i = 0; i < nodes; i++)
		c->members[i].n_pods = pods;
}

TEST(a_small_cluster_is_tried_in_all_ordered_pairs)
{
	struct conform_cluster c;
	size_t n = 0;
	make_pods(&c, 12, 2);
	assert_true(conform_pairs_are_all(&c));
	free(conform_pairs(&c, &n));
	assert_int_equal(n, 24 * 23);
	conform_cluster_done(&c);
}

TEST(a_large_cluster_is_sampled_the_same_way_for_the_same_seed)
{
	struct conform_cluster c;
	size_t n = 0, again = 0, other = 0;
	make_pods(&c, 100, 2);
	assert_false(conform_pairs_are_all(&c));
	CLEANUP_FREE struct conform_pair *pairs = conform_pairs(&c, &n);
	CLEANUP_FREE struct conform_pair *same = conform_pairs(&c, &again);
	assert_int_equal(n, again);
	assert_memory_equal(pairs, same, n * sizeof(*pairs));
	assert_in_range(n, 200 * 3, 200 * (CONFORM_SAMPLE + 4));
	c.seed = 8;
	CLEANUP_FREE struct conform_pair *differs = conform_pairs(&c, &other);
	assert_true(other != n || memcmp(pairs, differs, n * sizeof(*pairs)) != 0);
	size_t sends[200] = {0}, across[200] = {0};
	for (size_t i = 0; i < n; i++) {
		sends[pairs[i].from * 2 + pairs[i].from_pod]++;
		across[pairs[i].to * 2 + pairs[i].to_pod] += pairs[i].from != pairs[i].to;
	}
	for (size_t i = 0; i < 200; i++)
		assert_true(sends[i] >= 3 && across[i] >= 2);
	conform_cluster_done(&c);
}

/* ---- Other forms of the report ---- */

TEST(junit_escapes_what_xml_would_take_for_its_own)
{
	struct conform_checks checks = {0};
	struct conform_check *k = conform_checks_add(&checks, CONFORM_FACT, "pod", 0);
	(void)snprintf(k->what, sizeof(k->what), "a -> b <&>");
	(void)snprintf(k->expected, sizeof(k->expected), "\"x\"");
	conform_check_set(k, CONFORM_FAILED, "y'\x01");
	k = conform_checks_add(&checks, CONFORM_FACT, "pod", 0);
	conform_check_set(k, CONFORM_SKIPPED, "why");
	CLEANUP_FREE char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	conform_report_junit(f, &checks, &(struct conform_totals){.duration_ms = 1500});
	(void)fclose(f);
	assert_string_equal(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuite name=\"roostctl conformance\" tests=\"2\" failures=\"1\" errors=\"0\" "
		"skipped=\"1\" time=\"1.500\">\n"
		"  <testcase classname=\"pod\" name=\"a -&gt; b &lt;&amp;&gt;\">\n"
		"    <failure message=\"expected &quot;x&quot;, saw y&apos;?\"></failure>\n"
		"  </testcase>\n"
		"  <testcase classname=\"pod\" name=\"\">\n"
		"    <skipped message=\"why\"></skipped>\n"
		"  </testcase>\n"
		"</testsuite>\n");
	conform_checks_done(&checks);
}

TEST(answers_of_the_wrong_form_are_refused)
{
	static const struct {
		const char *answer, *sentence;
	} looks[] = {
		{"{\"links\":7}", "links must be an array, not a number"},
		{"{\"blocks\":[\"10.0.0.0/33\"]}", "blocks[0] is no network"},
		{"{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"dev\":\"a/b\"}]}",
			"routes[0].dev is no name of a link"},
		{"{\"routes\":[{}]}", "routes[0].dst is no network"},
		{"{\"routes\":[\"x\"]}", "routes[0] is not an object"},
		{"{\"routes\":[{\"dst\":\"10.0.0.0/8\",\"protocol\":256}]}", NULL},
		{"{\"records\":[{\"address\":\"x\"}]}", NULL},
		{"{\"uplink\":[]}", NULL},
		{"{\"sysctls\":{\"ip_forward\":\"1\"}}", NULL},
	};
	for (size_t i = 0; i < COUNT(looks); i++) {
		struct err e = {0};
		struct conform_facts l;
		CLEANUP_JSON json_t *doc = json_of(looks[i].answer);
		if (conform_facts_parse(doc, &l, &e) != -EBADMSG)
			fail_msg("%s is taken", looks[i].answer);
		if (looks[i].sentence)
			assert_string_equal(e.text, looks[i].sentence);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clusters_are_judged_as_the_golden_folders_say),
		cmocka_unit_test(a_small_cluster_is_tried_in_all_ordered_pairs),
		cmocka_unit_test(a_large_cluster_is_sampled_the_same_way_for_the_same_seed),
		cmocka_unit_test(junit_escapes_what_xml_would_take_for_its_own),
		cmocka_unit_test(answers_of_the_wrong_form_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
