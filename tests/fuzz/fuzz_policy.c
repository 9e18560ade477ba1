/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: policies and what they select, as an API server or a store may hold them. Whatever comes is
 * refused or a value in which names are names and ranges are ranges; one that says the same changes no world.
 * What becomes of its status is written once.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "agent/policy/acceptance.h"
#include "lib/json.h"
#include "lib/text.h"
#include "policy/read.h"

static void check_end(const struct policy_end *e)
{
	CHECK(!*e->own || text_is_dns_name(e->own));
	CHECK(e->n_nets <= 4096 && e->n_not_nets <= 4096);
	for (size_t i = 0; i < e->n_nets; i++)
		CHECK(!cidr_has_host_bits(&e->nets[i].net));
}

static void check_ports(const struct policy_port *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		CHECK(p[i].proto && p[i].first <= p[i].last);
}

static void check_rule(const struct policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++)
		check_end(&r->peers[i]);
	check_end(&r->self);
	check_ports(r->ports, r->n_ports);
	check_ports(r->not_ports, r->n_not_ports);
	check_ports(r->sources, r->n_sources);
	check_ports(r->not_sources, r->n_not_sources);
	CHECK(r->icmp.type >= -1 && r->not_icmp.type >= -1);
}

static void check_policy(const json_t *object)
{
	struct policy *p = NULL;
	struct err e = {0};
	int r = policy_read_policy(object, &p, &e);
	CHECK(r == 0 || (r == -EINVAL && *e.text));
	if (r < 0)
		return;
	CHECK(text_is_dns_name(p->name) && text_is_dns_name(p->tier));
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		CHECK(p->applies[d] || p->n_rules[d] == 0);
		for (size_t i = 0; i < p->n_rules[d]; i++)
			check_rule(&p->rules[d][i]);
	}
	policy_free(p);
}

static void check_world(const json_t *object)
{
	for (int s = 0; s < POLICY_SOURCES; s++) {
		struct policy_world *w = policy_world_new();
		bool changed = false;
		struct err e = {0};
		int r = policy_read_into(w, (enum policy_source)s, object, false, &changed, &e);
		CHECK(r == 0 || r == -EINVAL || r == -ENOENT);
		if (r == 0) {
			CHECK(policy_read_into(
				      w, (enum policy_source)s, object, false, &changed, &e) == 0);
			CHECK(!changed);
			CHECK(policy_read_into(
				      w, (enum policy_source)s, object, true, &changed, &e) == 0);
		}
		policy_world_free(w);
	}
}

static void check_acceptance(json_t *object)
{
	CLEANUP_JSON json_t *patch = acceptance_patch(object, 0);
	json_t *status = json_object_get(patch, "status");
	if (!patch)
		return;
	CHECK(json_array_size(json_object_get(status, "conditions")) > 0);
	CHECK(json_object_set(object, "status", status) == 0);
	CLEANUP_JSON json_t *again = acceptance_patch(object, 0);
	CHECK(!again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *object = NULL;
	struct err e = {0};
	if (json_parse((const char *)data, size, &object, &e) < 0)
		return 0;
	check_policy(object);
	check_world(object);
	check_acceptance(object);
	return 0;
}
