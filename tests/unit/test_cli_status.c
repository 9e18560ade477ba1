/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl status: what an agent answers, printed. A child process with the agent's own socket
 * answers as it is told.
 */
#include "tests/unit/capture.h"
#include "tests/unit/values.h"

#include "cli/commands.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/server.h"
#include "lib/json.h"

static char folder[] = "/tmp/roost-status-XXXXXX";
static char path[64], config[64];
static char out[CAPTURE_MAX], complaint[CAPTURE_MAX];

FIXTURE(make_folder)
{
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/agent.sock", folder);
	(void)snprintf(config, sizeof(config), "%s/roostd.json", folder);
	FILE *f = fopen(config, "we");
	if (!f)
		return -1;
	(void)fprintf(f, "{\"socket\":\"%s\"}", path);
	return fclose(f);
}

FIXTURE(remove_folder)
{
	(void)unlink(path);
	(void)unlink(config);
	return rmdir(folder);
}

static _Noreturn void be_agent(struct server *s, const char *answer)
{
	struct pollfd p = {.fd = server_fd(s), .events = POLLIN};
	while (poll(&p, 1, 20000) == 1) {
		uint64_t id;
		const json_t *request;
		struct err e = {0};
		json_t *doc = NULL;
		if (!server_next(s, &id, &request))
			continue;
		const char *op = json_string_value(json_object_get(request, "op"));
		if (strcmp(op, "status") != 0)
			_exit(1);
		if (answer && json_parse(answer, strlen(answer), &doc, &e) == 0)
			server_answer(s, id, doc);
		else
			server_refuse(
				s, id, EBUSY, &(struct err){.text = "no\x1b", .details = "d"});
	}
	_exit(0);
}

/* The exit status; answer NULL: the agent refuses. */
static int run(const char *answer, bool json)
{
	struct server *s = NULL;
	struct err e;
	const struct options o = {.config = config, .json = json};
	ok(server_open(&s, path, "", &e));
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		be_agent(s, answer);
	struct capture c;
	capture_begin(&c);
	int status = agent_status(&o);
	capture_end(&c, out, complaint);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	server_close(s);
	return status;
}

#define GOOD                                                                                       \
	"{\"node\":\"a\",\"installation\":\"i-1\",\"since\":\"2026-03-02T09:14:53Z\","             \
	"\"store\":{\"url\":\"etcd:http://e:2379\",\"trouble\":null,\"sinceSeconds\":0},"          \
	"\"bird\":{\"up\":true,\"recovering\":false,\"loaded\":true,\"trouble\":null,"             \
	"\"peers\":2,\"peersUp\":2},\"exitsText\":\"0.0.0.0/0 by 2 "                               \
	"paths\",\"address\":{\"ipv4\":\"10.0.0.1\",\"ipv6\":\"fd00::1\"},"                        \
	"\"blocks\":[{\"cidr\":\"100.66.0.0/26\",\"pool\":\"100.66.0.0/16\","                      \
	"\"stateDir\":\"/run/roost/state\",\"state\":\"owned\",\"used\":3,\"cooling\":1,"          \
	"\"reserved\":0,\"quarantined\":0,\"free\":60}],\"problems\":[]}"

TEST(a_good_answer_is_printed)
{
	assert_int_equal(run(GOOD, false), 0);
	assert_string_equal(out,
		"node          a\n"
		"installation  i-1\n"
		"running since 2026-03-02T09:14:53Z\n"
		"address       10.0.0.1, fd00::1\n"
		"store         etcd:http://e:2379\n"
		"bird          up, 2 of 2 peers\n"
		"exits         0.0.0.0/0 by 2 paths\n"
		"problems      none\n"
		"\n"
		"BLOCK          POOL           STATE  USED  COOLING  RESERVED  QUARANTINED  FREE  "
		"STATE-DIR\n"
		"100.66.0.0/26  100.66.0.0/16  owned     3        1         0            0    60  "
		"/run/roost/state\n");
	assert_int_equal(run(GOOD, true), 0);
	CLEANUP_JSON json_t *doc = json_of(out), *wanted = json_of(GOOD);
	assert_true(json_equal(doc, wanted));
}

TEST(a_peer_that_is_down_has_a_line)
{
	assert_int_equal(
		run("{\"bird\":{\"up\":true,\"loaded\":true,\"peers\":3,\"peersUp\":1,"
		    "\"peersDown\":[{\"peer\":\"10.0.0.2\",\"node\":\"b\",\"since\":"
		    "\"2026-03-02T09:14:53Z\",\"bird\":\"Received: Bad peer AS\",\"reason\":\"x\"},"
		    "{\"peer\":\"10.0.0.254\",\"node\":null,\"bird\":7},4]}}",
			false),
		0);
	assert_says(out,
		"bird          up, 1 of 3 peers\n"
		"peer down     b (10.0.0.2) since 2026-03-02T09:14:53Z: Received: Bad peer AS\n"
		"peer down     10.0.0.254 since : \n");
}

TEST(problems_are_the_exit_status)
{
	assert_int_equal(
		run("{\"node\":\"a\",\"problems\":[\"one\",\"\\u001b[31mtwo\",3],"
		    "\"store\":{\"url\":\"file:/s\",\"trouble\":\"no route\",\"sinceSeconds\":35},"
		    "\"bird\":{\"up\":false,\"trouble\":\"no socket\"}}",
			false),
		1);
	assert_string_equal(out, "node          a\n"
				 "address       none found\n"
				 "store         file:/s, unusable for 35 s: no route\n"
				 "bird          down: no socket\n"
				 "problem       one\n"
				 "problem       ?[31mtwo\n"
				 "problem       ?\n");
	assert_int_equal(run("{\"bird\":{\"up\":true,\"recovering\":true}}", false), 0);
	assert_says(out, "up, recovering from a restart, our configuration is not "
			 "loaded, 0 of 0 peers\n");
}

TEST(an_answer_of_another_shape_is_no_crash)
{
	static const char *const answers[] = {"{}", "{\"store\":7,\"bird\":[],\"blocks\":{}}",
		"{\"blocks\":[7,null,{\"cidr\":[]}],\"problems\":\"x\",\"address\":\"y\"}",
		"{\"blocks\":[{\"used\":-1,\"free\":9223372036854775807}]}"};
	for (size_t i = 0; i < COUNT(answers); i++)
		assert_int_equal(run(answers[i], false), 0);
}

TEST(a_refusal_and_silence_are_said)
{
	assert_int_equal(run(NULL, true), 1);
	assert_string_equal(out, "");
	assert_string_equal(complaint, "roostctl: no?\nroostctl: d\n");
	const struct options o = {.socket = "/nowhere/agent.sock", .config = config};
	assert_int_equal(agent_status(&o), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_answer_is_printed),
		cmocka_unit_test(a_peer_that_is_down_has_a_line),
		cmocka_unit_test(problems_are_the_exit_status),
		cmocka_unit_test(an_answer_of_another_shape_is_no_crash),
		cmocka_unit_test(a_refusal_and_silence_are_said),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
