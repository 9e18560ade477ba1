/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the agent: answers, refusals, and agents that are dead, slow, stopped or mad. The agent is
 * a child process that sends prepared bytes.
 */
#include "tests/unit/check.h"

#include "lib/ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"

#define ENOUGH_MS 20000 /* only a fault takes that long */

static char folder[] = "/tmp/roost-ask-XXXXXX";
static char path[64];

FIXTURE(make_folder)
{
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/agent.sock", folder);
	return 0;
}

FIXTURE(remove_folder)
{
	(void)unlink(path);
	return rmdir(folder);
}

static int listening(int backlog)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	(void)unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

enum manner { AT_ONCE, BY_BYTES, WITHOUT_READING, AND_STAY };

static _Noreturn void be_agent(int listener, const char *answer, enum manner how)
{
	int fd = accept(listener, NULL, NULL);
	char c = 0;
	while (how != WITHOUT_READING && c != '\n')
		if (read(fd, &c, 1) != 1)
			_exit(1);
	size_t step = how == BY_BYTES ? 1 : 65536;
	for (size_t len = strlen(answer); len;
		answer += step < len ? step : len, len = strlen(answer)) {
		(void)!write(fd, answer, step < len ? step : len);
		if (how == BY_BYTES)
			(void)poll(NULL, 0, 1);
	}
	if (how == AND_STAY)
		(void)poll(NULL, 0, ENOUGH_MS);
	_exit(0);
}

static int ask_agent(
	const char *bytes, enum manner how, unsigned int timeout_ms, json_t **out, struct err *e)
{
	CLEANUP_FD int listener = listening(4);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		be_agent(listener, bytes, how);
	CLEANUP_JSON json_t *request = json_pack("{ss}", "op", "status");
	int r = ask(path, request, timeout_ms, out, e);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return r;
}

TEST(an_answer_comes_back)
{
	static const enum manner manners[] = {AT_ONCE, BY_BYTES, AND_STAY, WITHOUT_READING};
	for (size_t i = 0; i < COUNT(manners); i++) {
		CLEANUP_JSON json_t *answer = NULL;
		struct err e;
		if (ask_agent("{\"a\":7}\nrest", manners[i], ENOUGH_MS, &answer, &e) < 0)
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(json_integer_value(json_object_get(answer, "a")), 7);
	}
}

TEST(a_long_answer_comes_back_whole)
{
	CLEANUP_FREE char *text = mem_new(ASK_MAX_BYTES + 2, 1);
	memset(text, ' ', ASK_MAX_BYTES);
	memcpy(text, "{\"a\":1}", 7);
	text[ASK_MAX_BYTES] = '\n';
	CLEANUP_JSON json_t *answer = NULL;
	struct err e;
	assert_int_equal(ask_agent(text, AT_ONCE, ENOUGH_MS, &answer, &e), 0);
}

TEST(an_error_document_is_that_error)
{
	static const struct {
		const char *line;
		int error;
	} table[] = {
		{"{\"error\":\"no\\nblock\",\"errno\":\"EBUSY\",\"details\":\"do\\tthis\"}\n",
			-EBUSY},
		{"{\"error\":\"no\\nblock\",\"errno\":\"EAGAIN\",\"details\":\"do\\tthis\"}\n",
			-EAGAIN},
		{"{\"error\":\"no\\nblock\",\"errno\":\"EINVAL\",\"details\":\"do\\tthis\"}\n",
			-EINVAL},
		{"{\"error\":\"no\\nblock\",\"errno\":\"ENOENT\",\"details\":\"do\\tthis\"}\n",
			-ENOENT},
		{"{\"error\":\"no\\nblock\",\"errno\":\"EACCES\",\"details\":\"do\\tthis\"}\n",
			-EACCES},
		{"{\"error\":\"no\\nblock\",\"errno\":\"ENOSPC\",\"details\":\"do\\tthis\"}\n",
			-EPROTO},
		{"{\"error\":\"no\\nblock\",\"details\":\"do\\tthis\"}\n", -EPROTO},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		json_t *answer = NULL;
		struct err e;
		assert_int_equal(
			ask_agent(table[i].line, AT_ONCE, ENOUGH_MS, &answer, &e), table[i].error);
		assert_string_equal(e.text, "no?block");
		assert_string_equal(e.details, "do?this");
		assert_null(answer);
	}
}

TEST(what_is_no_answer_is_said_so)
{
	static const struct {
		const char *bytes;
		int error;
		const char *text;
	} table[] = {
		{"", -ECONNREFUSED, "closed the connection without an answer"},
		{"{\"a\":1}", -ECONNREFUSED, "closed the connection without an answer"},
		{"\n", -EPROTO, "answered with something else than a JSON object"},
		{"[]\n", -EPROTO, "answered with something else than a JSON object"},
		{"{\"a\":\xff}\n", -EPROTO, "answered with something else than a JSON object"},
		{"HTTP/1.1 400\r\n", -EPROTO, "answered with something else than a JSON object"},
		{"{\"error\":7}\n", -EPROTO, "an error of no known form"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		json_t *answer = NULL;
		struct err e;
		assert_int_equal(
			ask_agent(table[i].bytes, AT_ONCE, ENOUGH_MS, &answer, &e), table[i].error);
		if (!strstr(e.text, table[i].text))
			fail_msg("%s: %s", table[i].bytes, e.text);
		assert_null(answer);
	}
}

TEST(an_endless_answer_is_cut_off)
{
	CLEANUP_FREE char *text = mem_new(2 * ASK_MAX_BYTES + 1, 1);
	memset(text, ' ', 2 * ASK_MAX_BYTES);
	json_t *answer = NULL;
	struct err e;
	refused_with(ask_agent(text, AT_ONCE, ENOUGH_MS, &answer, &e), EPROTO,
		"the answer of the agent is longer than 1048576 bytes");
}

TEST(nobody_listens)
{
	CLEANUP_JSON json_t *request = json_pack("{ss}", "op", "status");
	json_t *answer = NULL;
	struct err e;
	(void)unlink(path);
	refused(ask(path, request, ENOUGH_MS, &answer, &e), ECONNREFUSED,
		"no agent listens at /tmp/roost-ask-");
	int fd = listening(1);
	(void)close(fd); /* the file stays */
	assert_int_equal(ask(path, request, ENOUGH_MS, &answer, &e), -ECONNREFUSED);
	assert_int_equal(ask("", request, ENOUGH_MS, &answer, &e), -EINVAL);
	char long_path[109];
	memset(long_path, 'x', sizeof(long_path));
	long_path[108] = '\0';
	assert_int_equal(ask(long_path, request, ENOUGH_MS, &answer, &e), -EINVAL);
	assert_int_equal(ask("/proc/version", request, ENOUGH_MS, &answer, &e), -ECONNREFUSED);
	assert_int_equal(ask("/proc/version/x", request, ENOUGH_MS, &answer, &e), -ENOTDIR);
}

TEST(an_agent_that_hangs_is_waited_for_so_long)
{
	json_t *answer = NULL;
	struct err e;
	refused(ask_agent("", AND_STAY, 50, &answer, &e), ETIMEDOUT, "did not answer within 50 ms");
	assert_int_equal(ask_agent("{\"a\":", AND_STAY, 50, &answer, &e), -ETIMEDOUT);
}

TEST(an_agent_that_takes_nobody_in_is_waited_for_so_long)
{
	CLEANUP_FD int listener = listening(0);
	assert_true(listener >= 0);
	CLEANUP_JSON json_t *request = json_object();
	CLEANUP_FREE char *text = mem_new(ASK_MAX_BYTES, 1);
	memset(text, 'x', ASK_MAX_BYTES - 1);
	(void)json_object_set_new(request, "op", json_string(text));
	json_t *answer = NULL;
	struct err e;
	/* Into the queue, more than a socket holds: sending waits. */
	assert_int_equal(ask(path, request, 50, &answer, &e), -ETIMEDOUT);
	/* The queue is full, with who has given up: connecting waits. */
	assert_int_equal(ask(path, request, 50, &answer, &e), -ETIMEDOUT);
	assert_int_equal(ask(path, request, 50, &answer, &e), -ETIMEDOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_back),
		cmocka_unit_test(a_long_answer_comes_back_whole),
		cmocka_unit_test(an_error_document_is_that_error),
		cmocka_unit_test(what_is_no_answer_is_said_so),
		cmocka_unit_test(an_endless_answer_is_cut_off),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(an_agent_that_hangs_is_waited_for_so_long),
		cmocka_unit_test(an_agent_that_takes_nobody_in_is_waited_for_so_long),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
