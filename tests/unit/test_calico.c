/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of Calico's plugin: which are refused, which are named as ignored, and which say nothing.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "plugins/calico.h"
#include "plugins/conf.h"

TEST(a_key_that_pods_would_miss_is_refused_by_name)
{
	static const struct {
		const char *text, *names;
	} cases[] = {
		{"{\"feature_control\":{\"ip_addrs_no_ipam\":true}}",
			"feature_control.ip_addrs_no_ipam \"true\""},
		{"{\"feature_control\":{\"floating_ips\":true}}", "feature_control.floating_ips"},
		{"{\"dataplane_options\":{\"type\":\"grpc\"}}", "dataplane_options.type \"grpc\""},
		{"{\"readiness_gates\":[\"http://127.0.0.1:1\"]}", "readiness_gates \"an array\""},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_JSON json_t *doc = json_of(cases[i].text);
		struct err e;
		refused(calico_check(doc, &e), EOPNOTSUPP, cases[i].names);
	}
}

TEST(values_that_change_nothing_are_taken_without_a_word)
{
	static const char *const cases[] = {
		"{}",
		"{\"policy\":{}}",
		"{\"policy\":{\"type\":\"\"}}",
		"{\"policy\":{\"type\":\"k8s\"}}",
		"{\"policy\":\"k8s\"}",
		"{\"feature_control\":{\"ip_addrs_no_ipam\":false,\"floating_ips\":false}}",
		"{\"dataplane_options\":{\"type\":\"linux\"}}",
		"{\"readiness_gates\":[],\"kubernetes\":{},\"device_type\":\"veth\"}",
		"{\"nodename_file_optional\":false,\"qps\":0,\"nodename\":null}",
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_JSON json_t *doc = json_of(cases[i]);
		char ignored[CALICO_IGNORED];
		struct err e;
		ok(calico_check(doc, &e));
		calico_list_ignored(doc, ignored);
		assert_string_equal(ignored, "");
	}
}

TEST(what_means_nothing_here_is_listed)
{
	CLEANUP_JSON json_t *doc = json_of(
		"{\"kubernetes\":{\"kubeconfig\":\"/etc/cni/net.d/calico-kubeconfig\"},"
		"\"datastore_type\":\"kubernetes\",\"nodename_file_optional\":true,"
		"\"policy\":{\"k8s_api_root\":\"https://10.0.0.1\"},\"device_type\":\"netkit\"}");
	char ignored[CALICO_IGNORED];
	calico_list_ignored(doc, ignored);
	assert_string_equal(ignored, "nodename_file_optional, datastore_type, kubernetes, "
				     "policy.k8s_api_root, device_type");
}

static struct conf conf_of(const char *keys)
{
	char text[512];
	(void)snprintf(
		text, sizeof(text), "{\"ipam\":{\"type\":\"static\"}%s%s}", *keys ? "," : "", keys);
	CLEANUP_JSON json_t *doc = json_of(text);
	struct conf c;
	struct err e;
	ok(conf_parse(doc, CONF_FULL, &c, &e));
	return c;
}

TEST(log_keys_are_served_and_our_own_win)
{
	struct conf c = conf_of("\"log_level\":\"Info\",\"log_file_path\":\"/var/log/c.log\"");
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	assert_string_equal(c.log_file, "/var/log/c.log");
	assert_int_equal(c.log_file_bytes, 100 << 20);
	c = conf_of("\"log_file_path\":\"/c.log\",\"log_file_max_size\":1");
	assert_int_equal(c.log_file_bytes, 1 << 20);
	c = conf_of("\"log_level\":\"info\",\"log_file_path\":\"/c.log\","
		    "\"log\":{\"level\":\"debug\",\"file\":\"/r.log\"}");
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	assert_string_equal(c.log_file, "/r.log");
	assert_int_equal(c.log_file_bytes, 0);
}

TEST(either_key_allows_forwarding)
{
	assert_true(conf_of("\"container_settings\":{\"allow_ip_forwarding\":true}").forwarding);
	assert_true(conf_of("\"allowIPForwarding\":true").forwarding);
	assert_false(conf_of("\"container_settings\":{\"allow_ip_forwarding\":false}").forwarding);
	assert_false(conf_of("\"container_settings\":{}").forwarding);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_that_pods_would_miss_is_refused_by_name),
		cmocka_unit_test(values_that_change_nothing_are_taken_without_a_word),
		cmocka_unit_test(what_means_nothing_here_is_listed),
		cmocka_unit_test(log_keys_are_served_and_our_own_win),
		cmocka_unit_test(either_key_allows_forwarding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
