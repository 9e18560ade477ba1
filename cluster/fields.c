/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types of the fields of resources: lib/schema.h has the plain ones, here are the meanings that several
 * kinds share. Every error names its place, twice: in its sentence, for people, and alone, so that a
 * caller with a file can look up the line.
 *
 * The documents come from manifests and from a store that anybody may have written. Texts that go
 * on to BIRD or nf_tables are checked here, character by character, to be of an alphabet in which nothing
 * can be closed or begun. What an error repeats of a document is shortened and cleaned.
 */
#include "cluster/fields.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/pool.h"
#include "lib/selector.h"
#include "lib/text.h"

#define SHOWN 64 /* bytes of a document's text that an error repeats */

int fields_unknown(const struct schema_at *member, const struct schema *s)
{
	char place[SCHEMA_PLACE];
	schema_place(member->above, place);
	(void)schema_refuse(member, EINVAL, "is not supported by roost");
	schema_add_meant(member->key, s, member->reader->e);
	struct text list = TEXT_ON(member->reader->e->details);
	text_add(&list, "%s may have", *place ? place : "the document");
	schema_list_keys(s, &list);
	return -EINVAL;
}

int fields_refuse_name(const struct schema_at *at, const char *name, const char *what)
{
	(void)text_copy(at->reader->where, SCHEMA_PLACE, "metadata.name");
	return err_set(at->reader->e, EINVAL, "metadata.name is \"%.60s\", %s", name, what);
}

static int fields_read_name(const struct schema_at *at, const char *text, void *out)
{
	if (*text && !text_is_dns_name(text))
		return schema_refuse(at, EINVAL,
			"\"%.*s\" is not a name (a-z, 0-9, dashes and dots, 253 characters at "
			"most)",
			SHOWN, text);
	(void)text_copy(out, at->m->size, text);
	return 0;
}

static int fields_read_selector(const struct schema_at *at, const char *text, void *out)
{
	struct err why = {0};
	for (const char *p = text; *p; p++)
		if ((*p < ' ' && *p != '\t') || *p > '~')
			return schema_refuse(at, EINVAL,
				"is not a selector: column %zu: not printable ASCII",
				(size_t)(p - text) + 1);
	if (strlen(text) >= at->m->size)
		return schema_refuse(at, EINVAL, "is longer than %zu characters", at->m->size - 1);
	if (selector_check(text, &why) < 0)
		return schema_refuse(at, EINVAL, "is not a selector: %s", why.text);
	(void)text_copy(out, at->m->size, text);
	return 0;
}

/* Digits, as a number up to max; whole: nothing follows. */
static bool fields_parse_digits(const char **s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	const char *p = *s;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > max)
			return false;
	}
	if (p == *s)
		return false;
	*s = p;
	*out = n;
	return true;
}

/* "64512" or "1.2" (RFC 5396). */
static bool fields_parse_as(const char *s, uint32_t *out)
{
	uint64_t high = 0, low = 0;
	const char *p = s;
	if (strchr(s, '.')) {
		if (!fields_parse_digits(&p, UINT16_MAX, &high) || *p++ != '.')
			return false;
	}
	if (!fields_parse_digits(&p, *s && strchr(s, '.') ? UINT16_MAX : UINT32_MAX, &low) || *p)
		return false;
	*out = (uint32_t)(high << 16 | low);
	return *out != 0;
}

static int fields_read_as_number(const struct schema_at *at, void *out)
{
	int64_t n = 0;
	uint32_t as = 0;
	const char *text = json_string_value(at->value);
	if (json_is_real(at->value))
		return schema_refuse(
			at, EINVAL, "is a fraction; an AS number with a dot needs quotes");
	if (text && !fields_parse_as(text, &as))
		return schema_refuse(at, EINVAL,
			"is \"%.*s\", must be an AS number (1 to 4294967295, or \"1.2\")", SHOWN,
			text);
	int r = text ? 0 : schema_get_number(at, 1, UINT32_MAX, &n);
	if (r == 0)
		*(uint32_t *)out = text ? as : (uint32_t)n;
	return r;
}

/* Go's durations, as far as they are whole seconds. */
static bool fields_parse_seconds(const char *s, uint64_t *out)
{
	uint64_t sum = 0;
	if (!*s)
		return false;
	while (*s) {
		uint64_t n = 0;
		if (!fields_parse_digits(&s, UINT32_MAX, &n) || !*s || !strchr("hms", *s))
			return false;
		if (s[1] == 's') /* milliseconds */
			return false;
		sum += n * (*s == 'h' ? 3600 : *s == 'm' ? 60 : 1);
		s++;
		if (sum > UINT32_MAX)
			return false;
	}
	*out = sum;
	return true;
}

static int fields_read_seconds(const struct schema_at *at, const char *text, void *out)
{
	uint64_t n = 0;
	if (!fields_parse_seconds(text, &n))
		return schema_refuse(at, EINVAL,
			"is \"%.*s\", must be a time in whole seconds like \"120s\" or \"2m\"",
			SHOWN, text);
	if (n < (uint64_t)at->m->min || n > (uint64_t)at->m->max)
		return schema_refuse(at, EINVAL, "is %llu seconds, must be between %d and %d",
			(unsigned long long)n, (int)at->m->min, (int)at->m->max);
	*(uint32_t *)out = (uint32_t)n;
	return 0;
}

static int fields_read_secret(const struct schema_at *at, const char *text, void *out)
{
	if (!*text)
		return schema_refuse(at, EINVAL, "is missing");
	if (strlen(text) >= at->m->size)
		return schema_refuse(at, EINVAL, "is longer than %zu characters", at->m->size - 1);
	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			return schema_refuse(at, EINVAL,
				"must be printable ASCII without double quote and backslash");
	(void)text_copy(out, at->m->size, text);
	return 0;
}

/* What document_hide() writes, and document_reveal() has left since there was nothing to reveal. */
static int fields_refuse_hidden(const struct schema_at *at, void *out)
{
	(void)out;
	return schema_refuse(at, EINVAL,
		"stands for the password that the store has, and it has none here: write text");
}

static const struct schema_member password_members[] = {
	{.key = FIELDS_HIDDEN, .type = SCHEMA_READER(fields_refuse_hidden)},
	{"text", SCHEMA_PARSER(fields_read_secret), .size = RESOURCE_PASSWORD,
		.flags = SCHEMA_ALWAYS},
};
static const struct schema password = SCHEMA_OF(password_members);

static int fields_read_password(const struct schema_at *at, void *out)
{
	return schema_read_object(at, &password, out);
}

static const char *family_text(int family)
{
	return family == AF_INET ? "an IPv4" : family == AF_INET6 ? "an IPv6" : "an IP";
}

int fields_check_host(const struct schema_at *at, const struct addr *a)
{
	struct cidr host = cidr_of_host(a);
	const char *special = pool_special(&host);
	if (!special)
		return 0;
	char text[ADDR_TEXT];
	addr_format(a, text);
	return schema_refuse(
		at, EINVAL, "is %s, which is among the %s: no host has it", text, special);
}

/* ADDRESS or ADDRESS/LEN. */
static bool fields_parse_prefix(const char *text, int family, struct cidr *out)
{
	struct err ignored;
	struct cidr c = {0};
	if (strchr(text, '/')) {
		if (cidr_parse(text, &c, &ignored) < 0)
			return false;
	} else {
		struct addr a;
		if (addr_parse(text, &a, &ignored) < 0)
			return false;
		c = cidr_of_host(&a);
	}
	if (family && c.addr.family != family)
		return false;
	*out = c;
	return true;
}

static int fields_read_addr(const struct schema_at *at, const char *text, void *out)
{
	struct err ignored;
	struct addr a;
	if (!*text)
		return 0;
	if (addr_parse(text, &a, &ignored) < 0 || (at->m->family && a.family != at->m->family))
		return schema_refuse(at, EINVAL, "is \"%.*s\", must be %s address", SHOWN, text,
			family_text(at->m->family));
	int r = fields_check_host(at, &a);
	if (r == 0)
		*(struct addr *)out = a;
	return r;
}

static int fields_read_host(const struct schema_at *at, const char *text, void *out)
{
	struct cidr c;
	if (!*text)
		return 0;
	if (!fields_parse_prefix(text, at->m->family, &c))
		return schema_refuse(at, EINVAL,
			"is \"%.*s\", must be %s address, with or without the length of its subnet",
			SHOWN, text, family_text(at->m->family));
	int r = fields_check_host(at, &c.addr);
	if (r == 0)
		*(struct cidr *)out = c;
	return r;
}

static int fields_read_prefix(const struct schema_at *at, const char *text, void *out)
{
	struct cidr c;
	if (!fields_parse_prefix(text, at->m->family, &c))
		return schema_refuse(at, EINVAL, "is \"%.*s\", must be %s prefix (ADDRESS/LENGTH)",
			SHOWN, text, family_text(at->m->family));
	if (cidr_has_host_bits(&c)) {
		struct cidr masked = cidr_masked(&c.addr, c.len);
		char meant[CIDR_TEXT];
		cidr_format(&masked, meant);
		return schema_refuse(at, EINVAL, "is %.*s, which has host bits; the prefix is %s",
			SHOWN, text, meant);
	}
	*(struct cidr *)out = c;
	return 0;
}

static int fields_read_any_list(const struct schema_at *at, void *out)
{
	(void)out;
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	if (json_array_size(at->value) > (size_t)at->m->max)
		return schema_refuse(at, EINVAL, "has %zu entries, at most %d are possible",
			json_array_size(at->value), (int)at->m->max);
	return 0;
}

static int fields_read_only_word(const struct schema_at *at, const char *text, void *out)
{
	(void)out;
	if (!*text || strcmp(text, at->m->words[0]) == 0)
		return 0;
	return schema_refuse(at, EINVAL, "\"%.*s\" is not supported by roost, only \"%s\" is",
		SHOWN, text, at->m->words[0]);
}

static int fields_read_any_bool(const struct schema_at *at, void *out)
{
	(void)out;
	bool ignored;
	return schema_bool.read(at, &ignored);
}

static int fields_read_only_bool(const struct schema_at *at, void *out)
{
	int r = fields_read_any_bool(at, out);
	if (r < 0 || json_is_true(at->value) == (at->m->max != 0))
		return r;
	return schema_refuse(at, EINVAL, "%s is not supported by roost",
		json_is_true(at->value) ? "true" : "false");
}

static int fields_read_only_number(const struct schema_at *at, void *out)
{
	(void)out;
	int64_t n = 0;
	int r = schema_get_number(at, INT64_MIN, INT64_MAX, &n);
	if (r < 0 || n == at->m->max)
		return r;
	return schema_refuse(at, EINVAL, "%lld is not supported by roost, only %lld is",
		(long long)n, (long long)at->m->max);
}

static int fields_read_only_empty(const struct schema_at *at, void *out)
{
	(void)out;
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	if (json_array_size(at->value) == 0)
		return 0;
	return schema_refuse(at, EINVAL, "is not supported by roost, but for an empty list");
}

const struct schema_type fields_name = {.parse = fields_read_name};
const struct schema_type fields_selector = {.parse = fields_read_selector};
const struct schema_type fields_as_number = {.read = fields_read_as_number};
const struct schema_type fields_seconds = {.parse = fields_read_seconds};
const struct schema_type fields_password = {.read = fields_read_password};
const struct schema_type fields_addr = {.parse = fields_read_addr};
const struct schema_type fields_host = {.parse = fields_read_host};
const struct schema_type fields_prefix = {.parse = fields_read_prefix};
const struct schema_type fields_list = {.read = fields_read_any_list};
const struct schema_type fields_bool = {.read = fields_read_any_bool};
const struct schema_type fields_only_word = {.parse = fields_read_only_word};
const struct schema_type fields_only_bool = {.read = fields_read_only_bool};
const struct schema_type fields_only_number = {.read = fields_read_only_number};
const struct schema_type fields_only_empty = {.read = fields_read_only_empty};
