/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a watch tells of namespaces, and how it comes into the node state and out again.
 */
#include "tests/unit/values.h"

#include <string.h>

#include "agent/kube/namespaces.h"
#include "ipam/record_pod.h"
#include "lib/text.h"

static bool tell(
	struct namespaces *n, enum kube_event_kind kind, const char *name, const char *pools)
{
	CLEANUP_JSON json_t *object = json_pack("{s:{s:{s:s*, s:s}}}", "metadata", "annotations",
		"roost.io/ipv4pools", pools, "somebody.else/ipv4pools", "[]");
	return namespaces_take(
		n, &(struct kube_event){
			   .kind = kind, .name = name, .namespace_ = "", .object = object});
}

static const char *pools_of(const struct namespaces *n, const char *name)
{
	for (size_t i = 0; i < n->n; i++)
		if (strcmp(n->v[i].name, name) == 0)
			return n->v[i].annotations[CNI_NAMESPACE_POOLS4].text;
	return "";
}

TEST(only_namespaces_that_say_something_are_kept_in_order)
{
	struct namespaces n = {0};
	assert_false(tell(&n, KUBE_RESTART, NULL, NULL));
	assert_true(tell(&n, KUBE_EXISTS, "shop", "[\"a\"]"));
	assert_false(tell(&n, KUBE_EXISTS, "default", NULL));
	assert_true(tell(&n, KUBE_EXISTS, "bank", "[\"b\"]"));
	assert_false(n.complete);
	assert_true(tell(&n, KUBE_CURRENT, NULL, NULL));
	assert_true(n.complete);
	assert_int_equal(n.n, 2);
	assert_string_equal(n.v[0].name, "bank");
	assert_string_equal(n.v[0].annotations[CNI_NAMESPACE_POOLS4].key, "roost.io/ipv4pools");
	assert_string_equal(pools_of(&n, "shop"), "[\"a\"]");
	assert_false(tell(&n, KUBE_EXISTS, "shop", "[\"a\"]"));
	assert_true(tell(&n, KUBE_EXISTS, "shop", "[\"c\"]"));
	assert_string_equal(pools_of(&n, "shop"), "[\"c\"]");
	assert_true(tell(&n, KUBE_EXISTS, "shop", NULL));
	assert_int_equal(n.n, 1);
	assert_true(tell(&n, KUBE_GONE, "bank", NULL));
	assert_false(tell(&n, KUBE_GONE, "bank", NULL));
	namespaces_done(&n);
}

TEST(a_list_that_begins_anew_drops_what_it_did_not_tell_when_it_is_complete)
{
	struct namespaces n = {0};
	(void)tell(&n, KUBE_RESTART, NULL, NULL);
	(void)tell(&n, KUBE_EXISTS, "a", "[\"x\"]");
	(void)tell(&n, KUBE_EXISTS, "b", "[\"x\"]");
	(void)tell(&n, KUBE_CURRENT, NULL, NULL);
	(void)tell(&n, KUBE_RESTART, NULL, NULL);
	assert_false(n.complete);
	(void)tell(&n, KUBE_EXISTS, "b", "[\"x\"]");
	assert_string_equal(pools_of(&n, "a"), "[\"x\"]");
	assert_true(tell(&n, KUBE_CURRENT, NULL, NULL));
	assert_int_equal(n.n, 1);
	assert_string_equal(n.v[0].name, "b");
	namespaces_done(&n);
}

TEST(a_text_without_end_is_cut_so_that_it_is_refused_later)
{
	struct namespaces n = {0};
	char text[2000] = "[\"";
	memset(text + 2, 'p', 1500);
	(void)tell(&n, KUBE_EXISTS, "a", text);
	assert_int_equal(strlen(pools_of(&n, "a")), sizeof(n.v[0].annotations[0].text) - 1);
	char long_name[200] = "";
	memset(long_name, 'n', 100);
	assert_false(tell(&n, KUBE_EXISTS, long_name, "[]"));
	namespaces_done(&n);
}

TEST(a_record_of_a_namespace_is_read_as_it_was_written)
{
	struct record_namespace in = {0}, out;
	uint8_t bytes[RECORD_VALUE_MAX];
	(void)text_copy(in.annotations[0].key, sizeof(in.annotations[0].key), "roost.io/ipv4pools");
	for (int i = 0; i < CNI_NAMESPACE_ANNOTATIONS; i++)
		memset(in.annotations[i].text, 'x', sizeof(in.annotations[i].text) - 1);
	size_t len = record_namespace_format(&in, bytes);
	assert_true(record_namespace_parse(bytes, len, &out));
	assert_memory_equal(&in, &out, sizeof(in));
	assert_false(record_namespace_parse(bytes, len - 1, &out));
	struct record_key key = {.kind = RECORD_NAMESPACE}, back;
	uint8_t key_bytes[RECORD_KEY_MAX];
	memset(key.name, 'n', sizeof(key.name) - 1);
	len = record_key_format(&key, key_bytes);
	assert_true(record_key_parse(key_bytes, len, &back));
	assert_string_equal(back.name, key.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_namespaces_that_say_something_are_kept_in_order),
		cmocka_unit_test(
			a_list_that_begins_anew_drops_what_it_did_not_tell_when_it_is_complete),
		cmocka_unit_test(a_text_without_end_is_cut_so_that_it_is_refused_later),
		cmocka_unit_test(a_record_of_a_namespace_is_read_as_it_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
