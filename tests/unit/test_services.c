/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses of services a node announces: services and slices as Kubernetes writes them, and the
 * prefixes of BGPConfiguration. Each row of a table is one service and its endpoints.
 */
#include "tests/unit/values.h"

#include "agent/services/announce.h"
#include "agent/services/table.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

static struct service_table table_of(const char *node)
{
	struct service_table t;
	service_table_init(&t, node);
	return t;
}

/* {"metadata": {"namespace": "d", "name": NAME}, ...} */
static bool put_service(
	struct service_table *t, const char *name, const char *spec, const char *status)
{
	CLEANUP_TEXT struct text doc = {0};
	text_add(&doc,
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\"},\"spec\":{%s},\"status\":{%s}"
		"}",
		name, spec, status);
	CLEANUP_JSON json_t *object = json_of(doc.buf);
	return service_table_put(t, SERVICE_TABLE_SERVICES, object);
}

/* endpoints: the elements of the list. */
static bool put_slice(struct service_table *t, const char *name, const char *service,
	const char *type, const char *endpoints)
{
	CLEANUP_TEXT struct text doc = {0};
	text_add(&doc,
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"%s\"}},\"addressType\":\"%s\","
		"\"endpoints\":[%s]}",
		name, service, type, endpoints);
	CLEANUP_JSON json_t *object = json_of(doc.buf);
	return service_table_put(t, SERVICE_TABLE_SLICES, object);
}

static struct resource_services ranges_of(
	const char *cluster, const char *external, const char *balancer)
{
	const char *all[SERVICE_USES] = {cluster, external, balancer};
	struct resource_services s = {0};
	for (size_t u = 0; u < SERVICE_USES; u++) {
		char word[CIDR_TEXT];
		for (const char *at = all[u]; at && *at; at += strspn(at, " ")) {
			struct text w = TEXT_ON(word);
			text_add_bytes(&w, at, strcspn(at, " "));
			at += strcspn(at, " ");
			s.cidrs[u][s.n[u]++] = cidr(word);
		}
	}
	return s;
}

/* "A B C", what is announced. */
static void expect_of(const struct announce_input *in, const char *expected)
{
	CLEANUP_FREE struct cidr *all = NULL;
	CLEANUP_TEXT struct text out = {0};
	size_t n = announce_make(in, &all);
	for (size_t i = 0; i < n; i++)
		text_add(&out, "%s%s", i ? " " : "", CIDR_STRING(&all[i]));
	assert_string_equal(out.buf ? out.buf : "", expected);
}

/* The same, once everything is known. */
static void expect(struct service_table *t, const struct resource_services *ranges, bool excluded,
	const char *expected)
{
	const struct announce_input in = {.table = t, .ranges = ranges, .excluded = excluded};
	t->complete[SERVICE_TABLE_SERVICES] = t->complete[SERVICE_TABLE_SLICES] = true;
	expect_of(&in, expected);
}

#define LOCAL "\"externalTrafficPolicy\":\"Local\","
#define IPS(list) "\"clusterIP\":\"10.96.0.1\",\"clusterIPs\":[" list "]"
#define LB "\"type\":\"LoadBalancer\","
#define INGRESS(list) "\"loadBalancer\":{\"ingress\":[" list "]}"
#define HERE "{\"nodeName\":\"n\",\"conditions\":{\"ready\":true}}"
#define RANGES "10.96.0.0/12 fd00:96::/112"
#define RANGES_SAID "10.96.0.0/12 192.0.2.0/24 fd00:96::/112"

TEST(each_service_is_announced_as_its_policy_says)
{
	static const struct {
		const char *about, *spec, *status, *endpoints, *expected;
	} rows[] = {
		{"a plain one is inside the prefix", IPS("\"10.96.0.1\""), "", HERE, RANGES_SAID},
		{"a local one with an endpoint here", LB LOCAL IPS("\"10.96.0.1\""),
			INGRESS("{\"ip\":\"192.0.2.5\"}"), HERE,
			"10.96.0.0/12 10.96.0.1/32 192.0.2.0/24 192.0.2.5/32 fd00:96::/112"},
		{"the same without endpoints here", LB LOCAL IPS("\"10.96.0.1\""),
			INGRESS("{\"ip\":\"192.0.2.5\"}"),
			"{\"nodeName\":\"m\",\"conditions\":{\"ready\":true}}", RANGES_SAID},
		{"an endpoint without conditions is ready", LOCAL IPS("\"10.96.0.1\""), "",
			"{\"nodeName\":\"n\"}",
			"10.96.0.0/12 10.96.0.1/32 192.0.2.0/24 fd00:96::/112"},
		{"one that is not ready", LOCAL IPS("\"10.96.0.1\""), "",
			"{\"nodeName\":\"n\",\"conditions\":{\"ready\":false,\"serving\":true}}",
			RANGES_SAID},
		{"one that ends and serves", LOCAL IPS("\"10.96.0.1\""), "",
			"{\"nodeName\":\"n\",\"conditions\":{\"ready\":false,\"serving\":true,"
			"\"terminating\":true}}",
			"10.96.0.0/12 10.96.0.1/32 192.0.2.0/24 fd00:96::/112"},
		{"one that ends and does not serve", LOCAL IPS("\"10.96.0.1\""), "",
			"{\"nodeName\":\"n\",\"conditions\":{\"ready\":false,\"serving\":false,"
			"\"terminating\":true}}",
			RANGES_SAID},
		{"an internal policy",
			"\"internalTrafficPolicy\":\"Local\"," LB IPS("\"10.96.0.1\""),
			INGRESS("{\"ip\":\"192.0.2.5\"}"), HERE,
			"10.96.0.0/12 10.96.0.1/32 192.0.2.0/24 fd00:96::/112"},
		{"the single address of the configuration, from every node",
			"\"externalIPs\":[\"203.0.113.7\"]," IPS("\"10.96.0.1\""), "", "",
			"10.96.0.0/12 192.0.2.0/24 203.0.113.7/32 fd00:96::/112"},
		{"the same with a local policy and no endpoint",
			LOCAL "\"externalIPs\":[\"203.0.113.7\"]," IPS("\"10.96.0.1\""), "", "",
			RANGES_SAID},
		{"an address outside of the prefixes",
			LOCAL
			"\"externalIPs\":[\"203.0.113.8\",\"192.0.2.9\"]," IPS("\"10.96.0.1\""),
			"", HERE, "10.96.0.0/12 10.96.0.1/32 192.0.2.0/24 fd00:96::/112"},
		{"an address that something in front of the nodes has",
			LB LOCAL IPS("\"10.80.0.1\""),
			INGRESS("{\"ip\":\"192.0.2.5\",\"ipMode\":\"Proxy\"}"), HERE, RANGES_SAID},
		{"the status of one that is no load balancer any more", LOCAL IPS("\"10.80.0.1\""),
			INGRESS("{\"ip\":\"192.0.2.5\"}"), HERE, RANGES_SAID},
		{"headless", LOCAL "\"clusterIP\":\"None\",\"externalIPs\":[\"203.0.113.7\"]", "",
			HERE, RANGES_SAID},
		{"ExternalName", "\"type\":\"ExternalName\",\"externalIPs\":[\"203.0.113.7\"]", "",
			HERE, RANGES_SAID},
		{"an IPv6 address needs an IPv6 endpoint",
			LOCAL IPS("\"10.96.0.1\",\"fd00:96::1\""), "", HERE,
			"10.96.0.0/12 10.96.0.1/32 192.0.2.0/24 fd00:96::/112"},
		{"members of other types",
			LOCAL "\"type\":7,\"clusterIP\":\"10.96.0.1\",\"clusterIPs\":{\"a\":1},"
			      "\"externalIPs\":[3,null,\"x\",\"10.0.0.1/8\",\"203.0.113.7\"]",
			"\"loadBalancer\":[1]", "null,3,{\"nodeName\":9},{\"nodeName\":\"n\"}",
			"10.96.0.0/12 192.0.2.0/24 203.0.113.7/32 fd00:96::/112"},
	};
	struct resource_services ranges = ranges_of(RANGES, "203.0.113.7/32", "192.0.2.0/24");
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct service_table t = table_of("n");
		print_message("%s\n", rows[i].about);
		(void)put_service(&t, "s", rows[i].spec, rows[i].status);
		(void)put_slice(&t, "s-1", "s", "IPv4", rows[i].endpoints);
		expect(&t, &ranges, false, rows[i].expected);
		expect(&t, &ranges, true, "");
		service_table_done(&t);
	}
}

TEST(each_family_has_its_own_endpoints)
{
	struct service_table t = table_of("n");
	struct resource_services ranges = ranges_of(RANGES, "", "");
	(void)put_service(&t, "s", LOCAL IPS("\"10.96.0.1\",\"fd00:96::1\""), "");
	(void)put_slice(&t, "s-6", "s", "IPv6", HERE);
	expect(&t, &ranges, false, "10.96.0.0/12 fd00:96::/112 fd00:96::1/128");
	(void)put_slice(&t, "s-4", "s", "IPv4", HERE);
	expect(&t, &ranges, false, "10.96.0.0/12 10.96.0.1/32 fd00:96::/112 fd00:96::1/128");
	(void)put_slice(&t, "s-6", "s", "FQDN", HERE);
	expect(&t, &ranges, false, "10.96.0.0/12 10.96.0.1/32 fd00:96::/112");
	service_table_done(&t);
}

TEST(an_address_of_two_services_stays_until_both_are_gone)
{
	struct service_table t = table_of("n");
	struct resource_services ranges = ranges_of("", "203.0.113.0/24", "");
	static const char spec[] = LOCAL "\"externalIPs\":[\"203.0.113.7\"]," IPS("\"10.96.0.1\"");
	CLEANUP_JSON json_t *a = json_of("{\"metadata\":{\"namespace\":\"d\",\"name\":\"a\"}}");
	CLEANUP_JSON json_t *b = json_of("{\"metadata\":{\"namespace\":\"d\",\"name\":\"b\"}}");
	(void)put_service(&t, "a", spec, "");
	(void)put_service(&t, "b", spec, "");
	(void)put_slice(&t, "a-1", "a", "IPv4", HERE);
	(void)put_slice(&t, "b-1", "b", "IPv4", HERE);
	expect(&t, &ranges, false, "203.0.113.0/24 203.0.113.7/32");
	assert_true(service_table_drop(&t, SERVICE_TABLE_SERVICES, a));
	assert_false(service_table_drop(&t, SERVICE_TABLE_SERVICES, a));
	expect(&t, &ranges, false, "203.0.113.0/24 203.0.113.7/32");
	assert_true(service_table_drop(&t, SERVICE_TABLE_SERVICES, b));
	expect(&t, &ranges, false, "203.0.113.0/24");
	service_table_done(&t);
}

TEST(load_balancers_can_be_announced_apart)
{
	struct service_table t = table_of("n");
	struct resource_services ranges = ranges_of("10.96.0.0/12", "", "192.0.2.0/24");
	ranges.balancers_apart = true;
	(void)put_service(&t, "s", LB IPS("\"10.96.0.1\""), INGRESS("{\"ip\":\"192.0.2.5\"}"));
	(void)put_service(
		&t, "l", LB LOCAL IPS("\"10.80.0.1\""), INGRESS("{\"ip\":\"192.0.2.6\"}"));
	expect(&t, &ranges, false, "10.96.0.0/12 192.0.2.5/32");
	(void)put_slice(&t, "l-1", "l", "IPv4", HERE);
	expect(&t, &ranges, false, "10.96.0.0/12 192.0.2.5/32 192.0.2.6/32");
	service_table_done(&t);
}

TEST(only_what_says_something_is_kept_and_changes_are_told)
{
	struct service_table t = table_of("n");
	assert_false(put_service(&t, "plain", IPS("\"10.96.0.1\""), ""));
	assert_false(put_slice(&t, "plain-1", "plain", "IPv4", "{\"nodeName\":\"m\"}"));
	assert_int_equal(t.n_services + t.n_slices, 0);
	assert_false(service_table_needs_slices(&t));
	assert_true(put_service(&t, "s", LOCAL IPS("\"10.96.0.1\""), ""));
	assert_false(put_service(&t, "s", LOCAL IPS("\"10.96.0.1\""), ""));
	assert_true(service_table_needs_slices(&t));
	assert_true(put_slice(&t, "s-1", "s", "IPv4", HERE));
	assert_false(put_slice(&t, "s-1", "s", "IPv4", HERE "," HERE));
	assert_true(put_slice(&t, "s-1", "s", "IPv4", ""));
	assert_true(put_service(&t, "s", IPS("\"10.96.0.1\""), ""));
	assert_int_equal(t.n_services + t.n_slices, 0);
	service_table_done(&t);
}

TEST(a_list_takes_away_what_it_does_not_tell)
{
	struct service_table t = table_of("n");
	assert_false(service_table_is_whole(&t));
	for (int round = 0; round < 2; round++) {
		service_table_begin(&t, SERVICE_TABLE_SERVICES);
		(void)put_service(&t, "a", LOCAL IPS("\"10.96.0.1\""), "");
		if (round == 0)
			(void)put_service(&t, "b", LOCAL IPS("\"10.96.0.2\""), "");
		assert_int_equal(service_table_is_whole(&t), round);
		service_table_end(&t, SERVICE_TABLE_SERVICES);
		assert_int_equal(t.n_services, 2 - round);
		assert_int_equal(service_table_is_whole(&t), round);
		service_table_begin(&t, SERVICE_TABLE_SLICES);
		(void)put_slice(&t, round ? "a-2" : "a-1", "a", "IPv4", HERE);
		service_table_end(&t, SERVICE_TABLE_SLICES);
		assert_true(service_table_is_whole(&t));
		assert_int_equal(t.n_slices, 1);
	}
	service_table_done(&t);
}

/* After a start of the agent; 192.0.2.9 is announced as the file in force says. */
TEST(what_was_announced_goes_on_until_it_is_known)
{
	struct service_table t = table_of("n");
	struct resource_services ranges = ranges_of("10.96.0.0/12", "", "192.0.2.0/24");
	const struct cidr before[] = {
		cidr("192.0.2.8/32"), cidr("192.0.2.9/32"), cidr("203.0.113.1/32")};
	struct announce_input in = {
		.table = &t, .ranges = &ranges, .before = before, .n_before = COUNT(before)};
	expect_of(&in, "10.96.0.0/12 192.0.2.0/24 192.0.2.8/32 192.0.2.9/32");
	service_table_begin(&t, SERVICE_TABLE_SERVICES);
	(void)put_service(
		&t, "s", LB LOCAL IPS("\"10.80.0.1\""), INGRESS("{\"ip\":\"192.0.2.9\"}"));
	(void)put_service(
		&t, "new", LB LOCAL IPS("\"10.80.0.2\""), INGRESS("{\"ip\":\"192.0.2.10\"}"));
	expect_of(&in, "10.96.0.0/12 192.0.2.0/24 192.0.2.8/32 192.0.2.9/32");
	service_table_end(&t, SERVICE_TABLE_SERVICES);
	expect_of(&in, "10.96.0.0/12 192.0.2.0/24 192.0.2.9/32");
	service_table_begin(&t, SERVICE_TABLE_SLICES);
	(void)put_slice(&t, "new-1", "new", "IPv4", HERE);
	expect_of(&in, "10.96.0.0/12 192.0.2.0/24 192.0.2.9/32");
	service_table_end(&t, SERVICE_TABLE_SLICES);
	expect_of(&in, "10.96.0.0/12 192.0.2.0/24 192.0.2.10/32");
	service_table_begin(&t, SERVICE_TABLE_SERVICES);
	expect_of(&in, "10.96.0.0/12 192.0.2.0/24 192.0.2.10/32");
	service_table_done(&t);
}

/* What docs/SERVICES.md says of memory. */
TEST(ten_thousand_services_take_two_megabytes)
{
	struct service_table t = table_of("n");
	char name[32], status[128];
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		(void)snprintf(status, sizeof(status), INGRESS("{\"ip\":\"192.%d.%d.1\"}"),
			i / 250 + 1, i % 250);
		assert_true(put_service(&t, name, LB LOCAL IPS("\"10.96.0.1\""), status));
	}
	assert_int_equal(t.n_services, 10000);
	for (size_t i = 1; i < t.n_services; i++)
		assert_true(hash_compare(&t.services[i - 1].id, &t.services[i].id) < 0);
	/* malloc() adds 16 bytes to each array of addresses at most. */
	size_t bytes = t.room_services * sizeof(struct service) +
		       t.n_services * (2 * sizeof(struct service_address) + 16);
	assert_true(bytes < 2u << 20);
	service_table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_service_is_announced_as_its_policy_says),
		cmocka_unit_test(each_family_has_its_own_endpoints),
		cmocka_unit_test(an_address_of_two_services_stays_until_both_are_gone),
		cmocka_unit_test(load_balancers_can_be_announced_apart),
		cmocka_unit_test(only_what_says_something_is_kept_and_changes_are_told),
		cmocka_unit_test(a_list_takes_away_what_it_does_not_tell),
		cmocka_unit_test(what_was_announced_goes_on_until_it_is_known),
		cmocka_unit_test(ten_thousand_services_take_two_megabytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
