/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of roostd: which source wins, and what is refused with which sentence.
 */
#include "tests/unit/check.h"

#include "agent/arguments.h"
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char file[] = "/tmp/roost-conf-XXXXXX";

FIXTURE(make_file)
{
	int fd = mkstemp(file);
	return fd < 0 ? -1 : close(fd);
}

FIXTURE(remove_file)
{
	return unlink(file);
}

FIXTURE(forget_environment)
{
	static const char *const names[] = {"ROOST_NODE", "ROOST_STORE", "ROOST_STATE_DIR",
		"ROOST_DATA_DIR", "ROOST_SOCKET", "ROOST_CONFIG", "NODE_NAME"};
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unsetenv(names[i]);
	return 0;
}

/* The file holds text; further arguments end with NULL. */
static int read_conf(const char *text, struct agent_conf *out, struct err *e, ...)
{
	char config[] = "--config";
	char *argv[20] = {config, config, file};
	int argc = 3;
	va_list args;
	va_start(args, e);
	for (char *word; (word = va_arg(args, char *)); argc++)
		argv[argc] = word;
	va_end(args);
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
	*e = (struct err){0};
	return arguments_read(argc, argv, out, e);
}

TEST(kubernetes_gives_the_name_and_the_addresses_unless_somebody_says_them)
{
	struct agent_conf c;
	struct err e;
	assert_int_equal(setenv("NODE_NAME", "worker-1", 1), 0);
	ok(read_conf("{\"kubernetes\": \"in-cluster\"}", &c, &e, NULL));
	assert_string_equal(c.node, "worker-1");
	assert_false(c.node_is_host);
	assert_string_equal(c.kubernetes, "in-cluster");
	assert_int_equal(c.deleted_node_s, 900);
	assert_int_equal(c.detect[IPV4].method, DETECT_KUBERNETES);
	assert_int_equal(c.detect[IPV6].method, DETECT_KUBERNETES);
	ok(read_conf("{\"kubernetes\": \"/etc/kubernetes/roost.conf\", \"node\": \"a\","
		     "\"address\": {\"ipv4\": \"first-found\"}}",
		&c, &e, NULL));
	assert_string_equal(c.node, "a");
	assert_int_equal(c.detect[IPV4].method, DETECT_FIRST_FOUND);
	assert_int_equal(c.detect[IPV6].method, DETECT_KUBERNETES);
	ok(read_conf("{\"kubernetes\": \"none\"}", &c, &e, NULL));
	assert_string_equal(c.kubernetes, "");
	assert_int_equal(c.detect[IPV4].method, DETECT_FIRST_FOUND);
	assert_int_equal(setenv("NODE_NAME", "Worker", 1), 0);
	refused(read_conf("{}", &c, &e, NULL), EINVAL, "NODE_NAME: \"Worker\" is no name");
	assert_int_equal(unsetenv("NODE_NAME"), 0);
	refused(read_conf("{\"kubernetes\": \"yes\"}", &c, &e, NULL), EBADMSG,
		"\"yes\" is neither in-cluster, none, nor the path of a kubeconfig");
}

TEST(a_store_in_the_api_says_where_kubernetes_is)
{
	struct agent_conf c;
	struct err e;
	struct store_options o;
	assert_int_equal(setenv("KUBERNETES_SERVICE_HOST", "fd96::1", 1), 0);
	assert_int_equal(setenv("KUBERNETES_SERVICE_PORT", "443", 1), 0);
	ok(read_conf("{\"store\": \"kube:\", \"node\": \"a\"}", &c, &e, NULL));
	assert_string_equal(c.kubernetes, "in-cluster");
	assert_int_equal(c.heartbeat_s, 60);
	agent_conf_store(&c, &o);
	assert_string_equal(o.server, "https://[fd96::1]:443");
	ok(read_conf("{\"store\": \"kube:/etc/roost/kubeconfig\", \"heartbeatSeconds\": 5}", &c, &e,
		NULL));
	assert_string_equal(c.kubernetes, "/etc/roost/kubeconfig");
	assert_int_equal(c.heartbeat_s, 5);
	agent_conf_store(&c, &o);
	assert_null(o.server); /* the kubeconfig's */
	ok(read_conf("{\"store\": \"kube:\", \"kubernetesServer\": \"https://10.0.0.1:6443\"}", &c,
		&e, NULL));
	assert_string_equal(agent_conf_server(&c, c.kubernetes), "https://10.0.0.1:6443");
	assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
	refused(read_conf("{\"store\": \"kube:config\"}", &c, &e, NULL), EBADMSG, "absolute");
	refused(read_conf("{\"kubernetesServer\": \"10.0.0.1\"}", &c, &e, NULL), EBADMSG,
		"\"10.0.0.1\" is no API server: it must be https://HOST[:PORT]");
}

TEST(nothing_said_gives_the_defaults)
{
	struct agent_conf c;
	struct err e;
	ok(read_conf("{}", &c, &e, "--node", "n1", NULL));
	assert_string_equal(c.node, "n1");
	assert_string_equal(c.store.url, "file:/var/lib/roost/store");
	assert_string_equal(c.store.prefix, "/roost/");
	assert_string_equal(c.store.ca, "");
	assert_int_equal(c.n_state_dirs, 1);
	assert_string_equal(c.state_dirs[0], "/run/roost/state");
	assert_string_equal(c.data_dir, "/var/lib/roost");
	assert_string_equal(c.socket, "/run/roost/agent.sock");
	assert_string_equal(c.socket_group, "");
	assert_string_equal(c.detect[IPV4].text, "first-found");
	assert_string_equal(c.detect[IPV6].text, "none");
	assert_string_equal(c.bird_file, "/run/roost/bird.conf");
	assert_string_equal(c.bird_socket, "/run/bird/bird.ctl");
	assert_string_equal(c.bird_include, "/etc/bird/roost.d");
	assert_string_equal(c.bird_group, "bird");
	assert_false(c.routes_static);
	assert_false(c.trust_last_blocks);
	assert_int_equal(c.headroom, 16);
	assert_int_equal(c.idle_block_s, 300);
	assert_int_equal(c.vxlan_port, 4789);
	assert_int_equal(c.vxlan_vni, 4096);
	assert_string_equal(c.vxlan_device, "vxlan.roost");
	assert_int_equal(c.exits_table, 8266);
	assert_true(c.vxlan_offload);
	assert_true(c.policy.cuts && c.policy.logs_denied && c.policy.events);
	assert_false(c.policy.off || c.policy.opens);
	assert_int_equal(c.policy.cut_mark, 0x80000);
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_string_equal(c.log_file, "");
}

TEST(every_key_of_the_file_is_taken)
{
	static const char text[] =
		"{\"node\":\"n.1\",\"store\":\"etcd:https://a:2379,https://b:2379\",\"etcd\":{"
		"\"prefix\":\"/x/\",\"caFile\":\"/ca\",\"certFile\":\"/cert\",\"keyFile\":\"/key\","
		"\"user\":\"u\",\"passwordFile\":\"/pw\"},\"stateDirs\":[\"/a\",\"/b\"],"
		"\"dataDir\":\"/data\",\"socket\":\"/s\",\"socketGroup\":\"g\","
		"\"address\":{\"ipv4\":\"10.0.0.1\",\"ipv6\":\"first-found\"},"
		"\"bird\":{\"file\":\"/bf\",\"socket\":\"/bs\",\"include\":\"/bi\","
		"\"group\":\"bg\"},\"routes\":\"static\",\"trustLastBlocks\":true,"
		"\"headroom\":0,\"idleBlockSeconds\":7,"
		"\"vxlan\":{\"port\":1,\"vni\":16777215,\"device\":\"vx\","
		"\"checksumOffload\":false},"
		"\"exits\":{\"table\":4294967295},"
		"\"policy\":{\"enforce\":\"none\",\"pending\":\"open\",\"cutConnections\":false,"
		"\"events\":false,"
		"\"cutMark\":\"0x80000000\",\"logDenied\":false},"
		"\"log\":{\"level\":\"debug\",\"file\":\"/l\"}}";
	struct agent_conf c;
	struct err e;
	ok(read_conf(text, &c, &e, NULL));
	const struct {
		const char *is, *wanted;
	} texts[] = {{c.node, "n.1"}, {c.store.url, "etcd:https://a:2379,https://b:2379"},
		{c.store.prefix, "/x/"}, {c.store.ca, "/ca"}, {c.store.cert, "/cert"},
		{c.store.key, "/key"}, {c.store.user, "u"}, {c.store.password_file, "/pw"},
		{c.state_dirs[0], "/a"}, {c.state_dirs[1], "/b"}, {c.data_dir, "/data"},
		{c.socket, "/s"}, {c.socket_group, "g"}, {c.detect[IPV4].text, "10.0.0.1"},
		{c.detect[IPV6].text, "first-found"}, {c.bird_file, "/bf"}, {c.bird_socket, "/bs"},
		{c.bird_include, "/bi"}, {c.bird_group, "bg"}, {c.vxlan_device, "vx"},
		{c.log_file, "/l"}};
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_string_equal(texts[i].is, texts[i].wanted);
	assert_int_equal(c.n_state_dirs, 2);
	assert_true(c.routes_static && c.trust_last_blocks);
	assert_int_equal(c.headroom, 0);
	assert_int_equal(c.idle_block_s, 7);
	assert_int_equal(c.vxlan_port, 1);
	assert_int_equal(c.vxlan_vni, 16777215);
	assert_int_equal(c.exits_table, 4294967295);
	assert_false(c.vxlan_offload);
	assert_true(c.policy.off && c.policy.opens);
	assert_false(c.policy.cuts || c.policy.logs_denied || c.policy.events);
	assert_int_equal(c.policy.cut_mark, 0x80000000);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
}

TEST(the_command_line_wins_over_the_environment_over_the_file)
{
	static const char text[] = "{\"node\":\"of-file\",\"socket\":\"/of-file\","
				   "\"dataDir\":\"/of-file\",\"stateDirs\":[\"/of-file\"]}";
	struct agent_conf c;
	struct err e;
	assert_int_equal(setenv("ROOST_NODE", "of-env", 1), 0);
	assert_int_equal(setenv("ROOST_SOCKET", "/of-env", 1), 0);
	assert_int_equal(setenv("ROOST_STATE_DIR", "/of-env", 1), 0);
	assert_int_equal(setenv("ROOST_STORE", "", 1), 0); /* empty is not set */
	assert_int_equal(read_conf(text, &c, &e, "--node=of-flag", NULL), 0);
	assert_string_equal(c.node, "of-flag");
	assert_string_equal(c.socket, "/of-env");
	assert_string_equal(c.data_dir, "/of-file");
	assert_string_equal(c.store.url, "file:/of-file/store");
	assert_int_equal(c.n_state_dirs, 1);
	assert_string_equal(c.state_dirs[0], "/of-env");
	assert_int_equal(read_conf(text, &c, &e, "--state-dir", "/1", "--state-dir=/2", NULL), 0);
	assert_string_equal(c.node, "of-env");
	assert_int_equal(c.n_state_dirs, 2);
	assert_string_equal(c.state_dirs[1], "/2");
}

TEST(the_file_may_be_named_by_the_environment)
{
	struct agent_conf c;
	struct err e;
	char program[] = "roostd";
	char *argv[] = {program, NULL};
	assert_int_equal(read_conf("{\"node\":\"from-file\"}", &c, &e, NULL), 0);
	assert_int_equal(setenv("ROOST_CONFIG", file, 1), 0);
	assert_int_equal(arguments_read(1, argv, &c, &e), 0);
	assert_string_equal(c.node, "from-file");
	assert_int_equal(setenv("ROOST_CONFIG", "/nowhere/x.json", 1), 0);
	refused_with(arguments_read(1, argv, &c, &e), ENOENT,
		"cannot open /nowhere/x.json: No such file or directory");
}

TEST(bad_files_are_refused_with_file_and_key)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{"", "unexpected end of JSON input"},
		{"[]", "not an object"},
		{"{\"nodes\":1}", "unknown key \"nodes\" in the document"},
		{"{\"etcd\":{\"ca\":1}}", "unknown key \"ca\" in etcd"},
		{"{\"etcd\":[]}", "etcd must be an object, not an array"},
		{"{\"node\":7}", "node must be a string, not a number"},
		{"{\"node\":\"N1\"}", "node: \"N1\" is no name of a node"},
		{"{\"store\":\"redis:x\"}",
			"store: \"redis:x\" is neither file:PATH, etcd:URL[,URL...], kube:["},
		{"{\"store\":\"file:x\"}", "store: \"x\" is not an absolute path"},
		{"{\"store\":\"etcd:http://a b\"}", "store: \"etcd:http://a b\" is neither"},
		{"{\"etcd\":{\"prefix\":\"roost\"}}",
			"etcd.prefix: \"roost\" does not begin and end with /"},
		{"{\"stateDirs\":\"/a\"}", "stateDirs must be an array, not a string"},
		{"{\"stateDirs\":[7]}", "stateDirs[0]: not a string"},
		{"{\"stateDirs\":[\"/a\",\"/a\"]}", "stateDirs[1]: state folder /a is there twice"},
		{"{\"stateDirs\":[\"/1\",\"/2\",\"/3\",\"/4\",\"/5\",\"/6\",\"/7\",\"/8\",\"/9\"]}",
			"stateDirs[8]: more than 8 state folders"},
		{"{\"dataDir\":\"data\"}", "dataDir: \"data\" is not an absolute path"},
		{"{\"dataDir\":\"\"}", "dataDir: \"\" is not an absolute path"},
		{"{\"bird\":{\"include\":\"/a\\\";\\n\"}}",
			"bird.include: \"/a\";\n\" has a character that a path here must not have"},
		{"{\"bird\":{\"file\":\"/a*\"}}", "has a character that a path here must not have"},
		{"{\"routes\":\"ospf\"}", "routes: \"ospf\" is neither bgp nor static"},
		{"{\"trustLastBlocks\":1}", "trustLastBlocks must be true or false, not a number"},
		{"{\"headroom\":-1}", "headroom is -1, must be between 0 and 1048576"},
		{"{\"idleBlockSeconds\":0}", "idleBlockSeconds is 0, must be between 1"},
		{"{\"vxlan\":{\"vni\":16777216}}", "vxlan.vni is 16777216, must be between 1"},
		{"{\"exits\":{\"table\":254}}", "exits.table is 254, must be between 256"},
		{"{\"vxlan\":{\"checksumOffload\":1}}",
			"vxlan.checksumOffload must be true or false"},
		{"{\"vxlan\":{\"port\":65536}}", "vxlan.port is 65536, must be between 1"},
		{"{\"vxlan\":{\"device\":\"fifteen-bytes-x\"}}",
			"vxlan.device: \"fifteen-bytes-x\" cannot name a device"},
		{"{\"vxlan\":{\"device\":\"a b\"}}", "vxlan.device: \"a b\" cannot name a device"},
		{"{\"policy\":{\"enforce\":\"yes\"}}",
			"policy.enforce: \"yes\" is neither auto nor none"},
		{"{\"policy\":{\"pending\":\"\"}}",
			"policy.pending: \"\" is neither closed nor open"},
		{"{\"policy\":{\"cutMark\":\"0x3\"}}",
			"policy.cutMark: \"0x3\" is not one bit of 32"},
		{"{\"policy\":{\"cutMark\":\"0x100000000\"}}", "is not one bit of 32"},
		{"{\"policy\":{\"cutMark\":\"-1\"}}", "is not one bit of 32"},
		{"{\"log\":{\"level\":\"loud\"}}",
			"log.level: \"loud\" is neither error, warning, info nor debug"},
		{"{\"log\":{\"file\":\"x\"}}", "log.file: \"x\" is not an absolute path"},
		{"{\"socketGroup\":\"a b\"}", "socketGroup: \"a b\" is no name"},
		{"{\"address\":{\"ipv4\":\"!\"}}", "address.ipv4: "},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct agent_conf c;
		struct err e;
		int r = read_conf(table[i].text, &c, &e, "--node", "n", NULL);
		if (r != -EBADMSG || !strstr(e.text, table[i].error) ||
			strncmp(e.text, file, strlen(file)) != 0)
			fail_msg("%s: %d, %s", table[i].text, r, e.text);
	}
}

TEST(long_texts_are_refused)
{
	char text[400], path[300];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	struct agent_conf c;
	struct err e;
	path[AGENT_CONF_PATH] = '\0';
	(void)snprintf(text, sizeof(text), "{\"dataDir\":\"%s\"}", path);
	refused(read_conf(text, &c, &e, NULL), EBADMSG, "has more than 255 bytes");
	(void)snprintf(text, sizeof(text), "{\"stateDirs\":[\"%s\"]}", path);
	assert_int_equal(read_conf(text, &c, &e, NULL), -EBADMSG);
	path[AGENT_CONF_PATH - 1] = '\0';
	(void)snprintf(text, sizeof(text), "{\"dataDir\":\"%s\",\"node\":\"n\"}", path);
	assert_int_equal(read_conf(text, &c, &e, NULL), 0);
	path[108] = '\0';
	(void)snprintf(text, sizeof(text), "{\"socket\":\"%s\"}", path);
	refused(read_conf(text, &c, &e, NULL), EBADMSG,
		"has 108 bytes, a socket's path has 107 at most");
}

TEST(bad_usage_is_refused_with_its_option)
{
	static const struct {
		const char *first, *second, *error;
	} table[] = {
		{"--nod", "x", "unknown option --nod: did you mean --node?"},
		{"--node", NULL, "--node needs a value"},
		{"-n", "x", "unknown option -n"},
		{"x", NULL, "unknown argument \"x\""},
		{"x", "y", "unknown argument \"y\""},
		{"--check", "/x", "--check takes one file, not \""},
		{"--node", "Big", "--node: \"Big\" is no name of a node"},
		{"--socket=run", NULL, "--socket: \"run\" is not an absolute path"},
		{"--state-dir", "run", "--state-dir: \"run\" is not an absolute path"},
		{"--log-level", "7", "--log-level: \"7\" is neither"},
		{"--address4", "!", "--address4: "},
		{"--store=", NULL, "--store: \"\" is neither"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct agent_conf c;
		struct err e;
		int r = read_conf("{}", &c, &e, table[i].first, table[i].second, NULL);
		if (r != -EINVAL || strncmp(e.text, table[i].error, strlen(table[i].error)) != 0)
			fail_msg("%s: %d, %s", table[i].first, r, e.text);
	}
	struct agent_conf c;
	struct err e;
	assert_int_equal(setenv("ROOST_SOCKET", "x", 1), 0);
	refused_with(read_conf("{}", &c, &e, NULL), EINVAL,
		"ROOST_SOCKET: \"x\" is not an absolute path");
}

TEST(what_belongs_together_must_be_there_together)
{
	struct agent_conf c;
	struct err e;
	assert_true(read_conf("{\"etcd\":{\"certFile\":\"/c\"}}", &c, &e, "--node=n", NULL) < 0);
	assert_string_equal(e.text, "etcd.certFile and etcd.keyFile belong together");
	assert_true(read_conf("{\"etcd\":{\"user\":\"u\"}}", &c, &e, "--node=n", NULL) < 0);
	assert_string_equal(e.text, "etcd.user and etcd.passwordFile belong together");
}

TEST(help_and_version_are_answered)
{
	struct agent_conf c;
	struct err e;
	assert_int_equal(read_conf("[", &c, &e, "--help", NULL), 1);
	assert_int_equal(read_conf("[", &c, &e, "--version", NULL), 1);
}

TEST(a_byte_order_mark_is_passed_over)
{
	struct agent_conf c;
	struct err e;
	assert_int_equal(read_conf("\xef\xbb\xbf{\"node\":\"n7\"}", &c, &e, NULL), 0);
	assert_string_equal(c.node, "n7");
}

TEST(a_check_is_answered)
{
	struct agent_conf c;
	struct err e;
	assert_int_equal(read_conf("{}", &c, &e, "--check", "--node=n", NULL), 1);
	refused(read_conf("{\"nodes\":1}", &c, &e, "--check", "--node=n", NULL), EBADMSG,
		"unknown key \"nodes\"");
}

#define WITH_CLEAN_ENVIRONMENT(f) cmocka_unit_test_setup_teardown(f, NULL, forget_environment)

TEST(what_a_running_agent_does_not_take_up_is_named)
{
	static const struct {
		const char *text, *late;
	} table[] = {
		{"{}", ""},
		{"{\"headroom\":3,\"idleBlockSeconds\":9,\"routes\":\"static\",\"log\":{\"level\":"
		 "\"debug\"},\"address\":{\"ipv4\":\"10.0.0.1\"}}",
			""},
		{"{\"store\":\"file:/other\"}", "store"},
		{"{\"stateDirs\":[\"/a\",\"/b\"]}", "stateDirs"},
		{"{\"etcd\":{\"prefix\":\"/x/"
		 "\"},\"vxlan\":{\"port\":8472,\"checksumOffload\":false},"
		 "\"trustLastBlocks\":true}",
			"etcd.prefix, trustLastBlocks, vxlan.port, vxlan.checksumOffload"},
		{"{\"policy\":{\"enforce\":\"none\",\"cutConnections\":false}}", ""},
		{"{\"policy\":{\"cutMark\":\"0x100000\"}}", "policy.cutMark"},
		{"{\"bird\":{\"group\":\"x\"},\"heartbeatSeconds\":2,\"log\":{\"file\":\"/l\"}}",
			"bird.group, heartbeatSeconds, log.file"},
	};
	struct agent_conf running;
	struct agent_conf fresh;
	struct err e;
	char late[AGENT_CONF_LATE];
	ok(read_conf("{}", &running, &e, NULL));
	for (size_t i = 0; i < COUNT(table); i++) {
		ok(read_conf(table[i].text, &fresh, &e, NULL));
		agent_conf_compare(&running, &fresh, late);
		assert_string_equal(late, table[i].late);
	}
}

int main(void)
{
	(void)forget_environment(NULL);
	const struct CMUnitTest tests[] = {
		WITH_CLEAN_ENVIRONMENT(
			kubernetes_gives_the_name_and_the_addresses_unless_somebody_says_them),
		WITH_CLEAN_ENVIRONMENT(a_store_in_the_api_says_where_kubernetes_is),
		WITH_CLEAN_ENVIRONMENT(nothing_said_gives_the_defaults),
		WITH_CLEAN_ENVIRONMENT(every_key_of_the_file_is_taken),
		WITH_CLEAN_ENVIRONMENT(the_command_line_wins_over_the_environment_over_the_file),
		WITH_CLEAN_ENVIRONMENT(the_file_may_be_named_by_the_environment),
		WITH_CLEAN_ENVIRONMENT(bad_files_are_refused_with_file_and_key),
		WITH_CLEAN_ENVIRONMENT(long_texts_are_refused),
		WITH_CLEAN_ENVIRONMENT(bad_usage_is_refused_with_its_option),
		WITH_CLEAN_ENVIRONMENT(what_belongs_together_must_be_there_together),
		WITH_CLEAN_ENVIRONMENT(help_and_version_are_answered),
		WITH_CLEAN_ENVIRONMENT(a_byte_order_mark_is_passed_over),
		WITH_CLEAN_ENVIRONMENT(a_check_is_answered),
		WITH_CLEAN_ENVIRONMENT(what_a_running_agent_does_not_take_up_is_named),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
