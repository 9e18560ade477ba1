/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pools of a new cluster: which document comes next, and which files are refused.
 */
#include "tests/unit/values.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/first_pools.h"

#include "lib/json.h"
#include "tests/unit/replica_input.h"

#define POOL_OF(version, name, cidr)                                                               \
	"{\"kind\": \"IPPool\", \"apiVersion\": \"" version "\", \"metadata\": {\"name\": \"" name \
	"\"}, \"spec\": {\"cidr\": \"" cidr "\"}}"
#define POOL(name, cidr) POOL_OF("projectcalico.org/v3", name, cidr)
#define FOUR POOL("default", "10.0.0.0/16")
#define SIX POOL("default6", "fd00:1::/64")
#define MARK                                                                                       \
	"{\"kind\": \"IPAMConfiguration\", \"apiVersion\": \"projectcalico.org/v3\", "             \
	"\"metadata\": {\"name\": \"default\"}, \"spec\": {}}"

/* The key of what comes next with these documents in the store; "" nothing. */
static const char *next(const char *documents, char key[STORE_KEY_MAX])
{
	char text[2048];
	struct replica r = {0};
	CLEANUP_JSON json_t *pools = json_of("[" FOUR ", " SIX "]");
	(void)snprintf(text, sizeof(text), "{\"documents\": [%s], \"blocks\": {}}", documents);
	CLEANUP_JSON json_t *store = json_of(text);
	replica_fill(&r, "a", store);
	*key = '\0';
	CLEANUP_JSON json_t *doc = first_pools_next(&r, pools, key);
	assert_int_equal(doc != NULL, *key != '\0');
	if (doc)
		assert_string_equal(json_string_value(json_object_get(doc, "kind")),
			strstr(key, "ippools") ? "IPPool" : "IPAMConfiguration");
	replica_done(&r);
	return key;
}

TEST(pools_are_made_and_then_marked)
{
	char key[STORE_KEY_MAX];
	assert_string_equal(next("", key), "resources/ippools/default");
	assert_string_equal(next(FOUR, key), "resources/ippools/default6");
	assert_string_equal(next(SIX, key), "resources/ippools/default");
	assert_string_equal(next(FOUR ", " SIX, key), "resources/ipamconfigurations/default");
	assert_string_equal(next(FOUR ", " SIX ", " MARK, key), "");
}

TEST(what_people_decided_stays)
{
	char key[STORE_KEY_MAX];
	assert_string_equal(next(MARK, key), "");
	assert_string_equal(next(MARK ", " SIX, key), "");
	assert_string_equal(
		next(POOL("own", "10.9.0.0/16"), key), "resources/ipamconfigurations/default");
	assert_string_equal(next(POOL("own", "10.9.0.0/16") ", " FOUR, key),
		"resources/ipamconfigurations/default");
}

TEST(a_pool_that_nobody_can_read_is_somebodys)
{
	char key[STORE_KEY_MAX];
	assert_string_equal(
		next(POOL("broken", "ten"), key), "resources/ipamconfigurations/default");
}

/* Writes a file of this process's own; its name. */
static const char *write_file(const char *text)
{
	static char path[64];
	(void)snprintf(path, sizeof(path), "/tmp/first-pools-%d", (int)getpid());
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
	return path;
}

TEST(a_file_is_read_in_both_versions)
{
	struct err e = {0};
	CLEANUP_JSON json_t *pools = NULL;
	const char *file =
		write_file("[" FOUR ", " POOL_OF("roost.io/v1", "default6", "fd00:1::/64") "]");
	ok(first_pools_read(file, &pools, &e));
	assert_int_equal(json_array_size(pools), 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
			json_string_value(json_object_get(json_array_get(pools, i), "apiVersion")),
			"projectcalico.org/v3");
	(void)unlink(file);
}

TEST(a_wrong_file_is_refused_by_its_place)
{
	static const struct {
		const char *text, *part;
		int error;
	} wrong[] = {
		{"{}", "no array of 16 IPPools", EBADMSG},
		{"[" MARK "]", "[0]: it is of the kind IPAMConfiguration", EINVAL},
		{"[" FOUR ", 3]", "[1]", EBADMSG},
		{"[", "", EBADMSG},
	};
	struct err e = {0};
	json_t *pools = NULL;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		const char *file = write_file(wrong[i].text);
		refused(first_pools_read(file, &pools, &e), wrong[i].error, wrong[i].part);
		assert_says(e.text, file);
	}
	(void)unlink(write_file(""));
	refused(first_pools_read("/nowhere/pools", &pools, &e), ENOENT, "/nowhere/pools");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_are_made_and_then_marked),
		cmocka_unit_test(what_people_decided_stays),
		cmocka_unit_test(a_pool_that_nobody_can_read_is_somebodys),
		cmocka_unit_test(a_file_is_read_in_both_versions),
		cmocka_unit_test(a_wrong_file_is_refused_by_its_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
