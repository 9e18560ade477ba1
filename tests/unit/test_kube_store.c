/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the driver "kube:" that know no network: documents as objects, and one write as a
 * machine that is told what an API server says.
 */
#include "tests/unit/check.h"

#include "store/kube/table.h"
#include "store/kube/write.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "lib/mem.h"

/* ---- names ---- */

TEST(each_document_is_an_object_and_back)
{
	static const struct {
		const char *key, *path;
	} table[] = {
		{"resources/ippools/default", "ippools/default"},
		{"resources/nodes/n1.example", "roostnodes/n1.example"},
		{"resources/ipamconfigurations/default", "ipamconfigurations/default"},
		{"resources/tiers/a.b", "tiers/a.b"},
		{"resources/globalnetworkpolicies/a", "globalnetworkpolicies/a"},
		{"resources/networkpolicies/shop.web", "namespaces/shop/networkpolicies/web"},
		{"resources/networksets/shop.a.b", "namespaces/shop/networksets/a.b"},
		{"resources/stagednetworkpolicies/a.b", "namespaces/a/stagednetworkpolicies/b"},
		{"blocks/100.66.0.0-26", "ipblocks/100-66-0-0-26"},
		{"blocks/10.0.0.0-24", "ipblocks/10-0-0-0-24"},
		{"blocks/fd00:10::-122", "ipblocks/fd00-10---122"},
		{"blocks/fd00::10:0-122", "ipblocks/fd00--10-0-122"},
		{"blocks/2001:db8:1:2:3:4:5:0-112", "ipblocks/2001-db8-1-2-3-4-5-0-112"},
		{"blocks/somebody", "ipblocks/somebody"},
		{"loans/n2.100.66.0.5-32", "iploans/n2.100-66-0-5-32"},
		{"loans/n2.example.1.10.0.0.5-32", "iploans/n2.example.1.10-0-0-5-32"},
		{"loans/n2.fd00::-128", "iploans/n2.fd00---128"},
		{"loans/n2.example.fd00::7:0-128", "iploans/n2.example.fd00--7-0-128"},
		{"loans/somebody", "iploans/somebody"},
		{"status/n1", "nodestatuses/n1"},
		{"status/n1/newcomer", "nodestatuses/n1.newcomer"},
		{"status/n1.a/newcomer", "nodestatuses/n1.a.newcomer"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char name[KUBE_NAME], key[STORE_KEY_MAX];
		CLEANUP_TEXT struct text path = {0};
		const struct kube_row *row = kube_row_of(table[i].key, name);
		if (!row)
			fail_msg("%s is no object", table[i].key);
		kube_row_path_of(row, name, &path);
		assert_says(path.buf, "/apis/roost.io/v1/");
		assert_string_equal(path.buf + strlen("/apis/roost.io/v1/"), table[i].path);
		char space[KUBE_NAME] = "";
		const char *own = kube_row_own_name(row, name);
		if (own > name)
			(void)snprintf(space, sizeof(space), "%.*s", (int)(own - name - 1), name);
		kube_row_key(row, space, own, key);
		assert_string_equal(key, table[i].key);
	}
}

TEST(a_key_of_which_there_is_no_object_is_told_apart)
{
	/* The last ones would be the object of another key. */
	static const char *const table[] = {"guard/pools", "nodeblocks/n1/10.0.0.0-24", "a",
		"resources/ippools/", "resources/ippools/A", "resources/other/a", "blocks/",
		"blocks/10.0.0.0/24", "status/a b", "status/n1/a/b", "status/n1/other",
		"blocks/100-66-0-0-26", "loans/n2.100-66-0-5-32", "loans/n2.fd00---128",
		"blocks/fd00-10---122", "status/n1.newcomer",
		"resources/networkpolicies/web", "resources/networkpolicies/.web",
		"resources/networkpolicies/shop.", "resources/networkpolicies/shop/web"};
	for (size_t i = 0; i < COUNT(table); i++) {
		char name[KUBE_NAME];
		if (kube_row_of(table[i], name))
			fail_msg("%s is taken as %s", table[i], name);
	}
}

TEST(a_namespace_is_as_long_as_one_may_be)
{
	char key[STORE_KEY_MAX], name[KUBE_NAME];
	(void)snprintf(key, sizeof(key), "resources/networksets/%063d.web", 0);
	assert_non_null(kube_row_of(key, name));
	(void)snprintf(key, sizeof(key), "resources/networksets/%064d.web", 0);
	assert_null(kube_row_of(key, name));
}

/* ---- documents ---- */

static json_t *object_of(const char *key, const char *value, int64_t revision)
{
	char name[KUBE_NAME];
	json_t *object = NULL;
	struct err e;
	ok(kube_row_object(kube_row_of(key, name), name, value, revision, &object, &e));
	return object;
}

static void writes_as(const char *key, const char *value, int64_t revision, const char *wanted)
{
	CLEANUP_JSON json_t *object = object_of(key, value, revision);
	CLEANUP_FREE char *text = json_text(object);
	assert_string_equal(text, wanted);
}

static void reads_as(const char *key, const char *object, const char *wanted)
{
	char name[KUBE_NAME];
	CLEANUP_JSON json_t *doc = json_loads(object, 0, NULL);
	CLEANUP_FREE char *value = kube_row_value(kube_row_of(key, name), doc);
	assert_string_equal(value, wanted);
}

TEST(a_resource_is_its_object_under_another_version)
{
	writes_as("resources/nodes/n1",
		"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\",\"metadata\":{\"name\":"
		"\"n1\",\"labels\":{\"a\":\"b\"},\"uid\":\"u\",\"creationTimestamp\":\"t\"},"
		"\"spec\":{"
		"\"bgp\":{}}}",
		7,
		"{\"apiVersion\":\"roost.io/"
		"v1\",\"kind\":\"RoostNode\",\"metadata\":{\"name\":\"n1\","
		"\"labels\":{\"a\":\"b\"},\"resourceVersion\":\"7\"},\"spec\":{\"bgp\":{}}}");
	reads_as("resources/nodes/n1",
		"{\"apiVersion\":\"roost.io/"
		"v1\",\"kind\":\"RoostNode\",\"metadata\":{\"name\":\"n1\","
		"\"annotations\":{\"x\":\"y\"},\"resourceVersion\":\"7\",\"uid\":\"u\","
		"\"managedFields\":[]},\"spec\":{\"drain\":true},\"status\":{}}",
		"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"Node\",\"metadata\":{\"name\":"
		"\"n1\",\"annotations\":{\"x\":\"y\"},\"uid\":\"u\"},\"spec\":{\"drain\":true}}");
}

TEST(a_resource_of_a_namespace_has_both_names)
{
	writes_as("resources/networkpolicies/shop.a.b",
		"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"NetworkPolicy\",\"metadata\":{"
		"\"name\":\"a.b\",\"namespace\":\"other\"},\"spec\":{\"order\":1}}",
		0,
		"{\"apiVersion\":\"roost.io/v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{"
		"\"name\":\"a.b\",\"namespace\":\"shop\"},\"spec\":{\"order\":1}}");
	reads_as("resources/networkpolicies/shop.a.b",
		"{\"metadata\":{\"name\":\"a.b\",\"namespace\":\"shop\"},\"spec\":{\"order\":1},"
		"\"status\":{\"conditions\":[]}}",
		"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"NetworkPolicy\",\"metadata\":{"
		"\"name\":\"a.b\",\"namespace\":\"shop\"},\"spec\":{\"order\":1}}");
}

TEST(an_object_of_a_namespace_is_made_there_and_a_missing_one_is_told)
{
	const struct store_write write = {
		"resources/networksets/shop.web", "{\"spec\":{\"nets\":[]}}", 0};
	CLEANUP_TEXT struct text path = {0};
	CLEANUP_JSON json_t *answer = json_loads("{\"kind\":\"Status\",\"message\":\"namespaces "
						 "\\\"shop\\\" not found\",\"details\":{"
						 "\"name\":\"shop\",\"kind\":\"namespaces\"}}",
		0, NULL);
	const json_t *body;
	struct kube_write *w = NULL;
	struct store_event ev = {0};
	struct err e = {0};
	ok(kube_write_new(&w, &write, &e));
	assert_int_equal(kube_write_compose(w, &path, &body), KUBE_POST);
	assert_string_equal(path.buf, "/apis/roost.io/v1/namespaces/shop/networksets");
	assert_true(kube_write_take(w, 404, answer, &ev, &e));
	assert_int_equal(ev.error, -ENOENT);
	assert_says(e.text, "namespaces \"shop\" not found");
	kube_write_free(w);
}

TEST(a_block_or_status_is_the_spec_of_its_object)
{
	writes_as("blocks/10.0.0.0-26", "{\"node\":\"n1\"}", 0,
		"{\"apiVersion\":\"roost.io/v1\",\"kind\":\"IPBlock\",\"metadata\":{\"name\":"
		"\"10-0-0-0-26\"},\"spec\":{\"node\":\"n1\"}}");
	reads_as("blocks/10.0.0.0-26",
		"{\"metadata\":{\"name\":\"10-0-0-0-26\"},\"spec\":{\"node\":\"n1\"}}",
		"{\"node\":\"n1\"}");
	reads_as("status/n1", "{\"metadata\":{}}", "{}");
	reads_as("status/n1", "{\"spec\":[1]}", "[1]");
}

TEST(a_document_that_is_no_object_cannot_be_in_the_api)
{
	static const char *const table[] = {"", "1", "[]", "{", "\"a\""};
	for (size_t i = 0; i < COUNT(table); i++) {
		char name[KUBE_NAME];
		json_t *object = NULL;
		struct err e;
		const struct kube_row *row = kube_row_of("status/n1", name);
		assert_int_equal(kube_row_object(row, name, table[i], 0, &object, &e), -EINVAL);
		assert_says(e.text, "NodeStatus n1");
	}
}

/* ---- writes ---- */

#define AT(version, spec) "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"spec\":" spec "}"
#define GONE                                                                                       \
	"{\"kind\":\"Status\",\"message\":\"not found\",\"details\":{\"name\":\"10-0-0-0-26\"}}"
#define NO "{\"kind\":\"Status\",\"message\":\"because\"}"

static struct kube_write *begin(const char *value, int64_t revision)
{
	const struct store_write w = {"blocks/10.0.0.0-26", value, revision};
	struct kube_write *out = NULL;
	struct err e;
	ok(kube_write_new(&out, &w, &e));
	return out;
}

static void asks(const struct kube_write *w, enum kube_method method, const char *tail)
{
	CLEANUP_TEXT struct text path = {0};
	const json_t *body = NULL;
	assert_int_equal(kube_write_compose(w, &path, &body), method);
	assert_string_equal(path.buf + strlen("/apis/roost.io/v1/ipblocks"), tail);
	assert_int_equal(body != NULL, method != KUBE_GET);
}

/* "" ask again, "D7" done, "X" conflict, "-22" failed. */
static void hears(struct kube_write *w, int status, const char *text, const char *wanted)
{
	CLEANUP_JSON json_t *object = json_loads(text, 0, NULL);
	struct store_event ev = {0};
	struct err e = {0};
	char out[32] = "";
	if (kube_write_take(w, status, object, &ev, &e)) {
		if (ev.kind == STORE_FAILED)
			(void)snprintf(out, sizeof(out), "%d", ev.error);
		else
			(void)snprintf(out, sizeof(out), "%s%d", ev.kind == STORE_DONE ? "D" : "X",
				(int)ev.revision);
		assert_int_equal(ev.kind == STORE_FAILED, *e.text != '\0');
	}
	assert_string_equal(out, wanted);
}

#define NAMED "/10-0-0-0-26"
#define OURS "{\"node\":\"n1\"}"
#define THEIRS "{\"node\":\"n2\"}"

TEST(a_write_is_one_request_when_all_goes_well)
{
	static const struct {
		const char *value;
		int64_t revision;
		const char *tail, *answer, *wanted;
		enum kube_method method;
		int status;
	} table[] = {
		{OURS, 0, "", AT("7", OURS), "D7", KUBE_POST, 201},
		{OURS, 0, "", NO, "X0", KUBE_POST, 409},
		{OURS, 5, NAMED, AT("7", OURS), "D7", KUBE_PUT, 200},
		{OURS, 5, NAMED, NO, "X0", KUBE_PUT, 409},
		{OURS, 5, NAMED, GONE, "X0", KUBE_PUT, 404},
		{NULL, 5, NAMED, NO, "D0", KUBE_DELETE, 200},
		{NULL, 5, NAMED, NO, "X0", KUBE_DELETE, 409},
		{NULL, 5, NAMED, GONE, "X0", KUBE_DELETE, 404},
		/* Nothing was done. */
		{OURS, 0, "", NO, "-2", KUBE_POST, 404},
		{OURS, 5, NAMED, NO, "-2", KUBE_PUT, 404},
		{OURS, 0, "", NO, "-22", KUBE_POST, 422},
		{OURS, 0, "", NO, "-13", KUBE_POST, 403},
		{OURS, 0, "", NO, "-111", KUBE_POST, 429},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct kube_write *w = begin(table[i].value, table[i].revision);
		asks(w, table[i].method, table[i].tail);
		hears(w, table[i].status, table[i].answer, table[i].wanted);
		kube_write_free(w);
	}
}

TEST(a_lost_answer_is_followed_by_a_look_at_the_document)
{
	static const struct {
		const char *value;
		int64_t revision;
		const char *is, *wanted;
		int status;
	} table[] = {
		{OURS, 0, AT("7", OURS), "D7", 200},	 /* it was made */
		{OURS, 0, GONE, "", 404},		 /* it was not: again */
		{OURS, 0, AT("7", THEIRS), "-110", 200}, /* somebody's; ours may have been there */
		{OURS, 5, AT("7", OURS), "D7", 200},
		{OURS, 5, AT("5", OURS), "", 200},
		{OURS, 5, AT("7", THEIRS), "-110", 200},
		{OURS, 5, GONE, "-110", 404},
		{NULL, 5, GONE, "D0", 404},
		{NULL, 5, AT("5", OURS), "", 200},
		{NULL, 5, AT("7", OURS), "X0", 200},
		{OURS, 5, NO, "-110", 404}, /* the kind is gone: nobody can tell */
		{OURS, 5, NO, "-110", 403},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct kube_write *w = begin(table[i].value, table[i].revision);
		kube_write_lost(w);
		asks(w, KUBE_GET, NAMED);
		hears(w, table[i].status, table[i].is, table[i].wanted);
		kube_write_free(w);
	}
}

TEST(a_server_that_does_not_know_itself_is_asked_too)
{
	struct kube_write *w = begin(OURS, 5);
	hears(w, 500, NO, "");
	asks(w, KUBE_GET, NAMED);
	hears(w, 200, AT("5", THEIRS), "");
	asks(w, KUBE_PUT, NAMED);
	/* The first attempt was carried out late: it is ours, and no conflict. */
	hears(w, 409, NO, "");
	asks(w, KUBE_GET, NAMED);
	hears(w, 200, AT("7", OURS), "D7");
	kube_write_free(w);
}

TEST(a_write_that_is_never_answered_ends)
{
	struct kube_write *w = begin(OURS, 0);
	for (int i = 0; i < 2; i++) {
		hears(w, 504, NO, "");
		hears(w, 404, GONE, "");
	}
	hears(w, 504, NO, "");
	hears(w, 404, GONE, "-110");
	kube_write_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_document_is_an_object_and_back),
		cmocka_unit_test(a_key_of_which_there_is_no_object_is_told_apart),
		cmocka_unit_test(a_namespace_is_as_long_as_one_may_be),
		cmocka_unit_test(a_resource_is_its_object_under_another_version),
		cmocka_unit_test(a_resource_of_a_namespace_has_both_names),
		cmocka_unit_test(an_object_of_a_namespace_is_made_there_and_a_missing_one_is_told),
		cmocka_unit_test(a_block_or_status_is_the_spec_of_its_object),
		cmocka_unit_test(a_document_that_is_no_object_cannot_be_in_the_api),
		cmocka_unit_test(a_write_is_one_request_when_all_goes_well),
		cmocka_unit_test(a_lost_answer_is_followed_by_a_look_at_the_document),
		cmocka_unit_test(a_server_that_does_not_know_itself_is_asked_too),
		cmocka_unit_test(a_write_that_is_never_answered_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
