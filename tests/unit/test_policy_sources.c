/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Kubernetes tells of policies, list by list: when it counts, what a list takes away, and what is followed. The
 * client of the API contacts nobody here; its events are written by hand.
 */
#include "tests/unit/values.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/policy/sources.h"
#include "lib/file.h"
#include "policy/read.h"
#include "tests/unit/folder.h"

#define HOUR_MS INT64_C(3600000)
#define CONFIG                                                                                     \
	"clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"                         \
	"users: [{name: u, user: {}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"    \
	"current-context: x\n"
#define POLICY "{\"spec\":{\"podSelector\":{}},\"metadata\":{\"namespace\":\"shop\",\"name\":\""
#define NAMESPACE "{\"metadata\":{\"name\":\"shop\",\"labels\":{\"team\":\"a\"}}}"
#define POD                                                                                        \
	"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web\",\"uid\":\"1\"},\"spec\":{},"       \
	"\"status\":{\"podIPs\":[{\"ip\":\"10.0.0.1\"}]}}"
#define SERVED(version)                                                                            \
	"{\"spec\":{\"versions\":[{\"name\":\"v1alpha1\",\"served\":true},{\"name\":\"" version    \
	"\",\"served\":true},{\"name\":\"v1\",\"served\":false}]}}"
#define CLUSTER                                                                                    \
	"{\"metadata\":{\"name\":\"admin\"},\"spec\":{\"tier\":\"Admin\",\"priority\":1,"          \
	"\"subject\":{\"namespaces\":{}},\"ingress\":[{\"action\":\"Deny\",\"from\":["             \
	"{\"namespaces\":{}}]}]}}"

/* Watches have the numbers in which they begin: these from the first time on. */
enum { NAMESPACES = 1, POLICIES, DEFINITION, NEXT };

struct lab {
	struct policy_world *world;
	struct sources *sources;
	struct kube *kube;
};

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	char folder[] = "/tmp/roost-sources-XXXXXX", path[64];
	struct err e;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/config", folder);
	ok(file_replace(path, 0600, CONFIG, sizeof(CONFIG) - 1, &e));
	ok(kube_open(&lab->kube, &(struct kube_options){.config = path}, &e));
	folder_remove(folder);
	lab->world = policy_world_new();
	lab->sources = sources_new(lab->world);
	sources_follow(lab->sources, lab->kube, HOUR_MS);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	sources_free(lab->sources);
	kube_close(lab->kube);
	policy_world_free(lab->world);
	free(lab);
	return 0;
}

/* The event is taken; whether something changed by it. */
static bool tell(struct lab *lab, uint64_t watch, enum kube_event_kind kind, const char *object)
{
	CLEANUP_JSON json_t *doc = object ? json_of(object) : NULL;
	const json_t *metadata = json_object_get(doc, "metadata");
	const struct kube_event ev = {.id = watch,
		.kind = kind,
		.object = doc,
		.name = json_text_at(metadata, "name"),
		.namespace_ = json_text_at(metadata, "namespace")};
	bool changed = true;
	if (!sources_take(lab->sources, &ev, &changed))
		fail_msg("nobody follows %u", (unsigned int)watch);
	return changed;
}

static bool is_followed(struct lab *lab, uint64_t watch)
{
	bool changed;
	return sources_take(lab->sources,
		&(struct kube_event){
			.id = watch, .kind = KUBE_ANSWER, .name = "", .namespace_ = ""},
		&changed);
}

static void tell_list(struct lab *lab, uint64_t watch, const char *object)
{
	(void)tell(lab, watch, KUBE_RESTART, NULL);
	if (object)
		(void)tell(lab, watch, KUBE_EXISTS, object);
	assert_true(tell(lab, watch, KUBE_CURRENT, NULL));
}

static void follow(struct lab *lab, int64_t now_ms)
{
	sources_follow(lab->sources, lab->kube, now_ms);
}

/* Everything is told, and there is nothing. */
static void tell_of_nothing(struct lab *lab)
{
	tell_list(lab, NAMESPACES, NULL);
	tell_list(lab, POLICIES, NULL);
	tell_list(lab, DEFINITION, NULL);
	follow(lab, HOUR_MS);
	assert_true(sources_are_told(lab->sources));
}

static size_t count_policies(const struct lab *lab)
{
	size_t n;
	(void)policy_world_policies(lab->world, &n);
	return n;
}

static struct problems problems_of(const struct lab *lab)
{
	struct problems p = {0};
	sources_list_problems(lab->sources, &p);
	return p;
}

static void test_nothing_counts_before_each_list_came_to_its_end(void **state)
{
	struct lab *lab = *state;
	assert_false(sources_are_told(lab->sources));
	tell_list(lab, NAMESPACES, NAMESPACE);
	(void)tell(lab, POLICIES, KUBE_RESTART, NULL);
	assert_true(tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}"));
	tell_list(lab, DEFINITION, NULL);
	follow(lab, HOUR_MS);
	assert_false(sources_are_told(lab->sources)); /* policies are half told */
	assert_true(tell(lab, POLICIES, KUBE_CURRENT, NULL));
	follow(lab, HOUR_MS);
	assert_false(sources_are_told(lab->sources)); /* and whom they select is not known */
	tell_list(lab, NEXT, POD);
	assert_true(sources_are_told(lab->sources));
}

static void test_a_list_takes_away_with_its_end_alone(void **state)
{
	struct lab *lab = *state;
	(void)tell(lab, POLICIES, KUBE_RESTART, NULL);
	(void)tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}");
	tell_list(lab, POLICIES, POLICY "b\"}}"); /* the first list broke off */
	assert_int_equal(count_policies(lab), 1);
	(void)tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}");
	assert_false(tell(lab, POLICIES, KUBE_RESTART, NULL)); /* "410 Gone": a list anew */
	assert_int_equal(count_policies(lab), 2);
	assert_false(tell(lab, POLICIES, KUBE_EXISTS, POLICY "b\"}}")); /* as it was */
	assert_false(tell(lab, POLICIES, KUBE_RESTART, NULL));		/* broken off */
	assert_false(tell(lab, POLICIES, KUBE_RESTART, NULL));
	assert_int_equal(count_policies(lab), 2);
	assert_true(sources_are_told(lab->sources) == false);
	(void)tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}");
	assert_true(tell(lab, POLICIES, KUBE_CURRENT, NULL));
	assert_int_equal(count_policies(lab), 1);
	assert_true(tell(lab, POLICIES, KUBE_GONE, POLICY "a\"}}"));
	assert_false(tell(lab, POLICIES, KUBE_GONE, POLICY "a\"}}"));
	assert_int_equal(count_policies(lab), 0);
}

static void test_what_was_told_once_counts_while_a_list_is_told_anew(void **state)
{
	struct lab *lab = *state;
	tell_of_nothing(lab);
	(void)tell(lab, POLICIES, KUBE_RESTART, NULL);
	(void)tell(lab, NAMESPACES, KUBE_RESTART, NULL);
	assert_true(sources_are_told(lab->sources));
}

static void test_a_deleted_namespace_takes_its_labels_along(void **state)
{
	struct lab *lab = *state;
	tell_of_nothing(lab);
	assert_true(tell(lab, NAMESPACES, KUBE_EXISTS, NAMESPACE));
	assert_true(tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}"));
	assert_non_null(policy_world_namespace(lab->world, "shop"));
	assert_true(tell(lab, NAMESPACES, KUBE_GONE, NAMESPACE));
	assert_null(policy_world_namespace(lab->world, "shop"));
	assert_int_equal(count_policies(lab), 1); /* until its own end is told */
}

static void test_pods_are_followed_while_a_policy_wants_to_know_of_them(void **state)
{
	struct lab *lab = *state;
	tell_of_nothing(lab);
	assert_false(is_followed(lab, NEXT));
	(void)tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}");
	assert_false(sources_are_told(lab->sources)); /* before anybody has asked for pods */
	follow(lab, HOUR_MS);
	assert_true(is_followed(lab, NEXT));
	assert_false(is_followed(lab, NEXT + 1)); /* no policy asks for accounts */
	tell_list(lab, NEXT, POD);
	assert_non_null(policy_world_pod(lab->world, "shop", "web"));
	(void)tell(lab, POLICIES, KUBE_GONE, POLICY "a\"}}");
	follow(lab, HOUR_MS + 60000);
	assert_true(is_followed(lab, NEXT));
	follow(lab, 2 * HOUR_MS);
	assert_false(is_followed(lab, NEXT));
	assert_null(policy_world_pod(lab->world, "shop", "web"));
	assert_true(sources_are_told(lab->sources));
}

static void test_service_accounts_are_followed_when_a_policy_names_them(void **state)
{
	struct lab *lab = *state;
	struct policy *p = NULL;
	struct err e;
	CLEANUP_JSON json_t *doc =
		json_of("{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"GlobalNetworkPolicy\","
			"\"metadata\":{\"name\":\"g\"},\"spec\":{\"serviceAccountSelector\":\"a == "
			"'b'\"}}");
	tell_of_nothing(lab);
	ok(policy_read_policy(doc, &p, &e));
	(void)policy_world_put_policy(lab->world, POLICY_FROM_STORE, p);
	follow(lab, HOUR_MS);
	tell_list(lab, NEXT, NULL);
	assert_false(sources_are_told(lab->sources));
	tell_list(lab, NEXT + 1,
		"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"db\",\"labels\":{\"a\":\"b\"}}}");
	assert_true(sources_are_told(lab->sources));
	assert_non_null(policy_world_account(lab->world, "shop", "db"));
}

static void test_cluster_network_policies_are_followed_when_they_are_served(void **state)
{
	struct lab *lab = *state;
	tell_of_nothing(lab);
	assert_true(tell(lab, DEFINITION, KUBE_EXISTS, SERVED("v1alpha2")));
	follow(lab, HOUR_MS);
	assert_true(sources_are_told(lab->sources)); /* what was in force stays so meanwhile */
	tell_list(lab, NEXT, CLUSTER);
	assert_int_equal(count_policies(lab), 1);

	(void)tell(lab, DEFINITION, KUBE_EXISTS, SERVED("v1beta1")); /* a newer version */
	follow(lab, HOUR_MS);
	assert_false(is_followed(lab, NEXT));
	assert_int_equal(count_policies(lab), 1); /* until the list of that version has ended */
	assert_true(is_followed(lab, NEXT + 1));  /* and NEXT + 2 is the watch of pods */
	tell_list(lab, NEXT + 1, NULL);
	assert_int_equal(count_policies(lab), 0);

	(void)tell(lab, NEXT + 1, KUBE_EXISTS, CLUSTER);
	(void)tell(lab, DEFINITION, KUBE_GONE, SERVED("v1beta1"));
	assert_int_equal(count_policies(lab), 1);
	follow(lab, HOUR_MS);
	assert_int_equal(count_policies(lab), 0); /* the API has no place for them any more */
	assert_false(is_followed(lab, NEXT + 1));
}

static void test_a_list_of_definitions_that_lacks_ours_says_that_it_is_gone(void **state)
{
	struct lab *lab = *state;
	tell_list(lab, NAMESPACES, NULL);
	tell_list(lab, POLICIES, NULL);
	tell_list(lab, DEFINITION, SERVED("v1alpha2"));
	follow(lab, HOUR_MS);
	assert_false(
		sources_are_told(lab->sources)); /* served from the beginning: they may exist */
	tell_list(lab, NEXT, CLUSTER);
	(void)tell(lab, DEFINITION, KUBE_RESTART, NULL);
	follow(lab, HOUR_MS);
	assert_int_equal(count_policies(lab), 1); /* not before its end */
	(void)tell(lab, DEFINITION, KUBE_CURRENT, NULL);
	follow(lab, HOUR_MS);
	assert_int_equal(count_policies(lab), 0);
}

static void test_what_cannot_be_read_is_named_and_what_it_said_before_holds(void **state)
{
	struct lab *lab = *state;
	tell_of_nothing(lab);
	(void)tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}");
	assert_false(tell(lab, POLICIES, KUBE_EXISTS,
		"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"a\"},\"spec\":1}"));
	assert_int_equal(count_policies(lab), 1);
	struct problems p = problems_of(lab);
	assert_int_equal(p.total, 1);
	assert_says(p.text[0],
		"1 NetworkPolicies cannot be read, the last one: NetworkPolicy shop/a: ");
	tell_list(lab, POLICIES, POLICY "a\"}}");
	assert_int_equal(problems_of(lab).total, 0);
}

static void test_at_rest_nothing_is_followed_and_nothing_is_known(void **state)
{
	struct lab *lab = *state;
	tell_of_nothing(lab);
	(void)tell(lab, POLICIES, KUBE_EXISTS, POLICY "a\"}}");
	(void)tell(lab, NAMESPACES, KUBE_EXISTS, NAMESPACE);
	sources_rest(lab->sources, lab->kube);
	assert_int_equal(count_policies(lab), 0);
	assert_null(policy_world_namespace(lab->world, "shop"));
	assert_false(is_followed(lab, NAMESPACES) || is_followed(lab, POLICIES));
	assert_false(sources_are_told(lab->sources));
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_nothing_counts_before_each_list_came_to_its_end),
		EACH(test_a_list_takes_away_with_its_end_alone),
		EACH(test_what_was_told_once_counts_while_a_list_is_told_anew),
		EACH(test_a_deleted_namespace_takes_its_labels_along),
		EACH(test_pods_are_followed_while_a_policy_wants_to_know_of_them),
		EACH(test_service_accounts_are_followed_when_a_policy_names_them),
		EACH(test_cluster_network_policies_are_followed_when_they_are_served),
		EACH(test_a_list_of_definitions_that_lacks_ours_says_that_it_is_gone),
		EACH(test_what_cannot_be_read_is_named_and_what_it_said_before_holds),
		EACH(test_at_rest_nothing_is_followed_and_nothing_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
