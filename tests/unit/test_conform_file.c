/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster files: what is read of them, and where they are wrong.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "cli/conform/file.h"

TEST(a_file_says_how_to_start_each_probe)
{
	static const char input[] = "nodes:\n"
				    "  - name: a\n"
				    "    command: [ssh, root@a]\n"
				    "    options: [--config, /etc/x]\n"
				    "    confDir: /c\n"
				    "  - roostctl: /opt/roostctl\n"
				    "outside: {command: [ssh, far], routed: false}\n"
				    "pods: 3\n"
				    "families: [6]\n"
				    "seed: 42\n";
	struct conform_file f;
	struct err e = {0};
	ok(conform_file_parse(input, strlen(input), &f, &e));
	static const char *const words[] = {
		"ssh", "root@a", "roostctl", "probe", "--config", "/etc/x", NULL};
	for (size_t i = 0; words[i]; i++)
		assert_string_equal(f.nodes[0].arguments[i], words[i]);
	assert_null(f.nodes[0].arguments[6]);
	assert_string_equal(f.nodes[0].conf_dir, "/c");
	assert_false(f.nodes[0].is_local);
	assert_string_equal(f.nodes[1].name, "");
	assert_string_equal(f.nodes[1].arguments[0], "/opt/roostctl");
	assert_string_equal(f.nodes[1].arguments[1], "probe");
	assert_true(f.nodes[1].is_local);
	assert_true(f.has_outside && !f.routed && f.has_seed);
	assert_string_equal(f.outside.arguments[1], "far");
	assert_int_equal(f.pods, 3);
	assert_int_equal(f.seed, 42);
	assert_true(!f.families[0] && f.families[1]);
	conform_file_done(&f);
}

TEST(what_is_not_said_has_its_default)
{
	struct conform_file f;
	struct err e = {0};
	assert_int_equal(conform_file_parse("{\"nodes\":[{}]}", 14, &f, &e), 0);
	assert_string_equal(f.nodes[0].arguments[0], "/proc/self/exe");
	assert_int_equal(f.pods, 2);
	assert_int_equal(f.host_port, 27007);
	assert_int_equal(f.settle_s, 10);
	assert_true(f.families[0] && f.families[1] && f.routed);
	assert_true(!f.has_outside && !f.has_seed && !f.nodes[0].conf_dir && !f.nodes[0].cni_path);
	conform_file_done(&f);
}

TEST(a_wrong_file_is_refused_with_line_and_column)
{
	static const struct {
		const char *input, *sentence;
	} table[] = {
		{"", "a cluster file is one document, this has 0"},
		{"nodes: [{}]\n---\nnodes: [{}]\n", "a cluster file is one document, this has 2"},
		{"[]", "line 1, column 1: a cluster file is an object with the key \"nodes\""},
		{"pods: 2\n", "line 1, column 1: nodes must list the hosts to test"},
		{"nodes: []\n", "line 1, column 1: nodes must list the hosts to test"},
		{"nodes: x\n", "line 1, column 1: nodes must be an array, not a string"},
		{"nodes:\n- name: a\n  comand: [x]\n",
			"line 3, column 3: nodes[0].comand is no key of a cluster file: did you mean command?"},
		{"nodes:\n- name: a\n- {name: a}\n",
			"line 3, column 4: nodes[1].name is another node's, too"},
		{"nodes:\n- name: a b\n", "line 2, column 3: nodes[0].name is no name"},
		{"nodes:\n- name: ''\n", "line 2, column 3: nodes[0].name is empty"},
		{"nodes:\n- command: ssh a\n",
			"line 2, column 3: nodes[0].command must be an array, not a string"},
		{"nodes:\n- command: [ssh, 7]\n",
			"line 2, column 18: nodes[0].command[1] is not a text"},
		{"nodes:\n- 7\n", "line 2, column 3: nodes[0] is not an object"},
		{"nodes: [{}]\npods: 9\n", "line 2, column 1: pods is 9, must be between 1 and 8"},
		{"nodes: [{}]\nfamilies: [4, 5]\n", "line 2, column 1: families are 4, 6, or both"},
		{"nodes: [{}]\nfamilies: []\n", "line 2, column 1: families are 4, 6, or both"},
		{"nodes: [{}]\noutside: {confDir: x}\n",
			"line 2, column 11: outside.confDir is no key of a cluster file"},
		{"nodes: [{}]\noutside: {routed: 1}\n", NULL},
		{"nodes: [{}]\nseed: -1\n", NULL},
		{"nodes: [\n", NULL},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct conform_file f;
		struct err e = {0};
		if (conform_file_parse(table[i].input, strlen(table[i].input), &f, &e) >= 0)
			fail_msg("%s is taken", table[i].input);
		if (table[i].sentence)
			assert_string_equal(e.text, table[i].sentence);
		else
			assert_memory_equal(e.text, "line ", 5);
	}
}

TEST(the_nodes_of_the_store_are_reached_by_ssh_and_this_machine_directly)
{
	struct inventory_node nodes[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
	const struct inventory v = {.nodes = nodes, .n_nodes = 3};
	const struct options o = {.config = "/x.json"};
	struct conform_file f;
	struct err e = {0};
	assert_int_equal(conform_file_from_store(&v, "a", &o, &f, &e), -ENOENT);
	nodes[0].spec.addr[IPV4].addr = addr("10.0.0.1");
	nodes[1].spec.addr[IPV6].addr = addr("fd00::2");
	assert_int_equal(conform_file_from_store(&v, "a", &o, &f, &e), 0);
	assert_int_equal(f.n_nodes, 2); /* c has no address */
	assert_true(f.nodes[0].is_local);
	assert_string_equal(f.nodes[0].arguments[3], "/x.json");
	assert_string_equal(f.nodes[1].name, "b");
	assert_string_equal(f.nodes[1].arguments[0], "ssh");
	assert_string_equal(f.nodes[1].arguments[1], "root@fd00::2");
	conform_file_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_says_how_to_start_each_probe),
		cmocka_unit_test(what_is_not_said_has_its_default),
		cmocka_unit_test(a_wrong_file_is_refused_with_line_and_column),
		cmocka_unit_test(
			the_nodes_of_the_store_are_reached_by_ssh_and_this_machine_directly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
