/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last resort, seen from outside: each case is a child process whose time is up; what it
 * wrote to stdout and how it ended is compared. The log too, since it is told by its output alone.
 */
#include "tests/unit/check.h"

#include "lib/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"

static char mark[] = "/tmp/roost-test-mark-XXXXXX";

struct outcome {
	int exited; /* status, or -signal */
	char out[8192];
};

/* Runs trouble() in a child with this descriptor as a pipe to us. */
static void run(int descriptor, void (*trouble)(void), struct outcome *o)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(fds[1], descriptor);
		trouble();
		_exit(55);
	}
	(void)close(fds[1]);
	size_t len = 0;
	ssize_t n;
	while ((n = read(fds[0], o->out + len, sizeof(o->out) - 1 - len)) > 0)
		len += (size_t)n;
	o->out[len] = '\0';
	(void)close(fds[0]);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	o->exited = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool has_mark(void)
{
	struct stat st;
	if (stat(mark, &st) < 0)
		return false;
	assert_int_equal(st.st_mode & 07777, 0600);
	(void)unlink(mark);
	return true;
}

static void wait_for_signal(void)
{
	sigset_t all;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL); /* as a runtime may leave us */
	deadline_start(1);
	for (;;)
		(void)pause();
}

static void wait_without_an_answer(void)
{
	wait_for_signal();
}

static void wait_with_the_second_answer(void)
{
	deadline_answer("first\n");
	deadline_answer("second\n");
	wait_for_signal();
}

static void wait_with_a_long_answer(void)
{
	char text[6000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	deadline_answer(text);
	wait_for_signal();
}

TEST(when_time_is_up_the_last_answer_is_given)
{
	struct outcome o;
	run(STDOUT_FILENO, wait_without_an_answer, &o);
	assert_int_equal(o.exited, 1);
	assert_string_equal(o.out, "{\"code\":11,\"msg\":\"the time of this call is up\"}\n");
	run(STDOUT_FILENO, wait_with_the_second_answer, &o);
	assert_int_equal(o.exited, 1);
	assert_string_equal(o.out, "second\n");
	run(STDOUT_FILENO, wait_with_a_long_answer, &o);
	assert_int_equal(o.exited, 1);
	assert_int_equal(strlen(o.out), 4095);
}

static void log_at_every_level(void)
{
	log_error("an error: %d", 1);
	log_warning("a warning");
	log_info("info");
	log_debug("debug");
}

static void log_as_it_comes(void)
{
	log_init("roost");
	log_at_every_level();
}

static void log_everything_into_a_file(void)
{
	struct err e;
	log_init("roost");
	log_set_level(LOG_LEVEL_DEBUG);
	if (log_open_file(mark, 0, &e) < 0)
		_exit(56);
	log_at_every_level();
}

static void log_control_characters_and_a_long_line(void)
{
	char text[3000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_init("roost");
	log_error("a\x1b[31m\nb");
	log_error("%s", text);
}

TEST(the_log_shows_warnings_unless_told_otherwise)
{
	struct outcome o;
	run(STDERR_FILENO, log_as_it_comes, &o);
	assert_string_equal(o.out, "roost: error: an error: 1\nroost: warning: a warning\n");
	run(STDOUT_FILENO, log_control_characters_and_a_long_line, &o);
	assert_string_equal(o.out, "");
	run(STDERR_FILENO, log_control_characters_and_a_long_line, &o);
	assert_memory_equal(o.out, "roost: error: a?[31m?b\nroost: error: xxx", 39);
	assert_int_equal(strlen(o.out), 23 + strlen("roost: error: ") + 1023 + 1);
}

TEST(the_log_goes_to_a_file_as_well)
{
	struct outcome o;
	run(STDERR_FILENO, log_everything_into_a_file, &o);
	assert_says(o.out, "roost: debug: debug\n");
	char text[4096] = "";
	FILE *f = fopen(mark, "re");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	(void)fclose(f);
	assert_says(text, "Z roost[");
	assert_says(text, "]: info: info\n");
	assert_true(has_mark()); /* mode 0600, removed */
	struct err e;
	refused_with(log_open_file("/nowhere/log", 0, &e), ENOENT,
		"cannot open log file /nowhere/log: No such file or directory");
}

TEST(levels_are_known_by_name)
{
	enum log_level level;
	assert_int_equal(log_parse_level("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_parse_level("error", &level), 0);
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_int_equal(log_parse_level("Debug", &level), -EINVAL);
	assert_int_equal(log_parse_level("", &level), -EINVAL);
}

FIXTURE(reserve_mark)
{
	int fd = mkstemp(mark);
	return fd < 0 || close(fd) < 0 || unlink(mark) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(when_time_is_up_the_last_answer_is_given),
		cmocka_unit_test(the_log_shows_warnings_unless_told_otherwise),
		cmocka_unit_test(the_log_goes_to_a_file_as_well),
		cmocka_unit_test(levels_are_known_by_name),
	};
	return cmocka_run_group_tests(tests, reserve_mark, NULL);
}
