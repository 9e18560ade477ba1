/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podCIDR mode: what a list of Nodes and a file of pools are as documents, and what becomes of writes.
 */
#include "tests/unit/check.h"
#include "tests/unit/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/kube/podcidr.h"

static const char two_pools[] =
	"[{\"apiVersion\":\"roost.io/v1\",\"kind\":\"IPPool\",\"metadata\":{\"name\":\"four\"},"
	"\"spec\":{\"cidr\":\"10.244.0.0/16\",\"blockSize\":24}},"
	"{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"six\"},\"spec\":{\"cidr\":\"fd00:10::/"
	"56\"}}]";

static int make(const char *text, struct podcidr **out, struct err *e)
{
	char folder[] = "/tmp/roost-podcidr-XXXXXX", path[64];
	struct err ignored;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/pools.json", folder);
	assert_int_equal(file_replace(path, 0600, text, strlen(text), &ignored), 0);
	int r = podcidr_new(out, path, e);
	assert_int_equal(folder_remove(folder), 0);
	return r;
}

static struct podcidr *begin(void)
{
	struct podcidr *p = NULL;
	struct err e;
	ok(make(two_pools, &p, &e));
	podcidr_set_own(p, "n1");
	return p;
}

/* A Node with these podCIDRs (JSON), and what its agent left there. */
static void node(struct podcidr *p, const char *name, const char *ranges, const char *spec)
{
	CLEANUP_JSON json_t *list = json_loads(ranges, 0, NULL);
	CLEANUP_JSON json_t *doc = json_pack("{s:{s:s, s:s, s:s, s:{s:s}, s:{s:s?}}, s:{s:O}}",
		"metadata", "name", name, "uid", "u-1", "resourceVersion", "7", "labels", "zone",
		"a", "annotations", PODCIDR_ANNOTATION, spec, "spec", "podCIDRs", list);
	podcidr_take(p, doc);
}

/* Keys below a prefix that changed after that, one a line; "-" before one that is gone. */
static void shows(const struct podcidr *p, const char *prefix, uint64_t after, const char *wanted)
{
	struct text t = {0};
	char at[STORE_KEY_MAX] = "";
	text_add(&t, "%s", "");
	for (const struct podcidr_doc *d = podcidr_next(p, at, after); d;
		d = podcidr_next(p, at, after)) {
		(void)text_copy(at, sizeof(at), d->key);
		if (strncmp(at, prefix, strlen(prefix)) == 0)
			text_add(&t, "%s%s\n", d->value ? "" : "-", at + strlen(prefix));
	}
	assert_string_equal(t.buf, wanted);
	text_free(&t);
}

static void has(const struct podcidr *p, const char *key, const char *wanted)
{
	const struct podcidr_doc *d = podcidr_get(p, key);
	assert_says(d ? d->value : NULL, wanted);
}

TEST(a_podcidr_is_blocks_of_its_node)
{
	struct podcidr *p = begin();
	node(p, "n1", "[\"10.244.1.0/24\"]", NULL);
	shows(p, "blocks/", 0, "10.244.1.0-24\n");
	has(p, "blocks/10.244.1.0-24", "\"node\":\"n1\"");
	has(p, "blocks/10.244.1.0-24", "\"state\":\"owned\"");
	/* A /64 has more blocks than anybody wants: the first ones. */
	uint64_t before = podcidr_change(p);
	node(p, "n2", "[\"fd00:10:0:2::/64\"]", NULL);
	shows(p, "blocks/", before,
		"fd00:10:0:2::-122\nfd00:10:0:2::40-122\nfd00:10:0:2::80-122\nfd00:10:0:2::c0-"
		"122\n");
	/* A longer one is several. */
	before = podcidr_change(p);
	node(p, "n3", "[\"10.244.4.0/22\", \"10.244.9.0/24\"]", NULL);
	shows(p, "blocks/", before, "10.244.4.0-24\n10.244.5.0-24\n10.244.6.0-24\n10.244.7.0-24\n");
	podcidr_free(p);
}

TEST(all_blocks_of_an_IPv4_podcidr_are_used_up_to_64)
{
	static const struct {
		const char *ranges;
		size_t blocks;
	} table[] = {{"[\"10.244.16.0/20\"]", 16}, {"[\"10.244.64.0/18\"]", PODCIDR_BLOCKS4},
		{"[\"10.244.128.0/17\"]", PODCIDR_BLOCKS4}};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct podcidr *p = begin();
		size_t n = 0;
		char key[STORE_KEY_MAX] = "blocks/";
		node(p, "n1", table[i].ranges, NULL);
		for (const struct podcidr_doc *d = podcidr_next(p, key, 0);
			d && strncmp(d->key, "blocks/", 7) == 0; d = podcidr_next(p, key, 0)) {
			(void)text_copy(key, sizeof(key), d->key);
			n++;
		}
		assert_int_equal(n, table[i].blocks);
		podcidr_free(p);
	}
}

TEST(what_is_no_range_of_ours_is_no_block)
{
	static const char *const table[] = {"[]", "null", "[\"10.9.0.0/24\"]",
		"[\"10.244.1.0/28\"]", "[\"x\"]", "[7]", "[\"10.244.1.1/24\"]", "[\"10.0.0.0/8\"]",
		"{}"};
	struct podcidr *p = begin();
	for (size_t i = 0; i < COUNT(table); i++) {
		node(p, "n1", table[i], NULL);
		shows(p, "blocks/", 0, "");
	}
	podcidr_free(p);
}

TEST(a_podcidr_that_changes_takes_its_blocks_along)
{
	struct podcidr *p = begin();
	node(p, "n1", "[\"10.244.1.0/24\"]", NULL);
	uint64_t before = podcidr_change(p);
	node(p, "n1", "[\"10.244.1.0/24\"]", NULL);
	assert_int_equal(podcidr_change(p), before); /* nothing is told twice */
	node(p, "n1", "[\"10.244.2.0/24\"]", NULL);
	shows(p, "blocks/", before, "-10.244.1.0-24\n10.244.2.0-24\n");
	/* A range that another Node has by now stays his. */
	node(p, "n2", "[\"10.244.2.0/24\"]", NULL);
	podcidr_drop(p, "n1");
	has(p, "blocks/10.244.2.0-24", "\"node\":\"n2\"");
	podcidr_drop(p, "n2");
	podcidr_drop(p, "n2");
	assert_null(podcidr_get(p, "blocks/10.244.2.0-24"));
	podcidr_free(p);
}

TEST(a_list_that_is_told_anew_shows_what_is_gone)
{
	struct podcidr *p = begin();
	podcidr_begin(p);
	node(p, "n1", "[\"10.244.1.0/24\"]", "{}");
	node(p, "n2", "[\"10.244.2.0/24\"]", "{}");
	podcidr_end(p, 9);
	uint64_t before = podcidr_change(p);
	podcidr_begin(p);
	node(p, "n1", "[\"10.244.1.0/24\"]", "{}");
	podcidr_end(p, 12);
	shows(p, "", before, "-blocks/10.244.2.0-24\n-resources/nodes/n2\n");
	podcidr_free(p);
}

TEST(a_node_document_is_what_its_agent_left)
{
	struct podcidr *p = begin();
	node(p, "n1", "[]", NULL);
	assert_null(podcidr_get(p, "resources/nodes/n1"));
	node(p, "n1", "[]", "{\"bgp\":{\"ipv4Address\":\"192.0.2.1/24\"}}");
	has(p, "resources/nodes/n1", "\"kind\":\"Node\"");
	has(p, "resources/nodes/n1", "\"ipv4Address\":\"192.0.2.1/24\"");
	has(p, "resources/nodes/n1", "\"labels\":{\"zone\":\"a\"}");
	static const char *const nonsense[] = {"", "x", "[]", "7"};
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		node(p, "n1", "[]", nonsense[i]);
		assert_null(podcidr_get(p, "resources/nodes/n1"));
	}
	podcidr_free(p);
}

TEST(an_agent_wants_no_more_blocks_than_its_node_has)
{
	struct podcidr *p = begin();
	/* It asks once more while a family has none, to be told why. */
	node(p, "n1", "[\"10.244.1.0/24\"]", NULL);
	has(p, "resources/ipamconfigurations/default", "\"maxBlocksPerHost\":2}");
	node(p, "n1", "[\"10.244.1.0/24\", \"fd00:10:0:1::/64\"]", NULL);
	has(p, "resources/ipamconfigurations/default", "\"maxBlocksPerHost\":5}");
	podcidr_free(p);
}

static int writes(
	struct podcidr *p, const char *key, const char *value, int64_t revision, struct err *e)
{
	const struct store_write w = {key, value, revision};
	CLEANUP_JSON json_t *patch = NULL;
	int64_t at = 0;
	return podcidr_write(p, &w, &at, &patch, e);
}

TEST(a_claim_is_refused_with_the_reason)
{
	static const struct {
		const char *ranges, *key, *says;
	} table[] = {
		{"[]", "blocks/10.244.3.0-24", "Node n1 has no podCIDR of IPv4"},
		{"[\"10.244.1.0/24\"]", "blocks/fd00:10::-122", "Node n1 has no podCIDR of IPv6"},
		{"[\"10.9.0.0/24\"]", "blocks/10.244.3.0-24",
			"10.9.0.0/24 of Node n1 is in no pool"},
		{"[\"10.244.1.0/28\"]", "blocks/10.244.3.0-24", "set its blockSize to 28"},
		{"[\"10.244.1.0/24\"]", "blocks/10.244.3.0-24", "no further ones can be claimed"},
	};
	struct podcidr *p = begin();
	struct err e;
	assert_int_equal(writes(p, "blocks/10.244.3.0-24", "{}", 0, &e), -ENOTSUP);
	assert_says(e.text, "there is no Node n1 in Kubernetes");
	for (size_t i = 0; i < COUNT(table); i++) {
		node(p, "n1", table[i].ranges, NULL);
		assert_int_equal(writes(p, table[i].key, "{}", 0, &e), -ENOTSUP);
		assert_says(e.text, table[i].says);
	}
	podcidr_free(p);
}

TEST(what_an_agent_says_of_its_own_stays_here)
{
	struct podcidr *p = begin();
	struct err e;
	node(p, "n1", "[\"10.244.1.0/24\"]", NULL);
	assert_int_equal(writes(p, "status/n1", "{\"a\":1}", 0, &e), 1);
	assert_int_equal(writes(p, "status/n1", "{\"a\":2}", 0, &e), 0);
	int64_t revision = podcidr_get(p, "status/n1")->revision;
	assert_int_equal(writes(p, "status/n1", "{\"a\":2}", revision, &e), 1);
	/* Its block: a nonce, and no change of hands; a look at the Node again leaves it. */
	static const char ours[] = "{\"node\":\"n1\",\"nonce\":\"x\"}";
	revision = podcidr_get(p, "blocks/10.244.1.0-24")->revision;
	assert_int_equal(writes(p, "blocks/10.244.1.0-24", ours, revision + 1, &e), 0);
	assert_int_equal(writes(p, "blocks/10.244.1.0-24", ours, revision, &e), 1);
	node(p, "n1", "[\"10.244.1.0/24\"]", NULL);
	has(p, "blocks/10.244.1.0-24", "\"nonce\":\"x\"");
	revision = podcidr_get(p, "blocks/10.244.1.0-24")->revision;
	assert_int_equal(
		writes(p, "blocks/10.244.1.0-24", "{\"node\":\"n2\"}", revision, &e), -ENOTSUP);
	assert_int_equal(writes(p, "blocks/10.244.1.0-24", NULL, revision, &e), -ENOTSUP);
	assert_says(e.text, "cannot be given back");
	/* Everything else is Kubernetes' or the file's. */
	assert_int_equal(writes(p, "resources/ippools/x", "{}", 0, &e), -ENOTSUP);
	assert_int_equal(writes(p, "resources/nodes/n9", "{}", 0, &e), -ENOTSUP);
	podcidr_free(p);
}

TEST(a_node_document_becomes_an_annotation)
{
	struct podcidr *p = begin();
	const struct store_write w = {
		"resources/nodes/n1", "{\"metadata\":{},\"spec\":{\"bgp\":{}}}", 0};
	CLEANUP_JSON json_t *patch = NULL;
	int64_t revision;
	struct err e;
	node(p, "n1", "[]", NULL);
	assert_int_equal(podcidr_write(p, &w, &revision, &patch, &e), 2);
	CLEANUP_FREE char *text = json_text(patch);
	assert_string_equal(text, "{\"metadata\":{\"uid\":\"u-1\",\"annotations\":{\"roost.io/"
				  "node\":\"{\\\"bgp\\\":{}}\"}}}");
	podcidr_free(p);
}

TEST(a_file_of_pools_that_is_none_is_refused)
{
	static const struct {
		const char *text, *says;
	} table[] = {{"{}", "no array"}, {"[]", "no array"}, {"[{}]", "[0] is no IPPool"},
		{"[{\"metadata\":{\"name\":\"a\"},\"spec\":{\"cidr\":\"x\"}}]", "[0] is no IPPool"},
		{"[{\"metadata\":{\"name\":\"a\"},\"spec\":{\"cidr\":\"10.0.0.0/"
		 "24\",\"blockSize\":16}}]",
			"blockSize is 16"}};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct podcidr *p = NULL;
		struct err e;
		assert_true(make(table[i].text, &p, &e) < 0);
		assert_says(e.text, table[i].says);
		assert_says(e.text, "pools.json");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_podcidr_is_blocks_of_its_node),
		cmocka_unit_test(all_blocks_of_an_IPv4_podcidr_are_used_up_to_64),
		cmocka_unit_test(what_is_no_range_of_ours_is_no_block),
		cmocka_unit_test(a_podcidr_that_changes_takes_its_blocks_along),
		cmocka_unit_test(a_list_that_is_told_anew_shows_what_is_gone),
		cmocka_unit_test(a_node_document_is_what_its_agent_left),
		cmocka_unit_test(an_agent_wants_no_more_blocks_than_its_node_has),
		cmocka_unit_test(a_claim_is_refused_with_the_reason),
		cmocka_unit_test(what_an_agent_says_of_its_own_stays_here),
		cmocka_unit_test(a_node_document_becomes_an_annotation),
		cmocka_unit_test(a_file_of_pools_that_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
