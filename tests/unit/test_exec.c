/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running other plugins, with real processes. The plugins are this executable itself under other
 * names (symbolic links in a temporary folder): main() looks at its name first.
 */
#include "tests/unit/check.h"

#include "lib/exec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"

/*
 * The plugins.
 */

static int say(const char *text)
{
	return write(STDOUT_FILENO, text, strlen(text)) < 0 ? 2 : 0;
}

/* Reports what it was given. */
static int be_echo(void)
{
	static char input[2 * JSON_MAX_BYTES];
	size_t len = 0;
	ssize_t n;
	while ((n = read(STDIN_FILENO, input + len, sizeof(input) - len)) > 0)
		len += (size_t)n;
	CLEANUP_JSON json_t *doc = json_pack("{s:I,s:s%,s:s,s:s}", "len", (json_int_t)len, "start",
		input, len < 20 ? len : (size_t)20, "command", getenv("CNI_COMMAND"), "container",
		getenv("CNI_CONTAINERID"));
	CLEANUP_FREE char *text = json_text(doc);
	return say(text);
}

static int be_huge(void)
{
	static char text[65536];
	memset(text, ' ', sizeof(text));
	for (int i = 0; i < 32; i++)
		if (write(STDOUT_FILENO, text, sizeof(text)) < 0)
			return 2;
	return 0;
}

/* Leaves a process behind that holds stdout. */
static int be_parent(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		(void)sleep(60);
		_exit(0);
	}
	char text[64];
	(void)snprintf(text, sizeof(text), "{\"pid\":%d}", (int)pid);
	return say(text);
}

/* Never answers; its pid goes where the test looks for it. */
_Noreturn static void be_hanging(void)
{
	const char *file = getenv("TEST_PID_FILE");
	FILE *f = file ? fopen(file, "we") : NULL;
	if (f) {
		(void)fprintf(f, "%d\n", (int)getpid());
		(void)fclose(f);
	}
	for (;;)
		(void)pause();
}

/* Says back what it hears, complains about it, and has a last word when nobody talks any more. */
static int be_talker(void)
{
	char line[256];
	while (fgets(line, sizeof(line), stdin)) {
		(void)fputs(line, stdout);
		(void)fflush(stdout);
		(void)fprintf(stderr, "heard %s", line);
		if (strcmp(line, "interrupt\n") == 0)
			(void)raise(SIGINT);
	}
	return say("bye\n") + 7;
}

static int be_plugin(const char *name)
{
	if (strcmp(name, "talker") == 0)
		return be_talker();
	if (strcmp(name, "echo") == 0)
		return be_echo();
	if (strcmp(name, "silent") == 0)
		return 0;
	if (strcmp(name, "huge") == 0)
		return be_huge();
	if (strcmp(name, "parent") == 0)
		return be_parent();
	if (strcmp(name, "hanging") == 0)
		be_hanging();
	if (strcmp(name, "garbage") == 0)
		return say("{\"cniVersion\"");
	if (strcmp(name, "refusing") == 0)
		return say("{\"code\":42,\"msg\":\"no\",\"details\":\"because\"}") + 1;
	if (strcmp(name, "zero") == 0)
		return say("{\"code\":0,\"msg\":\"no\"}") + 1;
	if (strcmp(name, "babbling") == 0)
		return say("panic: oh\n") + 3;
	if (strcmp(name, "mute") == 0)
		return 3;
	if (strcmp(name, "killed") == 0)
		(void)raise(SIGKILL);
	return 99;
}

/*
 * The tests.
 */

static char dir[] = "/tmp/roost-test-exec-XXXXXX";
static const char *const names[] = {"echo", "silent", "huge", "parent", "hanging", "garbage",
	"refusing", "zero", "babbling", "mute", "killed", "talker"};
#define NAMES (COUNT(names))

static void path_of(const char *name, char out[256])
{
	(void)snprintf(out, 256, "%s/%s", dir, name);
}

FIXTURE(make_plugins)
{
	char self[4096] = "";
	if (!mkdtemp(dir) || readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -1;
	for (size_t i = 0; i < NAMES; i++) {
		char path[256];
		path_of(names[i], path);
		if (symlink(self, path) < 0)
			return -1;
	}
	char path[256];
	path_of("folder", path);
	return mkdir(path, 0700);
}

FIXTURE(remove_plugins)
{
	static const char *const more[] = {"copy", "pid", "plain"};
	char path[256];
	for (size_t i = 0; i < NAMES; i++) {
		path_of(names[i], path);
		(void)unlink(path);
	}
	for (size_t i = 0; i < COUNT(more); i++) {
		path_of(more[i], path);
		(void)unlink(path);
	}
	path_of("folder", path);
	(void)rmdir(path);
	return rmdir(dir);
}

/* Runs a plugin with this input; 5 s are far more than any but the hanging one needs. */
static int run_with(
	const char *name, const char *command, char *input, size_t len, json_t **out, struct err *e)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "/nowhere::%s", dir);
	struct cni_request r = {
		.path = path,
		.container = "c1",
		.input = input,
		.input_len = len,
	};
	(void)setenv("CNI_COMMAND", "CHECK", 1);
	(void)setenv("CNI_CONTAINERID", "c1", 1);
	return exec_plugin(&r, name, command, 20000, out, e);
}

static int run(const char *name, const char *command, json_t **out, struct err *e)
{
	char input[] = "{\"name\":\"net\"}";
	return run_with(name, command, input, strlen(input), out, e);
}

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	int n = 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

TEST(the_plugin_gets_our_stdin_and_environment_and_its_command)
{
	struct err e;
	CLEANUP_JSON json_t *out = NULL;
	int before = count_descriptors();
	assert_int_equal(run("echo", "ADD", &out, &e), 0);
	CLEANUP_FREE char *text = json_text(out);
	assert_string_equal(text, "{\"len\":14,\"start\":\"{\\\"name\\\":\\\"net\\\"}\","
				  "\"command\":\"ADD\",\"container\":\"c1\"}");
	assert_int_equal(count_descriptors(), before);
}

TEST(a_runtime_says_the_variables_of_a_call)
{
	static const char *const variables[] = {"CNI_CONTAINERID=other", "CNI_COMMAND_X=y"};
	struct exec_call c = {
		.path = dir,
		.type = "echo",
		.command = "ADD",
		.variables = variables,
		.n_variables = 2,
		.input = "{}",
		.input_len = 2,
		.timeout_ms = 20000,
	};
	struct err e;
	CLEANUP_JSON json_t *out = NULL;
	(void)setenv("CNI_COMMAND", "CHECK", 1);
	(void)setenv("CNI_CONTAINERID", "c1", 1);
	assert_int_equal(exec_call(&c, &out, &e), 0);
	CLEANUP_FREE char *text = json_text(out);
	assert_string_equal(
		text, "{\"len\":2,\"start\":\"{}\",\"command\":\"ADD\",\"container\":\"other\"}");
	assert_int_equal(exec_find(dir, "echo", &e), 0);
	assert_int_equal(exec_find(dir, "missing", &e), -ENOENT);
}

TEST(a_full_stdin_passes_whole)
{
	CLEANUP_FREE char *input = mem_new(JSON_MAX_BYTES + 1, 1);
	memset(input, ' ', JSON_MAX_BYTES);
	struct err e;
	CLEANUP_JSON json_t *out = NULL;
	assert_int_equal(run_with("echo", "ADD", input, JSON_MAX_BYTES, &out, &e), 0);
	assert_int_equal(json_integer_value(json_object_get(out, "len")), JSON_MAX_BYTES);
}

TEST(a_plugin_may_leave_its_stdin_unread)
{
	CLEANUP_FREE char *input = mem_new(JSON_MAX_BYTES + 1, 1);
	memset(input, ' ', JSON_MAX_BYTES);
	struct err e;
	json_t *out = NULL;
	assert_int_equal(run_with("silent", "ADD", input, JSON_MAX_BYTES, &out, &e), 0);
	assert_null(out);
}

TEST(only_answers_to_add_and_version_are_read)
{
	struct err e;
	json_t *out = NULL;
	assert_int_equal(run("garbage", "DEL", &out, &e), 0);
	assert_null(out);
	refused_with(run("garbage", "ADD", &out, &e), EBADMSG,
		"plugin garbage: unexpected end of JSON input");
	assert_int_equal(run("garbage", "VERSION", &out, &e), -EBADMSG);
	assert_null(out);
}

TEST(failures_are_handed_on_or_described)
{
	static const struct {
		const char *name;
		int error;
		unsigned int code;
		const char *text;
		const char *details;
	} table[] = {
		{"refusing", -EREMOTEIO, 42, "no", "because"},
		{"zero", -EREMOTEIO, 0, "no", ""},
		{"mute", -EREMOTEIO, 0, "plugin mute ended with status 3 and no error document",
			""},
		{"babbling", -EREMOTEIO, 0,
			"plugin babbling ended with status 3 and no error document",
			"it printed: panic: oh\n"},
		{"killed", -EREMOTEIO, 0, "plugin killed was killed by signal 9 (Killed)", ""},
		{"huge", -EBADMSG, 0, "plugin huge: its answer is longer than 1048576 bytes", ""},
		{"", -ENOENT, 0, "no plugin name provided", ""},
		{"../nope", -ENOENT, 0, "invalid plugin name: ../nope", ""},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e;
		json_t *out = NULL;
		assert_int_equal(run(table[i].name, "ADD", &out, &e), table[i].error);
		assert_string_equal(e.text, table[i].text);
		assert_string_equal(e.details, table[i].details);
		assert_int_equal(e.code, table[i].code);
		assert_null(out);
	}
}

TEST(a_plugin_that_is_not_there_is_named_with_the_path)
{
	static const char *const missing[] = {"nope", "folder", "."};
	for (size_t i = 0; i < COUNT(missing); i++) {
		char expected[512];
		(void)snprintf(expected, sizeof(expected),
			"failed to find plugin \"%s\" in path [/nowhere::%s]", missing[i], dir);
		struct err e;
		json_t *out = NULL;
		refused_with(run(missing[i], "ADD", &out, &e), ENOENT, expected);
		assert_int_equal(cni_code(-ENOENT, &e), 999);
	}
}

TEST(a_file_that_cannot_be_executed_is_an_error)
{
	char path[256];
	path_of("plain", path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	struct err e;
	json_t *out = NULL;
	int before = count_descriptors();
	refused(run("plain", "ADD", &out, &e), EACCES, "Permission denied");
	assert_int_equal(count_descriptors(), before);
}

TEST(a_silent_plugin_is_killed_at_the_deadline)
{
	struct err e;
	json_t *out = NULL;
	struct cni_request r = {.path = dir, .input = (char *)"", .input_len = 0};
	refused_with(exec_plugin(&r, "hanging", "ADD", 300, &out, &e), ETIMEDOUT,
		"plugin hanging: no answer in time");
	assert_int_equal(cni_code(-ETIMEDOUT, &e), 11);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

TEST(a_process_left_behind_holds_nobody_up)
{
	struct err e;
	CLEANUP_JSON json_t *out = NULL;
	assert_int_equal(run("parent", "ADD", &out, &e), 0); /* its child would sleep for 60 s */
	pid_t pid = (pid_t)json_integer_value(json_object_get(out, "pid"));
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

TEST(ignored_child_signals_do_not_hide_the_status)
{
	(void)signal(SIGCHLD, SIG_IGN);
	struct err e;
	json_t *out = NULL;
	assert_int_equal(run("refusing", "ADD", &out, &e), -EREMOTEIO);
	(void)signal(SIGCHLD, SIG_DFL);
}

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

TEST(an_executable_still_being_written_is_tried_again)
{
	char self[256];
	char path[256];
	path_of("mute", self);
	path_of("copy", path);
	int from = open(self, O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	char buf[65536];
	ssize_t n;
	while ((n = read(from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(to, buf, (size_t)n), n);
	(void)close(from);
	pid_t writer = fork(); /* holds the file open for writing a little longer than we do */
	if (writer == 0) {
		pause_ms(300);
		_exit(0);
	}
	(void)close(to);
	struct err e;
	json_t *out = NULL;
	refused(run("copy", "ADD", &out, &e), EREMOTEIO, "status 99"); /* it ran: status 99 */
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

static pid_t read_pid(const char *path)
{
	for (int i = 0; i < 1000; i++) {
		FILE *f = fopen(path, "re");
		char line[32] = "";
		bool whole = f && fgets(line, sizeof(line), f) && strchr(line, '\n');
		if (f)
			(void)fclose(f);
		if (whole)
			return (pid_t)strtol(line, NULL, 10);
		pause_ms(10);
	}
	return 0;
}

static bool is_gone(pid_t pid)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	for (int i = 0; i < 1000; i++) {
		FILE *f = fopen(path, "re");
		char state = 'Z';
		bool zombie = f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state == 'Z';
		if (f)
			(void)fclose(f);
		if (!f || zombie)
			return true;
		pause_ms(10);
	}
	return false;
}

TEST(the_plugin_dies_with_us)
{
	char file[256];
	path_of("pid", file);
	(void)setenv("TEST_PID_FILE", file, 1);
	pid_t runner = fork();
	if (runner == 0) {
		struct err e;
		json_t *out = NULL;
		(void)run("hanging", "ADD", &out, &e);
		_exit(0);
	}
	pid_t plugin = read_pid(file);
	assert_true(plugin > 1);
	assert_int_equal(kill(runner, SIGKILL), 0);
	assert_int_equal(waitpid(runner, NULL, 0), runner);
	assert_true(is_gone(plugin));
	(void)unsetenv("TEST_PID_FILE");
}

/* Reads a text of that length. */
static void hear(int fd, const char *expected)
{
	char text[256] = "";
	size_t len = 0;
	while (len < strlen(expected)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 20000), 1);
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	assert_string_equal(text, expected);
}

TEST(a_child_is_talked_with_until_its_stdin_ends)
{
	char path[256];
	path_of("talker", path);
	int before = count_descriptors(), status = -1;
	struct err e;
	struct exec_child c;
	(void)setenv("CNI_COMMAND", "CHECK", 1);
	assert_int_equal(exec_child_start((const char *const[]){path, NULL}, &c, &e), 0);
	assert_int_equal(write(c.in, "one\n", 4), 4);
	hear(c.out, "one\n");
	hear(c.errors, "heard one\n");
	assert_int_equal(write(c.in, "interrupt\n", 10), 10); /* which it ignores */
	hear(c.out, "interrupt\n");
	assert_false(exec_child_has_ended(&c, &status));
	(void)close(c.in);
	c.in = -1;
	hear(c.out, "bye\n");
	struct pollfd p = {.fd = c.pidfd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_true(exec_child_has_ended(&c, &status));
	assert_int_equal(WEXITSTATUS(status), 7);
	exec_child_done(&c);
	assert_int_equal(count_descriptors(), before);
}

TEST(a_child_is_found_in_path_and_what_is_not_there_is_named)
{
	struct err e;
	struct exec_child c;
	int before = count_descriptors();
	CLEANUP_FREE char *old = mem_strdup(getenv("PATH"));
	(void)setenv("PATH", dir, 1);
	assert_int_equal(exec_child_start((const char *const[]){"talker", "x", NULL}, &c, &e), 0);
	exec_child_done(&c);
	exec_child_done(&c);
	refused_with(exec_child_start((const char *const[]){"nope", NULL}, &c, &e), ENOENT,
		"there is no program \"nope\" in PATH");
	refused_with(exec_child_start((const char *const[]){"/nowhere/x", NULL}, &c, &e), ENOENT,
		"cannot run /nowhere/x: No such file or directory");
	(void)setenv("PATH", old, 1);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

/* So that it can undo what it did: the end of its stdin tells it. */
TEST(a_child_that_is_talked_with_outlives_us_for_its_last_word)
{
	char path[256];
	int fds[2];
	path_of("talker", path);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t runner = fork();
	if (runner == 0) {
		struct err e;
		struct exec_child c;
		(void)setenv("CNI_COMMAND", "CHECK", 1);
		if (exec_child_start((const char *const[]){path, NULL}, &c, &e) == 0)
			(void)!write(fds[1], &c.pid, sizeof(c.pid));
		for (;;)
			(void)pause();
	}
	pid_t child = 0;
	assert_int_equal(read(fds[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(runner, SIGKILL), 0);
	assert_int_equal(waitpid(runner, NULL, 0), runner);
	assert_true(is_gone(child));
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : "";
	if (getenv("CNI_COMMAND"))
		return be_plugin(name);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_plugin_gets_our_stdin_and_environment_and_its_command),
		cmocka_unit_test(a_runtime_says_the_variables_of_a_call),
		cmocka_unit_test(a_full_stdin_passes_whole),
		cmocka_unit_test(a_plugin_may_leave_its_stdin_unread),
		cmocka_unit_test(only_answers_to_add_and_version_are_read),
		cmocka_unit_test(failures_are_handed_on_or_described),
		cmocka_unit_test(a_plugin_that_is_not_there_is_named_with_the_path),
		cmocka_unit_test(a_file_that_cannot_be_executed_is_an_error),
		cmocka_unit_test(a_silent_plugin_is_killed_at_the_deadline),
		cmocka_unit_test(a_process_left_behind_holds_nobody_up),
		cmocka_unit_test(ignored_child_signals_do_not_hide_the_status),
		cmocka_unit_test(an_executable_still_being_written_is_tried_again),
		cmocka_unit_test(the_plugin_dies_with_us),
		cmocka_unit_test(a_child_is_talked_with_until_its_stdin_ends),
		cmocka_unit_test(a_child_is_found_in_path_and_what_is_not_there_is_named),
		cmocka_unit_test(a_child_that_is_talked_with_outlives_us_for_its_last_word),
	};
	return cmocka_run_group_tests(tests, make_plugins, remove_plugins);
}
