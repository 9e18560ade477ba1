/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definitions that a Kubernetes API server gets (deploy/crds/) against the tables that roostctl and
 * agents read by: every member is in the definition and the reverse, with the same type, bounds and words.
 * What the rules say, which are code on both sides, tests/kube/crds_test.py compares with documents.
 */
#include "tests/unit/values.h"

#include <stdio.h>

#include "cluster/block.h"
#include "cluster/loan.h"
#include "cluster/resource_impl.h"
#include "cluster/status.h"
#include "golden.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/yaml.h"

struct place {
	const struct place *above;
	const char *key;
};

static void wrong(const struct place *at, const char *what)
{
	char text[512] = "";
	struct text t = TEXT_ON(text);
	const struct place *path[16];
	size_t n = 0;
	for (; at && n < COUNT(path); at = at->above)
		path[n++] = at;
	while (n--)
		text_add(&t, "%s%s", t.len ? "." : "", path[n]->key);
	fail_msg("%s: %s", text, what);
}

static const char *word_of(const json_t *schema, const char *key)
{
	const char *s = json_string_value(json_object_get(schema, key));
	return s ? s : "";
}

static void must_be(const struct place *at, const json_t *schema, const char *type)
{
	if (strcmp(word_of(schema, "type"), type) != 0)
		wrong(at, type);
}

static bool has_word(const json_t *schema, const char *word)
{
	size_t i;
	json_t *one;
	json_array_foreach (json_object_get(schema, "enum"), i, one)
		if (strcmp(json_string_value(one), word) == 0)
			return true;
	return false;
}

static void compare_number(
	const struct place *at, const struct schema_member *m, const json_t *schema)
{
	int64_t widest = m->size < 8 ? ((int64_t)1 << m->size * 8) - 1 : INT64_MAX;
	int64_t max = m->max || m->min ? m->max : widest;
	must_be(at, schema, "integer");
	if (json_integer_value(json_object_get(schema, "minimum")) != m->min)
		wrong(at, "another minimum");
	if (json_integer_value(json_object_get(schema, "maximum")) != max)
		wrong(at, "another maximum");
}

static void compare_words(
	const struct place *at, const struct schema_member *m, const json_t *schema)
{
	size_t n = 0;
	must_be(at, schema, "string");
	for (; m->words[n]; n++)
		if (!has_word(schema, m->words[n]))
			wrong(at, "lacks a word");
	if (m->type == &schema_word && json_array_size(json_object_get(schema, "enum")) != n)
		wrong(at, "has further words");
}

static void compare(const struct place *at, const struct schema *s, const json_t *schema);

static void compare_list(
	const struct place *at, const struct schema_member *m, const json_t *schema)
{
	const json_t *most = json_object_get(schema, "maxItems");
	must_be(at, schema, "array");
	if (m->max && !(m->flags & SCHEMA_CUT) && json_integer_value(most) != m->max)
		wrong(at, "another greatest number of entries");
	if (m->of && m->of->type == &schema_object)
		compare(at, m->of->schema, json_object_get(schema, "items"));
}

static void compare_member(
	const struct place *at, const struct schema_member *m, const json_t *schema)
{
	if (!schema)
		wrong(at, "is not defined");
	if (!*word_of(schema, "description"))
		wrong(at, "has no description");
	if (!m->type)
		return; /* known, and not read */
	if (m->type == &schema_object)
		compare(at, m->schema, schema);
	else if (m->type == &schema_list || m->type == &schema_heap || m->type == &fields_list ||
		 m->type == &fields_only_empty)
		compare_list(at, m, schema);
	else if (m->type == &schema_number)
		compare_number(at, m, schema);
	else if (m->type == &schema_word || m->type == &fields_only_word)
		compare_words(at, m, schema);
	else if (m->type == &schema_bool || m->type == &fields_bool || m->type == &fields_only_bool)
		must_be(at, schema, "boolean");
	else if (m->type == &fields_password)
		must_be(at, schema, "object");
	else if (m->type == &fields_as_number)
		assert_true(json_is_true(json_object_get(schema, "x-kubernetes-int-or-string")));
	else if (m->type == &fields_selector &&
		 json_integer_value(json_object_get(schema, "maxLength")) != RESOURCE_SELECTOR - 1)
		wrong(at, "another greatest length");
	else if (m->type->parse)
		must_be(at, schema, "string");
}

static void compare(const struct place *at, const struct schema *s, const json_t *schema)
{
	json_t *properties = json_object_get(schema, "properties"), *one = NULL;
	const char *key;
	must_be(at, schema, "object");
	for (size_t i = 0; i < s->n; i++) {
		const struct schema_member *m = &s->members[i];
		const struct place here = {at, m->key};
		if (m->key)
			compare_member(&here, m, json_object_get(properties, m->key));
	}
	json_object_foreach (properties, key, one) {
		const struct place here = {at, key};
		bool known = false;
		for (size_t i = 0; i < s->n; i++)
			known = known || (s->members[i].key && strcmp(s->members[i].key, key) == 0);
		if (!known)
			wrong(&here, "is no member of the table");
	}
}

/* s: NULL: of the names alone. */
static void compare_file(const char *plural, const char *kind, const struct schema *s)
{
	char name[256];
	size_t len = 0;
	struct yaml_file *f = NULL;
	struct err e = {0};
	(void)snprintf(name, sizeof(name), "%s.yaml", plural);
	CLEANUP_FREE char *text = golden_read(TEST_DATA "/../../deploy/crds", name, &len);
	assert_non_null(text);
	if (yaml_parse(text, len, &f, &e) < 0)
		fail_msg("%s: %s", name, e.text);
	const json_t *spec = json_object_get(yaml_document(f, 0), "spec");
	const json_t *version = json_array_get(json_object_get(spec, "versions"), 0);
	const json_t *root = json_object_get(json_object_get(version, "schema"), "openAPIV3Schema");
	const struct place at = {NULL, kind};
	assert_string_equal(word_of(json_object_get(spec, "names"), "kind"), kind);
	assert_string_equal(word_of(json_object_get(spec, "names"), "plural"), plural);
	if (s)
		compare(&at, s, json_object_get(json_object_get(root, "properties"), "spec"));
	yaml_file_free(f);
}

TEST(definitions_and_tables_have_the_same_members)
{
	for (int k = 0; k < RESOURCE_KINDS; k++) {
		enum resource_kind kind = (enum resource_kind)k;
		bool node = kind == RESOURCE_NODE;
		/* What policies say is no table's, but policy/read.h's. */
		compare_file(node ? "roostnodes" : resource_kind_plural(kind),
			node ? "RoostNode" : resource_kind_text(kind),
			resource_kind_is_policy(kind) ? NULL : resource_spec(kind));
	}
	compare_file("ipblocks", "IPBlock", block_schema());
	compare_file("iploans", "IPLoan", loan_schema());
	compare_file("nodestatuses", "NodeStatus", status_schema());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(definitions_and_tables_have_the_same_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
