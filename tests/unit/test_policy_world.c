/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster as values: lists that end and lists that do not, who owns an address, the order of judgement, and
 * what is told to the one who keeps something by it.
 */
#include "tests/unit/values.h"

#include "policy/world.h"

#include <stdio.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "policy/table.h"

static struct policy_labels labels(const char *object)
{
	struct policy_labels l = {0};
	struct err e;
	json_t *doc = json_of(object);
	ok(policy_labels_read(doc, &l, &e));
	json_decref(doc);
	return l;
}

static struct policy_pod pod(const char *name, const char *address)
{
	struct policy_pod p = {.namespace = "a", .addrs = {addr(address)}, .n_addrs = 1};
	text_copy(p.name, sizeof(p.name), name);
	snprintf(p.uid, sizeof(p.uid), "uid-%s", name);
	return p;
}

static bool put(struct policy_world *w, struct policy_pod p)
{
	return policy_world_put_pod(w, POLICY_FROM_PODS, &p);
}

static struct policy *policy(const char *tier, double order, const char *name)
{
	struct policy *p = mem_new(1, sizeof(*p));
	p->kind = POLICY_CALICO_GLOBAL;
	text_copy(p->tier, sizeof(p->tier), tier);
	text_copy(p->name, sizeof(p->name), name);
	p->order = order;
	return p;
}

static const char *owner(const struct policy_world *w, const char *address)
{
	struct addr a = addr(address);
	const struct policy_pod *p = policy_world_owner(w, &a);
	return p ? p->name : "nobody";
}

TEST(a_table_finds_what_was_added_and_nothing_that_was_removed)
{
	struct policy_table t = {0};
	static int values[3000];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3000; i++)
			policy_table_add(&t, &i, sizeof(i), &values[i]);
		for (int i = 0; i < 3000; i += 1 + round) {
			size_t at = policy_table_find(&t, &i, sizeof(i));
			assert_ptr_equal(t.v[at], &values[i]);
			policy_table_remove(&t, at);
		}
		for (int i = 0; i < 3000; i++) {
			size_t at = policy_table_find(&t, &i, sizeof(i));
			assert_int_equal(at == POLICY_TABLE_NONE, i % (1 + round) == 0);
			if (at != POLICY_TABLE_NONE) {
				assert_ptr_equal(t.v[at], &values[i]);
				policy_table_remove(&t, at);
			}
		}
		assert_int_equal(t.n, 0);
	}
	policy_table_done(&t);
}

TEST(a_list_takes_nothing_away_before_its_end)
{
	struct policy_world *w = policy_world_new();
	assert_false(policy_world_is_told(w, POLICY_FROM_PODS));
	policy_world_begin(w, POLICY_FROM_PODS);
	put(w, pod("one", "10.0.0.1"));
	put(w, pod("two", "10.0.0.2"));
	assert_false(policy_world_is_told(w, POLICY_FROM_PODS));
	policy_world_end(w, POLICY_FROM_PODS);
	assert_true(policy_world_is_told(w, POLICY_FROM_PODS));
	assert_false(policy_world_is_told(w, POLICY_FROM_NAMESPACES));

	policy_world_begin(w, POLICY_FROM_PODS); /* and breaks off */
	put(w, pod("two", "10.0.0.2"));
	assert_non_null(policy_world_pod(w, "a", "one"));
	policy_world_begin(w, POLICY_FROM_PODS);
	put(w, pod("three", "10.0.0.3"));
	assert_non_null(policy_world_pod(w, "a", "one"));
	assert_non_null(policy_world_pod(w, "a", "two"));
	policy_world_end(w, POLICY_FROM_PODS);
	assert_null(policy_world_pod(w, "a", "one"));
	assert_null(policy_world_pod(w, "a", "two"));
	assert_string_equal(owner(w, "10.0.0.1"), "nobody");
	assert_string_equal(owner(w, "10.0.0.3"), "three");
	policy_world_end(w, POLICY_FROM_PODS); /* an end without a beginning is none */
	assert_non_null(policy_world_pod(w, "a", "three"));
	policy_world_free(w);
}

TEST(the_end_of_a_list_leaves_what_other_sources_told)
{
	struct policy_world *w = policy_world_new();
	struct policy_pod p = pod("endpoint", "10.0.0.9");
	policy_world_put_pod(w, POLICY_FROM_ENDPOINTS, &p);
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", 1, "kept"));
	policy_world_put_policy(w, POLICY_FROM_CLUSTER_POLICIES, policy("default", 2, "gone"));
	policy_world_begin(w, POLICY_FROM_PODS);
	policy_world_end(w, POLICY_FROM_PODS);
	policy_world_begin(w, POLICY_FROM_CLUSTER_POLICIES);
	policy_world_end(w, POLICY_FROM_CLUSTER_POLICIES);
	assert_non_null(policy_world_pod(w, "a", "endpoint"));
	size_t n;
	const struct policy *const *all = policy_world_policies(w, &n);
	assert_int_equal(n, 1);
	assert_string_equal(all[0]->name, "kept");
	assert_false(policy_world_drop(w, POLICY_FROM_PODS, POLICY_POD, "a", "endpoint"));
	assert_true(policy_world_drop(w, POLICY_FROM_ENDPOINTS, POLICY_POD, "a", "endpoint"));
	assert_false(policy_world_drop(w, POLICY_FROM_ENDPOINTS, POLICY_POD, "a", "endpoint"));
	policy_world_free(w);
}

TEST(an_address_is_of_the_youngest_pod_that_is_not_over)
{
	struct policy_world *w = policy_world_new();
	struct policy_pod old = pod("old", "10.0.0.1");
	old.created_s = 100;
	put(w, old);
	struct policy_pod young = pod("young", "10.0.0.1");
	young.created_s = 200;
	put(w, young);
	assert_string_equal(owner(w, "10.0.0.1"), "young");
	old = pod("old", "10.0.0.1");
	old.created_s = 100;
	old.labels = labels("{\"touched\": \"late\"}");
	put(w, old);
	assert_string_equal(owner(w, "10.0.0.1"), "young");
	young = pod("young", "10.0.0.1");
	young.created_s = 200;
	young.is_over = true;
	put(w, young);
	assert_string_equal(owner(w, "10.0.0.1"), "old");

	struct policy_pod same = pod("same-second", "10.0.0.1");
	same.created_s = 100;
	put(w, same);
	assert_string_equal(owner(w, "10.0.0.1"), "same-second");
	policy_world_drop(w, POLICY_FROM_PODS, POLICY_POD, "a", "same-second");
	assert_string_equal(owner(w, "10.0.0.1"), "old");

	struct policy_pod host = pod("host", "10.0.0.1");
	host.created_s = 300;
	host.on_host = true;
	put(w, host);
	assert_string_equal(owner(w, "10.0.0.1"), "old");
	policy_world_drop(w, POLICY_FROM_PODS, POLICY_POD, "a", "old");
	assert_string_equal(owner(w, "10.0.0.1"), "nobody");
	policy_world_free(w);
}

TEST(a_pod_that_moves_to_another_address_leaves_its_old_one)
{
	struct policy_world *w = policy_world_new();
	struct policy_pod p = pod("p", "10.0.0.1");
	p.addrs[1] = addr("fd00::1");
	p.addrs[2] = p.addrs[1];
	p.n_addrs = 3;
	put(w, p);
	assert_string_equal(owner(w, "fd00::1"), "p");
	put(w, pod("p", "10.0.0.2"));
	assert_string_equal(owner(w, "10.0.0.1"), "nobody");
	assert_string_equal(owner(w, "fd00::1"), "nobody");
	assert_string_equal(owner(w, "10.0.0.2"), "p");
	policy_world_free(w);
}

TEST(what_was_so_before_is_no_change)
{
	struct policy_world *w = policy_world_new();
	const struct policy_change *c;
	bool everything;
	for (int i = 0; i < 2; i++) {
		struct policy_pod p = pod("p", "10.0.0.1");
		p.labels = labels("{\"k\": \"v\", \"l\": \"w\"}");
		p.ports = mem_new(1, sizeof(*p.ports));
		p.ports[0] = (struct policy_port){.proto = 6, .first = 80, .name = "web"};
		p.n_ports = 1;
		assert_int_equal(put(w, p), i == 0);
		struct policy_namespace n = {.name = "a", .labels = labels("{\"k\": \"v\"}")};
		assert_int_equal(policy_world_put_namespace(w, &n), i == 0);
		assert_null(n.labels.v);
		struct policy_account a = {.namespace = "a", .name = "default"};
		assert_int_equal(policy_world_put_account(w, &a), i == 0);
		struct policy_netset s = {.name = "s", .nets = mem_new(1, sizeof(*s.nets))};
		s.nets[0] = cidr("192.0.2.0/24");
		s.n_nets = 1;
		assert_int_equal(policy_world_put_netset(w, &s), i == 0);
		struct policy_tier t = {.name = "t", .order = 3, .end = POLICY_PASS};
		assert_int_equal(policy_world_put_tier(w, &t), i == 0);
		assert_int_equal(
			policy_world_put_policy(w, POLICY_FROM_STORE, policy("t", 1, "x")), i == 0);
		assert_int_equal(policy_world_changes(w, &c, &everything), i == 0 ? 6 : 0);
		assert_false(everything);
	}
	struct policy_namespace n = {.name = "a", .labels = labels("{\"k\": \"w\"}")};
	assert_true(policy_world_put_namespace(w, &n));
	assert_int_equal(policy_world_changes(w, &c, &everything), 1);
	assert_int_equal(c[0].what, POLICY_NAMESPACE_OBJECT);
	assert_string_equal(c[0].name, "a");
	assert_int_equal(policy_world_changes(w, &c, &everything), 0);
	policy_world_free(w);
}

TEST(who_loses_or_gains_an_address_by_another_pod_is_told_as_changed)
{
	struct policy_world *w = policy_world_new();
	const struct policy_change *c;
	bool everything;
	put(w, pod("first", "10.0.0.1"));
	(void)policy_world_changes(w, &c, &everything);
	put(w, pod("second", "10.0.0.1"));
	assert_int_equal(policy_world_changes(w, &c, &everything), 2);
	assert_string_equal(c[0].name, "first");
	assert_string_equal(c[1].name, "second");
	policy_world_drop(w, POLICY_FROM_PODS, POLICY_POD, "a", "second");
	assert_int_equal(policy_world_changes(w, &c, &everything), 2);
	assert_string_equal(c[0].name, "first");
	assert_string_equal(c[1].name, "second");
	policy_world_free(w);
}

TEST(too_many_changes_are_told_as_everything)
{
	struct policy_world *w = policy_world_new();
	const struct policy_change *c;
	bool everything;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i <= POLICY_CHANGES; i++) {
			char name[16];
			snprintf(name, sizeof(name), "p%d-%d", round, i);
			put(w, pod(name, "10.0.0.1"));
			policy_world_drop(w, POLICY_FROM_PODS, POLICY_POD, "a", name);
		}
		assert_int_equal(policy_world_changes(w, &c, &everything), 0);
		assert_true(everything);
		assert_int_equal(policy_world_changes(w, &c, &everything), 0);
		assert_false(everything);
	}
	put(w, pod("p", "10.0.0.1"));
	assert_int_equal(policy_world_changes(w, &c, &everything), 1);
	policy_world_free(w);
}

static void assert_order(const struct policy_world *w, const char *expected)
{
	struct text CLEANUP_TEXT t = {0};
	size_t n;
	const struct policy *const *all = policy_world_policies(w, &n);
	for (size_t i = 0; i < n; i++)
		text_add(&t, "%s%s", i ? " " : "", all[i]->name);
	assert_string_equal(t.buf, expected);
}

static void assert_tiers(const struct policy_world *w, const char *expected)
{
	struct text CLEANUP_TEXT t = {0};
	size_t n;
	const struct policy_tier *all = policy_world_tiers(w, &n);
	for (size_t i = 0; i < n; i++)
		text_add(&t, "%s%s:%s", i ? " " : "", all[i].name,
			all[i].end == POLICY_DENY ? "deny" : "pass");
	assert_string_equal(t.buf, expected);
}

TEST(policies_stand_in_the_order_of_judgement)
{
	struct policy_world *w = policy_world_new();
	assert_tiers(w, "kube-admin:pass default:deny kube-baseline:pass");
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("kube-baseline", 1, "f"));
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", POLICY_ORDER_LAST, "e"));
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", 5, "d"));
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", 5, "c"));
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", -1, "b"));
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("kube-admin", 7, "a"));
	assert_order(w, "a b c d e f");
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", 9, "b"));
	assert_order(w, "a c d b e f");
	assert_true(policy_world_drop_policy(w, POLICY_CALICO_GLOBAL, false, "", "d"));
	assert_false(policy_world_drop_policy(w, POLICY_CALICO_GLOBAL, true, "", "c"));
	assert_order(w, "a c b e f");
	policy_world_free(w);
}

TEST(a_namespace_has_its_own_policies_and_those_of_all)
{
	struct policy_world *w = policy_world_new();
	static const char *const namespaces[] = {"a", "", "b", "a"};
	for (int i = 0; i < 4; i++) {
		char name[8];
		snprintf(name, sizeof(name), "p%d", i);
		struct policy *p = policy("default", i, name);
		text_copy(p->namespace, sizeof(p->namespace), namespaces[i]);
		policy_world_put_policy(w, POLICY_FROM_STORE, p);
	}
	for (int round = 0; round < 2; round++) {
		size_t n;
		const struct policy *const *all = policy_world_policies_of(w, "a", &n);
		assert_int_equal(n, 3 - round);
		assert_string_equal(all[0]->name, "p0");
		assert_string_equal(all[1]->name, round ? "p3" : "p1");
		assert_string_equal(all[n - 1]->name, "p3");
		all = policy_world_policies_of(w, "c", &n);
		assert_int_equal(n, 1 - round);
		assert_true(n == 0 || strcmp(all[0]->name, "p1") == 0);
		assert_int_equal(policy_world_drop_policy(w, POLICY_CALICO_GLOBAL, false, "", "p1"),
			round == 0);
	}
	policy_world_free(w);
}

TEST(a_tier_that_nobody_described_is_the_last_and_denies)
{
	struct policy_world *w = policy_world_new();
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("mine", 0, "x"));
	policy_world_put_policy(w, POLICY_FROM_STORE, policy("default", 0, "y"));
	assert_tiers(w, "kube-admin:pass default:deny kube-baseline:pass mine:deny");
	assert_order(w, "y x");
	policy_world_put_tier(
		w, &(struct policy_tier){.name = "mine", .order = 10, .end = POLICY_PASS});
	assert_tiers(w, "mine:pass kube-admin:pass default:deny kube-baseline:pass");
	assert_order(w, "x y");
	policy_world_put_tier(
		w, &(struct policy_tier){.name = "default", .order = 5, .end = POLICY_PASS});
	assert_tiers(w, "default:pass mine:pass kube-admin:pass kube-baseline:pass");
	assert_order(w, "y x");
	assert_true(policy_world_drop(w, POLICY_FROM_STORE, POLICY_TIER, "", "default"));
	assert_true(policy_world_drop(w, POLICY_FROM_STORE, POLICY_TIER, "", "mine"));
	assert_tiers(w, "kube-admin:pass default:deny kube-baseline:pass mine:deny");
	policy_world_free(w);
}

/* A policy in which everything is said; part: which part of it is another one than usual. */
static struct policy *full_policy(int part)
{
	struct policy *p = policy("default", part == 0 ? 2 : 1, "full");
	struct err e;
	ok(policy_selector_of_text(part == 1 ? "a == 'b'" : "a == 'c'", &p->pods, &e));
	p->applies[POLICY_INGRESS] = part != 2;
	size_t n = part == 3 ? 2 : 1;
	p->rules[POLICY_INGRESS] = mem_new(n, sizeof(struct policy_rule));
	p->n_rules[POLICY_INGRESS] = n;
	struct policy_rule *r = p->rules[POLICY_INGRESS];
	r->action = part == 4 ? POLICY_DENY : POLICY_ALLOW;
	r->proto = part == 5 ? 17 : 6;
	r->icmp.code = part == 6;
	r->ports = mem_new(1, sizeof(*r->ports));
	r->n_ports = 1;
	r->ports[0] = (struct policy_port){.proto = 6, .first = 80, .last = part == 7 ? 81 : 80};
	r->peers = mem_new(1, sizeof(*r->peers));
	r->n_peers = 1;
	struct policy_end *end = r->peers;
	text_copy(end->own, sizeof(end->own), part == 8 ? "b" : "a");
	if (part != 9)
		ok(policy_selector_of_text("has(x)", &end->namespaces, &e));
	end->nets = mem_new(1, sizeof(*end->nets));
	end->n_nets = 1;
	end->nets[0].net = cidr(part == 10 ? "10.0.0.0/9" : "10.0.0.0/8");
	end->nets[0].excepts = mem_new(1, sizeof(struct cidr));
	end->nets[0].n_excepts = 1;
	end->nets[0].excepts[0] = cidr(part == 11 ? "10.1.0.0/16" : "10.2.0.0/16");
	end->account_names = mem_new(1, sizeof(char *));
	end->n_account_names = 1;
	end->account_names[0] = mem_strdup(part == 12 ? "other" : "default");
	r->self.nobody = part == 13;
	if (part == 14)
		p->problems = mem_strdup("something");
	return p;
}

TEST(policies_are_equal_when_every_part_of_them_is)
{
	struct policy *usual = full_policy(-1);
	for (int part = -1; part < 15; part++) {
		struct policy *other = full_policy(part);
		if (policy_equal(usual, other) != (part == -1) ||
			policy_equal(other, usual) != (part == -1))
			fail_msg("part %d", part);
		policy_free(other);
	}
	policy_free(usual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_finds_what_was_added_and_nothing_that_was_removed),
		cmocka_unit_test(a_list_takes_nothing_away_before_its_end),
		cmocka_unit_test(the_end_of_a_list_leaves_what_other_sources_told),
		cmocka_unit_test(an_address_is_of_the_youngest_pod_that_is_not_over),
		cmocka_unit_test(a_pod_that_moves_to_another_address_leaves_its_old_one),
		cmocka_unit_test(what_was_so_before_is_no_change),
		cmocka_unit_test(who_loses_or_gains_an_address_by_another_pod_is_told_as_changed),
		cmocka_unit_test(too_many_changes_are_told_as_everything),
		cmocka_unit_test(policies_stand_in_the_order_of_judgement),
		cmocka_unit_test(a_namespace_has_its_own_policies_and_those_of_all),
		cmocka_unit_test(a_tier_that_nobody_described_is_the_last_and_denies),
		cmocka_unit_test(policies_are_equal_when_every_part_of_them_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
