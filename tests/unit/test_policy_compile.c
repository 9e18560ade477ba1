/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of this node's pods in rule sets: known, unknown, gone, replaced, staged; which addresses count;
 * what ADD is told; when connections want a look. What rules mean is the differential test's matter.
 */
#include "tests/unit/check.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "lib/mem.h"
#include "policy/compile.h"
#include "tests/policy/walk.h"

struct lab {
	struct policy_world *w;
	struct policy_compiler *c;
	struct policy_ruleset r;
};

static int set_up(void **state)
{
	struct lab *lab = mem_new(1, sizeof(*lab));
	lab->w = policy_world_new();
	lab->c = policy_compiler_new(lab->w);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	policy_ruleset_done(&lab->r);
	policy_compiler_free(lab->c);
	policy_world_free(lab->w);
	free(lab);
	return 0;
}

static void compile(struct lab *lab, const struct policy_local *locals, size_t n)
{
	policy_ruleset_done(&lab->r);
	policy_compile(lab->c, locals, n, &lab->r);
	walk_check(&lab->r);
}

static struct addr addr_of(const char *text)
{
	struct addr a;
	struct err e;
	ok(addr_parse(text, &a, &e));
	return a;
}

static struct policy_selector *selector_of(const char *text)
{
	struct policy_selector *s = NULL;
	struct err e;
	if (text)
		ok(policy_selector_of_text(text, &s, &e));
	return s;
}

static struct policy_labels app(const char *value)
{
	json_t *o = json_pack("{s:s}", "app", value);
	struct policy_labels l;
	struct err e;
	ok(policy_labels_read(o, &l, &e));
	json_decref(o);
	return l;
}

/* A pod of namespace "n" with one address (NULL: none yet). */
static void put_pod(
	struct lab *lab, const char *name, const char *uid, const char *label, const char *addr)
{
	struct policy_pod p = {.namespace = "n", .labels = app(label)};
	(void)text_copy(p.name, sizeof(p.name), name);
	(void)text_copy(p.uid, sizeof(p.uid), uid);
	if (addr)
		p.addrs[p.n_addrs++] = addr_of(addr);
	p.ports = mem_new(1, sizeof(*p.ports));
	p.n_ports = 1;
	*p.ports = (struct policy_port){IPPROTO_TCP, 80, 80, "http"};
	(void)policy_world_put_pod(lab->w, POLICY_FROM_PODS, &p);
}

static void drop_pod(struct lab *lab, const char *name)
{
	assert_true(policy_world_drop(lab->w, POLICY_FROM_PODS, POLICY_POD, "n", name));
}

static struct policy_local local_of(int link, const char *name, const char *uid, const char *addr)
{
	struct policy_local l = {.link = link, .namespace = "n"};
	(void)text_copy(l.name, sizeof(l.name), name);
	(void)text_copy(l.uid, sizeof(l.uid), uid);
	if (addr)
		l.addrs[l.n_addrs++] = addr_of(addr);
	return l;
}

/* Ingress into pods of the namespace with that label, allowed from those of a selector (NULL: from nobody). */
static void put_policy(struct lab *lab, const char *name, const char *pods, const char *from)
{
	struct policy *p = mem_new(1, sizeof(*p));
	*p = (struct policy){
		.namespace = "n", .tier = POLICY_TIER_DEFAULT, .order = POLICY_ORDER_LAST};
	(void)text_copy(p->name, sizeof(p->name), name);
	p->pods = selector_of(pods);
	p->applies[POLICY_INGRESS] = true;
	if (from) {
		struct policy_rule *r = p->rules[POLICY_INGRESS] = mem_new(1, sizeof(*r));
		p->n_rules[POLICY_INGRESS] = 1;
		r->icmp = r->not_icmp = (struct policy_icmp){-1, -1};
		r->peers = mem_new(1, sizeof(*r->peers));
		r->n_peers = 1;
		(void)text_copy(r->peers->own, sizeof(r->peers->own), "n");
		r->peers->pods = selector_of(from);
	}
	(void)policy_world_put_policy(lab->w, POLICY_FROM_NETWORK_POLICIES, p);
}

static enum policy_action tcp_in(const struct lab *lab, int link, const char *from)
{
	const struct walk_packet p = {.oif = link,
		.flow = {.source = addr_of(from),
			.destination = addr_of("10.0.0.1"),
			.proto = IPPROTO_TCP,
			.sport = 40000,
			.dport = 80}};
	const struct policy_dispatch *d = walk_dispatch(&lab->r, link);
	assert_non_null(d);
	return walk_chain(&lab->r, d->ingress, &p, NULL);
}

static void test_without_policies_nothing_is_used(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(7, "a", "u", "10.0.0.1");
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	compile(lab, &l, 1);
	assert_false(lab->r.is_used);
	assert_int_equal(lab->r.n_sets + lab->r.n_chains + lab->r.n_counters, 0);
	put_policy(lab, "y", "app == \"none\"", NULL);
	compile(lab, &l, 1);
	assert_true(lab->r.is_used);
	assert_int_equal(lab->r.n_chains, 0);
	assert_int_equal(lab->r.n_dispatch, 1);
	assert_string_equal(lab->r.dispatch->ingress, "");
}

static void test_a_pod_that_the_world_lacks_waits(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(7, "a", "u", "10.0.0.1");
	put_policy(lab, "y", NULL, NULL);
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_dispatch, 0);
	put_pod(lab, "a", "other", "web", "10.0.0.1");
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_dispatch, 0); /* a pod of the same name, another one */
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	compile(lab, &l, 1);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
}

static void test_a_pod_whose_object_is_gone_keeps_its_classes_until_its_link_goes(void **state)
{
	struct lab *lab = *state;
	struct policy_local l[] = {
		local_of(7, "a", "u", "10.0.0.1"), local_of(8, "b", "v", "10.0.0.2")};
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_pod(lab, "b", "v", "client", "10.0.0.2");
	put_policy(lab, "y", "app == \"web\"", "app == \"client\"");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_ALLOW);
	drop_pod(lab, "a");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_ALLOW);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.3"), POLICY_DENY);
	put_policy(lab, "y", "app == \"web\"", "app == \"nobody\""); /* and follows what changes */
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
	put_pod(lab, "a", "new", "open", "10.0.0.9");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
	compile(lab, l + 1, 1);
	assert_null(walk_dispatch(&lab->r, 7));
	compile(lab, l, 2);
	assert_null(walk_dispatch(&lab->r, 7)); /* nothing is remembered of it */
}

static void test_an_object_that_is_gone_is_nobodys_peer(void **state)
{
	struct lab *lab = *state;
	struct policy_local l[] = {
		local_of(7, "a", "u", "10.0.0.1"), local_of(8, "b", "v", "10.0.0.2")};
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_pod(lab, "b", "v", "client", "10.0.0.2");
	put_policy(lab, "y", "app == \"web\"", "app == \"client\"");
	compile(lab, l, 2);
	drop_pod(lab, "b");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
	assert_true(policy_compiler_forbids(lab->c));
	put_pod(lab, "b", "another", "client", "10.0.0.2"); /* of the same name, not on this link */
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
}

static void test_an_address_of_this_node_is_of_the_pod_that_has_it(void **state)
{
	struct lab *lab = *state;
	struct policy_local l[] = {
		local_of(7, "a", "u", "10.0.0.1"), local_of(8, "b", "v", "10.0.0.2")};
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_policy(lab, "y", "app == \"web\"", "app == \"client\"");
	put_pod(lab, "old", "w", "client", "10.0.0.2"); /* its object is late in going */
	put_pod(lab, "b", "v", "stranger", NULL);	/* whose object has no address yet */
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
	put_pod(lab, "b", "v", "client", NULL);
	drop_pod(lab, "old");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_ALLOW);
	compile(lab, l, 1); /* its link goes, and its object has no address */
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_DENY);
}

static void test_a_pod_without_a_link_is_staged_by_its_uid(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(0, "a", "u", NULL);
	put_pod(lab, "a", "u", "web", NULL);
	put_policy(lab, "y", NULL, NULL);
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_dispatch, 0);
	assert_int_equal(lab->r.n_staged, 1);
	assert_string_equal(lab->r.staged->uid, "u");
	assert_string_equal(lab->r.staged->egress, "");
	assert_int_equal(lab->r.n_chains, 1);
	assert_string_equal(lab->r.staged->ingress, lab->r.chains->name);
}

static void test_replicas_share_a_class(void **state)
{
	struct lab *lab = *state;
	struct policy_local l[] = {
		local_of(7, "a", "u", "10.0.0.1"), local_of(8, "b", "v", "10.0.0.2")};
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_pod(lab, "b", "v", "web", "10.0.0.2");
	put_policy(lab, "y", "app == \"web\"", "app == \"client\"");
	compile(lab, l, 2);
	assert_string_equal(lab->r.dispatch[0].ingress, lab->r.dispatch[1].ingress);
	assert_int_equal(lab->r.n_chains, 1);
}

/* A jump costs a packet more than a few lines do; many stand once, for all classes. */
static void test_few_lines_of_a_policy_are_copied_into_its_class(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(7, "a", "u", "10.0.0.1");
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_pod(lab, "b", "v", "client", "10.0.0.2");
	put_policy(lab, "y", "app == \"web\"", "app == \"client\"");
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_chains, 1);
	struct policy_elements *v4 = policy_elements_ref(lab->r.sets[1].elements);
	put_policy(
		lab, "z", "app == \"web\"", "app == \"client\""); /* lines of y are made no more */
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_chains, 1);
	assert_int_equal(lab->r.n_sets, 3);
	assert_ptr_equal(lab->r.sets[1].elements, v4);
	policy_elements_unref(v4);
	put_pod(lab, "a", "u", "none", "10.0.0.1"); /* and what they name goes with the class */
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_sets, 0);
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	compile(lab, &l, 1);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.2"), POLICY_ALLOW);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.3"), POLICY_DENY);
}

static void test_a_relabelled_peer_changes_elements_alone(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(7, "a", "u", "10.0.0.1");
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_pod(lab, "b", "v", "client", "10.0.0.2");
	put_policy(lab, "y", "app == \"web\"", "app == \"client\"");
	compile(lab, &l, 1);
	struct policy_body *body = policy_body_ref(lab->r.chains[0].body);
	struct policy_elements *v4 = policy_elements_ref(lab->r.sets[1].elements);
	struct policy_elements *v6 = policy_elements_ref(lab->r.sets[2].elements);
	assert_int_equal(v4->n, 1);
	compile(lab, &l, 1);
	assert_ptr_equal(lab->r.sets[1].elements, v4);
	assert_false(policy_compiler_forbids(lab->c));
	put_pod(lab, "c", "x", "client", "10.0.0.3");
	compile(lab, &l, 1);
	assert_ptr_equal(lab->r.chains[0].body, body);
	assert_ptr_not_equal(lab->r.sets[1].elements, v4);
	assert_ptr_equal(lab->r.sets[2].elements, v6);
	assert_int_equal(lab->r.sets[1].elements->n, 2);
	assert_false(policy_compiler_forbids(lab->c)); /* more is allowed */
	put_pod(lab, "c", "x", "other", "10.0.0.3");
	compile(lab, &l, 1);
	assert_true(policy_compiler_forbids(lab->c));
	policy_body_unref(body);
	policy_elements_unref(v4);
	policy_elements_unref(v6);
}

static void test_a_new_policy_wants_a_look_at_connections(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(7, "a", "u", "10.0.0.1");
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	compile(lab, &l, 1);
	assert_false(policy_compiler_forbids(lab->c));
	put_policy(lab, "y", "app == \"web\"", NULL);
	compile(lab, &l, 1);
	assert_true(policy_compiler_forbids(lab->c));
	compile(lab, &l, 1);
	assert_false(policy_compiler_forbids(lab->c));
	assert_true(policy_world_drop_policy(lab->w, POLICY_NETWORK, false, "n", "y"));
	compile(lab, &l, 1);
	assert_false(policy_compiler_forbids(lab->c));
}

static void put_wide(struct lab *lab, const char *pods)
{
	struct policy *p = mem_new(1, sizeof(*p));
	*p = (struct policy){.kind = POLICY_CALICO_GLOBAL,
		.name = "w",
		.tier = POLICY_TIER_DEFAULT,
		.order = POLICY_ORDER_LAST};
	p->pods = selector_of(pods);
	p->applies[POLICY_INGRESS] = true;
	(void)policy_world_put_policy(lab->w, POLICY_FROM_STORE, p);
}

static void test_an_edit_of_a_wide_policy_reaches_whom_it_selects_and_selected(void **state)
{
	struct lab *lab = *state;
	const struct policy_local l[] = {
		local_of(7, "a", "u", "10.0.0.1"), local_of(8, "b", "v", "10.0.0.2")};
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_pod(lab, "b", "v", "db", "10.0.0.2");
	put_wide(lab, "app == \"web\"");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.3"), POLICY_DENY);
	assert_int_equal(tcp_in(lab, 8, "10.0.0.3"), POLICY_ALLOW);
	put_wide(lab, "app == \"db\"");
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.3"), POLICY_ALLOW);
	assert_int_equal(tcp_in(lab, 8, "10.0.0.3"), POLICY_DENY);
	assert_true(policy_world_drop_policy(lab->w, POLICY_CALICO_GLOBAL, false, "", "w"));
	compile(lab, l, 2);
	assert_int_equal(tcp_in(lab, 7, "10.0.0.3"), POLICY_ALLOW);
	assert_int_equal(tcp_in(lab, 8, "10.0.0.3"), POLICY_ALLOW);
}

static void test_counters_and_prefixes_of_logs_are_explained(void **state)
{
	struct lab *lab = *state;
	struct policy_local l = local_of(7, "a", "u", "10.0.0.1");
	CLEANUP_TEXT struct text allowed = {0}, denied = {0}, logged = {0};
	put_pod(lab, "a", "u", "web", "10.0.0.1");
	put_policy(lab, "x", NULL, NULL);
	put_policy(lab, "y", NULL, "app == \"client\"");
	compile(lab, &l, 1);
	assert_int_equal(lab->r.n_counters, 2);
	assert_true(policy_compiler_explain_counter(lab->c, lab->r.counters[0], &allowed));
	assert_string_equal(allowed.buf, "NetworkPolicy n/y");
	assert_true(policy_compiler_explain_counter(lab->c, lab->r.counters[1], &denied));
	assert_string_equal(denied.buf, "NetworkPolicy n/x, NetworkPolicy n/y");
	for (size_t i = 0; i < lab->r.n_chains; i++) {
		const struct policy_chain *c = &lab->r.chains[i];
		for (size_t k = 0; k < c->n; k++) {
			if (c->rules[k].log[0])
				assert_true(policy_compiler_explain_counter(
					lab->c, c->rules[k].log, &logged));
		}
	}
	assert_string_equal(logged.buf, denied.buf);
	struct policy_counted about;
	assert_true(policy_compiler_counted(lab->c, lab->r.counters[0], &about));
	assert_int_equal(about.kind, POLICY_COUNTS_ALLOWED);
	assert_string_equal(about.way, "");
	assert_string_equal(about.titles, "NetworkPolicy n/y");
	assert_true(policy_compiler_counted(lab->c, lab->r.counters[1], &about));
	assert_int_equal(about.kind, POLICY_COUNTS_ISOLATED);
	assert_string_equal(about.way, "in");
	assert_string_equal(about.titles, "NetworkPolicy n/x\nNetworkPolicy n/y");
	assert_false(policy_compiler_counted(lab->c, "pending", &about));
	assert_false(policy_compiler_explain_counter(lab->c, "pending", &logged));
}

/* "NAMESPACE:ioh " of each entry. */
static void closed_are(struct lab *lab, const char *expected)
{
	CLEANUP_FREE struct policy_closed *v = NULL;
	char buf[200] = "";
	struct text t = TEXT_ON(buf);
	compile(lab, NULL, 0);
	size_t n = policy_compiler_closed(lab->c, &v);
	for (size_t i = 0; i < n; i++)
		text_add(&t, "%s:%s%s%s ", v[i].namespace, v[i].ways[POLICY_WAY_IN] ? "i" : "",
			v[i].ways[POLICY_WAY_OUT] ? "o" : "",
			v[i].ways[POLICY_WAY_TO_HOST] ? "h" : "");
	assert_string_equal(buf, expected);
}

static void put_namespace(struct lab *lab, const char *name, const char *label)
{
	struct policy_namespace n = {.labels = app(label)};
	(void)text_copy(n.name, sizeof(n.name), name);
	(void)policy_world_put_namespace(lab->w, &n);
}

static void put_cluster_policy(struct lab *lab, const char *namespaces)
{
	struct policy *p = mem_new(1, sizeof(*p));
	*p = (struct policy){.kind = POLICY_CLUSTER, .name = "admin", .tier = POLICY_TIER_ADMIN};
	p->namespaces = selector_of(namespaces);
	p->applies[POLICY_EGRESS] = true;
	(void)policy_world_put_policy(lab->w, POLICY_FROM_CLUSTER_POLICIES, p);
}

static void put_egress_policy(struct lab *lab, const char *name)
{
	struct policy *p = mem_new(1, sizeof(*p));
	*p = (struct policy){
		.namespace = "n", .tier = POLICY_TIER_DEFAULT, .order = POLICY_ORDER_LAST};
	(void)text_copy(p->name, sizeof(p->name), name);
	p->applies[POLICY_EGRESS] = true;
	(void)policy_world_put_policy(lab->w, POLICY_FROM_NETWORK_POLICIES, p);
}

static void test_add_is_told_where_policies_may_select_pods(void **state)
{
	struct lab *lab = *state;
	put_namespace(lab, "m", "x");
	put_namespace(lab, "n", "y");
	closed_are(lab, "");
	put_policy(lab, "y", NULL, NULL);
	closed_are(lab, "n:i ");
	put_egress_policy(lab, "z"); /* of what pods send to their own node it says nothing */
	closed_are(lab, "n:io ");
	put_cluster_policy(lab, "app == \"x\"");
	closed_are(lab, ":oh m:oh n:io ");
	put_cluster_policy(lab, NULL);
	closed_are(lab, ":oh m:oh n:ioh ");
}

#define LAB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(test_without_policies_nothing_is_used),
		LAB_TEST(test_a_pod_that_the_world_lacks_waits),
		LAB_TEST(test_a_pod_whose_object_is_gone_keeps_its_classes_until_its_link_goes),
		LAB_TEST(test_an_object_that_is_gone_is_nobodys_peer),
		LAB_TEST(test_an_address_of_this_node_is_of_the_pod_that_has_it),
		LAB_TEST(test_a_pod_without_a_link_is_staged_by_its_uid),
		LAB_TEST(test_replicas_share_a_class),
		LAB_TEST(test_few_lines_of_a_policy_are_copied_into_its_class),
		LAB_TEST(test_a_relabelled_peer_changes_elements_alone),
		LAB_TEST(test_a_new_policy_wants_a_look_at_connections),
		LAB_TEST(test_an_edit_of_a_wide_policy_reaches_whom_it_selects_and_selected),
		LAB_TEST(test_counters_and_prefixes_of_logs_are_explained),
		LAB_TEST(test_add_is_told_where_policies_may_select_pods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
