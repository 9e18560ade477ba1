/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing by a table. The reader goes through the members in the order of the table, so
 * the first error is the same whatever the order in the document; members that the table does not
 * have come before all others.
 *
 * A place is a chain on the stack, from the value up to the document; its text is made only when
 * there is an error to tell. What an error repeats of a document is cleaned.
 *
 * A list that fails half-way leaves what it has read, with its count, so that whoever owns the struct
 * frees it as always.
 */
#include "lib/schema.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/nearest.h"
#include "lib/text.h"

#define SHOWN 64 /* bytes of a document's text that an error repeats */

/* ---- Places and errors ---- */

static void schema_add_place(const struct schema_at *at, struct text *t)
{
	if (!at->above)
		return;
	schema_add_place(at->above, t);
	if (at->key)
		text_add(t, "%s%s", t->len && *at->key ? "." : "", at->key);
	else
		text_add(t, "[%zu]", at->index);
}

void schema_place(const struct schema_at *at, char out[SCHEMA_PLACE])
{
	char raw[SCHEMA_PLACE] = "";
	struct text t = TEXT_ON(raw);
	schema_add_place(at, &t);
	(void)json_clean(out, SCHEMA_PLACE, raw);
}

static const char *schema_document(const struct schema_at *at)
{
	return at->reader->document ? at->reader->document : "the document";
}

int schema_refuse(const struct schema_at *at, int errnum, const char *fmt, ...)
{
	struct err *e = at->reader->e;
	char raw[sizeof(e->text)], clean[sizeof(e->text)], place[SCHEMA_PLACE];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	(void)json_clean(clean, sizeof(clean), raw);
	schema_place(at, place);
	if (at->reader->where)
		(void)text_copy(at->reader->where, SCHEMA_PLACE, place);
	return err_set(e, errnum, "%.200s %s", *place ? place : schema_document(at), clean);
}

int schema_refuse_type(const struct schema_at *at, const char *wanted)
{
	if (at->above && !at->key)
		return schema_refuse(at, EBADMSG, "%s %s", at->reader->element, wanted);
	return schema_refuse(at, EBADMSG, "must be %s, not %s", wanted, json_type_text(at->value));
}

int schema_read_value(const struct schema_at *at, void *out)
{
	const char *text = at->value ? json_string_value(at->value) : "";
	if (at->m->type->read)
		return at->m->type->read(at, out);
	return text ? at->m->type->parse(at, text, out) : schema_refuse_type(at, "a string");
}

int schema_get_number(const struct schema_at *at, int64_t min, int64_t max, int64_t *out)
{
	int64_t n = json_integer_value(at->value);
	if (!json_is_integer(at->value))
		return schema_refuse_type(at, "a whole number");
	if (n != min && min == max)
		return schema_refuse(at, EBADMSG, "is %" PRId64 ", must be %" PRId64, n, min);
	if (n < min || n > max)
		return schema_refuse(at, EBADMSG,
			"is %" PRId64 ", must be between %" PRId64 " and %" PRId64, n, min, max);
	*out = n;
	return 0;
}

struct schema_at schema_element(const struct schema_at *at, size_t i)
{
	return (struct schema_at){.reader = at->reader,
		.above = at,
		.index = i,
		.value = json_array_get(at->value, i)};
}

void schema_list_keys(const struct schema *s, struct text *t)
{
	for (size_t i = 0, n = 0; i < s->n; i++)
		if (s->members[i].key)
			text_add(t, "%s %s", n++ ? "," : "", s->members[i].key);
}

void schema_add_meant(const char *key, const struct schema *s, struct err *e)
{
	struct nearest n = NEAREST_TO(key);
	for (size_t i = 0; i < s->n; i++)
		if (s->members[i].key)
			nearest_offer(&n, s->members[i].key);
	nearest_add(&n, e);
}

int schema_unknown(const struct schema_at *member, const struct schema *s)
{
	struct err *e = member->reader->e;
	char key[SHOWN], place[SCHEMA_PLACE];
	(void)text_clean(key, sizeof(key), member->key);
	schema_place(member->above, place);
	(void)err_set(e, EINVAL, "unknown key \"%s\" in %s", key,
		*place ? place : schema_document(member));
	schema_add_meant(member->key, s, e);
	struct text list = TEXT_ON(e->details);
	text_add(&list, "known keys:");
	schema_list_keys(s, &list);
	return -EINVAL;
}

/* ---- Types ---- */

static int type_read_text(const struct schema_at *at, const char *text, void *out)
{
	(void)json_clean(out, at->m->size, text);
	return 0;
}

static json_t *type_write_text(const struct schema_member *m, const void *in)
{
	CLEANUP_FREE char *clean = mem_new(1, m->size);
	(void)json_clean(clean, m->size, in);
	return json_string(clean);
}

static int type_read_bool(const struct schema_at *at, void *out)
{
	if (!json_is_boolean(at->value))
		return schema_refuse_type(at, "true or false");
	*(bool *)out = json_is_true(at->value);
	return 0;
}

static json_t *type_write_bool(const struct schema_member *m, const void *in)
{
	(void)m;
	return json_boolean(*(const bool *)in);
}

/* Size 0: the field is nowhere. */
static void type_put_number(void *out, size_t size, int64_t n)
{
	const uint8_t n8 = (uint8_t)n;
	const uint16_t n16 = (uint16_t)n;
	const uint32_t n32 = (uint32_t)n;
	const void *of[] = {[0] = &n, [1] = &n8, [2] = &n16, [4] = &n32, [8] = &n};
	memcpy(out, of[size], size);
}

static int64_t type_get_number(const void *in, size_t size)
{
	switch (size) {
	case 1:
		return *(const uint8_t *)in;
	case 2:
		return *(const uint16_t *)in;
	case 4:
		return *(const uint32_t *)in;
	default:
		return *(const int64_t *)in;
	}
}

static int type_read_number(const struct schema_at *at, void *out)
{
	int64_t n = 0;
	assert(at->m->size); /* else every number would be out of its bounds */
	int64_t widest = at->m->size < sizeof(n) ? ((int64_t)1 << at->m->size * 8) - 1 : INT64_MAX;
	int r = schema_get_number(
		at, at->m->min, at->m->max || at->m->min ? at->m->max : widest, &n);
	if (r == 0)
		type_put_number(out, at->m->size, n);
	return r;
}

static json_t *type_write_number(const struct schema_member *m, const void *in)
{
	return json_integer(type_get_number(in, m->size));
}

static int type_read_count(const struct schema_at *at, void *out)
{
	int64_t n = 0;
	int r = schema_get_number(at, 0, INT64_MAX, &n);
	if (r == 0)
		*(uint64_t *)out = n == INT64_MAX ? UINT64_MAX : (uint64_t)n;
	return r;
}

static json_t *type_write_count(const struct schema_member *m, const void *in)
{
	(void)m;
	return json_of_number(*(const uint64_t *)in);
}

static int type_read_word(const struct schema_at *at, const char *text, void *out)
{
	char list[256];
	struct text t = TEXT_ON(list);
	for (size_t i = 0; at->m->words[i]; i++) {
		if (strcmp(text, at->m->words[i]) == 0) {
			type_put_number(out, at->m->size, (int64_t)i);
			return 0;
		}
		text_add(&t, "%s%s",
			i == 0		      ? ""
			: at->m->words[i + 1] ? ", "
					      : " or ",
			at->m->words[i]);
	}
	return schema_refuse(at, EINVAL, "is \"%.*s\", must be %s", SHOWN, text, list);
}

static json_t *type_write_word(const struct schema_member *m, const void *in)
{
	return json_string(m->words[type_get_number(in, m->size)]);
}

static int type_read_name(const struct schema_at *at, const char *text, void *out)
{
	if (!text_is_dns_name(text) && (*text || !(at->m->flags & SCHEMA_EMPTY)))
		return schema_refuse(at, EINVAL, "is no name");
	(void)text_copy(out, at->m->size, text);
	return 0;
}

static int type_read_addr(const struct schema_at *at, const char *text, void *out)
{
	struct addr a = {0};
	struct err ignored;
	if (*text && (addr_parse(text, &a, &ignored) < 0 ||
			     (at->m->family && a.family != at->m->family)))
		return schema_refuse(at, EINVAL, "is no address");
	*(struct addr *)out = a;
	return 0;
}

static json_t *type_write_addr(const struct schema_member *m, const void *in)
{
	(void)m;
	return json_of_addr(in);
}

static int type_read_prefix(const struct schema_at *at, const char *text, void *out)
{
	struct cidr c;
	struct err ignored;
	if (cidr_parse(text, &c, &ignored) < 0 || cidr_has_host_bits(&c))
		return schema_refuse(at, EINVAL, "is no prefix");
	*(struct cidr *)out = c;
	return 0;
}

static json_t *type_write_prefix(const struct schema_member *m, const void *in)
{
	(void)m;
	return json_of_cidr(in);
}

static int type_read_mac(const struct schema_at *at, const char *text, void *out)
{
	if (!*text)
		return 0;
	return mac_parse(text, out) ? 0
				    : schema_refuse(at, EINVAL,
					      "is \"%.*s\", must be a MAC address like "
					      "66:3e:04:aa:bb:cc",
					      SHOWN, text);
}

static json_t *type_write_mac(const struct schema_member *m, const void *in)
{
	static const uint8_t none[6];
	char text[MAC_TEXT] = "";
	(void)m;
	if (memcmp(in, none, sizeof(none)) != 0)
		mac_format(in, text);
	return json_string(text);
}

static int type_read_object(const struct schema_at *at, void *out)
{
	return schema_read_object(at, at->m->schema, out);
}

static json_t *type_write_object(const struct schema_member *m, const void *in)
{
	return schema_write(m->schema, in);
}

/* array: the first element's place; NULL: to be made, and its pointer goes to *out. */
static int type_read_elements(const struct schema_at *at, void *out, char *array)
{
	const struct schema_member *m = at->m;
	size_t n = json_array_size(at->value), max = m->max ? (size_t)m->max : SIZE_MAX;
	size_t *count = (size_t *)((char *)out - m->offset + m->count);
	assert(m->of->size);
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	if (n > max && !(m->flags & SCHEMA_CUT))
		return schema_refuse(
			at, EINVAL, "has %zu entries, at most %zu are possible", n, max);
	if (!array && n) {
		array = mem_new(n, m->of->size);
		memcpy(out, &array, sizeof(array));
	}
	for (size_t i = 0; i < n && i < max; i++) {
		struct schema_at here = schema_element(at, i);
		here.m = m->of;
		int r = schema_read_value(&here, array + i * m->of->size);
		if (r < 0)
			return r;
		*count = i + 1;
	}
	return 0;
}

static json_t *type_write_elements(const struct schema_member *m, const void *in, const char *array)
{
	json_t *list = json_array();
	size_t n = *(const size_t *)((const char *)in - m->offset + m->count);
	for (size_t i = 0; i < n; i++)
		json_append(list, m->of->type->write(m->of, array + i * m->of->size));
	return list;
}

static int type_read_list(const struct schema_at *at, void *out)
{
	return type_read_elements(at, out, out);
}

static json_t *type_write_list(const struct schema_member *m, const void *in)
{
	return type_write_elements(m, in, in);
}

static int type_read_heap(const struct schema_at *at, void *out)
{
	return type_read_elements(at, out, NULL);
}

static json_t *type_write_heap(const struct schema_member *m, const void *in)
{
	const char *array = NULL;
	memcpy(&array, in, sizeof(array));
	return type_write_elements(m, in, array);
}

const struct schema_type schema_text = {.parse = type_read_text, .write = type_write_text};
const struct schema_type schema_bool = {.read = type_read_bool, .write = type_write_bool};
const struct schema_type schema_number = {.read = type_read_number, .write = type_write_number};
const struct schema_type schema_count = {.read = type_read_count, .write = type_write_count};
const struct schema_type schema_word = {.parse = type_read_word, .write = type_write_word};
const struct schema_type schema_name = {.parse = type_read_name, .write = type_write_text};
const struct schema_type schema_addr = {.parse = type_read_addr, .write = type_write_addr};
const struct schema_type schema_prefix = {.parse = type_read_prefix, .write = type_write_prefix};
const struct schema_type schema_mac = {.parse = type_read_mac, .write = type_write_mac};
const struct schema_type schema_object = {.read = type_read_object, .write = type_write_object};
const struct schema_type schema_list = {.read = type_read_list, .write = type_write_list};
const struct schema_type schema_heap = {.read = type_read_heap, .write = type_write_heap};

/* ---- The two that go through a table ---- */

static bool schema_is_known(const struct schema *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->members[i].key && strcmp(s->members[i].key, key) == 0)
			return true;
	return false;
}

static int schema_check_keys(const struct schema_at *at, const struct schema *s)
{
	const char *key;
	json_t *value = NULL;
	json_object_foreach ((json_t *)at->value, key, value)
		if (!schema_is_known(s, key))
			return at->reader->unknown(SCHEMA_IN(at, key), s);
	return 0;
}

static int schema_read_member(
	const struct schema_at *above, const struct schema_member *m, char *base)
{
	const json_t *value = m->key ? json_object_get(above->value, m->key) : above->value;
	const struct schema_at at = {above->reader, m->key ? above : above->above,
		m->key ? m->key : above->key, above->index, json_is_null(value) ? NULL : value, m};
	if (!at.value && m->flags & SCHEMA_REQUIRED)
		return schema_refuse(&at, EINVAL, "is missing");
	if (!m->type || (!m->type->read && !m->type->parse) ||
		(!at.value && !(m->flags & SCHEMA_ALWAYS)))
		return 0;
	int r = schema_read_value(&at, base + m->offset);
	if (r == 0 && m->has)
		*(bool *)(base + m->has - 1) = true;
	return r;
}

int schema_read_object(const struct schema_at *at, const struct schema *s, void *out)
{
	if (!json_is_object(at->value))
		return schema_refuse_type(at, "an object");
	int r = at->reader->unknown ? schema_check_keys(at, s) : 0;
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = schema_read_member(at, &s->members[i], out);
	return r;
}

int schema_read_as(
	const struct schema_reader *reader, const struct schema *s, const json_t *doc, void *out)
{
	const struct schema_at top = {.reader = reader, .value = doc};
	if (!json_is_object(doc))
		return err_set(reader->e, EBADMSG, "not an object");
	return schema_read_object(&top, s, out);
}

int schema_read(const struct schema *s, const json_t *doc, void *out, struct err *e)
{
	const struct schema_reader reader = {.element = "is not", .e = e};
	return schema_read_as(&reader, s, doc, out) < 0 ? -EBADMSG : 0;
}

int schema_parse(const struct schema *s, const char *text, void *out, struct err *e)
{
	CLEANUP_JSON json_t *doc = NULL;
	int r = text ? json_parse(text, strlen(text), &doc, e)
		     : err_set(e, EBADMSG, "the document is too large");
	return r < 0 ? r : schema_read(s, doc, out, e);
}

json_t *schema_write(const struct schema *s, const void *in)
{
	json_t *object = json_object();
	for (size_t i = 0; i < s->n; i++) {
		const struct schema_member *m = &s->members[i];
		if (!m->key || !m->type || !m->type->write)
			continue;
		json_t *value = m->type->write(m, (const char *)in + m->offset);
		if (value)
			json_put(object, m->key, value);
	}
	return object;
}
