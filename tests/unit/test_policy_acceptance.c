/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of an object's status: which condition is written, and when nothing is.
 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/policy/acceptance.h"
#include "lib/json.h"
#include "lib/mem.h"

#define NOW 1767225600 /* 2026-01-01 */
#define OBJECT(kind, spec, status)                                                                 \
	"{\"apiVersion\":\"roost.io/v1\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"web\","    \
	"\"namespace\":\"shop\",\"generation\":3,\"resourceVersion\":\"7\"},\"spec\":" spec        \
	",\"status\":{\"conditions\":[" status "]}}"
#define OURS(status, generation, since, reason, message)                                           \
	"{\"type\":\"roost.io/Accepted\",\"status\":\"" status                                     \
	"\",\"observedGeneration\":" #generation ",\"lastTransitionTime\":\"" since                \
	"\",\"reason\":\"" reason "\",\"message\":\"" message "\"}"
#define GOOD(generation, since)                                                                    \
	OURS("True", generation, since, "AsWritten", "it is taken as it is written")
#define OTHER "{\"type\":\"other.example/Ready\",\"status\":\"True\"}"
#define STRANGE "{\"ingress\":[{\"action\":\"Allow\",\"http\":{}}]}"

static void patches_as(const char *text, const char *wanted)
{
	CLEANUP_JSON json_t *object = json_loads(text, 0, NULL);
	assert_non_null(object);
	CLEANUP_JSON json_t *patch = acceptance_patch(object, NOW);
	CLEANUP_FREE char *said = patch ? json_text(patch) : mem_strdup("");
	assert_string_equal(said, wanted);
}

#define PATCH(conditions)                                                                          \
	"{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{\"conditions\":[" conditions "]}}"

TEST(an_object_that_is_served_says_so_once)
{
	patches_as(OBJECT("NetworkPolicy", "{}", ""), PATCH(GOOD(3, "2026-01-01T00:00:00Z")));
	patches_as(OBJECT("NetworkPolicy", "{}", GOOD(3, "2025-01-01T00:00:00Z")), "");
	patches_as(OBJECT("NetworkSet", "{\"nets\":[\"10.0.0.0/8\"]}", GOOD(3, "t")), "");
	patches_as(OBJECT("StagedNetworkPolicy", "{}", GOOD(3, "t")), "");
}

TEST(a_condition_keeps_its_time_until_its_status_changes_and_others_stay)
{
	patches_as(
		OBJECT("NetworkPolicy", "{\"order\":1}", GOOD(2, "2025-01-01T00:00:00Z") "," OTHER),
		PATCH(OTHER "," GOOD(3, "2025-01-01T00:00:00Z")));
	patches_as(OBJECT("NetworkPolicy", STRANGE, GOOD(3, "2025-01-01T00:00:00Z")),
		PATCH(OURS("False", 3, "2026-01-01T00:00:00Z", "NotServed",
			"spec.ingress[0]: http is not served by roost: an Allow or Log matches "
			"nothing, a Deny or Pass denies everything")));
}

TEST(an_object_that_is_not_read_says_what_counts_instead)
{
	patches_as(OBJECT("NetworkSet", "{\"nets\":[\"x\"]}", ""),
		PATCH(OURS("False", 3, "2026-01-01T00:00:00Z", "NotRead",
			"what it said before counts: spec.nets[0] of web is no prefix")));
}

TEST(what_is_no_policy_is_left_alone)
{
	patches_as(OBJECT("IPPool", "{}", ""), "");
	patches_as("{}", "");
	patches_as("{\"kind\":\"Tier\",\"status\":{\"conditions\":7}}",
		"{\"metadata\":{\"resourceVersion\":\"\"},\"status\":{\"conditions\":["
		"{\"type\":\"roost.io/Accepted\",\"status\":\"False\",\"observedGeneration\":0,"
		"\"lastTransitionTime\":\"2026-01-01T00:00:00Z\",\"reason\":\"NotRead\","
		"\"message\":"
		"\"what it said before counts: metadata.name is no name of an object\"}]}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_that_is_served_says_so_once),
		cmocka_unit_test(
			a_condition_keeps_its_time_until_its_status_changes_and_others_stay),
		cmocka_unit_test(an_object_that_is_not_read_says_what_counts_instead),
		cmocka_unit_test(what_is_no_policy_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
