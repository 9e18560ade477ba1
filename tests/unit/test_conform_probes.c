/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking with probes, sound and broken ones: each is this executable itself with a word that says how
 * it behaves.
 */
#include "tests/unit/check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/conform/probes.h"
#include "lib/json.h"

#define MANY 200

/*
 * The probes.
 */

static long long id_of(const char *line)
{
	const char *at = strstr(line, "\"id\":");
	return at ? strtoll(at + 5, NULL, 10) : -1;
}

/* Answers as its word says, until its stdin ends. */
static int be_probe(const char *word)
{
	char line[4096], held[4096] = "";
	while (fgets(line, sizeof(line), stdin)) {
		long long id = id_of(line);
		if (strcmp(word, "sound") == 0)
			(void)printf("{\"id\":%lld,\"ok\":true,\"n\":%lld}\n", id, id);
		else if (strcmp(word, "refusing") == 0)
			(void)printf(
				"{\"id\":%lld,\"error\":\"no\\u001b[1m\",\"details\":\"why\"}\n",
				id);
		else if (strcmp(word, "babbling") == 0)
			(void)printf("Last login: Mon\n");
		else if (strcmp(word, "stranger") == 0)
			(void)printf("{\"id\":%lld,\"ok\":true}\n", id + 1000);
		else if (strcmp(word, "twice") == 0)
			(void)printf(
				"{\"id\":%lld,\"ok\":true}\n{\"id\":%lld,\"ok\":true}\n", id, id);
		else if (strcmp(word, "dying") == 0)
			return fprintf(stderr, "cannot\ngo on\n") < 0 ? 1 : 3;
		else if (strcmp(word, "killed") == 0)
			(void)raise(SIGKILL);
		else if (strcmp(word, "endless") == 0)
			for (size_t i = 0; i < LINE_MAX_BYTES + 10; i++)
				(void)putchar('x');
		else if (strcmp(word, "backwards") == 0 && !*held && !strstr(line, "\"end\""))
			(void)snprintf(held, sizeof(held), "{\"id\":%lld,\"ok\":true,\"n\":%lld}\n",
				id, id);
		else if (strcmp(word, "backwards") == 0) {
			(void)printf("{\"id\":%lld,\"ok\":true,\"n\":%lld}\n%s", id, id, held);
			*held = '\0';
		}
		(void)fflush(stdout);
	}
	return 0;
}

/*
 * The tests.
 */

static struct conform_progress quiet;

static void start(struct conform_probes *c, const char *const *words, size_t n)
{
	struct err e;
	assert_int_equal(conform_probes_open(c, n, &quiet, &e), 0);
	for (size_t i = 0; i < n; i++) {
		const char *const arguments[] = {"/proc/self/exe", words[i], NULL};
		conform_probes_start(c, i, words[i], arguments);
	}
}

static void add(struct conform_calls *calls, size_t probe, int timeout_ms)
{
	(void)conform_calls_add(calls, probe, json_pack("{s:s}", "op", "look"), timeout_ms);
}

static void end(struct conform_probes *c)
{
	CLEANUP_CONFORM_CALLS struct conform_calls ends = {0};
	conform_probes_end(c, &ends);
	conform_probes_close(c);
}

TEST(many_calls_to_several_probes_get_their_own_answers)
{
	static const char *const words[] = {"sound", "backwards", "sound"};
	struct conform_probes c;
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	start(&c, words, 3);
	for (size_t i = 0; i < MANY; i++)
		for (size_t k = 0; k < 3; k++)
			add(&calls, k, 20000);
	assert_int_equal(conform_probes_run(&c, &calls, CONFORM_WINDOW, "calls"), 0);
	for (size_t i = 0; i < calls.n; i++) {
		assert_int_equal(calls.list[i].result, CONFORM_ANSWERED);
		assert_int_equal(json_integer_value(json_object_get(calls.list[i].answer, "n")),
			calls.list[i].id);
	}
	end(&c);
}

TEST(a_broken_probe_is_given_up_with_the_reason_and_the_others_go_on)
{
	static const struct {
		const char *word, *problem;
	} table[] = {
		{"babbling", "the probe of babbling said what is no answer: Last login: Mon"},
		{"stranger",
			"the probe of stranger said what is no answer: {\"id\":1001,\"ok\":true}"},
		{"twice", "the probe of twice said what is no answer: {\"id\":1,\"ok\":true}"},
		{"endless", "the probe of endless said a line that is too long"},
		{"dying", "the probe of dying ended with status 3; it said: cannot go on"},
		{"killed", "the probe of killed was killed by signal 9"},
		{"silent", "the probe of silent gave no answer to look in 1 s"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *const words[] = {table[i].word, "sound"};
		struct conform_probes c;
		CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
		start(&c, words, 2);
		for (size_t k = 0; k < 10; k++)
			add(&calls, k == 9, k == 9 ? 20000 : 1000);
		assert_int_equal(conform_probes_run(&c, &calls, 4, "calls"), 0);
		for (size_t k = 1; k < 9; k++) {
			assert_int_equal(calls.list[k].result, CONFORM_LOST);
			assert_string_equal(calls.list[k].problem, table[i].problem);
		}
		assert_int_equal(calls.list[9].result, CONFORM_ANSWERED);
		assert_true(c.list[0].gone && !c.list[1].gone);
		end(&c);
	}
}

TEST(a_refusal_is_no_end_and_its_words_are_cleaned)
{
	static const char *const words[] = {"refusing"};
	struct conform_probes c;
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	start(&c, words, 1);
	add(&calls, 0, 20000);
	add(&calls, 0, 20000);
	assert_int_equal(conform_probes_run(&c, &calls, 1, "calls"), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(calls.list[i].result, CONFORM_REFUSED);
		assert_string_equal(calls.list[i].problem, "no?[1m (why)");
	}
	end(&c);
}

TEST(a_program_that_is_not_there_is_a_probe_that_is_gone)
{
	struct conform_probes c;
	struct err e;
	const char *const arguments[] = {"/nowhere/ssh", NULL};
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	assert_int_equal(conform_probes_open(&c, 1, &quiet, &e), 0);
	conform_probes_start(&c, 0, "n", arguments);
	add(&calls, 0, 1000);
	assert_int_equal(conform_probes_run(&c, &calls, 1, "calls"), 0);
	assert_string_equal(calls.list[0].problem, "the probe of n cannot be started: cannot run "
						   "/nowhere/ssh: No such file or directory");
	end(&c);
}

TEST(a_signal_ends_the_calls_and_not_the_end)
{
	static const char *const words[] = {"silent", "sound"};
	struct conform_probes c;
	CLEANUP_CONFORM_CALLS struct conform_calls calls = {0};
	CLEANUP_CONFORM_CALLS struct conform_calls ends = {0};
	start(&c, words, 2);
	add(&calls, 0, 60000);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_int_equal(conform_probes_run(&c, &calls, 1, "calls"), -EINTR);
	assert_int_equal(calls.list[0].result, CONFORM_LOST);
	assert_string_equal(calls.list[0].problem, "the run was interrupted");
	assert_int_equal(conform_probes_pause(&c, 60000), -EINTR);
	c.list[0].gone = true; /* else its silence would be waited for */
	conform_probes_end(&c, &ends);
	assert_int_equal(ends.n, 1);
	assert_int_equal(ends.list[0].result, CONFORM_ANSWERED);
	conform_probes_close(&c);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return be_probe(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_calls_to_several_probes_get_their_own_answers),
		cmocka_unit_test(a_broken_probe_is_given_up_with_the_reason_and_the_others_go_on),
		cmocka_unit_test(a_refusal_is_no_end_and_its_words_are_cleaned),
		cmocka_unit_test(a_program_that_is_not_there_is_a_probe_that_is_gone),
		cmocka_unit_test(a_signal_ends_the_calls_and_not_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
