/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers of etcd's JSON gateway (etcd: Documentation/dev-guide/api_grpc_gateway.md; the
 * message forms are those of rpc.proto). jansson is not used here, for the sake of memory: a
 * page of a list is megabytes of base64, a tree of it many times that, and lib/json.h refuses
 * documents of more than 1 MiB. So an answer stays the text it is; etcd_read() goes over it once,
 * notes the few members that mean something and where the lists begin, and the elements of a list
 * are decoded in the place where they stand. base64 and its quotes are longer than what they say,
 * so there is always room for the terminator.
 *
 * Nested objects that only wrap ("result", "response_range", "header") are read as if their
 * members stood in the object around them. Members that are not known are passed over, null is
 * as good as absent (jsonpb leaves out what is zero), a wrong type is an error. Nesting is limited.
 *
 * What is trusted: nothing. Who answers on that port may be no etcd at all.
 */
#include "store/etcd_json.h"

#include <errno.h>
#include <string.h>

#include "store/etcd_text.h"
#include "lib/json.h"
#include "store/store.h"
#include "lib/text.h"

#define WRAPPERS 6 /* objects in each other that are read as one: result, error, header... */

struct span {
	char *p;
	size_t len;
};

struct scan {
	char *at, *end;
	const char *fault; /* the first one; NULL: none */
};

static bool scan_fail(struct scan *s, const char *what)
{
	if (!s->fault)
		s->fault = what;
	s->at = s->end;
	return false;
}

static int scan_report(const struct scan *s, struct err *e)
{
	return err_set(e, EBADMSG, "an answer that is not etcd's: %s", s->fault);
}

static void skip_space(struct scan *s)
{
	while (s->at < s->end &&
		(*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
		s->at++;
}

/* The next byte that means something, 0 at the end. */
static char scan_peek(struct scan *s)
{
	skip_space(s);
	return s->at < s->end ? *s->at : '\0';
}

static bool scan_take(struct scan *s, char c)
{
	if (scan_peek(s) != c)
		return false;
	s->at++;
	return true;
}

/* What stands between the quotes, with its escapes. */
static bool take_string(struct scan *s, struct span *out)
{
	if (!scan_take(s, '"'))
		return scan_fail(s, "a string was expected");
	char *from = s->at;
	while (s->at < s->end && *s->at != '"')
		s->at += *s->at == '\\' ? 2 : 1;
	if (s->at >= s->end)
		return scan_fail(s, "a string without end");
	*out = (struct span){.p = from, .len = (size_t)(s->at - from)};
	s->at++;
	return true;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '+' || c == '.';
}

/* A number or true, false, null, as it stands. */
static bool take_plain(struct scan *s, struct span *out)
{
	skip_space(s);
	char *from = s->at;
	while (s->at < s->end && is_plain(*s->at))
		s->at++;
	*out = (struct span){.p = from, .len = (size_t)(s->at - from)};
	return out->len > 0 || scan_fail(s, "a value was expected");
}

/* Passes over one value; inside of it only the brackets are checked. */
static bool skip_value(struct scan *s)
{
	int depth = 0;
	do {
		struct span ignored;
		char c = scan_peek(s);
		if (c == '"') {
			if (!take_string(s, &ignored))
				return false;
		} else if (c == '{' || c == '[') {
			s->at++;
			if (++depth > JSON_MAX_NESTING)
				return scan_fail(s, "it is nested too deeply");
		} else if (depth > 0 && (c == '}' || c == ']')) {
			s->at++;
			depth--;
		} else if (depth > 0 && (c == ',' || c == ':')) {
			s->at++;
		} else if (!take_plain(s, &ignored)) {
			return false;
		}
	} while (depth > 0);
	return true;
}

static bool is_word(const struct span *v, const char *word)
{
	return v->len == strlen(word) && memcmp(v->p, word, v->len) == 0;
}

/* Steps to the next member and its value; false behind the last one, or with a fault. first is
 * the caller's, true at the beginning. */
static bool next_member(struct scan *s, bool *first, struct span *key)
{
	if (s->fault || scan_take(s, '}'))
		return false;
	if (!*first && !scan_take(s, ','))
		return scan_fail(s, "a comma was expected");
	*first = false;
	return take_string(s, key) && (scan_take(s, ':') || scan_fail(s, "a colon was expected"));
}

/* Takes a null, which is as good as absent. */
static bool take_null(struct scan *s)
{
	skip_space(s);
	if (s->end - s->at < 4 || memcmp(s->at, "null", 4) != 0)
		return false;
	s->at += 4;
	return true;
}

/* A whole number of at most 64 bits, as a string or not. */
static bool take_number(struct scan *s, uint64_t max, uint64_t *out)
{
	struct span v = {0};
	if (scan_peek(s) == '"' ? !take_string(s, &v) : !take_plain(s, &v))
		return false;
	uint64_t n = 0;
	for (size_t i = 0; i < v.len; i++) {
		unsigned int digit = (unsigned int)(unsigned char)v.p[i] - '0';
		if (digit > 9 || n > (max - digit) / 10)
			return scan_fail(s, "a number is out of range");
		n = n * 10 + digit;
	}
	*out = n;
	return v.len > 0 || scan_fail(s, "a number is empty");
}

static bool take_int64(struct scan *s, int64_t *out)
{
	uint64_t n = 0;
	if (!take_number(s, INT64_MAX, &n))
		return false;
	*out = (int64_t)n;
	return true;
}

static bool take_bool(struct scan *s, bool *out)
{
	struct span v;
	if (!take_plain(s, &v))
		return false;
	if (!is_word(&v, "true") && !is_word(&v, "false"))
		return scan_fail(s, "true or false was expected");
	*out = is_word(&v, "true");
	return true;
}

static bool take_list(struct scan *s, struct etcd_list *out)
{
	if (scan_peek(s) != '[')
		return scan_fail(s, "a list was expected");
	char *from = s->at + 1;
	if (!skip_value(s))
		return false;
	*out = (struct etcd_list){.at = from, .end = s->at - 1};
	return true;
}

/* The byte that an escape stands for, '?' when it is not ASCII. *i steps behind it. */
static char unescape(const struct span *v, size_t *i)
{
	char c = v->p[*i];
	*i += 1;
	if (c != 'u')
		return strchr("nrtbf", c) ? ' ' : c;
	int code = 0;
	for (int n = 0; n < 4; n++, *i += 1) {
		int digit = *i < v->len ? text_hex_digit(v->p[*i]) : -1;
		if (digit < 0)
			return '?';
		code = code * 16 + digit;
	}
	return code >= ' ' && code < 0x7f ? (char)code : '?';
}

/* A sentence for people: cut and cleaned. */
static bool take_message(struct scan *s, char *out, size_t size)
{
	struct span v;
	if (!take_string(s, &v))
		return false;
	char raw[256];
	struct text t = TEXT_ON(raw);
	raw[0] = '\0';
	for (size_t i = 0; i < v.len && !t.cut;) {
		char c = v.p[i++];
		if (c == '\\' && i < v.len)
			c = unescape(&v, &i);
		text_add_char(&t, c ? c : '?');
	}
	(void)json_clean(out, size, raw);
	return true;
}

/* A token goes into a header line: printable ASCII without white space, or none. */
static bool take_token(struct scan *s, char *out, size_t size)
{
	struct span v;
	if (!take_string(s, &v))
		return false;
	if (v.len >= size)
		return scan_fail(s, "the token is too long");
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == '\\')
			return scan_fail(s, "the token is not plain text");
	memcpy(out, v.p, v.len);
	out[v.len] = '\0';
	return true;
}

static bool take_object(struct scan *s, struct etcd_answer *out, int level);

static bool take_error(struct scan *s, struct etcd_answer *out, int level)
{
	out->failed = true;
	return scan_peek(s) == '{' ? take_object(s, out, level + 1)
				   : take_message(s, out->message, sizeof(out->message));
}

static bool is_wrapper(const struct span *key)
{
	static const char *const names[] = {"header", "result", "response_range", "response_put",
		"response_delete_range", "response_txn"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_word(key, names[i]))
			return true;
	return false;
}

static bool *flag_of(struct etcd_answer *out, const struct span *key)
{
	if (is_word(key, "succeeded"))
		return &out->succeeded;
	if (is_word(key, "more"))
		return &out->more;
	if (is_word(key, "created"))
		return &out->created;
	if (is_word(key, "canceled"))
		return &out->canceled;
	return is_word(key, "fragment") ? &out->fragment : NULL;
}

static int64_t *number_of(struct etcd_answer *out, const struct span *key)
{
	if (is_word(key, "revision"))
		return &out->revision;
	if (is_word(key, "compact_revision"))
		return &out->compact_revision;
	return is_word(key, "code") || is_word(key, "grpc_code") ? &out->code : NULL;
}

static struct etcd_list *list_of(struct etcd_answer *out, const struct span *key)
{
	if (is_word(key, "kvs"))
		return &out->kvs;
	if (is_word(key, "responses"))
		return &out->responses;
	return is_word(key, "events") ? &out->events : NULL;
}

static bool take_member(struct scan *s, const struct span *key, struct etcd_answer *out, int level)
{
	if (take_null(s))
		return true;
	if (is_wrapper(key))
		return take_object(s, out, level + 1);
	if (is_word(key, "error"))
		return take_error(s, out, level);
	if (is_word(key, "message") || is_word(key, "cancel_reason"))
		return take_message(s, out->message, sizeof(out->message));
	if (is_word(key, "token"))
		return take_token(s, out->token, sizeof(out->token));
	if (is_word(key, "cluster_id"))
		return take_number(s, UINT64_MAX, &out->cluster);
	if (flag_of(out, key))
		return take_bool(s, flag_of(out, key));
	if (number_of(out, key))
		return take_int64(s, number_of(out, key));
	if (list_of(out, key))
		return take_list(s, list_of(out, key));
	return skip_value(s);
}

static bool take_object(struct scan *s, struct etcd_answer *out, int level)
{
	if (level > WRAPPERS)
		return scan_fail(s, "it is nested too deeply");
	if (!scan_take(s, '{'))
		return scan_fail(s, "an object was expected");
	bool first = true;
	struct span key;
	while (next_member(s, &first, &key))
		(void)take_member(s, &key, out, level);
	return !s->fault;
}

int etcd_read(char *text, size_t len, struct etcd_answer *out, struct err *e)
{
	struct scan s = {.at = text, .end = text + len};
	struct etcd_answer a = {.code = -1};
	if (take_object(&s, &a, 0) && scan_peek(&s) != '\0')
		(void)scan_fail(&s, "something follows it");
	if (s.fault)
		return scan_report(&s, e);
	*out = a;
	return 0;
}

/* Steps over the comma behind an element. */
static bool finish_element(struct scan *s, struct etcd_list *l)
{
	if (s->fault)
		return false;
	if (scan_peek(s) && !scan_take(s, ','))
		return scan_fail(s, "a comma was expected");
	l->at = s->at;
	return true;
}

int etcd_next_response(struct etcd_list *l, struct etcd_answer *out, struct err *e)
{
	struct scan s = {.at = l->at, .end = l->end};
	if (!scan_peek(&s))
		return 0;
	struct etcd_answer a = {.code = -1};
	if (!take_object(&s, &a, 0) || !finish_element(&s, l))
		return scan_report(&s, e);
	*out = a;
	return 1;
}

/* The value of a digit of base64, 64 when it is none. */
static unsigned int digit_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

/* Decodes v in place and terminates it; false when it is no base64. */
static bool decode_base64(struct span *v)
{
	const unsigned char *in = (const unsigned char *)v->p;
	size_t n = v->len;
	if (n % 4)
		return false;
	for (int i = 0; i < 2 && n > 0 && in[n - 1] == '='; i++)
		n--;
	char *out = v->p;
	unsigned int bits = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned int digit = digit_of(in[i]);
		if (digit > 63)
			return false;
		bits = (bits << 6 | digit) & 0xffffff;
		if (i % 4)
			*out++ = (char)(bits >> (6 - 2 * (i % 4)));
	}
	v->len = (size_t)(out - v->p);
	*out = '\0'; /* at the closing quote at the latest */
	return true;
}

static bool is_cut(const struct span *v)
{
	return v->len > 0 && v->p[v->len - 1] == ETCD_CUT;
}

/* A document that is no C string cannot be handed out as one. */
static bool take_value(struct scan *s, struct etcd_kv *out)
{
	struct span v;
	if (!take_string(s, &v))
		return false;
	bool cut = is_cut(&v);
	if (!cut && !decode_base64(&v))
		return scan_fail(s, "a value is not base64");
	bool usable = !cut && v.len <= STORE_VALUE_MAX && !memchr(v.p, '\0', v.len);
	out->value = usable ? v.p : NULL;
	out->value_len = usable ? v.len : 0;
	return true;
}

static bool take_key(struct scan *s, struct etcd_kv *out)
{
	struct span v;
	if (!take_string(s, &v))
		return false;
	if (!decode_base64(&v))
		return scan_fail(s, "a key is not base64");
	out->key = v.p;
	out->key_len = v.len;
	return true;
}

static bool take_kv(struct scan *s, struct etcd_kv *out, int level)
{
	if (!scan_take(s, '{'))
		return scan_fail(s, "an object was expected");
	bool first = true;
	struct span key;
	while (next_member(s, &first, &key)) {
		struct span type;
		if (take_null(s))
			continue;
		if (is_word(&key, "key"))
			(void)take_key(s, out);
		else if (is_word(&key, "value"))
			(void)take_value(s, out);
		else if (is_word(&key, "mod_revision"))
			(void)take_int64(s, &out->mod_revision);
		else if (is_word(&key, "kv") && level == 0)
			(void)take_kv(s, out, 1);
		else if (is_word(&key, "type") && take_string(s, &type))
			out->deleted = is_word(&type, "DELETE");
		else if (!is_word(&key, "type"))
			(void)skip_value(s);
	}
	return !s->fault;
}

int etcd_next_kv(struct etcd_list *l, struct etcd_kv *out, struct err *e)
{
	static char nothing[1];
	struct scan s = {.at = l->at, .end = l->end};
	if (!scan_peek(&s))
		return 0;
	struct etcd_kv kv = {.value = nothing};
	if (take_kv(&s, &kv, 0) && !kv.key)
		(void)scan_fail(&s, "a document without a key");
	if (!finish_element(&s, l))
		return scan_report(&s, e);
	*out = kv;
	return 1;
}
