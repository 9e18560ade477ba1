/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The election: an API server that keeps one Lease, as its answers would be, and machines that meet
 * over it. Time is a number here.
 */
#include "tests/unit/values.h"

#include "agent/kube/election.h"

#include <stdio.h>
#include <stdlib.h>

#define S INT64_C(1000)
#define WALL_S 1772442893

struct server {
	json_t *lease; /* NULL: none */
	int64_t version;
	unsigned int writes;
};

static void keep(struct server *s, json_t *lease)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%lld", (long long)++s->version);
	json_put(json_object_get(lease, "metadata"), "resourceVersion", json_string(text));
	json_decref(s->lease);
	s->lease = lease;
	s->writes++;
}

static bool is_stale(const struct server *s, const json_t *lease)
{
	return !json_equal(json_object_get(json_object_get(lease, "metadata"), "resourceVersion"),
		json_object_get(json_object_get(s->lease, "metadata"), "resourceVersion"));
}

/* The answer to a request, as an HTTP status. */
static int serve(struct server *s, enum election_verb verb, json_t *lease)
{
	if (verb == ELECTION_LOOK)
		return s->lease ? 200 : 404;
	if (verb == ELECTION_CREATE ? s->lease != NULL : !s->lease || is_stale(s, lease)) {
		json_decref(lease);
		return 409;
	}
	keep(s, lease);
	return verb == ELECTION_CREATE ? 201 : 200;
}

/* One step of a machine at a time; wall_s: what its clock on the wall shows. */
static enum election_verb turn(struct server *s, struct election *l, int64_t now_ms, int64_t wall_s)
{
	enum election_verb verb = election_next(l, now_ms);
	if (verb == ELECTION_WAIT)
		return verb;
	json_t *lease = verb == ELECTION_LOOK ? NULL : election_object(l, wall_s);
	int status = serve(s, verb, lease);
	election_answer(l, status, status == 200 || status == 201 ? s->lease : NULL, now_ms);
	return verb;
}

static void run(struct server *s, struct election *l, int64_t from_ms, int64_t to_ms)
{
	for (int64_t t = from_ms; t < to_ms; t += S)
		(void)turn(s, l, t, WALL_S + t / S);
}

TEST(the_first_makes_the_lease_and_renews_it)
{
	struct server s = {0};
	struct election a;
	election_init(&a, "roost-controller", "a");
	assert_false(election_is_won(&a, S));
	assert_int_equal(turn(&s, &a, S, WALL_S), ELECTION_LOOK);
	assert_int_equal(turn(&s, &a, S, WALL_S), ELECTION_CREATE);
	assert_true(election_is_won(&a, S));
	const json_t *spec = json_object_get(s.lease, "spec");
	assert_string_equal(json_string_value(json_object_get(spec, "holderIdentity")), "a");
	assert_string_equal(json_string_value(json_object_get(spec, "renewTime")),
		"2026-03-02T09:14:53.000000Z");
	assert_int_equal(turn(&s, &a, 2 * S, WALL_S), ELECTION_WAIT);
	run(&s, &a, 2 * S, 1000 * S);
	assert_true(election_is_won(&a, 1000 * S));
	assert_in_range(s.writes, 33, 35); /* every 30 s */
	json_decref(s.lease);
}

TEST(a_second_one_waits_until_the_lease_was_not_renewed_before_its_eyes)
{
	struct server s = {0};
	struct election a, b;
	election_init(&a, "roost-controller", "a");
	election_init(&b, "roost-controller", "b");
	run(&s, &a, S, 3 * S);
	for (int64_t t = 3 * S; t < 600 * S; t += S) {
		(void)turn(&s, &a, t, WALL_S + t / S);
		(void)turn(&s, &b, t, WALL_S + t / S);
		assert_true(election_is_won(&a, t));
		assert_false(election_is_won(&b, t));
	}
	/* a is gone: it stops by itself before b begins. */
	int64_t ended = 0, began = 0;
	for (int64_t t = 600 * S; t < 1000 * S; t += S) {
		(void)turn(&s, &b, t, WALL_S + t / S);
		if (!ended && !election_is_won(&a, t))
			ended = t;
		if (!began && election_is_won(&b, t))
			began = t;
	}
	assert_true(ended > 0 && began > ended);
	assert_in_range(began, 600 * S, 840 * S);
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(s.lease, "spec"), "leaseTransitions")),
		1);
	json_decref(s.lease);
}

TEST(clocks_that_show_another_time_change_nothing)
{
	struct server s = {0};
	struct election a, b;
	election_init(&a, "roost-controller", "a");
	election_init(&b, "roost-controller", "b");
	for (int64_t t = S; t < 900 * S; t += S) {
		(void)turn(&s, &a, t, WALL_S - 86400); /* yesterday */
		if (t > 5 * S)
			(void)turn(&s, &b, t, WALL_S + 86400 + t / S);
		assert_false(election_is_won(&b, t));
	}
	assert_true(election_is_won(&a, 900 * S));
	json_decref(s.lease);
}

TEST(of_many_that_find_it_free_one_wins)
{
	enum { MANY = 50 };
	struct server s = {0};
	struct election all[MANY];
	for (int i = 0; i < MANY; i++) {
		char me[16];
		(void)snprintf(me, sizeof(me), "node-%d", i);
		election_init(&all[i], "roost-controller", me);
	}
	for (int64_t t = S; t < 500 * S; t += S) {
		int won = 0;
		for (int i = 0; i < MANY; i++) {
			(void)turn(&s, &all[i], t, WALL_S);
			won += election_is_won(&all[i], t);
		}
		if (t > 2 * S) /* each looks first */
			assert_int_equal(won, 1);
	}
	json_decref(s.lease);
}

TEST(without_an_answer_it_looks_before_it_writes_again_and_ends_in_time)
{
	struct server s = {0};
	struct election a;
	election_init(&a, "roost-controller", "a");
	run(&s, &a, S, 3 * S);
	int64_t t = 3 * S;
	while (election_next(&a, t) == ELECTION_WAIT)
		t += S;
	election_answer(&a, 0, NULL, t);
	assert_true(election_is_won(&a, t)); /* for a while */
	enum election_verb next = ELECTION_WAIT;
	for (; next == ELECTION_WAIT; t += S)
		next = election_next(&a, t);
	assert_int_equal(next, ELECTION_LOOK);
	election_answer(&a, 503, NULL, t);
	assert_false(election_is_won(&a, t + 120 * S));
	run(&s, &a, t, t + 60 * S); /* the server is back */
	assert_true(election_is_won(&a, t + 60 * S));
	json_decref(s.lease);
}

TEST(a_restarted_holder_goes_on_at_once)
{
	struct server s = {0};
	struct election a, again;
	election_init(&a, "roost-controller", "a");
	run(&s, &a, S, 3 * S);
	election_init(&again, "roost-controller", "a");
	assert_int_equal(turn(&s, &again, 4 * S, WALL_S), ELECTION_LOOK);
	assert_int_equal(turn(&s, &again, 4 * S, WALL_S), ELECTION_REPLACE);
	assert_true(election_is_won(&again, 4 * S));
	json_decref(s.lease);
}

TEST(a_holder_that_leaves_lets_the_next_one_begin_at_its_next_look)
{
	struct server s = {0};
	struct election a, b;
	election_init(&a, "roost-controller", "a");
	election_init(&b, "roost-controller", "b");
	assert_null(election_leave(&a, S, WALL_S)); /* it holds nothing */
	run(&s, &a, S, 40 * S);
	(void)turn(&s, &b, 41 * S, WALL_S);
	assert_false(election_is_won(&b, 41 * S));
	json_t *last = election_leave(&a, 42 * S, WALL_S);
	assert_int_equal(serve(&s, ELECTION_REPLACE, last), 200);
	assert_false(election_is_won(&a, 42 * S));
	assert_int_equal(election_next(&a, 1000 * S), ELECTION_WAIT);
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(s.lease, "spec"), "holderIdentity")),
		"");
	int64_t t = 43 * S;
	while (turn(&s, &b, t, WALL_S) == ELECTION_WAIT)
		t += S;
	assert_int_equal(turn(&s, &b, t, WALL_S), ELECTION_REPLACE);
	assert_true(election_is_won(&b, t));
	assert_true(t < (41 + 91) * S);
	assert_int_equal(json_integer_value(json_object_get(
				 json_object_get(s.lease, "spec"), "leaseTransitions")),
		1);
	json_decref(s.lease);
}

TEST(a_lease_of_any_form_is_waited_for_or_taken)
{
	static const char *const texts[] = {"{}", "{\"spec\":[]}",
		"{\"spec\":{\"holderIdentity\":7,\"leaseDurationSeconds\":-1}}",
		"{\"metadata\":{\"resourceVersion\":[]}}"};
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct election a;
		CLEANUP_JSON json_t *doc = json_of(texts[i]);
		election_init(&a, "roost-controller", "a");
		(void)election_next(&a, S);
		election_answer(&a, 200, doc, S);
		assert_false(election_is_won(&a, S));
		enum election_verb next = election_next(&a, S);
		assert_true(next == ELECTION_REPLACE || next == ELECTION_CREATE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_makes_the_lease_and_renews_it),
		cmocka_unit_test(
			a_second_one_waits_until_the_lease_was_not_renewed_before_its_eyes),
		cmocka_unit_test(clocks_that_show_another_time_change_nothing),
		cmocka_unit_test(of_many_that_find_it_free_one_wins),
		cmocka_unit_test(
			without_an_answer_it_looks_before_it_writes_again_and_ends_in_time),
		cmocka_unit_test(a_restarted_holder_goes_on_at_once),
		cmocka_unit_test(a_holder_that_leaves_lets_the_next_one_begin_at_its_next_look),
		cmocka_unit_test(a_lease_of_any_form_is_waited_for_or_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
