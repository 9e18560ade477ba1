/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies mean: every file of tests/data/policy_cases is a cluster, and the cases that must hold in it. They are
 * read as roostctl policy test reads them. The corner cases of docs/POLICY.md stand there, each by its name.
 */
#include "tests/unit/check.h"

#include <errno.h>
#include <stdio.h>

#include "cli/manifest.h"
#include "cli/policy/connection.h"
#include "cli/policy/scene.h"
#include "lib/mem.h"

static void read_scene(const char *name, struct scene *out)
{
	char path[300];
	size_t len = 0;
	struct err e = {0};
	CLEANUP_FREE char *bytes = NULL;
	snprintf(path, sizeof(path), "%s/policy_cases/%s.yaml", TEST_DATA, name);
	ok(manifest_read_bytes(path, &bytes, &len, &e));
	scene_init(out);
	assert_int_equal(scene_add(out, path, bytes, len), 0);
	scene_complete(out);
}

/* What the trail of a verdict ends with is a verdict; the trail and the fast way are of one mind. */
static void check_flow(const struct scene *s, const struct scene_case *c,
	const struct connection *connection, size_t flow)
{
	struct policy_trail trails[POLICY_DIRECTIONS] = {0};
	struct connection_verdict told =
		connection_judge(s->world, connection, flow, false, trails);
	struct connection_verdict fast = connection_judge(s->world, connection, flow, false, NULL);
	if (told.all != c->is_allowed)
		fail_msg("%s:%u: %s: %s -> %s %s is %s: egress: %s; ingress: %s", c->file, c->line,
			c->name, c->from, c->to, c->port, told.all ? "allowed" : "denied",
			trails[POLICY_EGRESS].v[trails[POLICY_EGRESS].n - 1].text,
			trails[POLICY_INGRESS].v[trails[POLICY_INGRESS].n - 1].text);
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		assert_int_equal(told.is_allowed[d], fast.is_allowed[d]);
		const struct policy_step *last = &trails[d].v[trails[d].n - 1];
		assert_int_equal(last->kind, POLICY_STEP_VERDICT);
		assert_true(strncmp(last->text, told.is_allowed[d] ? "allowed" : "denied",
				    told.is_allowed[d] ? 7 : 6) == 0);
		policy_trail_done(&trails[d]);
	}
}

static void check_file(const char *name)
{
	struct scene s;
	read_scene(name, &s);
	assert_true(s.n_cases > 0);
	for (size_t i = 0; i < s.n_cases; i++) {
		const struct scene_case *c = &s.cases[i];
		struct connection connection;
		struct err e = {0};
		if (connection_parse(s.world, (const char *const[]){c->from, c->to}, c->port,
			    &connection, &e) < 0)
			fail_msg("%s:%u: %s", c->file, c->line, e.text);
		for (size_t f = 0; f < connection.n_flows; f++)
			check_flow(&s, c, &connection, f);
	}
	scene_done(&s);
}

TEST(policies_select_pods_and_add_up)
{
	check_file("selection");
}

TEST(peers_are_who_is_meant)
{
	check_file("peers");
}

TEST(ports_are_numbers_ranges_and_names)
{
	check_file("ports");
}

TEST(cluster_policies_stand_before_and_behind_those_of_namespaces)
{
	check_file("cluster");
}

TEST(calicos_policies_are_judged_by_tier_order_and_rule)
{
	check_file("calico");
}

/* Of a connection, the steps of one direction. */
static struct policy_trail trail_of(const struct scene *s, const char *from, const char *to,
	const char *port, enum policy_direction d)
{
	struct connection c;
	struct err e = {0};
	ok(connection_parse(s->world, (const char *const[]){from, to}, port, &c, &e));
	struct policy_trail trails[POLICY_DIRECTIONS] = {0};
	(void)connection_judge(s->world, &c, 0, false, trails);
	policy_trail_done(&trails[d == POLICY_INGRESS ? POLICY_EGRESS : POLICY_INGRESS]);
	return trails[d];
}

static void assert_step(const struct policy_trail *t, enum policy_step_kind kind, const char *part)
{
	for (size_t i = 0; i < t->n; i++) {
		if (t->v[i].kind == kind && strstr(t->v[i].text, part))
			return;
	}
	for (size_t i = 0; i < t->n; i++)
		print_message("%d %s\n", t->v[i].kind, t->v[i].text);
	fail_msg("no step of kind %d says \"%s\"", kind, part);
}

TEST(a_trail_names_what_missed_and_by_how_little)
{
	static const struct {
		const char *scene, *from, *to, *port;
		enum policy_direction direction;
		enum policy_step_kind kind;
		const char *part;
	} table[] = {
		{"peers", "red/b", "red/own", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"ingress[0]: pod b is not "},
		{"peers", "blue/a", "red/own", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"blue/a is not in namespace red"},
		{"peers", "203.0.113.1", "red/except", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"203.0.113.1 is in 203.0.113.0/28, which is excepted from 203.0.113.0/24"},
		{"peers", "203.0.113.1", "red/ns-all", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"203.0.113.1 is no pod's address"},
		{"peers", "red/a", "red/own", "80", POLICY_INGRESS, POLICY_STEP_MATCH,
			"ingress[0] matches: allow"},
		{"peers", "red/a", "red/own", "80", POLICY_INGRESS, POLICY_STEP_VERDICT,
			"allowed by NetworkPolicy red/own, ingress[0]"},
		{"peers", "red/b", "red/own", "80", POLICY_INGRESS, POLICY_STEP_VERDICT,
			"denied: isolated for ingress by NetworkPolicy red/own, and no rule allows "
			"80/TCP from red/b"},
		{"peers", "red/b", "red/own", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"NetworkPolicy red/own-all does not select it: pod own is not "},
		{"ports", "ports/client", "ports/named81", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"80/TCP is not web/TCP, dns/UDP; web of ports/named81 is 81/TCP; no port "
			"dns of ports/named81"},
		{"ports", "ports/client", "ports/unknown", "80", POLICY_INGRESS, POLICY_STEP_MISS,
			"no port nobody of ports/unknown"},
		{"selection", "rules-none/web", "open/web", "80", POLICY_EGRESS, POLICY_STEP_POLICY,
			"it has no egress rules"},
		{"selection", "out/probe", "open/web", "80", POLICY_INGRESS, POLICY_STEP_VERDICT,
			"no policy selects it for ingress"},
		{"selection", "node", "rules-none/web", "80", POLICY_INGRESS, POLICY_STEP_VERDICT,
			"what its own node sends is always let in"},
		{"cluster", "client/good", "plain/web", "82", POLICY_INGRESS, POLICY_STEP_TIER,
			"tier kube-baseline"},
		{"cluster", "client/good", "plain/web", "82", POLICY_INGRESS, POLICY_STEP_END,
			"a rule passes; end of tier kube-admin: the next tier"},
		{"cluster", "client/good", "own/web", "84", POLICY_INGRESS, POLICY_STEP_VERDICT,
			"denied by ClusterNetworkPolicy late, ingress[1] \"deny-84\""},
		{"calico", "shop/web", "shop/db", "5432", POLICY_INGRESS, POLICY_STEP_MATCH,
			"ingress[0] matches: log"},
		{"calico", "shop/web", "lab/guarded", "9", POLICY_INGRESS, POLICY_STEP_END,
			"no rule matches in tier strict: deny"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct scene s;
		read_scene(table[i].scene, &s);
		struct policy_trail t =
			trail_of(&s, table[i].from, table[i].to, table[i].port, table[i].direction);
		assert_step(&t, table[i].kind, table[i].part);
		policy_trail_done(&t);
		scene_done(&s);
	}
}

static const char staged[] =
	"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n}}\n---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: n}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: p, namespace: n},"
	" spec: {selector: all(), ingress: [{action: Allow}]}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: StagedNetworkPolicy,"
	" metadata: {name: p, namespace: n},"
	" spec: {selector: all(), ingress: [{action: Deny}]}}\n---\n"
	"{apiVersion: projectcalico.org/v3, kind: StagedGlobalNetworkPolicy,"
	" metadata: {name: q}, spec: {selector: all(), egress: [{action: Deny}]}}\n";

TEST(staged_policies_are_told_of_and_decide_when_asked_to)
{
	struct scene s;
	struct connection c;
	struct err e = {0};
	scene_init(&s);
	assert_int_equal(scene_add(&s, "staged", staged, strlen(staged)), 0);
	scene_complete(&s);
	ok(connection_parse(s.world, (const char *const[]){"n/a", "n/b"}, "80", &c, &e));
	assert_true(connection_judge(s.world, &c, 0, false, NULL).all);
	struct connection_verdict v = connection_judge(s.world, &c, 0, true, NULL);
	assert_false(v.is_allowed[POLICY_INGRESS]);
	assert_false(v.is_allowed[POLICY_EGRESS]);
	struct policy_trail t = trail_of(&s, "n/a", "n/b", "80", POLICY_EGRESS);
	assert_step(&t, POLICY_STEP_POLICY, "it is staged, and decides nothing");
	assert_step(&t, POLICY_STEP_MATCH, "egress[0] matches: deny");
	assert_step(&t, POLICY_STEP_VERDICT, "allowed");
	policy_trail_done(&t);
	scene_done(&s);
}

TEST(ends_and_ports_that_are_none_are_refused_by_name)
{
	static const struct {
		const char *from, *to, *port, *part;
		int error;
	} table[] = {
		{"open/webb", "out/probe", "80",
			"there is no pod open/webb: did you mean open/web?", ENOENT},
		{"/web", "out/probe", "80", "\"/web\" is neither NAMESPACE/POD nor an address",
			EINVAL},
		{"open/web", "probe", "80", "there is no pod default/probe", ENOENT},
		{"open/web", "out/probe", "0", "\"0\" is no port", EINVAL},
		{"open/web", "out/probe", "65536", "\"65536\" is no port", EINVAL},
		{"open/web", "out/probe", "80/XTP", "protocol \"XTP\" is not TCP, UDP or SCTP",
			EINVAL},
		{"open/web", "out/probe", "http", "has no port of the name \"http\"", ENOENT},
		{"open/web", "192.0.2.9", "http", "is no pod that could have it", EINVAL},
		{"open/web", "192.0.2.9", "ICMP/256", "neither ICMP nor ICMP/TYPE", EINVAL},
		{"rules-none/host", "2001:db8:1::1", "80", "no addresses of one family", EINVAL},
	};
	struct scene s;
	read_scene("selection", &s);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct connection c;
		struct err e = {0};
		refused(connection_parse(s.world, (const char *const[]){table[i].from, table[i].to},
				table[i].port, &c, &e),
			table[i].error, table[i].part);
	}
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_select_pods_and_add_up),
		cmocka_unit_test(peers_are_who_is_meant),
		cmocka_unit_test(ports_are_numbers_ranges_and_names),
		cmocka_unit_test(cluster_policies_stand_before_and_behind_those_of_namespaces),
		cmocka_unit_test(calicos_policies_are_judged_by_tier_order_and_rule),
		cmocka_unit_test(a_trail_names_what_missed_and_by_how_little),
		cmocka_unit_test(staged_policies_are_told_of_and_decide_when_asked_to),
		cmocka_unit_test(ends_and_ports_that_are_none_are_refused_by_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
