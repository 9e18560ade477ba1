/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node state tells ADD of network policy, and the agent of pods.
 */
#include "tests/unit/node_place.h"

#include "ipam/node_policy.h"
#include "ipam/record_pod.h"

static const struct node_closed closed[] = {
	{.namespace = "", .egress = true, .to_host = true},
	{.namespace = "open"},
	{.namespace = "shut", .ingress = true, .egress = true},
};
static const struct node_staged staged[] = {
	{.uid = "u-1", .ingress = "class_i1", .egress = "class_e1"},
	{.uid = "u-2", .to_host = "class_h2"},
};

static int put(struct node *n, size_t n_closed, size_t n_staged)
{
	struct err e;
	const struct node_policy p = {
		.closed = closed, .n_closed = n_closed, .staged = staged, .n_staged = n_staged};
	return node_put_policy(n, &p, &e);
}

static struct node_gate gate(struct node *n, const char *namespace, const char *uid)
{
	struct err e;
	struct node_gate g;
	ok(node_get_gate(n, namespace, uid, &g, &e));
	return g;
}

TEST(nothing_is_closed_before_an_agent_says_so)
{
	CLEANUP_NODE struct node *n = open_state(state);
	struct node_gate g = gate(n, "shut", "u-1");
	assert_false(g.ingress || g.egress || g.is_staged);
}

TEST(a_namespace_is_closed_as_told_and_one_that_is_not_known_as_the_rest)
{
	CLEANUP_NODE struct node *n = open_state(state);
	assert_int_equal(put(n, 3, 2), 1);
	struct node_gate g = gate(n, "shut", "");
	assert_true(g.ingress && g.egress && !g.to_host && !g.is_staged);
	g = gate(n, "open", "u-3");
	assert_false(g.ingress || g.egress || g.is_staged);
	g = gate(n, "new", "u-1");
	assert_true(!g.ingress && g.egress && g.to_host && g.is_staged);
	assert_string_equal(g.staged.ingress, "class_i1");
	assert_string_equal(g.staged.egress, "class_e1");
	assert_string_equal(g.staged.to_host, "");
	assert_string_equal(g.staged.uid, "u-1");
	char long_name[300];
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	g = gate(n, long_name, long_name);
	assert_true(!g.ingress && g.egress && !g.is_staged);
}

TEST(what_is_told_again_changes_nothing_and_what_is_not_told_goes)
{
	CLEANUP_NODE struct node *n = open_state(state);
	assert_int_equal(put(n, 3, 2), 1);
	assert_int_equal(put(n, 3, 2), 0);
	assert_int_equal(put(n, 3, 1), 1);
	assert_false(gate(n, "", "u-2").is_staged);
	assert_int_equal(put(n, 0, 1), 1);
	assert_false(gate(n, "shut", "").ingress);
	assert_false(gate(n, "shut", "u-1").is_staged);
	assert_int_equal(put(n, 3, 1), 1);
	assert_true(gate(n, "shut", "u-1").is_staged);
	assert_int_equal(put(n, 0, 0), 1);
	assert_int_equal(put(n, 0, 0), 0);
}

static size_t identities(struct node *n, struct node_identity **out)
{
	struct err e;
	size_t count = 0;
	*out = NULL;
	ok(node_list_identities(n, out, &count, &e));
	return count;
}

TEST(what_is_known_of_a_pod_goes_with_its_last_address)
{
	CLEANUP_NODE struct node *n = open_state(state);
	const struct pool pools[] = {P("10.0.0.0/24", 26, 0), P("fd00::/112", 120, 0)};
	struct node_want w = W("c1", pools, 2);
	struct node_leases l;
	struct node_identity *pods;
	struct err e;
	w.uid = "u-1";
	w.labels = "{\"app\":\"web\"}";
	ok(node_assign(n, &w, &l, &e));
	gives(n, "c2", pools, 2, "10.0.0.1");
	assert_int_equal(identities(n, &pods), 1);
	assert_true(hash_equal(&pods[0].owner, &w.owner.hash));
	assert_string_equal(pods[0].uid, "u-1");
	assert_string_equal(pods[0].labels, "{\"app\":\"web\"}");
	free(pods);
	/* An ADD that begins again says it anew. */
	w.labels = "";
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(identities(n, &pods), 1);
	assert_string_equal(pods[0].labels, "");
	free(pods);
	w.uid = NULL;
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(identities(n, &pods), 0);
	w.uid = "u-1";
	ok(node_assign(n, &w, &l, &e));
	release(n, "c1", 2);
	assert_int_equal(identities(n, &pods), 0);
}

static bool same_limits(const struct bandwidths *a, const struct bandwidths *b)
{
	return a->ingress.rate == b->ingress.rate && a->ingress.burst == b->ingress.burst &&
	       a->egress.rate == b->egress.rate && a->egress.burst == b->egress.burst;
}

TEST(limits_of_a_pod_are_those_of_its_latest_ADD_and_go_with_its_last_address)
{
	CLEANUP_NODE struct node *n = open_state(state);
	const struct pool pools[] = {P("10.0.0.0/24", 26, 0), P("fd00::/112", 120, 0)};
	const struct bandwidths both = {{8000000, 100000}, {1000, 65536}},
				one = {{8000, 65536}, {0, 0}};
	struct node_want w = W("c1", pools, 2);
	struct bandwidths found;
	struct node_leases l;
	struct node_view v;
	struct err e;
	w.limits = &both;
	ok(node_assign(n, &w, &l, &e));
	gives(n, "c2", pools, 2, "10.0.0.1");
	assert_int_equal(node_get_limits(n, &w.owner.hash, &found, &e), 1);
	assert_true(same_limits(&found, &both));
	ok(node_list(n, &v, &e));
	assert_int_equal(v.n_limits, 1);
	found = node_limits_of(v.limits, v.n_limits, &w.owner.hash);
	assert_true(same_limits(&found, &both));
	node_view_done(&v);
	w.limits = &one;
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(node_get_limits(n, &w.owner.hash, &found, &e), 1);
	assert_true(same_limits(&found, &one));
	w.limits = NULL;
	ok(node_assign(n, &w, &l, &e));
	assert_int_equal(node_get_limits(n, &w.owner.hash, &found, &e), 0);
	assert_int_equal(found.ingress.rate, 0);
	w.limits = &one;
	ok(node_assign(n, &w, &l, &e));
	release(n, "c1", 2);
	assert_int_equal(node_get_limits(n, &w.owner.hash, &found, &e), 0);
}

TEST(records_are_read_as_they_were_written_and_nothing_else)
{
	static struct record_identity in = {.uid = "u"}, out;
	uint8_t bytes[RECORD_VALUE_MAX];
	memset(in.labels, 'x', sizeof(in.labels) - 1);
	size_t len = record_identity_format(&in, bytes);
	assert_true(record_identity_parse(bytes, len, &out));
	assert_string_equal(in.labels, out.labels);
	assert_false(record_identity_parse(bytes, len - 1, &out));
	in = (struct record_identity){0};
	len = record_identity_format(&in, bytes);
	assert_false(record_identity_parse(bytes, len, &out));
	struct record_closed shut;
	assert_false(record_closed_parse("\2\0", 2, &shut));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			nothing_is_closed_before_an_agent_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_namespace_is_closed_as_told_and_one_that_is_not_known_as_the_rest, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			what_is_told_again_changes_nothing_and_what_is_not_told_goes, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			what_is_known_of_a_pod_goes_with_its_last_address, setup, teardown),
		cmocka_unit_test_setup_teardown(
			limits_of_a_pod_are_those_of_its_latest_ADD_and_go_with_its_last_address,
			setup, teardown),
		cmocka_unit_test(records_are_read_as_they_were_written_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
