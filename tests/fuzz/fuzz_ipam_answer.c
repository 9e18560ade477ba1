/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what an executed IPAM plugin answers to ADD, in each version. What is taken makes a plan
 * that holds what plugins/pod.h promises, and a result that every reader of that version takes.
 */
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>

#include "lib/json.h"
#include "plugins/foreign.h"
#include "plugins/pod.h"

static bool has_address(const struct pod_addresses *a, uint8_t family)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		if (a->addrs[i].addr.family == family)
			return true;
	return false;
}

static void check_addresses(const struct pod_addresses *a)
{
	CHECK(a->n_addrs > 0 && a->n_addrs <= POD_ADDRS && a->n_routes <= POD_ROUTES);
	for (size_t i = 0; i < a->n_addrs; i++)
		CHECK(a->addrs[i].addr.family == AF_INET || a->addrs[i].addr.family == AF_INET6);
	for (size_t i = 0; i < a->n_routes; i++) {
		CHECK(has_address(a, a->routes[i].addr.family));
		CHECK(!cidr_has_host_bits(&a->routes[i]));
		CHECK(!cidr_is_among(a->routes, i, &a->routes[i]));
	}
	CHECK(!a->dns || json_object_size(a->dns) > 0);
}

static void check_plan(const struct cni_request *r, const struct pod_addresses *a)
{
	const struct conf conf = {.prefix = "roost", .default_routes = true};
	const struct pod_facts facts = {.random_mac = {2, 0, 0, 0, 0, 1}};
	struct pod pod;
	struct err e;
	CHECK(pod_plan(r, &conf, a, &facts, &pod, &e) == 0);
	CHECK(pod.n_routes <= sizeof(pod.routes) / sizeof(pod.routes[0]));
	char text[4096];
	struct text t = TEXT_ON(text);
	pod_describe(&pod, &t);
	CHECK(t.len > 0);
	struct cni_result result, again;
	CLEANUP_JSON json_t *doc = NULL;
	cni_result_init(&result);
	pod_report(&pod, r->netns, &result);
	cni_result_set_dns(&result, a->dns);
	CHECK(cni_result_format(&result, r->version, &doc, &e) == 0);
	CHECK(cni_result_parse(doc, r->version, &again, &e) == 0);
	cni_result_done(&result);
	cni_result_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	if (json_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	for (enum cni_version v = CNI_0_1_0; v <= CNI_1_1_0; v++) {
		const struct cni_request r = {.version = v,
			.network = "net",
			.container = "c1",
			.ifname = "eth0",
			.netns = "/run/netns/x"};
		struct pod_addresses a = {0};
		if (foreign_read(&r, "other", doc, &a, &e) < 0) {
			CHECK(*e.text && a.n_addrs == 0 && !a.dns);
			continue;
		}
		check_addresses(&a);
		check_plan(&r, &a);
		json_decref(a.dns);
	}
	return 0;
}
