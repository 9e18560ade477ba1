/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents by a table: a document with a member of each type is written as it was read, and what does
 * not have the form is refused with its place.
 */
#include "tests/unit/values.h"

#include "lib/schema.h"

#include <errno.h>
#include <stdio.h>

#include "lib/addr.h"
#include "lib/json.h"
#include "lib/mem.h"

enum colour { RED, GREEN, BLUE };

struct part {
	uint8_t small;
	char text[8];
};

struct whole {
	bool yes, has_name, closed;
	uint8_t n8;
	uint16_t n16;
	uint32_t n32;
	int64_t n64;
	uint64_t count;
	enum colour colour;
	char text[16], name[64];
	struct addr addr;
	struct cidr prefix;
	uint8_t mac[6];
	struct part part, *parts;
	size_t n_parts, n_texts;
	char texts[3][8];
};

static const char *const colours[] = {"red", "green", "blue", NULL};
static const char *const states[] = {"open", "closed", NULL};

static int judge(const struct schema_at *at, void *out)
{
	return ((const struct whole *)out)->n8 == 13
		       ? schema_refuse(SCHEMA_IN(at, "n8"), EINVAL, "is not wanted (%zu members)",
				 json_object_size(at->value))
		       : 0;
}

static const struct schema_member part_members[] = {
	{"small", &schema_number, SCHEMA_AT(struct part, small), .flags = SCHEMA_REQUIRED},
	{"text", &schema_text, SCHEMA_AT(struct part, text)},
};
static const struct schema part = SCHEMA_OF(part_members);

#define AT(field) SCHEMA_AT(struct whole, field)
static const struct schema_member whole_members[] = {
	{"yes", &schema_bool, AT(yes)},
	{"n8", &schema_number, AT(n8)},
	{"n16", &schema_number, AT(n16), .min = 1, .max = 60000},
	{"n32", &schema_number, AT(n32)},
	{"n64", &schema_number, AT(n64), .min = -5, .max = 5},
	{"count", &schema_count, AT(count)},
	{"colour", &schema_word, AT(colour), .words = colours},
	{"state", &schema_word, AT(closed), .words = states},
	{"text", &schema_text, AT(text)},
	{"name", &schema_name, AT(name), .has = SCHEMA_HAS(struct whole, has_name)},
	{"addr", &schema_addr, AT(addr), .family = AF_INET6},
	{"prefix", &schema_prefix, AT(prefix), .flags = SCHEMA_ALWAYS},
	{"mac", &schema_mac, AT(mac)},
	{"part", &schema_object, AT(part), .schema = &part},
	{"parts", &schema_heap, SCHEMA_POINTER(struct whole, parts),
		.count = offsetof(struct whole, n_parts), .max = 2,
		.of = SCHEMA_ELEMENT(&schema_object, sizeof(struct part), .schema = &part)},
	{"texts", &schema_list, AT(texts), .count = offsetof(struct whole, n_texts), .max = 3,
		.flags = SCHEMA_CUT, .of = SCHEMA_ELEMENT(&schema_text, 8)},
	{.type = SCHEMA_READER(judge)},
	{.key = "ignored"},
};
static const struct schema whole = SCHEMA_OF(whole_members);

#define EVERYTHING                                                                                 \
	"{\"yes\":true,\"n8\":255,\"n16\":60000,\"n32\":4294967295,\"n64\":-5,"                    \
	"\"count\":9223372036854775807,\"colour\":\"blue\",\"state\":\"closed\","                  \
	"\"text\":\"a b\",\"name\":\"a.b\",\"addr\":\"fd00::1\",\"prefix\":\"10.0.0.0/8\","        \
	"\"mac\":\"02:00:00:00:00:01\",\"part\":{\"small\":1,\"text\":\"x\"},"                     \
	"\"parts\":[{\"small\":2,\"text\":\"y\"},{\"small\":3,\"text\":\"\"}],"                    \
	"\"texts\":[\"one\",\"two\"]}"

TEST(a_document_with_every_type_is_written_as_it_was_read)
{
	CLEANUP_JSON json_t *doc = json_of(EVERYTHING);
	struct whole w = {0};
	struct err e;
	assert_int_equal(schema_read(&whole, doc, &w, &e), 0);
	assert_true(w.yes && w.has_name && w.closed);
	assert_int_equal(w.n8, 255);
	assert_int_equal(w.n16, 60000);
	assert_int_equal(w.n32, UINT32_MAX);
	assert_int_equal(w.n64, -5);
	assert_true(w.count == UINT64_MAX);
	assert_int_equal(w.colour, BLUE);
	assert_string_equal(w.name, "a.b");
	assert_int_equal(w.addr.family, AF_INET6);
	assert_int_equal(w.prefix.len, 8);
	assert_int_equal(w.mac[5], 1);
	assert_int_equal(w.n_parts, 2);
	assert_int_equal(w.parts[1].small, 3);
	assert_string_equal(w.texts[1], "two");
	CLEANUP_JSON json_t *again = schema_write(&whole, &w);
	CLEANUP_FREE char *text = json_text(again);
	assert_string_equal(text, EVERYTHING);
	free(w.parts);
}

TEST(what_is_absent_or_null_leaves_its_default)
{
	CLEANUP_JSON json_t *doc =
		json_of("{\"prefix\":\"::/0\",\"n32\":null,\"new\":1,\"part\":null}");
	struct whole w = {.n32 = 7, .text = "kept", .colour = GREEN};
	struct err e;
	assert_int_equal(schema_read(&whole, doc, &w, &e), 0);
	assert_int_equal(w.n32, 7);
	assert_int_equal(w.colour, GREEN);
	assert_string_equal(w.text, "kept");
	assert_false(w.has_name);
	assert_null(w.parts);
}

TEST(texts_are_cleaned_and_cut_and_long_lists_cut_where_that_is_said)
{
	CLEANUP_JSON json_t *doc =
		json_of("{\"prefix\":\"::/0\",\"text\":\"\\u001b0123456789abcdefgh\","
			"\"texts\":[\"1\",\"2\",\"3\",\"4\"]}");
	struct whole w = {0};
	struct err e;
	assert_int_equal(schema_read(&whole, doc, &w, &e), 0);
	assert_string_equal(w.text, "?0123456789abcd");
	assert_int_equal(w.n_texts, 3);
	memcpy(w.text, "\xff\n", 3);
	CLEANUP_JSON json_t *again = schema_write(&whole, &w);
	assert_string_equal(json_string_value(json_object_get(again, "text")), "??");
}

TEST(what_has_another_form_is_refused_with_its_place)
{
	static const struct {
		const char *member, *sentence;
	} table[] = {
		{"\"yes\":1", "yes must be true or false, not a number"},
		{"\"n8\":256", "n8 is 256, must be between 0 and 255"},
		{"\"n16\":0", "n16 is 0, must be between 1 and 60000"},
		{"\"n32\":-1", "n32 is -1, must be between 0 and 4294967295"},
		{"\"n64\":-6", "n64 is -6, must be between -5 and 5"},
		{"\"n64\":1.5", "n64 must be a whole number, not a fraction"},
		{"\"count\":-1", "count is -1, must be between 0 and 9223372036854775807"},
		{"\"colour\":\"pink\\n\"", "colour is \"pink?\", must be red, green or blue"},
		{"\"colour\":7", "colour must be a string, not a number"},
		{"\"state\":\"x\"", "state is \"x\", must be open or closed"},
		{"\"text\":{}", "text must be a string, not an object"},
		{"\"name\":\"a b\"", "name is no name"},
		{"\"name\":\"\"", "name is no name"},
		{"\"addr\":\"10.0.0.1\"", "addr is no address"},
		{"\"prefix\":\"10.0.0.1/8\"", "prefix is no prefix"},
		{"\"prefix\":null", "prefix is no prefix"},
		{"\"mac\":\"x\"", "mac is \"x\", must be a MAC address like 66:3e:04:aa:bb:cc"},
		{"\"part\":[]", "part must be an object, not an array"},
		{"\"part\":{}", "part.small is missing"},
		{"\"parts\":{}", "parts must be an array, not an object"},
		{"\"parts\":[7]", "parts[0] is not an object"},
		{"\"parts\":[{\"small\":1},{\"small\":true}]",
			"parts[1].small must be a whole number, not true"},
		{"\"parts\":[1,2,3]", "parts has 3 entries, at most 2 are possible"},
		{"\"texts\":[\"a\",1]", "texts[1] is not a string"},
		{"\"n8\":13", "n8 is not wanted (2 members)"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[200];
		(void)snprintf(text, sizeof(text), "{\"prefix\":\"::/0\",%s}", table[i].member);
		CLEANUP_JSON json_t *doc = json_of(text);
		struct whole w = {0};
		struct err e;
		refused_with(schema_read(&whole, doc, &w, &e), EBADMSG, table[i].sentence);
		free(w.parts);
	}
	struct err e;
	CLEANUP_JSON json_t *list = json_array();
	refused_with(schema_read(&whole, list, &(struct whole){0}, &e), EBADMSG, "not an object");
}

static int refuse_unknown(const struct schema_at *member, const struct schema *s)
{
	return schema_refuse(member, EINVAL, "is none of %zu", s->n);
}

TEST(a_strict_reader_refuses_unknown_members_and_says_where)
{
	char where[SCHEMA_PLACE] = "";
	struct err e;
	const struct schema_reader reader = {
		.unknown = refuse_unknown, .element = "must be", .where = where, .e = &e};
	struct whole w = {0};
	CLEANUP_JSON json_t *doc = json_of("{\"prefix\":\"::/0\",\"ignored\":[1],\"part\":"
					   "{\"small\":1,\"big\\u001b\":2}}");
	refused_with(schema_read_as(&reader, &whole, doc, &w), EINVAL, "part.big? is none of 2");
	assert_string_equal(where, "part.big?");
	CLEANUP_JSON json_t *element = json_of("{\"prefix\":\"::/0\",\"texts\":[null]}");
	refused_with(
		schema_read_as(&reader, &whole, element, &w), EBADMSG, "texts[0] must be a string");
	assert_string_equal(where, "texts[0]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_document_with_every_type_is_written_as_it_was_read),
		cmocka_unit_test(what_is_absent_or_null_leaves_its_default),
		cmocka_unit_test(texts_are_cleaned_and_cut_and_long_lists_cut_where_that_is_said),
		cmocka_unit_test(what_has_another_form_is_refused_with_its_place),
		cmocka_unit_test(a_strict_reader_refuses_unknown_members_and_says_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
