/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of Kubernetes and Calico as values. tests/data/policy/CASE/ holds documents in a file "input", and in
 * "expected" what becomes of each: the normal form, line by line, and its problems.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "golden.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "policy/read.h"

static const char *const actions[] = {"allow", "deny", "pass", "log"};
static const char *const directions[] = {"ingress", "egress"};

static void add_selector(struct text *t, const char *name, const struct policy_selector *s)
{
	if (s)
		text_add(t, " %s={%s}", name, policy_selector_text(s));
}

static void add_labels(struct text *t, const struct policy_labels *l)
{
	for (size_t i = 0; i < l->n; i++)
		text_add(t, " %s=%s", l->v[i].key, l->v[i].value);
}

static void add_end(struct text *t, const struct policy_end *e)
{
	text_add(t, "%s%s", e->nobody ? " nobody" : "", e->has_sets ? " or-sets" : "");
	if (*e->own)
		text_add(t, " in=%s", e->own);
	add_selector(t, "namespaces", e->namespaces);
	add_selector(t, "pods", e->pods);
	add_selector(t, "not-pods", e->not_pods);
	add_selector(t, "accounts", e->accounts);
	for (size_t i = 0; i < e->n_account_names; i++)
		text_add(t, " account=%s", e->account_names[i]);
	for (size_t i = 0; i < e->n_nets; i++) {
		text_add(t, " net=%s", CIDR_STRING(&e->nets[i].net));
		for (size_t k = 0; k < e->nets[i].n_excepts; k++)
			text_add(t, " except=%s", CIDR_STRING(&e->nets[i].excepts[k]));
	}
	for (size_t i = 0; i < e->n_not_nets; i++)
		text_add(t, " not-net=%s", CIDR_STRING(&e->not_nets[i]));
}

static void add_ports(struct text *t, const char *what, const struct policy_port *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*p[i].name)
			text_add(t, " %s=%u/%s", what, p[i].proto, p[i].name);
		else
			text_add(t, " %s=%u/%u-%u", what, p[i].proto, p[i].first, p[i].last);
}

static void add_icmp(struct text *t, const char *what, const struct policy_icmp *i)
{
	if (i->type >= 0)
		text_add(t, " %s=%d/%d", what, i->type, i->code);
}

static void add_rule(struct text *t, const struct policy_rule *r)
{
	text_add(t, "    %s", actions[r->action]);
	if (*r->name)
		text_add(t, " \"%s\"", r->name);
	if (r->family)
		text_add(t, " IPv%d", r->family == AF_INET ? 4 : 6);
	if (r->proto)
		text_add(t, " proto=%u", r->proto);
	if (r->not_proto)
		text_add(t, " not-proto=%u", r->not_proto);
	add_icmp(t, "icmp", &r->icmp);
	add_icmp(t, "not-icmp", &r->not_icmp);
	add_ports(t, "port", r->ports, r->n_ports);
	add_ports(t, "not-port", r->not_ports, r->n_not_ports);
	add_ports(t, "source", r->sources, r->n_sources);
	add_ports(t, "not-source", r->not_sources, r->n_not_sources);
	text_add(t, "\n");
	for (size_t i = 0; i < r->n_peers; i++) {
		text_add(t, "      peer");
		add_end(t, &r->peers[i]);
		text_add(t, "\n");
	}
	const struct policy_end *own = &r->self;
	if (own->pods || own->not_pods || own->namespaces || own->n_nets || own->n_not_nets) {
		text_add(t, "      self");
		add_end(t, own);
		text_add(t, "\n");
	}
}

static void add_policy(struct text *t, const struct policy *p)
{
	char title[POLICY_TITLE];
	text_add(t, "%s tier=%s order=%g", policy_title(p, title), p->tier, p->order);
	if (*p->uid)
		text_add(t, " uid=%s", p->uid);
	add_selector(t, "namespaces", p->namespaces);
	add_selector(t, "pods", p->pods);
	add_selector(t, "accounts", p->accounts);
	text_add(t, "\n");
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		if (p->applies[d])
			text_add(t, "  %s\n", directions[d]);
		else
			assert_int_equal(p->n_rules[d], 0);
		for (size_t i = 0; i < p->n_rules[d]; i++)
			add_rule(t, &p->rules[d][i]);
	}
	if (p->problems)
		text_add(t, "%s\n", p->problems);
}

static void add_pod(struct text *t, const struct policy_pod *p)
{
	text_add(t, "pod %s/%s uid=%s node=%s account=%s created=%lld%s%s", p->namespace, p->name,
		p->uid, p->node, p->account, (long long)p->created_s, p->on_host ? " on-host" : "",
		p->is_over ? " over" : "");
	for (size_t i = 0; i < p->n_addrs; i++)
		text_add(t, " %s", ADDR_STRING(&p->addrs[i]));
	add_ports(t, "port", p->ports, p->n_ports);
	add_labels(t, &p->labels);
	text_add(t, "\n");
}

static int describe_set(struct text *t, const json_t *doc, struct err *e)
{
	struct policy_netset s;
	int r = policy_read_netset(doc, &s, e);
	if (r < 0)
		return r;
	text_add(t, "set %s/%s", s.namespace, s.name);
	for (size_t i = 0; i < s.n_nets; i++)
		text_add(t, " %s", CIDR_STRING(&s.nets[i]));
	add_labels(t, &s.labels);
	text_add(t, "\n");
	free(s.nets);
	free((void *)s.labels.v);
	return 0;
}

static int describe_tier(struct text *t, const json_t *doc, struct err *e)
{
	struct policy_tier tier;
	int r = policy_read_tier(doc, &tier, e);
	if (r == 0)
		text_add(t, "tier %s order=%g end=%s\n", tier.name, tier.order, actions[tier.end]);
	return r;
}

static int describe_pod(struct text *t, const json_t *doc, struct err *e)
{
	struct policy_pod p;
	int r = policy_read_pod(doc, &p, e);
	if (r < 0)
		return r;
	add_pod(t, &p);
	policy_pod_done(&p);
	return 0;
}

static int describe_policy(struct text *t, const json_t *doc, struct err *e)
{
	struct policy *p = NULL;
	int r = policy_read_policy(doc, &p, e);
	if (r < 0)
		return r;
	add_policy(t, p);
	policy_free(p);
	return 0;
}

static void describe(const char *dir, char *out, size_t size)
{
	struct text t = {.buf = out, .size = size};
	size_t len = 0;
	CLEANUP_FREE char *input = golden_read(dir, "input", &len);
	struct yaml_file *f = NULL;
	struct err e = {0};
	assert_non_null(input);
	if (yaml_parse(input, len, &f, &e) < 0)
		fail_msg("%s: %s", dir, e.text);
	for (size_t i = 0; i < yaml_count(f); i++) {
		const json_t *doc = yaml_document(f, i);
		const char *kind = json_text_at(doc, "kind");
		int r = strstr(kind, "NetworkSet")  ? describe_set(&t, doc, &e)
			: strcmp(kind, "Tier") == 0 ? describe_tier(&t, doc, &e)
			: strcmp(kind, "Pod") == 0  ? describe_pod(&t, doc, &e)
						    : describe_policy(&t, doc, &e);
		if (r < 0) {
			assert_int_equal(r, -EINVAL);
			text_add(&t, "refused: %s\n", e.text);
		}
	}
	assert_false(t.cut);
	yaml_file_free(f);
}

TEST(objects_read_as_the_golden_folders_say)
{
	golden_run("policy", describe);
}

static json_t *policy_of(const char *peers_key, size_t rules, size_t peers, size_t ports)
{
	json_t *doc = json_pack("{s:s, s:s, s:{s:s, s:s}, s:{s:[]}}", "apiVersion",
		"networking.k8s.io/v1", "kind", "NetworkPolicy", "metadata", "name", "p",
		"namespace", "a", "spec", "ingress");
	json_t *list = json_object_get(json_object_get(doc, "spec"), "ingress");
	for (size_t i = 0; i < rules; i++) {
		json_t *rule = json_pack("{s:[], s:[]}", peers_key, "ports");
		for (size_t k = 0; k < peers; k++)
			json_append(json_object_get(rule, peers_key),
				json_pack("{s:{}}", "podSelector"));
		for (size_t k = 0; k < ports; k++)
			json_append(json_object_get(rule, "ports"), json_pack("{s:i}", "port", 80));
		json_append(list, rule);
	}
	return doc;
}

TEST(beyond_the_bounds_nothing_is_allowed)
{
	CLEANUP_JSON json_t *doc = policy_of("from", POLICY_RULES_MAX + 1, 0, 0);
	CLEANUP_JSON json_t *wide =
		policy_of("from", 1, POLICY_PEERS_MAX + 1, POLICY_PORTS_MAX + 1);
	struct policy *p = NULL;
	struct err e = {0};
	ok(policy_read_policy(doc, &p, &e));
	assert_int_equal(p->n_rules[POLICY_INGRESS], POLICY_RULES_MAX);
	assert_string_equal(p->problems,
		"spec.ingress: 1025 rules, 1024 at most: those behind count as denied");
	policy_free(p);
	ok(policy_read_policy(wide, &p, &e));
	assert_int_equal(p->rules[POLICY_INGRESS][0].n_peers, POLICY_PEERS_MAX);
	assert_int_equal(p->rules[POLICY_INGRESS][0].n_ports, POLICY_PORTS_MAX);
	assert_says(p->problems, "spec.ingress[0].from: 1025 peers, 1024 at most");
	policy_free(p);
}

TEST(ordered_rules_beyond_the_bound_deny)
{
	CLEANUP_JSON json_t *doc =
		json_pack("{s:s, s:s, s:{s:s}, s:{s:[]}}", "apiVersion", "projectcalico.org/v3",
			"kind", "GlobalNetworkPolicy", "metadata", "name", "p", "spec", "ingress");
	json_t *list = json_object_get(json_object_get(doc, "spec"), "ingress");
	struct policy *p = NULL;
	struct err e = {0};
	for (int i = 0; i <= POLICY_RULES_MAX; i++)
		json_append(list, json_pack("{s:s}", "action", "Allow"));
	ok(policy_read_policy(doc, &p, &e));
	assert_int_equal(p->rules[POLICY_INGRESS][POLICY_RULES_MAX - 2].action, POLICY_ALLOW);
	assert_int_equal(p->rules[POLICY_INGRESS][POLICY_RULES_MAX - 1].action, POLICY_DENY);
	assert_int_equal(p->rules[POLICY_INGRESS][POLICY_RULES_MAX - 1].n_peers, 0);
	policy_free(p);
}

TEST(problems_are_counted_when_they_are_many)
{
	CLEANUP_JSON json_t *doc = policy_of("to", 40, 1, 0); /* "to" is not an ingress rule's */
	struct policy *p = NULL;
	struct err e = {0};
	ok(policy_read_policy(doc, &p, &e));
	assert_says(p->problems, "spec.ingress[15]: to is not served by roost: it matches nothing");
	assert_says(p->problems, "\nand 24 more");
	assert_null(strstr(p->problems, "spec.ingress[16]"));
	policy_free(p);
}

static bool into(struct policy_world *w, enum policy_source s, const char *json, bool gone)
{
	CLEANUP_JSON json_t *object = json_of(json);
	bool changed = false;
	struct err e = {0};
	ok(policy_read_into(w, s, object, gone, &changed, &e));
	return changed;
}

TEST(objects_go_into_a_world_and_out_of_it)
{
	static const struct {
		enum policy_source s;
		const char *json;
	} table[] = {
		{POLICY_FROM_NAMESPACES, "{\"metadata\": {\"name\": \"a\"}}"},
		{POLICY_FROM_PODS, "{\"metadata\": {\"name\": \"p\", \"namespace\": \"a\"}}"},
		{POLICY_FROM_ACCOUNTS, "{\"metadata\": {\"name\": \"s\", \"namespace\": \"a\"}}"},
		{POLICY_FROM_NETWORK_POLICIES,
			"{\"metadata\": {\"name\": \"n\", \"namespace\": \"a\"}, \"spec\": {}}"},
		{POLICY_FROM_CLUSTER_POLICIES, "{\"metadata\": {\"name\": \"c\"}, \"spec\": {}}"},
		{POLICY_FROM_STORE, "{\"kind\": \"NetworkPolicy\", \"apiVersion\": "
				    "\"projectcalico.org/v3\", \"metadata\": {\"name\": \"n\", "
				    "\"namespace\": \"a\"}}"},
		{POLICY_FROM_STORE, "{\"kind\": \"Tier\", \"metadata\": {\"name\": \"t\"}}"},
		{POLICY_FROM_STORE,
			"{\"kind\": \"GlobalNetworkSet\", \"metadata\": {\"name\": \"s\"}}"},
	};
	struct policy_world *w = policy_world_new();
	CLEANUP_JSON json_t *other = json_pack("{s:s}", "kind", "IPPool");
	bool changed;
	struct err e = {0};
	for (size_t i = 0; i < COUNT(table); i++) {
		assert_true(into(w, table[i].s, table[i].json, false));
		assert_false(into(w, table[i].s, table[i].json, false));
	}
	assert_non_null(policy_world_pod(w, "a", "p"));
	for (size_t i = COUNT(table); i-- > 0;) {
		assert_true(into(w, table[i].s, table[i].json, true));
		assert_false(into(w, table[i].s, table[i].json, true));
	}
	assert_null(policy_world_pod(w, "a", "p"));
	refused_with(policy_read_into(w, POLICY_FROM_STORE, other, false, &changed, &e), ENOENT,
		"IPPool is nothing that policies are about");
	policy_world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_read_as_the_golden_folders_say),
		cmocka_unit_test(beyond_the_bounds_nothing_is_allowed),
		cmocka_unit_test(ordered_rules_beyond_the_bound_deny),
		cmocka_unit_test(problems_are_counted_when_they_are_many),
		cmocka_unit_test(objects_go_into_a_world_and_out_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
