/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was denied as Events of pods: what is made, what is counted on, and how few they are.
 */
#include "tests/unit/values.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/policy/pod_events.h"

static struct pod_events *events;

FIXTURE(setup)
{
	events = pod_events_new();
	return 0;
}

FIXTURE(teardown)
{
	pod_events_free(events);
	return 0;
}

static struct policy_pod pod_of(int number)
{
	struct policy_pod p = {.namespace = "shop"};
	(void)snprintf(p.name, sizeof(p.name), "web-%d", number);
	(void)snprintf(p.uid, sizeof(p.uid), "uid-%d", number);
	return p;
}

static void see(int pod, int what, uint64_t n, int64_t now_ms)
{
	const struct policy_pod p = pod_of(pod);
	const struct hash key = hash_of(&what, sizeof(what));
	char text[64];
	(void)snprintf(text, sizeof(text), "denied in: packet %d", what);
	pod_events_see(events, &p, &key, text, n, now_ms);
}

static struct pod_events_request next(int64_t now_ms)
{
	return pod_events_next(events, "n1", now_ms, 1772442893);
}

/* Makes what is due, and is answered so. How many requests. */
static size_t make_all(int64_t now_ms, int status)
{
	size_t n = 0;
	for (;; n++) {
		struct pod_events_request r = next(now_ms);
		if (!r.body)
			return n;
		json_decref(r.body);
		assert_null(next(now_ms).body); /* one at a time */
		pod_events_answer(events, status, now_ms);
	}
}

static json_int_t count_of(const json_t *body)
{
	return json_integer_value(json_object_get(body, "count"));
}

TEST(a_denied_packet_is_an_event_of_its_pod)
{
	see(1, 7, 3, 0);
	assert_int_equal(pod_events_due(events) <= 0, 1);
	struct pod_events_request r = next(0);
	assert_non_null(r.body);
	assert_false(r.is_patch);
	assert_string_equal(r.path, "/api/v1/namespaces/shop/events");
	const json_t *of = json_object_get(r.body, "involvedObject");
	assert_string_equal(json_text_at(of, "kind"), "Pod");
	assert_string_equal(json_text_at(of, "name"), "web-1");
	assert_string_equal(json_text_at(of, "uid"), "uid-1");
	assert_string_equal(json_text_at(r.body, "reason"), "PolicyDenied");
	assert_string_equal(json_text_at(r.body, "type"), "Warning");
	assert_string_equal(json_text_at(r.body, "message"), "denied in: packet 7");
	assert_string_equal(json_text_at(r.body, "reportingInstance"), "n1");
	assert_string_equal(json_text_at(r.body, "lastTimestamp"), "2026-03-02T09:14:53Z");
	assert_int_equal(count_of(r.body), 3);
	json_decref(r.body);
}

TEST(what_is_alike_is_counted_on_once_a_minute)
{
	see(1, 7, 1, 0);
	assert_int_equal(make_all(0, 201), 1);
	see(1, 7, 2, 1000);
	see(1, 7, 2, 2000);
	assert_int_equal(make_all(2000, 200), 0);
	struct pod_events_request r = next(POD_EVENTS_AGAIN_MS);
	assert_non_null(r.body);
	assert_true(r.is_patch);
	assert_int_equal(strncmp(r.path, "/api/v1/namespaces/shop/events/web-1.", 37), 0);
	assert_int_equal(count_of(r.body), 5);
	json_decref(r.body);
	pod_events_answer(events, 200, POD_EVENTS_AGAIN_MS);
	assert_int_equal(make_all(INT64_C(10) * POD_EVENTS_AGAIN_MS, 200), 0); /* nothing new */
}

TEST(an_event_that_is_there_is_patched_and_one_that_went_is_made_anew)
{
	see(1, 7, 1, 0);
	struct pod_events_request made = next(0);
	pod_events_answer(events, 409, 0); /* an earlier agent made it */
	struct pod_events_request patched = next(0);
	assert_true(patched.is_patch && !made.is_patch);
	assert_says(patched.path, json_text_at(json_object_get(made.body, "metadata"), "name"));
	pod_events_answer(events, 404, 0); /* it went between the two */
	struct pod_events_request again = next(0);
	assert_non_null(again.body);
	assert_false(again.is_patch);
	pod_events_answer(events, 201, 0);
	json_decref(made.body);
	json_decref(patched.body);
	json_decref(again.body);
}

TEST(a_refusal_lets_it_rest)
{
	static const int statuses[] = {403, 500, 0};
	for (size_t i = 0; i < COUNT(statuses); i++) {
		see((int)i, 1, 1, 0);
		assert_int_equal(make_all(0, statuses[i]), 1);
		assert_int_equal(make_all(POD_EVENTS_AGAIN_MS - 1, statuses[i]), 0);
		assert_int_equal(make_all(POD_EVENTS_AGAIN_MS, 201), 1);
		pod_events_free(events);
		events = pod_events_new();
	}
}

TEST(a_pod_has_few_events)
{
	for (int what = 0; what < 100; what++)
		see(1, what, 1, 0);
	assert_int_equal(make_all(0, 201), POD_EVENTS_OF_POD);
	see(2, 1, 1, 0);
	assert_int_equal(make_all(0, 201), 1); /* another pod is not to suffer */
	see(1, 99, 1, POD_EVENTS_FORGET_MS);
	assert_int_equal(make_all(POD_EVENTS_FORGET_MS, 201), 1); /* the old ones are over */
}

TEST(a_node_makes_few_events)
{
	for (int round = 0; round < 3; round++)
		for (int pod = 0; pod < 1000; pod++)
			see(pod, round, 1, 0);
	assert_int_equal(make_all(0, 201), POD_EVENTS_AT_ONCE);
	assert_int_equal(pod_events_due(events), POD_EVENTS_PERIOD_MS);
	assert_int_equal(make_all(POD_EVENTS_PERIOD_MS - 1, 201), 0);
	assert_int_equal(make_all(POD_EVENTS_PERIOD_MS, 201), 1);
}

TEST(a_long_name_stays_a_name)
{
	struct policy_pod p = pod_of(1);
	const struct hash key = hash_of("x", 1);
	memset(p.name, 'a', sizeof(p.name) - 1);
	pod_events_see(events, &p, &key, "text", 1, 0);
	struct pod_events_request r = next(0);
	const char *name = json_text_at(json_object_get(r.body, "metadata"), "name");
	assert_int_equal(strncmp(name, "roost.", 6), 0);
	assert_int_equal(strlen(name), 6 + 16);
	json_decref(r.body);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_denied_packet_is_an_event_of_its_pod),
		EACH(what_is_alike_is_counted_on_once_a_minute),
		EACH(an_event_that_is_there_is_patched_and_one_that_went_is_made_anew),
		EACH(a_refusal_lets_it_rest),
		EACH(a_pod_has_few_events),
		EACH(a_node_makes_few_events),
		EACH(a_long_name_stays_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
