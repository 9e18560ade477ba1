/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "agent/bird/sessions.h"

#define HEAD "2002 Name       Proto      Table      State  Since         Info\n"
#define BGP(name, rest) "1002 roost_" name " BGP        ---        " rest "\n"
#define END "0000 \n"

static const struct bird_session *session(const struct bird_sessions *s, const char *name)
{
	const struct bird_session *found = bird_sessions_find(s->all, s->n, name);
	if (!found)
		fail_msg("no session %s", name);
	return found;
}

TEST(each_line_of_birds_is_understood)
{
	static const struct {
		const char *line;
		bool up;
		enum bird_phase phase;
		enum bird_fault fault;
		const char *reason, *words;
	} table[] = {
		{"up     10:00:00.000  Established   ", true, BIRD_ENDED, BIRD_FAULT_NONE, "",
			NULL},
		{"up     2026-01-01 10:00:00  Established", true, BIRD_ENDED, BIRD_FAULT_NONE, "",
			NULL},
		{"start  10:00:00.000  Passive       ", false, BIRD_WAITS, BIRD_FAULT_NONE, "",
			"Passive"},
		{"start  2026-01-01    Connect       ", false, BIRD_CONNECTS, BIRD_FAULT_NONE, "",
			"Connect"},
		{"start  10:00:00.000  OpenSent      ", false, BIRD_SPEAKS, BIRD_FAULT_NONE, "",
			"OpenSent"},
		{"start  10:00:00.000  OpenConfirm   ", false, BIRD_SPEAKS, BIRD_FAULT_NONE, "",
			"OpenSent"},
		{"start  10:00:00.000  Active        Socket: Connection refused", false,
			BIRD_CONNECTS, BIRD_FAULT_SOCKET, "Connection refused",
			"Socket: Connection refused"},
		{"start  Mon Nov 30 10:00 Idle          Received: Bad peer AS  ", false,
			BIRD_CONNECTS, BIRD_FAULT_RECEIVED, "Bad peer AS", "Received: Bad peer AS"},
		{"start  10:00:00.000  Idle          BGP Error: Hold timer expired", false,
			BIRD_CONNECTS, BIRD_FAULT_SENT, "Hold timer expired",
			"BGP Error: Hold timer expired"},
		{"down   10:00:00.000  Error: No listening socket", false, BIRD_ENDED,
			BIRD_FAULT_HERE, "No listening socket", "Error: No listening socket"},
		{"start  10:00:00.000  Passive       Error: No listening socket", false, BIRD_WAITS,
			BIRD_FAULT_HERE, "No listening socket", NULL},
		{"down   10:00:00.000  Automatic shutdown: Route limit exceeded", false, BIRD_ENDED,
			BIRD_FAULT_LIMIT, "Route limit exceeded", NULL},
		{"down   10:00:00.000  ", false, BIRD_ENDED, BIRD_FAULT_NONE, "", "down"},
		{"down", false, BIRD_ENDED, BIRD_FAULT_NONE, "", "down"},
		{"", false, BIRD_ENDED, BIRD_FAULT_NONE, "", "down"},
		/* Newer BIRDs may have further words. */
		{"start  10:00:00.000  Sleeping      Dream: of sheep", false, BIRD_ENDED,
			BIRD_FAULT_NONE, "", "down"},
		{"start  10:00:00.000  Active        Received: Sixty-four letters are more than "
		 "what "
		 "is kept of a reason, so it is cut",
			false, BIRD_CONNECTS, BIRD_FAULT_RECEIVED,
			"Sixty-four letters are more than what is kept of a reason, so ", NULL},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct bird_sessions s = {0};
		char text[300], words[100];
		(void)snprintf(text, sizeof(text), HEAD BGP("x", "%s") END, table[i].line);
		assert_true(bird_sessions_take(&s, text, 7, 1000 + 7));
		assert_int_equal(s.n, 1);
		const struct bird_session *found = session(&s, "roost_x");
		assert_true(found->bgp);
		assert_int_equal(found->up, table[i].up);
		assert_int_equal(found->phase, table[i].phase);
		assert_int_equal(found->fault, table[i].fault);
		assert_int_equal(found->since_ms, table[i].up ? 0 : 7);
		if (strncmp(found->reason, table[i].reason, 62) != 0)
			fail_msg("\"%s\" for %s", found->reason, table[i].line);
		bird_sessions_words(found, words, sizeof(words));
		if (table[i].words)
			assert_string_equal(words, table[i].words);
		assert_int_equal(bird_sessions_is_given_up(found), i == 9);
		bird_sessions_done(&s);
	}
}

TEST(only_our_protocols_are_taken_and_sorted)
{
	static const char text[] = HEAD
		"1002 roost_kernel6 Kernel     master6    down   10:00:00.000  \n"
		"1002 roost_kernel4 Kernel     master4    up     10:00:00.000  \n" BGP("10_0_0_3",
			"up     10:00:00.000  Established") "1002 mine       BGP        ---        "
							    "up     10:00:00.000  Established   \n"
							    "1006 roost_10_0_0_9 BGP        ---    "
							    "    up     10:00:00.000  Established  "
							    " \n"
							    "1002 roost_10_0_0_2\n1002 \n" END;
	struct bird_sessions s = {0};
	assert_true(bird_sessions_take(&s, text, 5, 1000 + 5));
	assert_int_equal(s.n, 4);
	assert_string_equal(s.all[0].name, "roost_10_0_0_2");
	assert_string_equal(s.all[1].name, "roost_10_0_0_3");
	assert_true(session(&s, "roost_kernel4")->up && !session(&s, "roost_kernel4")->bgp);
	assert_int_equal(session(&s, "roost_kernel6")->since_ms, 5);
	assert_null(bird_sessions_find(s.all, s.n, "mine"));
	assert_true(bird_sessions_take(&s, "8003 No protocols match\n", 6, 1000 + 6));
	assert_int_equal(s.n, 0);
	bird_sessions_done(&s);
}

#define IS(rest) HEAD BGP("a", "start  10:00:00.000  " rest) END

TEST(a_session_keeps_its_reason_and_its_time_until_it_is_up)
{
	struct bird_sessions s = {0};
	assert_true(bird_sessions_take(
		&s, HEAD BGP("a", "up     10:00:00.000  Established") END, 1, 1000 + 1));
	assert_false(bird_sessions_take(
		&s, HEAD BGP("a", "up     11:00:00.000  Established") END, 2, 1000 + 2));
	assert_true(bird_sessions_take(
		&s, IS("Idle          BGP Error: Hold timer expired"), 3, 1000 + 3));
	assert_false(bird_sessions_take(&s, IS("Connect"), 4, 1000 + 4));
	assert_int_equal(session(&s, "roost_a")->since_ms, 3);
	assert_string_equal(session(&s, "roost_a")->reason, "Hold timer expired");
	assert_true(
		bird_sessions_take(&s, IS("Active        Socket: No route to host"), 5, 1000 + 5));
	assert_int_equal(session(&s, "roost_a")->since_ms, 3);
	assert_int_equal(session(&s, "roost_a")->since_s, 1003);
	assert_string_equal(session(&s, "roost_a")->reason, "No route to host");
	assert_true(bird_sessions_take(
		&s, HEAD BGP("a", "up     10:00:00.000  Established") END, 6, 1000 + 6));
	assert_int_equal(session(&s, "roost_a")->since_ms, 0);
	assert_string_equal(session(&s, "roost_a")->reason, "");
	assert_true(bird_sessions_take(&s, IS("Passive"), 7, 1000 + 7));
	assert_int_equal(session(&s, "roost_a")->since_ms, 7);
	assert_int_equal(session(&s, "roost_a")->fault, BIRD_FAULT_NONE);
	bird_sessions_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_of_birds_is_understood),
		cmocka_unit_test(only_our_protocols_are_taken_and_sorted),
		cmocka_unit_test(a_session_keeps_its_reason_and_its_time_until_it_is_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
