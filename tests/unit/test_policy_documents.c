/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cluster store says of policies, and the pods that agents tell each other of through it.
 */
#include "tests/unit/values.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/policy/documents.h"
#include "agent/policy/endpoints.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "tests/unit/folder.h"

#define KEY "resources/networkpolicies/shop.web"
#define WEB                                                                                        \
	"{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"NetworkPolicy\",\"metadata\":{"       \
	"\"name\":\"web\",\"namespace\":\"shop\"},\"spec\":{\"selector\":\"app == 'web'\"}}"
#define PATIENCE_MS 20000

static size_t count_policies(const struct policy_world *w)
{
	size_t n;
	(void)policy_world_policies(w, &n);
	return n;
}

static bool tell(
	struct documents *d, enum store_event_kind kind, const char *key, const char *value)
{
	bool changed;
	bool ours = documents_take(
		d, &(struct store_event){.kind = kind, .key = key, .value = value}, &changed);
	assert_true(ours || !changed);
	return changed;
}

struct scene {
	struct policy_world *world;
	struct documents *documents;
};

static struct scene scene_new(void)
{
	struct scene s = {.world = policy_world_new()};
	s.documents = documents_new(s.world);
	return s;
}

static void scene_done(struct scene *s)
{
	documents_free(s->documents);
	policy_world_free(s->world);
}

static size_t count_problems(const struct documents *d)
{
	struct problems p = {0};
	documents_list_problems(d, &p);
	return p.total;
}

TEST(a_list_counts_when_the_store_is_trusted)
{
	struct scene s = scene_new();
	(void)tell(s.documents, STORE_RESTART, NULL, NULL);
	assert_true(tell(s.documents, STORE_PUT, KEY, WEB));
	assert_false(tell(s.documents, STORE_CURRENT, NULL, NULL));
	assert_false(documents_are_told(s.documents));
	assert_true(documents_trust(s.documents));
	assert_true(documents_are_told(s.documents));
	assert_int_equal(count_policies(s.world), 1);

	(void)tell(s.documents, STORE_RESTART, NULL, NULL);
	(void)tell(s.documents, STORE_CURRENT, NULL, NULL);
	assert_int_equal(count_policies(s.world), 1); /* a store that lost what it had */
	assert_true(documents_trust(s.documents));
	assert_int_equal(count_policies(s.world), 0);
	assert_false(documents_trust(s.documents));
	scene_done(&s);
}

TEST(a_list_that_begins_anew_is_not_trusted_by_its_predecessor)
{
	struct scene s = scene_new();
	(void)tell(s.documents, STORE_RESTART, NULL, NULL);
	(void)tell(s.documents, STORE_PUT, KEY, WEB);
	(void)tell(s.documents, STORE_CURRENT, NULL, NULL);
	(void)tell(s.documents, STORE_RESTART, NULL, NULL);
	assert_false(documents_trust(s.documents));
	assert_int_equal(count_policies(s.world), 1);
	scene_done(&s);
}

TEST(a_deletion_takes_the_policy_of_its_key)
{
	struct scene s = scene_new();
	assert_true(tell(s.documents, STORE_PUT, KEY, WEB));
	assert_false(tell(s.documents, STORE_DELETE, "resources/networkpolicies/other.web", NULL));
	assert_false(tell(s.documents, STORE_DELETE, "resources/globalnetworkpolicies/web", NULL));
	assert_false(tell(s.documents, STORE_DELETE, "resources/ippools/web", NULL));
	assert_int_equal(count_policies(s.world), 1);
	assert_true(tell(s.documents, STORE_DELETE, KEY, NULL));
	assert_int_equal(count_policies(s.world), 0);
	scene_done(&s);
}

TEST(what_cannot_be_read_leaves_what_was_and_is_a_problem)
{
	struct scene s = scene_new();
	assert_true(tell(s.documents, STORE_PUT, KEY, WEB));
	assert_false(tell(s.documents, STORE_PUT, KEY, "{"));
	assert_false(tell(s.documents, STORE_PUT, "resources/networkpolicies/shop.b", NULL));
	assert_int_equal(count_policies(s.world), 1);
	assert_int_equal(count_problems(s.documents), 2);
	assert_false(tell(s.documents, STORE_PUT, KEY, WEB));
	assert_false(tell(s.documents, STORE_DELETE, "resources/networkpolicies/shop.b", NULL));
	assert_int_equal(count_problems(s.documents), 0);
	scene_done(&s);
}

/* ---- Pods ---- */

static char folder[64];

FIXTURE(make_folder)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/roost-endpoints-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

FIXTURE(remove_folder)
{
	return folder_remove(folder);
}

struct side { /* an agent */
	struct policy_world *world;
	struct endpoints *endpoints;
	struct store *store;
};

static struct side side_new(const char *node)
{
	char url[64];
	struct err e;
	struct side s = {.world = policy_world_new()};
	(void)snprintf(url, sizeof(url), "file:%s", folder);
	ok(store_open(&s.store, &(struct store_options){.url = url}, &e));
	s.endpoints = endpoints_new(s.world, node);
	struct policy *p = mem_new(1, sizeof(*p));
	(void)snprintf(p->name, sizeof(p->name), "any");
	(void)snprintf(p->tier, sizeof(p->tier), POLICY_TIER_DEFAULT);
	(void)policy_world_put_policy(s.world, POLICY_FROM_STORE, p);
	return s;
}

static void side_done(struct side *s)
{
	endpoints_free(s->endpoints);
	store_close(s->store);
	policy_world_free(s->world);
}

static void give(struct side *s, const char *name, const char *labels, const char *address)
{
	struct policy_local local = {.link = 7, .namespace = "lab", .n_addrs = 1};
	struct enforce_owner owner = {.labels = (char *)labels};
	struct enforce_node node = {.locals = &local, .owners = &owner, .n_locals = *name != '\0'};
	(void)snprintf(local.name, sizeof(local.name), "%s", name);
	if (*name)
		local.addrs[0] = addr(address);
	(void)endpoints_set_node(s->endpoints, &node);
}

static void turn(struct side *s)
{
	struct store_event ev;
	bool changed;
	endpoints_step(s->endpoints, s->store, boot_now_ms());
	struct pollfd p = {.fd = store_fd(s->store), .events = POLLIN};
	(void)poll(&p, 1, 10);
	while (store_next(s->store, &ev))
		assert_true(endpoints_take(s->endpoints, &ev, &changed));
}

/* The pod as one agent knows it, when it is as wanted: label app ("": there is no pod). */
static bool knows(const struct side *s, const char *name, const char *app)
{
	const struct policy_pod *p = policy_world_pod(s->world, "lab", name);
	const char *is = p ? policy_labels_get(&p->labels, "app") : "";
	return strcmp(is ? is : "none", app) == 0;
}

static void until_known(struct side *a, struct side *b, const char *name, const char *app)
{
	int64_t until = boot_now_ms() + PATIENCE_MS;
	while (!knows(b, name, app) || !knows(a, name, app)) {
		if (boot_now_ms() > until)
			fail_msg("pod %s did not become %s", name, app);
		turn(a);
		turn(b);
	}
}

TEST(agents_tell_each_other_of_their_pods)
{
	struct side a = side_new("n1"), b = side_new("n1.2");
	give(&a, "web", "{\"app\":\"web\"}", "10.0.0.1");
	assert_true(knows(&a, "web", "web")); /* before any store has it */
	until_known(&a, &b, "web", "web");
	const struct policy_pod *p = policy_world_pod(b.world, "lab", "web");
	assert_string_equal(p->node, "n1");
	assert_int_equal(p->n_addrs, 1);
	assert_true(addr_equal(&p->addrs[0], &(struct addr){AF_INET, {10, 0, 0, 1}}));
	assert_non_null(policy_world_namespace(b.world, "lab"));

	give(&a, "web", "{\"app\":\"db\"}", "10.0.0.1");
	until_known(&a, &b, "web", "db");
	give(&b, "other", NULL, "10.0.1.1");
	until_known(&a, &b, "other", "none");
	give(&a, "", NULL, "");
	until_known(&a, &b, "web", "");
	assert_true(knows(&a, "other", "none"));
	side_done(&a);
	side_done(&b);
}

TEST(what_an_earlier_agent_of_the_node_said_and_is_no_more_goes)
{
	struct side a = side_new("n1"), b = side_new("n2");
	give(&a, "old", "{\"app\":\"web\"}", "10.0.0.1");
	until_known(&a, &b, "old", "web");
	side_done(&a);
	a = side_new("n1");
	give(&a, "new", "{\"app\":\"web\"}", "10.0.0.1");
	until_known(&a, &b, "new", "web");
	until_known(&a, &b, "old", "");
	side_done(&a);
	side_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_counts_when_the_store_is_trusted),
		cmocka_unit_test(a_list_that_begins_anew_is_not_trusted_by_its_predecessor),
		cmocka_unit_test(a_deletion_takes_the_policy_of_its_key),
		cmocka_unit_test(what_cannot_be_read_leaves_what_was_and_is_a_problem),
		cmocka_unit_test_setup_teardown(
			agents_tell_each_other_of_their_pods, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			what_an_earlier_agent_of_the_node_said_and_is_no_more_goes, make_folder,
			remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
