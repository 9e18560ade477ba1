/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read of a v1 Node, of anybody's making, and which changes of it roost wants.
 */
#include "tests/unit/values.h"

#include "agent/kube/own_node.h"

#include <stdio.h>

#include "lib/text.h"

static struct own_node read_node(const char *text)
{
	struct own_node n;
	CLEANUP_JSON json_t *doc = json_of(text);
	own_node_read(doc, &n);
	return n;
}

#define METADATA                                                                                   \
	"\"metadata\":{\"name\":\"a\",\"uid\":\"u-1\",\"resourceVersion\":\"77\","                 \
	"\"labels\":{\"rack\":\"1\"}}"

static const char cloudy[] =
	"{" METADATA ",\"spec\":{\"unschedulable\":true,\"taints\":["
	"{\"key\":\"roost.io/not-ready\",\"effect\":\"NoSchedule\"},"
	"{\"key\":\"other\",\"effect\":\"NoExecute\"},"
	"{\"key\":\"roost.io/not-ready\",\"effect\":\"NoExecute\"}]},"
	"\"status\":{\"addresses\":[{\"type\":\"Hostname\",\"address\":\"a\"},"
	"{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"},"
	"{\"type\":\"ExternalIP\",\"address\":\"8.8.8.8\"},"
	"{\"type\":\"InternalIP\",\"address\":\"not one\"},"
	"{\"type\":\"InternalIP\",\"address\":\"fd00::1\"}],"
	"\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"},"
	"{\"type\":\"NetworkUnavailable\",\"status\":\"True\",\"reason\":\"NoRouteCreated\"}]}}";

/* "status reason message" of the condition that is wanted; "nothing". */
static void assert_condition(
	const struct own_node *n, enum own_node_state state, const char *wanted)
{
	char seen[256] = "nothing";
	CLEANUP_JSON json_t *patch = own_node_condition(n, state, "BIRD is down", 1772442893);
	const json_t *c =
		json_array_get(json_object_get(json_object_get(patch, "status"), "conditions"), 0);
	if (patch) {
		(void)snprintf(seen, sizeof(seen), "%s: %s",
			json_string_value(json_object_get(c, "status")),
			json_string_value(json_object_get(c, "message")));
		assert_string_equal(
			json_string_value(json_object_get(c, "type")), "NetworkUnavailable");
		assert_string_equal(json_string_value(json_object_get(c, "lastTransitionTime")),
			"2026-03-02T09:14:53Z");
	}
	assert_string_equal(seen, wanted);
}

TEST(addresses_labels_cordon_and_uid_are_read)
{
	struct own_node n = read_node(cloudy);
	struct addr first = addr("10.0.0.1"), second = addr("fd00::1");
	assert_string_equal(n.uid, "u-1");
	assert_string_equal(n.version, "77");
	assert_true(n.unschedulable);
	assert_int_equal(n.n_addrs, 2);
	assert_true(addr_equal(&n.addrs[0], &first));
	assert_true(addr_equal(&n.addrs[1], &second));
	assert_string_equal(json_string_value(json_object_get(n.labels, "rack")), "1");
	assert_int_equal(n.network, OWN_NODE_UNAVAILABLE);
	assert_false(n.is_ours);
	own_node_done(&n);
}

TEST(hostile_objects_are_read_as_far_as_they_can_be)
{
	static const char *const texts[] = {"[]", "7", "{}", "{\"metadata\":[],\"status\":1}",
		"{\"spec\":{\"taints\":{\"key\":1}},\"status\":{\"conditions\":\"x\"}}",
		"{\"status\":{\"addresses\":[1,{}]},\"metadata\":{\"labels\":{\"a\":1}}}"};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct own_node n = read_node(texts[i]);
		assert_int_equal(n.n_addrs, 0);
		assert_int_equal(json_object_size(n.labels), 0);
		assert_null(n.other_taints);
		own_node_done(&n);
	}
}

TEST(more_labels_than_a_document_may_have_are_left_out_and_counted)
{
	CLEANUP_TEXT struct text t = {0};
	text_add(&t, "{\"metadata\":{\"labels\":{");
	for (int i = 0; i < 1000; i++)
		text_add(&t, "%s\"key-%d\":\"v\"", i ? "," : "", i);
	text_add(&t, "}}}");
	struct own_node n = read_node(t.buf);
	assert_int_equal(json_object_size(n.labels), 192);
	assert_int_equal(n.left_out, 808);
	own_node_done(&n);
}

TEST(a_node_that_is_ready_says_so_whoever_spoke_before)
{
	static const struct {
		const char *condition, *wanted;
	} table[] = {
		{"", "False: roost is ready to give pods a network"},
		{"{\"type\":\"NetworkUnavailable\",\"status\":\"True\",\"reason\":"
		 "\"NoRouteCreated\"}",
			"False: roost is ready to give pods a network"},
		{"{\"type\":\"NetworkUnavailable\",\"status\":\"Unknown\"}",
			"False: roost is ready to give pods a network"},
		{"{\"type\":\"NetworkUnavailable\",\"status\":\"True\",\"reason\":"
		 "\"RoostIsBroken\"}",
			"False: roost is ready to give pods a network"},
		{"{\"type\":\"NetworkUnavailable\",\"status\":\"False\",\"reason\":"
		 "\"RoostIsReady\"}",
			"nothing"},
		{"{\"type\":\"NetworkUnavailable\",\"status\":\"False\",\"reason\":\"CalicoIsUp\"}",
			"nothing"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[400];
		(void)snprintf(text, sizeof(text),
			"{" METADATA ",\"status\":{\"conditions\":[%s]}}", table[i].condition);
		struct own_node n = read_node(text);
		assert_condition(&n, OWN_NODE_READY, table[i].wanted);
		assert_condition(&n, OWN_NODE_UNCERTAIN, "nothing");
		own_node_done(&n);
	}
}

TEST(a_network_that_breaks_is_said_only_of_a_node_that_roost_called_ready)
{
	struct own_node n =
		read_node("{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\","
			  "\"status\":\"False\",\"reason\":\"RoostIsReady\"}]}}");
	assert_condition(&n, OWN_NODE_BROKEN, "True: BIRD is down");
	own_node_done(&n);
	n = read_node("{\"status\":{\"conditions\":[{\"type\":\"NetworkUnavailable\","
		      "\"status\":\"False\",\"reason\":\"RouteCreated\"}]}}");
	assert_condition(&n, OWN_NODE_BROKEN, "nothing");
	own_node_done(&n);
	n = read_node("{}");
	assert_condition(&n, OWN_NODE_BROKEN, "nothing");
	own_node_done(&n);
}

TEST(our_taints_go_and_those_of_others_stay_if_the_node_is_as_it_was_read)
{
	struct own_node n = read_node(cloudy);
	CLEANUP_JSON json_t *patch = own_node_untaint(&n);
	CLEANUP_JSON json_t *wanted = json_of(
		"[{\"op\":\"test\",\"path\":\"/metadata/resourceVersion\",\"value\":\"77\"},"
		"{\"op\":\"replace\",\"path\":\"/spec/taints\",\"value\":"
		"[{\"key\":\"other\",\"effect\":\"NoExecute\"}]}]");
	assert_true(json_equal(patch, wanted));
	own_node_done(&n);
	n = read_node("{\"spec\":{\"taints\":[{\"key\":\"other\"}]}}");
	assert_null(own_node_untaint(&n));
	own_node_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_labels_cordon_and_uid_are_read),
		cmocka_unit_test(hostile_objects_are_read_as_far_as_they_can_be),
		cmocka_unit_test(more_labels_than_a_document_may_have_are_left_out_and_counted),
		cmocka_unit_test(a_node_that_is_ready_says_so_whoever_spoke_before),
		cmocka_unit_test(
			a_network_that_breaks_is_said_only_of_a_node_that_roost_called_ready),
		cmocka_unit_test(
			our_taints_go_and_those_of_others_stay_if_the_node_is_as_it_was_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
