/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed access to the fields of resources. lib/json.h reads types; here are the meanings that
 * several kinds share, and the rule that every error names its place, twice: in its sentence, for
 * people, and alone, so that a caller with a file can look up the line.
 *
 * The documents come from manifests and from a store that anybody may have written. Texts that go
 * on to BIRD or nft are checked here, character by character, to be of an alphabet in which nothing
 * can be closed or begun. What an error repeats of a document is shortened and cleaned.
 */
#include "cluster/fields.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "ipam/pool.h"
#include "lib/json.h"
#include "lib/selector.h"
#include "lib/text.h"

#define SHOWN 64 /* bytes of a document's text that an error repeats */

static void join(const char *path, const char *key, char out[RESOURCE_WHERE])
{
	char raw[RESOURCE_WHERE];
	struct text t = TEXT_ON(raw);
	text_add(&t, "%s%s%s", path, *path && *key ? "." : "", key);
	(void)json_clean(out, RESOURCE_WHERE, raw);
}

int fields_refuse(const struct fields *f, const char *key, int errnum, const char *fmt, ...)
{
	char raw[sizeof(f->e->text)], clean[sizeof(f->e->text)];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	(void)json_clean(clean, sizeof(clean), raw);
	join(f->path, key, f->where);
	return err_set(f->e, errnum, "%.200s %s", *f->where ? f->where : "the document", clean);
}

int fields_refuse_name(const struct fields *f, const char *name, const char *what)
{
	(void)text_copy(f->where, RESOURCE_WHERE, "metadata.name");
	return err_set(f->e, EINVAL, "metadata.name is \"%.60s\", %s", name, what);
}

static bool is_listed(const char *key, const char *const known[])
{
	for (size_t i = 0; known[i]; i++)
		if (strcmp(key, known[i]) == 0)
			return true;
	return false;
}

int fields_check(const struct fields *f, const char *const known[])
{
	const char *key;
	json_t *value = NULL;
	json_object_foreach ((json_t *)f->object, key, value) {
		if (is_listed(key, known))
			continue;
		(void)fields_refuse(f, key, EINVAL, "is not supported by roost");
		struct text list = TEXT_ON(f->e->details);
		text_add(&list, "%s may have", *f->path ? f->path : "the document");
		for (size_t i = 0; known[i]; i++)
			text_add(&list, "%s %s", i ? "," : "", known[i]);
		return -EINVAL;
	}
	return 0;
}

/* A getter of lib/json.h has answered: its error has the place in its sentence already. */
static int answer(const struct fields *f, const char *key, int r)
{
	if (r < 0)
		join(f->path, key, f->where);
	return r;
}

int fields_object(const struct fields *f, const char *key, struct fields *out)
{
	json_t *object = NULL;
	int r = answer(f, key, json_get_object(f->object, f->path, key, &object, f->e));
	if (r < 0)
		return r;
	*out = (struct fields){.object = object, .where = f->where, .e = f->e};
	join(f->path, key, out->path);
	return r;
}

int fields_element(
	const struct fields *f, const char *key, size_t i, const json_t *value, struct fields *out)
{
	struct fields element = {.object = value, .where = f->where, .e = f->e};
	char name[80];
	(void)snprintf(name, sizeof(name), "%.40s[%zu]", key, i);
	join(f->path, name, element.path);
	if (!json_is_object(value))
		return fields_refuse(f, name, EBADMSG, "must be an object");
	*out = element;
	return 1;
}

int fields_string(const struct fields *f, const char *key, const char **out)
{
	return answer(f, key, json_get_string(f->object, f->path, key, out, f->e));
}

int fields_bool(const struct fields *f, const char *key, bool *out)
{
	return answer(f, key, json_get_bool(f->object, f->path, key, out, f->e));
}

int fields_number(const struct fields *f, const char *key, int64_t min, int64_t max, int64_t *out)
{
	return answer(f, key, json_get_number(f->object, f->path, key, min, max, out, f->e));
}

int fields_array(const struct fields *f, const char *key, size_t max, json_t **out)
{
	json_t *array = NULL;
	int r = answer(f, key, json_get_array(f->object, f->path, key, &array, f->e));
	if (r <= 0)
		return r;
	if (json_array_size(array) > max)
		return fields_refuse(f, key, EINVAL, "has %zu entries, at most %zu are possible",
			json_array_size(array), max);
	*out = array;
	return 1;
}

int fields_string_at(
	const struct fields *f, const char *key, size_t i, const json_t *array, const char **out)
{
	const json_t *value = json_array_get(array, i);
	char name[80];
	(void)snprintf(name, sizeof(name), "%.40s[%zu]", key, i);
	if (!json_is_string(value))
		return fields_refuse(f, name, EBADMSG, "must be a string");
	*out = json_string_value(value);
	return 1;
}

int fields_word(
	const struct fields *f, const char *key, const char *const words[], size_t n, size_t *out)
{
	const char *text = NULL;
	int r = fields_string(f, key, &text);
	if (r <= 0)
		return r;
	char list[256];
	struct text t = TEXT_ON(list);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text, words[i]) == 0) {
			*out = i;
			return 1;
		}
		text_add(&t, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
	}
	return fields_refuse(f, key, EINVAL, "is \"%.*s\", must be %s", SHOWN, text, list);
}

int fields_only(const struct fields *f, const char *key, const char *word)
{
	const char *text = NULL;
	int r = fields_string(f, key, &text);
	if (r <= 0 || !*text || strcmp(text, word) == 0)
		return r;
	return fields_refuse(f, key, EINVAL, "\"%.*s\" is not supported by roost, only \"%s\" is",
		SHOWN, text, word);
}

int fields_only_empty(const struct fields *f, const char *key)
{
	json_t *array = NULL;
	int r = answer(f, key, json_get_array(f->object, f->path, key, &array, f->e));
	if (r <= 0 || json_array_size(array) == 0)
		return r;
	return fields_refuse(f, key, EINVAL, "is not supported by roost, but for an empty list");
}

int fields_only_bool(const struct fields *f, const char *key, bool value)
{
	bool seen = value;
	int r = fields_bool(f, key, &seen);
	if (r <= 0 || seen == value)
		return r;
	return fields_refuse(
		f, key, EINVAL, "%s is not supported by roost", seen ? "true" : "false");
}

int fields_name(const struct fields *f, const char *key, char out[RESOURCE_NAME])
{
	const char *text = NULL;
	int r = fields_string(f, key, &text);
	if (r <= 0)
		return r;
	if (*text && !text_is_dns_name(text))
		return fields_refuse(f, key, EINVAL,
			"\"%.*s\" is not a name (a-z, 0-9, dashes and dots, 253 characters at "
			"most)",
			SHOWN, text);
	(void)text_copy(out, RESOURCE_NAME, text);
	return *text ? 1 : 0;
}

int fields_selector(const struct fields *f, const char *key, char out[RESOURCE_SELECTOR])
{
	const char *text = NULL;
	struct err why = {0};
	int r = fields_string(f, key, &text);
	if (r <= 0)
		return r;
	for (const char *p = text; *p; p++)
		if ((*p < ' ' && *p != '\t') || *p > '~')
			return fields_refuse(f, key, EINVAL,
				"is not a selector: column %zu: not printable ASCII",
				(size_t)(p - text) + 1);
	if (strlen(text) >= RESOURCE_SELECTOR)
		return fields_refuse(
			f, key, EINVAL, "is longer than %d characters", RESOURCE_SELECTOR - 1);
	if (selector_check(text, &why) < 0)
		return fields_refuse(f, key, EINVAL, "is not a selector: %s", why.text);
	(void)text_copy(out, RESOURCE_SELECTOR, text);
	return 1;
}

/* Digits, as a number up to max; whole: nothing follows. */
static bool parse_digits(const char **s, uint64_t max, uint64_t *out)
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
static bool parse_as(const char *s, uint32_t *out)
{
	uint64_t high = 0, low = 0;
	const char *p = s;
	if (strchr(s, '.')) {
		if (!parse_digits(&p, UINT16_MAX, &high) || *p++ != '.')
			return false;
	}
	if (!parse_digits(&p, *s && strchr(s, '.') ? UINT16_MAX : UINT32_MAX, &low) || *p)
		return false;
	*out = (uint32_t)(high << 16 | low);
	return *out != 0;
}

int fields_as_number(const struct fields *f, const char *key, uint32_t *out)
{
	const json_t *value = json_object_get(f->object, key);
	if (json_is_real(value))
		return fields_refuse(
			f, key, EINVAL, "is a fraction; an AS number with a dot needs quotes");
	if (json_is_string(value)) {
		const char *text = json_string_value(value);
		if (parse_as(text, out))
			return 1;
		return fields_refuse(f, key, EINVAL,
			"is \"%.*s\", must be an AS number (1 to 4294967295, or \"1.2\")", SHOWN,
			text);
	}
	int64_t n = 0;
	int r = fields_number(f, key, 1, UINT32_MAX, &n);
	if (r > 0)
		*out = (uint32_t)n;
	return r;
}

/* Go's durations, as far as they are whole seconds. */
static bool parse_seconds(const char *s, uint64_t *out)
{
	uint64_t sum = 0;
	if (!*s)
		return false;
	while (*s) {
		uint64_t n = 0;
		if (!parse_digits(&s, UINT32_MAX, &n) || !*s || !strchr("hms", *s))
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

int fields_seconds(
	const struct fields *f, const char *key, uint32_t min, uint32_t max, uint32_t *out)
{
	const char *text = NULL;
	uint64_t n = 0;
	int r = fields_string(f, key, &text);
	if (r <= 0)
		return r;
	if (!parse_seconds(text, &n))
		return fields_refuse(f, key, EINVAL,
			"is \"%.*s\", must be a time in whole seconds like \"120s\" or \"2m\"",
			SHOWN, text);
	if (n < min || n > max)
		return fields_refuse(f, key, EINVAL, "is %llu seconds, must be between %u and %u",
			(unsigned long long)n, min, max);
	*out = (uint32_t)n;
	return 1;
}

int fields_password(const struct fields *f, const char *key, char out[RESOURCE_PASSWORD])
{
	static const char *const known[] = {"text", NULL};
	struct fields password;
	const char *text = NULL;
	int r = fields_object(f, key, &password);
	if (r <= 0)
		return r;
	r = fields_check(&password, known);
	if (r == 0)
		r = fields_string(&password, "text", &text);
	if (r < 0)
		return r;
	if (!text || !*text)
		return fields_refuse(&password, "text", EINVAL, "is missing");
	if (strlen(text) >= RESOURCE_PASSWORD)
		return fields_refuse(&password, "text", EINVAL, "is longer than %d characters",
			RESOURCE_PASSWORD - 1);
	for (const char *p = text; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
			return fields_refuse(&password, "text", EINVAL,
				"must be printable ASCII without double quote and backslash");
	(void)text_copy(out, RESOURCE_PASSWORD, text);
	return 1;
}

static const char *family_text(int family)
{
	return family == AF_INET ? "an IPv4" : family == AF_INET6 ? "an IPv6" : "an IP";
}

int fields_check_host(const struct fields *f, const char *key, const struct addr *a)
{
	struct cidr host = cidr_of_host(a);
	const char *special = pool_special(&host);
	if (!special)
		return 1;
	char text[ADDR_TEXT];
	addr_format(a, text);
	return fields_refuse(
		f, key, EINVAL, "is %s, which is among the %s: no host has it", text, special);
}

int fields_addr(const struct fields *f, const char *key, int family, struct addr *out)
{
	const char *text = NULL;
	struct err ignored;
	struct addr a;
	int r = fields_string(f, key, &text);
	if (r <= 0 || !*text)
		return r < 0 ? r : 0;
	if (addr_parse(text, &a, &ignored) < 0 || (family && a.family != family))
		return fields_refuse(f, key, EINVAL, "is \"%.*s\", must be %s address", SHOWN, text,
			family_text(family));
	r = fields_check_host(f, key, &a);
	if (r > 0)
		*out = a;
	return r;
}

/* ADDRESS or ADDRESS/LEN. */
static bool parse_prefix(const char *text, int family, struct cidr *out)
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

int fields_host(const struct fields *f, const char *key, int family, struct cidr *out)
{
	const char *text = NULL;
	struct cidr c;
	int r = fields_string(f, key, &text);
	if (r <= 0 || !*text)
		return r < 0 ? r : 0;
	if (!parse_prefix(text, family, &c))
		return fields_refuse(f, key, EINVAL,
			"is \"%.*s\", must be %s address, with or without the length of its subnet",
			SHOWN, text, family_text(family));
	r = fields_check_host(f, key, &c.addr);
	if (r > 0)
		*out = c;
	return r;
}

int fields_parse_prefix(
	const struct fields *f, const char *key, const char *text, int family, struct cidr *out)
{
	struct cidr c;
	if (!parse_prefix(text, family, &c))
		return fields_refuse(f, key, EINVAL,
			"is \"%.*s\", must be %s prefix (ADDRESS/LENGTH)", SHOWN, text,
			family_text(family));
	if (cidr_has_host_bits(&c)) {
		struct cidr masked = cidr_masked(&c.addr, c.len);
		char meant[CIDR_TEXT];
		cidr_format(&masked, meant);
		return fields_refuse(f, key, EINVAL,
			"is %.*s, which has host bits; the prefix is %s", SHOWN, text, meant);
	}
	*out = c;
	return 1;
}

int fields_mac(const struct fields *f, const char *key, uint8_t out[6])
{
	const char *text = NULL;
	int r = fields_string(f, key, &text);
	if (r <= 0 || !*text)
		return r < 0 ? r : 0;
	if (!mac_parse(text, out))
		return fields_refuse(f, key, EINVAL,
			"is \"%.*s\", must be a MAC address like 66:3e:04:aa:bb:cc", SHOWN, text);
	return 1;
}
