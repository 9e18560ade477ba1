/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's socket against good, slow, rude and vanishing clients. Server and clients are in this
 * process: what a client sends is there when the server looks next.
 */
#include "tests/unit/check.h"

#include "agent/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/ask.h"
#include "lib/json.h"
#include "lib/mem.h"

#define ANSWER_MAX (ASK_MAX_BYTES + 16)

static char folder[] = "/tmp/roost-server-XXXXXX";
static char path[64];
static struct server *server;

FIXTURE(make_folder)
{
	if (!mkdtemp(folder))
		return -1;
	(void)chmod(folder, 0755);
	(void)snprintf(path, sizeof(path), "%s/agent.sock", folder);
	return 0;
}

FIXTURE(remove_folder)
{
	return rmdir(folder);
}

FIXTURE(start)
{
	struct err e;
	return server_open(&server, path, "", &e);
}

FIXTURE(stop)
{
	server_close(server);
	server = NULL;
	return access(path, F_OK) == 0 ? -1 : 0; /* the socket file is gone */
}

static int client(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

/* The next request, if there is one now. */
static const json_t *next(uint64_t *id)
{
	const json_t *request = NULL;
	for (int i = 0; i < 1000 && is_readable(server_fd(server)); i++)
		if (server_next(server, id, &request))
			return request;
	return NULL;
}

static void look(void)
{
	uint64_t id;
	assert_null(next(&id));
}

/* What a client has got so far; "" for the end of the connection, NULL for nothing. */
static const char *got(int fd)
{
	static char text[ANSWER_MAX];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return NULL;
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void answer(uint64_t id, int number)
{
	server_answer(server, id, json_pack("{si}", "n", number));
}

TEST(a_request_is_handed_out_once_and_answered)
{
	CLEANUP_FD int fd = client();
	uint64_t id = 0;
	look();
	say(fd, "{\"op\":\"status\",\"x\":[1]}\n");
	const json_t *request = next(&id);
	assert_non_null(request);
	assert_int_not_equal(id, 0);
	assert_string_equal(json_string_value(json_object_get(request, "op")), "status");
	look();
	assert_null(got(fd));
	answer(id, 1);
	assert_string_equal(got(fd), "{\"n\":1}\n");
	answer(id, 2); /* of no open request */
	assert_null(got(fd));
}

TEST(a_request_may_come_byte_by_byte)
{
	CLEANUP_FD int fd = client();
	uint64_t id = 0;
	for (const char *p = "{\"op\":\"a\"}"; *p; p++) {
		say(fd, (char[]){*p, '\0'});
		look();
	}
	say(fd, "\n");
	assert_non_null(next(&id));
	answer(id, 1);
	assert_string_equal(got(fd), "{\"n\":1}\n");
}

TEST(lines_sent_at_once_are_answered_one_after_the_other)
{
	CLEANUP_FD int fd = client();
	say(fd, "{\"op\":\"a\"}\n{\"op\":\"b\"}\n{\"op\":\"c\"}\n");
	for (int i = 0; i < 3; i++) {
		uint64_t id = 0;
		const json_t *request = next(&id);
		assert_non_null(request);
		assert_int_equal(*json_string_value(json_object_get(request, "op")), 'a' + i);
		look(); /* the next one waits for the answer */
		answer(id, i);
	}
	assert_string_equal(got(fd), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
}

TEST(requests_of_several_are_open_at_once)
{
	CLEANUP_FD int a = client();
	CLEANUP_FD int b = client();
	uint64_t id_a = 0, id_b = 0;
	say(a, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id_a));
	say(b, "{\"op\":\"b\"}\n");
	assert_non_null(next(&id_b));
	answer(id_b, 2);
	answer(id_a, 1);
	assert_string_equal(got(a), "{\"n\":1}\n");
	assert_string_equal(got(b), "{\"n\":2}\n");
}

TEST(garbage_is_answered_and_the_connection_goes_on)
{
	static const struct {
		const char *line, *error;
	} table[] = {
		{"\n", "unexpected end of JSON input"},
		{"GET / HTTP/1.1\r\n",
			"not valid JSON: invalid token near 'GET' (line 1, column 3)"},
		{"[]\n", "a request is a JSON object with \\\"op\\\""},
		{"7\n", "a request is a JSON object with \\\"op\\\""},
		{"{}\n", "the request has no \\\"op\\\""},
		{"{\"op\":7}\n", "op must be a string, not a number"},
		{"{\"op\":\"a\"} x\n", "something follows the JSON document (line 1, column 12)"},
		{"{\"op\":\"\xff\"}\n", "unable to decode byte 0xff"},
		{"\x1b[2J\n", "not valid JSON: invalid token near '?' (line 1, column 1)"},
	};
	CLEANUP_FD int fd = client();
	for (size_t i = 0; i < COUNT(table); i++) {
		say(fd, table[i].line);
		look();
		const char *text = got(fd);
		assert_non_null(text);
		if (!strstr(text, table[i].error) || !strstr(text, "\"errno\":\"EINVAL\""))
			fail_msg("%s: %s", table[i].line, text);
	}
	uint64_t id = 0;
	say(fd, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
	answer(id, 1);
	assert_string_equal(got(fd), "{\"n\":1}\n");
}

TEST(nul_bytes_end_no_line)
{
	CLEANUP_FD int fd = client();
	static const char bytes[] = "{\"op\":\"a\"}\0\n";
	assert_int_equal(send(fd, bytes, sizeof(bytes) - 1, 0), sizeof(bytes) - 1);
	look();
	assert_says(got(fd), "\"error\"");
}

/* A request of n bytes without its end of line. */
static char *request_of(size_t n)
{
	char *text = mem_new(n + 2, 1);
	memset(text, 'x', n);
	memcpy(text, "{\"op\":\"", 7);
	memcpy(text + n - 2, "\"}", 2);
	return text;
}

static void send_slowly(int fd, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EPIPE)
			return;
		assert_true(n > 0 || errno == EAGAIN);
		done += n > 0 ? (size_t)n : 0;
		if (done < len)
			look();
	}
}

TEST(a_request_has_64_kib_at_most)
{
	CLEANUP_FREE char *fits = request_of(SERVER_REQUEST_MAX);
	CLEANUP_FREE char *long_one = request_of(SERVER_REQUEST_MAX + 1);
	fits[SERVER_REQUEST_MAX] = '\n';
	CLEANUP_FD int fd = client();
	uint64_t id = 0;
	send_slowly(fd, fits, SERVER_REQUEST_MAX + 1);
	assert_non_null(next(&id));
	answer(id, 1);
	assert_string_equal(got(fd), "{\"n\":1}\n");
	send_slowly(fd, long_one, SERVER_REQUEST_MAX + 1);
	look();
	const char *text = got(fd);
	assert_non_null(text);
	assert_says(text, "a request of more than 65536 bytes");
	assert_string_equal(got(fd), ""); /* closed */
}

TEST(who_closes_one_side_gets_its_answer)
{
	static const char *const requests[] = {"{\"op\":\"a\"}\n", "{\"op\":\"a\"}"};
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_FD int fd = client();
		uint64_t id = 0;
		say(fd, requests[i]);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		assert_non_null(next(&id));
		look();
		assert_false(is_readable(server_fd(server))); /* no busy loop */
		answer(id, 1);
		look();
		assert_string_equal(got(fd), "{\"n\":1}\n");
		assert_string_equal(got(fd), "");
	}
}

TEST(who_vanishes_keeps_its_place_until_the_answer)
{
	uint64_t ids[SERVER_CONNECTIONS] = {0};
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++) {
		int fd = client();
		say(fd, "{\"op\":\"sync\"}\n");
		const json_t *request = next(&ids[i]);
		assert_non_null(request);
		(void)close(fd);
		look();
		assert_string_equal(json_string_value(json_object_get(request, "op")), "sync");
	}
	assert_false(is_readable(server_fd(server)));
	CLEANUP_FD int late = client();
	look();
	assert_says(got(late), "64 connections already");
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++)
		answer(ids[i], 1);
	CLEANUP_FD int fd = client();
	uint64_t id = 0;
	say(fd, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
	struct err e;
	(void)err_set(&e, EBUSY, "sentence");
	err_details(&e, "more");
	server_refuse(server, id, -EBUSY, &e);
	assert_string_equal(
		got(fd), "{\"error\":\"sentence\",\"errno\":\"EBUSY\",\"details\":\"more\"}\n");
}

TEST(the_65th_connection_is_told_and_the_others_stay)
{
	int fds[SERVER_CONNECTIONS];
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++) {
		fds[i] = client();
		look();
	}
	CLEANUP_FD int late = client();
	say(late, "{\"op\":\"a\"}\n");
	look();
	assert_string_equal(got(late),
		"{\"error\":\"the agent has 64 connections already, try again\","
		"\"errno\":\"EAGAIN\",\"details\":\"\"}\n");
	for (size_t i = 0; i < SERVER_CONNECTIONS; i++) {
		uint64_t id = 0;
		say(fds[i], "{\"op\":\"a\"}\n");
		assert_non_null(next(&id));
		answer(id, (int)i);
		assert_non_null(got(fds[i]));
		(void)close(fds[i]);
	}
	look();
	CLEANUP_FD int again = client();
	uint64_t id = 0;
	say(again, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
}

TEST(a_long_answer_reaches_a_reader_that_is_slow)
{
	CLEANUP_FD int fd = client();
	const size_t len = ASK_MAX_BYTES - 100;
	CLEANUP_FREE char *text = mem_new(len + 1, 1);
	memset(text, 'y', len);
	uint64_t id = 0;
	say(fd, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
	server_answer(server, id, json_pack("{ss}", "t", text));
	size_t have = 0;
	char last = 0;
	for (int i = 0; i < 10000 && last != '\n'; i++) {
		const char *part = got(fd);
		size_t n = part ? strlen(part) : 0;
		have += n;
		last = n ? part[n - 1] : last;
		look();
	}
	assert_int_equal(have, len + strlen("{\"t\":\"\"}\n"));
}

TEST(an_answer_beyond_the_bound_becomes_an_error)
{
	CLEANUP_FD int fd = client();
	CLEANUP_FREE char *text = mem_new(ASK_MAX_BYTES + 1, 1);
	memset(text, 'y', ASK_MAX_BYTES);
	uint64_t id = 0;
	say(fd, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
	server_answer(server, id, json_pack("{ss}", "t", text));
	assert_says(got(fd), "\"errno\":\"EPROTO\"");
}

TEST(endless_garbage_does_not_keep_the_agent_from_its_work)
{
	CLEANUP_FD int fd = client();
	char garbage[1001];
	for (int i = 0; i < 1000; i++)
		garbage[i] = i % 2 ? '\n' : 'x';
	garbage[1000] = '\0';
	say(fd, garbage);
	uint64_t id;
	const json_t *request;
	assert_false(server_next(server, &id, &request)); /* came back before the end */
	const char *text = got(fd);
	size_t lines = 0;
	for (; *text; text++)
		lines += *text == '\n';
	assert_in_range(lines, 1, 499);
	assert_true(is_readable(server_fd(server))); /* and goes on when it is asked again */
}

TEST(without_descriptors_newcomers_wait_and_nothing_spins)
{
	CLEANUP_FD int fd = client();
	struct rlimit old;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	CLEANUP_FD int highest = dup(fd); /* nothing is free below the first free one */
	const struct rlimit low = {.rlim_cur = (rlim_t)highest + 1, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	uint64_t id;
	const json_t *request;
	assert_false(server_next(server, &id, &request));
	assert_false(is_readable(server_fd(server)));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	struct pollfd p = {.fd = server_fd(server), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	say(fd, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
}

/* Idle, in the middle of a line, and one that takes no answer: waits as long as they may. */
TEST(who_is_too_slow_is_told_and_closed)
{
	CLEANUP_FD int idle = client();
	CLEANUP_FD int half = client();
	CLEANUP_FD int full = client();
	CLEANUP_FREE char *text = mem_new(ASK_MAX_BYTES, 1);
	memset(text, 'y', ASK_MAX_BYTES - 100);
	uint64_t id = 0;
	say(half, "{\"op\":");
	say(full, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
	server_answer(server, id, json_pack("{ss}", "t", text));
	struct pollfd p = {.fd = server_fd(server), .events = POLLIN};
	for (int i = 0; i < 100 && poll(&p, 1, (SERVER_TIMEOUT_S + 5) * 1000) == 1; i++) {
		look();
		struct pollfd closed[] = {{.fd = idle}, {.fd = half}, {.fd = full}};
		if (poll(closed, 3, 0) == 3)
			break;
	}
	assert_says(got(idle), "no whole request came within 10 s");
	assert_string_equal(got(idle), "");
	assert_says(got(half), "no whole request came within 10 s");
	assert_string_equal(got(half), "");
	struct pollfd closed = {.fd = full};
	assert_int_equal(poll(&closed, 1, 0), 1);
	assert_true(closed.revents & POLLHUP);
}

/* Asks in a child with these credentials, while the server runs here; the -errno of ask(). */
static int ask_as(uid_t uid, gid_t extra_group)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		json_t *a = NULL;
		struct err e;
		CLEANUP_JSON json_t *request = json_pack("{ss}", "op", "a");
		if (setgroups(extra_group ? 1 : 0, &extra_group) < 0 || setgid(65534) < 0 ||
			setuid(uid) < 0)
			_exit(99);
		int r = ask(path, request, 5000, &a, &e);
		_exit(-r);
	}
	int status = 0;
	for (int i = 0; i < 5000 && waitpid(child, &status, WNOHANG) == 0; i++) {
		uint64_t id;
		if (next(&id))
			answer(id, 1);
		(void)poll(NULL, 0, 1);
	}
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

TEST(only_root_and_the_group_may_ask)
{
	if (geteuid() != 0)
		skip();
	const gid_t group = 100; /* "users" is in every Debian */
	struct group *g = getgrgid(group);
	assert_non_null(g);
	struct err e;
	server_close(server);
	server = NULL;
	assert_int_equal(server_open(&server, path, g->gr_name, &e), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, group);
	assert_int_equal(ask_as(0, 0), 0);
	assert_int_equal(ask_as(65534, group), 0);
	assert_int_equal(ask_as(65534, 0), -EACCES); /* the file mode */
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(ask_as(65534, 0), -EACCES); /* the credentials */
	assert_int_equal(ask_as(65534, group), 0);
}

TEST(a_place_in_use_is_not_taken)
{
	struct server *second = NULL;
	struct err e;
	refused(server_open(&second, path, "", &e), EADDRINUSE, "another agent listens at");
	assert_null(second);
	CLEANUP_FD int fd = client(); /* the first one lives */
	uint64_t id = 0;
	look();
	say(fd, "{\"op\":\"a\"}\n");
	assert_non_null(next(&id));
	CLEANUP_FD int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
	refused(server_open(&second, path, "", &e), EADDRINUSE, "another agent is starting");
}

TEST(places_that_cannot_be_taken_are_named)
{
	struct err e;
	struct server *s = NULL;
	CLEANUP_FD int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(server_open(&s, path, "", &e), -EEXIST);
	assert_int_equal(access(path, F_OK), 0); /* kept */
	assert_int_equal(unlink(path), 0);
	refused_with(server_open(&s, path, "no-such-group", &e), ENOENT,
		"there is no group no-such-group");
	assert_int_equal(server_open(&s, "agent.sock", "", &e), -EINVAL);
	assert_int_equal(server_open(&s, "", NULL, &e), -EINVAL);
	char long_path[200];
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[108] = '\0';
	assert_int_equal(server_open(&s, long_path, "", &e), -EINVAL);
	assert_int_not_equal(access(path, F_OK), 0);
}

TEST(a_socket_that_nobody_listens_on_is_replaced)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(dead, (struct sockaddr *)&a, sizeof(a)), 0);
	(void)close(dead);
	struct err e;
	ok(server_open(&server, path, "", &e));
	CLEANUP_FD int fd = client();
	assert_true(fd >= 0);
	/* Somebody took the place away: their file is left alone. */
	assert_int_equal(unlink(path), 0);
	CLEANUP_FD int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	server_close(server);
	server = NULL;
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_request_is_handed_out_once_and_answered),
		WITH_SERVER(a_request_may_come_byte_by_byte),
		WITH_SERVER(lines_sent_at_once_are_answered_one_after_the_other),
		WITH_SERVER(requests_of_several_are_open_at_once),
		WITH_SERVER(garbage_is_answered_and_the_connection_goes_on),
		WITH_SERVER(nul_bytes_end_no_line),
		WITH_SERVER(a_request_has_64_kib_at_most),
		WITH_SERVER(who_closes_one_side_gets_its_answer),
		WITH_SERVER(who_vanishes_keeps_its_place_until_the_answer),
		WITH_SERVER(the_65th_connection_is_told_and_the_others_stay),
		WITH_SERVER(a_long_answer_reaches_a_reader_that_is_slow),
		WITH_SERVER(an_answer_beyond_the_bound_becomes_an_error),
		WITH_SERVER(endless_garbage_does_not_keep_the_agent_from_its_work),
		WITH_SERVER(without_descriptors_newcomers_wait_and_nothing_spins),
		WITH_SERVER(who_is_too_slow_is_told_and_closed),
		WITH_SERVER(only_root_and_the_group_may_ask),
		WITH_SERVER(a_place_in_use_is_not_taken),
		cmocka_unit_test(places_that_cannot_be_taken_are_named),
		cmocka_unit_test(a_socket_that_nobody_listens_on_is_replaced),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
