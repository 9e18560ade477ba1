/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that look at the whole cluster and remove nodes from it, over a real store in a
 * temporary folder. Documents are put there as agents and roostctl apply would.
 */
#include "tests/unit/capture.h"
#include "tests/unit/folder.h"
#include "tests/unit/values.h"

#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster/block_txn.h"
#include "cluster/keys.h"
#include "cluster/status.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/store.h"
#include "tests/overwrite.h"

#define ID "11111111-2222-3333-4444-555555555555"
#define LONG_AGO 1583140493 /* 2020-03-02T09:14:53Z */

static char folder[64], url[80];
static struct store *store;
static char out[CAPTURE_MAX], complaint[CAPTURE_MAX]; /* of the last command */

/* ---- A store and what is in it ---- */

/* A process has the store open once: here, or in the command that is run. */
static struct store *use_store(void)
{
	struct err e;
	const struct store_options o = {.url = url};
	if (!store && store_open(&store, &o, &e) < 0)
		fail_msg("%s", e.text);
	return store;
}

static void leave_store(void)
{
	store_close(store);
	store = NULL;
}

FIXTURE(make_folder)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/roost-nodes-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(url, sizeof(url), "file:%s/store", folder);
	(void)use_store(); /* makes it, which the commands do not */
	leave_store();
	return 0;
}

FIXTURE(remove_folder)
{
	leave_store();
	return folder_remove(folder);
}

static void commit(const struct store_write *w)
{
	struct err e;
	int r = store_write(use_store(), w, &e);
	if (r != 1)
		fail_msg("write: %d %s", r, r < 0 ? e.text : "conflict");
}

static void put(const char *key, const char *value)
{
	struct err e;
	ok(overwrite(use_store(), key, value, &e));
}

static void put_resource(enum resource_kind kind, const char *name, const char *spec)
{
	char key[STORE_KEY_MAX], value[1024];
	keys_resource(kind, name, key);
	(void)snprintf(value, sizeof(value),
		"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"%s\",\"metadata\":{"
		"\"name\":\"%s\"},\"spec\":%s}",
		resource_kind_text(kind), name, spec);
	put(key, value);
}

static void put_node(const char *name, const char *spec)
{
	put_resource(RESOURCE_NODE, name, spec);
}

static void put_pool(const char *name, const char *prefix, int block_len)
{
	char spec[128];
	(void)snprintf(spec, sizeof(spec), "{\"cidr\":\"%s\",\"blockSize\":%d}", prefix, block_len);
	put_resource(RESOURCE_IPPOOL, name, spec);
}

static void put_block(const struct cidr *c, const char *node)
{
	struct block_txn t;
	struct block b = {.cidr = *c};
	(void)snprintf(b.node, sizeof(b.node), "%s", node);
	block_txn_confirm(&t, &b);
	commit(&t.write);
}

static void put_pending(const char *node, size_t at)
{
	const struct pool p = {.cidr = cidr("100.66.0.0/16"), .block_len = 26};
	struct cidr c = pool_block(&p, at);
	struct block_txn t;
	block_txn_claim(&t, &c, node);
	commit(&t.write);
}

static void put_status(
	const char *node, int64_t heartbeat_s, bool stopped, struct status_block *blocks, size_t n)
{
	const struct status s = {
		.installation = ID,
		.instance = ID,
		.boot = ID,
		.heartbeat_s = heartbeat_s,
		.stopped = stopped,
		.version = "0.1.0",
		.bird = "up",
		.peers_up = 1,
		.peers = n ? 3 : 2,
		.down = {{.peer = addr("10.0.0.2"),
				 .node = "b",
				 .since_s = LONG_AGO,
				 .bird = "Received: Bad peer AS",
				 .reason = "it expects another AS number"},
			{.peer = addr("10.0.0.254"), .since_s = LONG_AGO, .bird = "Connect"}},
		.n_down = n ? 2 : 0,
		.store = "file:/x",
		.problems = {"one \x1b[31mproblem"},
		.n_problems = n ? 1 : 0,
		.problem_count = n ? 23 : 0,
		.blocks = blocks,
		.n_blocks = n,
	};
	char key[STORE_KEY_MAX];
	CLEANUP_JSON json_t *doc = status_format(&s);
	CLEANUP_FREE char *text = json_text(doc);
	keys_status(node, key);
	put(key, text);
}

/* n blocks of 100.66.0.0/16, from the given one on. */
static void put_blocks(const char *node, size_t from, size_t n)
{
	const struct pool p = {.cidr = cidr("100.66.0.0/16"), .block_len = 26};
	for (size_t i = from; i < from + n; i++) {
		struct cidr c = pool_block(&p, i);
		put_block(&c, node);
	}
}

static size_t count_keys(const char *prefix)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	struct err e;
	assert_true(store_list(use_store(), prefix, &docs, &n, &e) >= 0);
	store_docs_free(docs, n);
	return n;
}

/* How many blocks of that node are in that state. */
static size_t count_blocks(const char *node, enum block_state wanted)
{
	struct store_doc *docs = NULL;
	size_t n = 0, count = 0;
	struct err e;
	assert_true(store_list(use_store(), KEYS_BLOCKS, &docs, &n, &e) >= 0);
	for (size_t i = 0; i < n; i++) {
		struct block b;
		assert_int_equal(
			block_parse(docs[i].key, docs[i].value, docs[i].revision, &b, &e), 0);
		count += strcmp(b.node, node) == 0 && b.state == wanted;
	}
	store_docs_free(docs, n);
	return count;
}

/* ---- Commands ---- */

static int run(
	int (*command)(const struct options *), const char *operand, unsigned int given, bool json)
{
	char *words[] = {(char *)operand};
	const struct options o = {
		.store = url,
		.config = NULL,
		.json = json,
		.given = given,
		.operands = words,
		.n_operands = operand ? 1 : 0,
	};
	struct capture c;
	leave_store();
	capture_begin(&c);
	int status = command(&o);
	capture_end(&c, out, complaint);
	return status;
}

/* The time of a heartbeat that was just written differs in every run. */
static void forget_now(const char *now)
{
	for (char *p = strstr(out, now); p; p = strstr(out, now))
		memcpy(p, "NNNN-NN-NNTNN:NN:NNZ", 20);
}

/* The last answer is the file in tests/data/cli_nodes; GOLDEN_WRITE=1 writes it. */
static void assert_golden(const char *name)
{
	char path[512], expected[CAPTURE_MAX] = "";
	(void)snprintf(path, sizeof(path), "%s/cli_nodes/%s", TEST_DATA, name);
	FILE *f = fopen(path, getenv("GOLDEN_WRITE") ? "we" : "re");
	assert_non_null(f);
	if (getenv("GOLDEN_WRITE"))
		(void)fputs(out, f);
	else
		(void)!fread(expected, 1, sizeof(expected) - 1, f);
	(void)fclose(f);
	if (!getenv("GOLDEN_WRITE") && strcmp(expected, out) != 0)
		fail_msg("%s:\n%s\nactual:\n%s", path, expected, out);
}

/* ---- Looking ---- */

static void fill_cluster(char now[32])
{
	struct cidr four = cidr("100.66.0.0/26"), six = cidr("fd00:66::/122");
	struct status_block said[] = {
		{.cidr = four, .pool = cidr("100.66.0.0/16"), .used = 5, .cooling = 1, .free = 58},
		{.cidr = six, .pool = cidr("fd00:66::/48"), .used = 4, .free = 60},
		{.cidr = cidr("100.66.9.0/26"), .pool = cidr("100.66.0.0/16"), .used = 64},
	}; /* the last one is not its own */
	int64_t now_s = boot_wall_s();
	boot_format_time(now_s, now);
	put_pool("default", "100.66.0.0/16", 26);
	put_pool("six", "fd00:66::/48", 122);
	put_node("a", "{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\","
		      "\"ipv6Address\":\"fd00::1/64\"}}");
	put_node("b", "{\"bgp\":{\"ipv4Address\":\"10.0.0.2/24\"},\"drain\":true}");
	put_node("d", "{\"bgp\":\"\\u001b[2J\"}");
	put_status("a", now_s, false, said, 3);
	put_status("b", LONG_AGO, false, NULL, 0);
	put_status("e", LONG_AGO, true, NULL, 0);
	put("status/f", "{}");
	put("status/UPPER", "{}");
	put_block(&four, "a");
	put_block(&six, "a");
	put_blocks("b", 1, 2);
	put_blocks("c", 3, 1);
	put("blocks/10.9.0.0-26", "{\"node\":\"a\\nb\"}");
}

TEST(nodes_are_listed_with_what_is_odd_about_them)
{
	char now[32];
	fill_cluster(now);
	assert_int_equal(run(nodes_list, NULL, 0, false), 0);
	assert_string_equal(complaint, "");
	assert_golden("node-list.txt");
	assert_int_equal(run(nodes_list, NULL, 0, true), 0);
	forget_now(now);
	assert_golden("node-list.json");
}

TEST(a_node_is_shown_with_its_problems_and_blocks)
{
	char now[32];
	fill_cluster(now);
	assert_int_equal(run(nodes_show, "a", 0, false), 0);
	assert_golden("node-show.txt");
	assert_int_equal(run(nodes_show, "a", 0, true), 0);
	forget_now(now);
	assert_golden("node-show.json");
	assert_int_equal(run(nodes_show, "e", 0, false), 0); /* without blocks */
	assert_golden("node-show-empty.txt");
	assert_int_equal(run(nodes_show, "nobody", 0, true), 1);
	assert_string_equal(out, "");
	assert_string_equal(complaint, "roostctl: there is no node nobody\n");
}

TEST(pools_are_shown_in_numbers)
{
	char now[32];
	fill_cluster(now);
	struct block b = {.cidr = cidr("100.66.0.192/26"), .node = "c"};
	struct block_txn t;
	struct store_doc d;
	struct err e;
	assert_int_equal(store_get(use_store(), "blocks/100.66.0.192-26", &d, &e), 1);
	b.revision = d.revision;
	free(d.key);
	free(d.value);
	block_txn_quarantine(&t, &b);
	commit(&t.write);
	assert_int_equal(run(ipam_show_cluster, NULL, OPTION_CLUSTER, false), 0);
	forget_now(now);
	assert_golden("ipam-show.txt");
	assert_int_equal(run(ipam_show_cluster, NULL, OPTION_CLUSTER, true), 0);
	assert_golden("ipam-show.json");
}

TEST(an_empty_cluster_has_nothing_to_show)
{
	assert_int_equal(run(nodes_list, NULL, 0, true), 0);
	assert_string_equal(out, "[]\n");
	assert_int_equal(run(ipam_show_cluster, NULL, 0, true), 0);
	CLEANUP_JSON json_t *doc = json_of(out);
	assert_int_equal(json_array_size(json_object_get(doc, "pools")), 0);
	assert_int_equal(run(ipam_show_cluster, NULL, 0, false), 0);
}

/* ---- Draining ---- */

static json_t *node_document(const char *name)
{
	char key[STORE_KEY_MAX];
	struct store_doc d;
	struct err e;
	keys_resource(RESOURCE_NODE, name, key);
	assert_int_equal(store_get(use_store(), key, &d, &e), 1);
	json_t *doc = json_of(d.value);
	free(d.key);
	free(d.value);
	return doc;
}

TEST(draining_changes_nothing_else)
{
	put_node("a", "{\"bgp\":{\"ipv4Address\":\"10.0.0.1/24\"},\"unknown\":[1]}");
	CLEANUP_JSON json_t *before = node_document("a");
	assert_int_equal(run(nodes_drain, "a", 0, false), 0);
	assert_says(out, "a drains now");
	CLEANUP_JSON json_t *during = node_document("a");
	json_t *spec = json_object_get(during, "spec");
	assert_true(json_is_true(json_object_get(spec, "drain")));
	(void)json_object_del(spec, "drain");
	assert_true(json_equal(before, during));
	assert_int_equal(run(nodes_drain, "a", 0, false), 0);
	assert_says(out, "a was draining already");
	assert_int_equal(run(nodes_undrain, "a", 0, true), 0);
	assert_says(out, "\"changed\": true");
	CLEANUP_JSON json_t *after = node_document("a");
	assert_true(json_equal(before, after));
	assert_int_equal(run(nodes_undrain, "a", 0, false), 0);
	assert_string_equal(out, "a was not draining\n");
}

TEST(what_cannot_be_drained_is_named)
{
	assert_int_equal(run(nodes_drain, "a", 0, false), 1);
	assert_string_equal(complaint, "roostctl: there is no node a\n");
	assert_int_equal(run(nodes_drain, "A b", 0, false), 1);
	assert_string_equal(complaint,
		"roostctl: \"A b\" is no name of a node: lower case letters, digits, - and .\n");
	put("resources/nodes/a", "[]");
	assert_int_equal(run(nodes_drain, "a", 0, false), 1);
	assert_says(complaint, "the Node document is no object with a spec");
}

/* Somebody else writes the document all the time: both changes are there in the end. */
TEST(draining_and_an_agent_that_writes_do_not_lose_each_other)
{
	put_node("a", "{\"n\":0}");
	leave_store();
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct store *own = NULL;
		struct err e;
		const struct store_options o = {.url = url};
		if (store_open(&own, &o, &e) < 0)
			_exit(1);
		for (int n = 1; n <= 20;) {
			struct store_doc d;
			if (store_get(own, "resources/nodes/a", &d, &e) != 1)
				_exit(2);
			json_t *doc = NULL;
			if (json_parse(d.value, strlen(d.value), &doc, &e) < 0)
				_exit(3);
			(void)json_object_set_new(
				json_object_get(doc, "spec"), "n", json_integer(n));
			char *text = json_text(doc);
			const struct store_write t = {
				.key = d.key, .value = text, .revision = d.revision};
			n += store_write(own, &t, &e) == 1;
			free(text);
			json_decref(doc);
			free(d.key);
			free(d.value);
		}
		_exit(0);
	}
	for (int i = 0; i < 10; i++)
		assert_true(run(i % 2 ? nodes_undrain : nodes_drain, "a", 0, false) == 0 ||
			    strstr(complaint, "changes all the time"));
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(run(nodes_drain, "a", 0, false), 0);
	CLEANUP_JSON json_t *doc = node_document("a");
	json_t *spec = json_object_get(doc, "spec");
	assert_int_equal(json_integer_value(json_object_get(spec, "n")), 20);
	assert_true(json_is_true(json_object_get(spec, "drain")));
}

/* ---- Removing ---- */

TEST(a_live_node_is_not_removed)
{
	put_node("a", "{}");
	put_status("a", boot_wall_s(), false, NULL, 0);
	put_blocks("a", 0, 1);
	static const unsigned int ways[] = {0, OPTION_FORCE, OPTION_FORCE | OPTION_POWERED_OFF};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(run(nodes_remove, "a", ways[i], false), 1);
		assert_says(complaint, "roostctl: node a is live: its agent was heard of ");
		assert_says(complaint, "drain it (roostctl node drain a), stop roostd there");
	}
	assert_int_equal(count_blocks("a", BLOCK_OWNED), 1);
	assert_int_equal(count_keys("resources/nodes/"), 1);
	assert_int_equal(run(nodes_remove, "a", OPTION_POWERED_OFF, false), 2);
	assert_int_equal(run(nodes_remove, "b", 0, false), 1);
	assert_string_equal(complaint, "roostctl: there is no node b\n");
}

TEST(a_node_without_blocks_goes_at_once)
{
	put_node("a", "{}");
	put_node("b", "{}");
	put_status("a", boot_wall_s(), true, NULL, 0);
	put_status("b", boot_wall_s(), false, NULL, 0);
	put_blocks("b", 0, 3);
	assert_int_equal(run(nodes_remove, "a", 0, false), 0);
	assert_string_equal(out, "node a removed\n");
	assert_int_equal(count_keys("resources/nodes/"), 1);
	assert_int_equal(count_keys(KEYS_STATUS), 1);
	assert_int_equal(count_blocks("b", BLOCK_OWNED), 3);
}

TEST(blocks_are_quarantined_by_force_and_then_freed)
{
	put_node("a", "{}");
	put_status("a", LONG_AGO, false, NULL, 0);
	put_blocks("a", 0, 70);
	put_blocks("b", 70, 2);
	put_pending("a", 72);			 /* was never used, so it goes */
	put("nodeblocks/a/100.66.0.0-26", "{}"); /* of an earlier version */
	assert_int_equal(run(nodes_remove, "a", 0, false), 1);
	assert_says(complaint, "roostctl: node a still has 71 blocks\n");
	assert_says(complaint, "--force quarantines them until it comes back");
	assert_int_equal(count_keys("resources/nodes/"), 1);

	assert_int_equal(run(nodes_remove, "a", OPTION_FORCE, true), 0);
	CLEANUP_JSON json_t *doc = json_of(out);
	assert_int_equal(json_array_size(json_object_get(doc, "quarantined")), 70);
	assert_int_equal(count_blocks("a", BLOCK_PENDING), 0);
	assert_int_equal(count_keys("resources/nodes/") + count_keys(KEYS_STATUS), 0);
	assert_int_equal(count_blocks("a", BLOCK_QUARANTINED), 70);
	assert_int_equal(count_keys("nodeblocks/"), 0);
	assert_int_equal(count_blocks("b", BLOCK_OWNED), 2);

	assert_int_equal(run(nodes_remove, "a", OPTION_FORCE, false), 0);
	assert_string_equal(out, "node a was removed already\n");
	assert_int_equal(run(nodes_remove, "a", OPTION_FORCE | OPTION_POWERED_OFF, true), 0);
	CLEANUP_JSON json_t *freed = json_of(out);
	assert_int_equal(json_array_size(json_object_get(freed, "freed")), 70);
	assert_int_equal(count_blocks("a", BLOCK_QUARANTINED), 0);
	assert_int_equal(count_blocks("b", BLOCK_OWNED), 2);
	assert_int_equal(run(nodes_remove, "a", OPTION_FORCE, false), 1);
	assert_string_equal(complaint, "roostctl: there is no node a\n");
}

/* What a removal leaves that was killed after its first steps. */
TEST(half_a_removal_is_finished)
{
	put_blocks("a", 0, 40);
	struct store_doc *docs = NULL;
	size_t n = 0;
	struct err e;
	assert_true(store_list(use_store(), KEYS_BLOCKS, &docs, &n, &e) >= 0);
	for (size_t i = 0; i < 5; i++) {
		struct block b;
		struct block_txn t;
		assert_int_equal(
			block_parse(docs[i].key, docs[i].value, docs[i].revision, &b, &e), 0);
		block_txn_quarantine(&t, &b);
		commit(&t.write);
	}
	store_docs_free(docs, n);
	assert_int_equal(run(nodes_remove, "a", 0, false), 1);
	assert_says(complaint, "node a still has 40 blocks");
	assert_int_equal(run(nodes_remove, "a", OPTION_FORCE, false), 0);
	assert_says(out, "35 blocks wait for the agent of a");
	assert_int_equal(count_blocks("a", BLOCK_QUARANTINED), 40);
}

TEST(doubt_about_an_agent_needs_force)
{
	put_node("a", "{}");
	put_status("a", boot_wall_s() + 3600, false, NULL, 0);
	assert_int_equal(run(nodes_remove, "a", 0, false), 1);
	assert_says(complaint, "the clock of node a is 3");
	put_node("b", "{}");
	put("status/b", "{}");
	assert_int_equal(run(nodes_remove, "b", 0, false), 1);
	assert_says(complaint, "the status of node b cannot be read");
	assert_int_equal(run(nodes_remove, "a", OPTION_FORCE, false), 0);
	assert_int_equal(run(nodes_remove, "b", OPTION_FORCE, false), 0);
	assert_int_equal(count_keys("resources/nodes/") + count_keys(KEYS_STATUS), 0);
}

/* An agent that starts when its status is gone [A1], and writes each of its blocks anew [A2]: how many
 * it could. */
static size_t come_back(void)
{
	struct store *own = NULL;
	struct store_doc *docs = NULL;
	struct err e;
	size_t n = 0, confirmed = 0;
	const struct store_options o = {.url = url};
	const struct store_write t = {.key = "status/a", .value = "{}"};
	if (store_open(&own, &o, &e) < 0)
		_exit(101);
	while (store_write(own, &t, &e) == 0)
		; /* as soon as it is gone */
	if (store_list(own, KEYS_BLOCKS, &docs, &n, &e) < 0)
		_exit(102);
	for (size_t i = 0; i < n; i++) {
		struct block b;
		struct block_txn touch;
		if (block_parse(docs[i].key, docs[i].value, docs[i].revision, &b, &e) < 0)
			_exit(103);
		block_txn_confirm(&touch, &b);
		confirmed += store_write(own, &touch.write, &e) == 1;
	}
	return confirmed;
}

/* At any moment of its removal: what it could confirm it keeps, the rest it knows to be gone. */
TEST(who_comes_back_keeps_what_it_confirms)
{
	for (int run_no = 0; run_no < 5; run_no++) {
		put_node("a", "{}");
		put_status("a", LONG_AGO, true, NULL, 0);
		put_blocks("a", 0, 100);
		leave_store();
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			_exit((int)come_back());
		int status = run(nodes_remove, "a", OPTION_FORCE | OPTION_POWERED_OFF, false);
		int ended = 0;
		assert_int_equal(waitpid(child, &ended, 0), child);
		assert_true(WIFEXITED(ended) && WEXITSTATUS(ended) <= 100);
		size_t left = count_blocks("a", BLOCK_OWNED);
		assert_int_equal(left, WEXITSTATUS(ended));
		assert_true(status == 0 ? left == 0 : left > 0);
		if (status)
			assert_says(complaint, "node a has come back");
		put("status/a", NULL);
		assert_int_equal(run(nodes_remove, "a", OPTION_FORCE | OPTION_POWERED_OFF, false),
			left ? 0 : 1);
	}
}

TEST(a_store_that_cannot_be_had_is_said)
{
	char saved[sizeof(url)];
	memcpy(saved, url, sizeof(url));
	(void)snprintf(url, sizeof(url), "file:/proc/version/store");
	static int (*const all[])(const struct options *) = {
		nodes_list, nodes_show, nodes_drain, nodes_remove, ipam_show_cluster};
	for (size_t i = 0; i < COUNT(all); i++) {
		assert_int_equal(run(all[i], "a", 0, true), 1);
		assert_string_equal(out, "");
		assert_true(strlen(complaint) > 20);
	}
	memcpy(url, saved, sizeof(url));
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(nodes_are_listed_with_what_is_odd_about_them),
		WITH_STORE(a_node_is_shown_with_its_problems_and_blocks),
		WITH_STORE(pools_are_shown_in_numbers),
		WITH_STORE(an_empty_cluster_has_nothing_to_show),
		WITH_STORE(draining_changes_nothing_else),
		WITH_STORE(what_cannot_be_drained_is_named),
		WITH_STORE(draining_and_an_agent_that_writes_do_not_lose_each_other),
		WITH_STORE(a_live_node_is_not_removed),
		WITH_STORE(a_node_without_blocks_goes_at_once),
		WITH_STORE(blocks_are_quarantined_by_force_and_then_freed),
		WITH_STORE(half_a_removal_is_finished),
		WITH_STORE(doubt_about_an_agent_needs_force),
		WITH_STORE(who_comes_back_keeps_what_it_confirms),
		WITH_STORE(a_store_that_cannot_be_had_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
