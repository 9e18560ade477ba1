/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents: those that strangers wrote, and our own. jansson does the parsing; what it leaves
 * open is settled here: how large and how deep a document may be, and what a wrong type is called.
 *
 * Depth is counted before parsing, since jansson's own limit (2048) is a constant of its build and
 * its parser recurses. The count looks only at brackets outside strings, so for a document that is
 * not JSON at all it may be anything; the parser refuses that one anyway.
 *
 * Texts from a document appear in errors, so they are shortened and cleaned of control
 * characters. jansson guarantees valid UTF-8 and refuses U+0000, so every string here is a whole C
 * string. It makes no strings of bytes that are not UTF-8: json_clean() and json_of_text() are for
 * texts from elsewhere.
 *
 * Out of memory ends the process as everywhere (lib/mem.h): jansson is given an allocator that
 * does, once, before main(), so that no caller checks what json_object() and the like return. It also
 * gets the random number that it would open a file for (against keys chosen to collide).
 */
#include "lib/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "lib/file.h"
#include "lib/mem.h"
#include "lib/nearest.h"
#include "lib/text.h"

#define SHOWN 64 /* bytes of a stranger's key that an error repeats */

static void *allocate(size_t size)
{
	return mem_new_raw(size);
}

__attribute__((constructor)) static void prepare_jansson(void)
{
	size_t seed = 0; /* then it finds one itself */
	(void)!getrandom(&seed, sizeof(seed), GRND_NONBLOCK);
	json_object_seed(seed);
	json_set_alloc_funcs(allocate, free);
}

static int measure_nesting(const char *bytes, size_t len)
{
	int depth = 0;
	int deepest = 0;
	bool in_string = false;
	for (size_t i = 0; i < len; i++) {
		char c = bytes[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!in_string && (c == ']' || c == '}'))
			depth--;
	}
	return deepest;
}

static int describe_syntax(const json_error_t *error, struct err *e)
{
	char text[sizeof(error->text)];
	(void)text_clean(text, sizeof(text), error->text);
	switch (json_error_code(error)) {
	case json_error_premature_end_of_input:
		return err_set(e, EBADMSG, "unexpected end of JSON input");
	case json_error_end_of_input_expected:
		return err_set(e, EBADMSG,
			"something follows the JSON document (line %d, column %d)", error->line,
			error->column);
	default:
		return err_set(e, EBADMSG, "not valid JSON: %s (line %d, column %d)", text,
			error->line, error->column);
	}
}

/* Everything up to the text of the error. */
static int parse_bytes(
	const char *bytes, size_t len, size_t max, json_t **out, json_error_t *error, struct err *e)
{
	size_t mark = text_byte_order_mark(bytes, len);
	bytes += mark;
	len -= mark;
	*out = NULL;
	if (len > max)
		return err_set(e, EBADMSG, "JSON of more than %zu bytes", max);
	if (measure_nesting(bytes, len) > JSON_MAX_NESTING)
		return err_set(e, EBADMSG, "JSON nested deeper than %d levels", JSON_MAX_NESTING);
	*out = json_loadb(bytes, len, JSON_DECODE_ANY, error);
	return 0;
}

int json_parse_large(const char *bytes, size_t len, size_t max, json_t **out, struct err *e)
{
	json_error_t error = {0};
	json_t *doc = NULL;
	int r = parse_bytes(bytes, len, max, &doc, &error, e);
	if (r == 0 && !doc)
		r = describe_syntax(&error, e);
	if (r == 0)
		*out = doc;
	return r;
}

int json_parse(const char *bytes, size_t len, json_t **out, struct err *e)
{
	return json_parse_large(bytes, len, JSON_MAX_BYTES, out, e);
}

int json_parse_secret(const char *bytes, size_t len, json_t **out, struct err *e)
{
	json_error_t error = {0};
	json_t *doc = NULL;
	int r = parse_bytes(bytes, len, JSON_MAX_BYTES, &doc, &error, e);
	if (r == 0 && !doc)
		r = err_set(e, EBADMSG, "not valid JSON (line %d, column %d)", error.line,
			error.column);
	if (r == 0)
		*out = doc;
	return r;
}

const char *json_type_text(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a fraction",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};
	return value ? names[json_typeof(value)] : "absent";
}

/* The value of a type (JSON_TRUE: both of its kind), or none when the key is absent or null; 0, 1 or
 * an error. */
static int json_get(const json_t *object, const char *where, const char *key, json_type type,
	json_t **out, struct err *e)
{
	static const char *const wanted[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a whole number",
		[JSON_TRUE] = "true or false",
	};
	if (!object || json_is_null(object))
		return 0;
	if (!json_is_object(object))
		return err_set(e, EBADMSG, "%s must be an object, not %s",
			*where ? where : "the document", json_type_text(object));
	json_t *value = json_object_get(object, key);
	if (!value || json_is_null(value))
		return 0;
	if (json_typeof(value) != type && !(type == JSON_TRUE && json_is_false(value)))
		return err_set(e, EBADMSG, "%s%s%s must be %s, not %s", where, *where ? "." : "",
			key, wanted[type], json_type_text(value));
	*out = value;
	return 1;
}

int json_get_string(
	const json_t *object, const char *where, const char *key, const char **out, struct err *e)
{
	json_t *value = NULL;
	int r = json_get(object, where, key, JSON_STRING, &value, e);
	if (r > 0)
		*out = json_string_value(value);
	return r;
}

int json_get_bool(
	const json_t *object, const char *where, const char *key, bool *out, struct err *e)
{
	json_t *value = NULL;
	int r = json_get(object, where, key, JSON_TRUE, &value, e);
	if (r > 0)
		*out = json_is_true(value);
	return r;
}

// NOLINTNEXTLINE(readability-function-size): the range belongs into the call
int json_get_number(const json_t *object, const char *where, const char *key, int64_t min,
	int64_t max, int64_t *out, struct err *e)
{
	json_t *value = NULL;
	int r = json_get(object, where, key, JSON_INTEGER, &value, e);
	if (r <= 0)
		return r;
	int64_t n = json_integer_value(value);
	if (n != min && min == max)
		return err_set(e, EBADMSG, "%s%s%s is %" PRId64 ", must be %" PRId64, where,
			*where ? "." : "", key, n, min);
	if (n < min || n > max)
		return err_set(e, EBADMSG,
			"%s%s%s is %" PRId64 ", must be between %" PRId64 " and %" PRId64, where,
			*where ? "." : "", key, n, min, max);
	*out = n;
	return 1;
}

int json_get_object(
	const json_t *object, const char *where, const char *key, json_t **out, struct err *e)
{
	return json_get(object, where, key, JSON_OBJECT, out, e);
}

int json_get_array(
	const json_t *object, const char *where, const char *key, json_t **out, struct err *e)
{
	return json_get(object, where, key, JSON_ARRAY, out, e);
}

json_t *json_find_folded(const json_t *object, const char *key)
{
	json_t *found = json_object_get(object, key);
	if (found)
		return found;
	const char *name;
	json_t *value = NULL;
	json_object_foreach ((json_t *)object, name, value)
		if (strcasecmp(name, key) == 0)
			found = value;
	return found;
}

json_t *json_get_folded(const json_t *object, const char *key)
{
	json_t *value = json_find_folded(object, key);
	return json_is_null(value) ? NULL : value;
}

int json_check_keys(
	const json_t *object, const char *where, const char *const known[], struct err *e)
{
	const char *key;
	json_t *value = NULL;
	json_object_foreach ((json_t *)object, key, value) {
		if (text_index(key, known, SIZE_MAX) >= 0)
			continue;
		char shown[SHOWN];
		(void)text_clean(shown, sizeof(shown), key);
		(void)err_set(e, EINVAL, "unknown key \"%s\" in %s", shown,
			*where ? where : "the document");
		struct nearest n = NEAREST_TO(key);
		for (size_t i = 0; known[i]; i++)
			nearest_offer(&n, known[i]);
		nearest_add(&n, e);
		struct text list = TEXT_ON(e->details);
		text_add(&list, "known keys:");
		for (size_t i = 0; known[i]; i++)
			text_add(&list, "%s %s", i ? "," : "", known[i]);
		return -EINVAL;
	}
	return 0;
}

void json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		err_abort("a JSON document was given no value");
}

void json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		err_abort("a JSON document was given no value");
}

/* The first byte that is not UTF-8; NULL: none. */
static const char *find_invalid(const char *s)
{
	uint32_t c = 0;
	for (size_t n; *s; s += n) {
		n = text_utf8(s, &c);
		if (n == 0)
			return s;
	}
	return NULL;
}

static void replace_invalid(char *s)
{
	while ((s = (char *)find_invalid(s)))
		*s = '?';
}

const char *json_text_at(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

json_t *json_of_text(const char *s)
{
	json_t *text = json_string(s);
	if (text)
		return text;
	CLEANUP_FREE char *copy = mem_strdup(s);
	replace_invalid(copy);
	return json_string(copy);
}

json_t *json_of_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *json_of_addr(const struct addr *a)
{
	char text[ADDR_TEXT] = "";
	if (a->family)
		addr_format(a, text);
	return json_string(text);
}

json_t *json_of_cidr(const struct cidr *c)
{
	char text[CIDR_TEXT] = "";
	if (c->addr.family)
		cidr_format(c, text);
	return json_string(text);
}

int json_read_file(const char *path, json_t **out, struct err *e)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, errno, "cannot open %.200s: %s", path, strerror(errno));
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	int r = file_read_fd(fd, JSON_MAX_BYTES, &text, &len, e);
	if (r == 0)
		r = json_parse(text, len, out, e);
	if (r < 0)
		err_add(e, "%.200s", path);
	return r;
}

char *json_text(const json_t *value)
{
	return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

bool json_is_utf8(const char *s)
{
	return !find_invalid(s);
}

bool json_clean(char *dst, size_t size, const char *src)
{
	bool whole = text_clean(dst, size, src);
	replace_invalid(dst);
	return whole;
}
