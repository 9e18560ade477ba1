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
#include "store/sieve.h"
#include "store/store.h"
#include "lib/text.h"

#define WRAPPERS 6 /* objects in each other that are read as one: result, error, header... */

struct span {
	char *p;
	size_t len;
};

struct scan {
	char *at, *end;
	int depth;	   /* of objects */
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
	return text_is_alnum(c) || c == '-' || c == '+' || c == '.';
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

/* ---- Members ---- */

/* A member and the place of its field in the struct, which is what take() gets. Tables end with none. */
struct member {
	const char *name;
	bool (*take)(struct scan *s, void *field);
	size_t offset;
};

static bool take_member(
	struct scan *s, const struct span *key, const struct member *known, char *base)
{
	while (known->name && !is_word(key, known->name))
		known++;
	if (take_null(s))
		return true;
	return known->name ? known->take(s, base + known->offset) : skip_value(s);
}

static bool take_object(struct scan *s, const struct member *known, void *base)
{
	if (s->depth > WRAPPERS)
		return scan_fail(s, "it is nested too deeply");
	if (!scan_take(s, '{'))
		return scan_fail(s, "an object was expected");
	s->depth++;
	for (bool first = true; !s->fault && !scan_take(s, '}'); first = false) {
		struct span key;
		if (!first && !scan_take(s, ','))
			return scan_fail(s, "a comma was expected");
		if (take_string(s, &key) && !scan_take(s, ':'))
			return scan_fail(s, "a colon was expected");
		(void)(s->fault || take_member(s, &key, known, base));
	}
	s->depth--;
	return !s->fault;
}

static bool take_id(struct scan *s, void *field)
{
	return take_number(s, UINT64_MAX, field);
}

static bool take_int64(struct scan *s, void *field)
{
	return take_number(s, INT64_MAX, field);
}

static bool take_bool(struct scan *s, void *field)
{
	struct span v;
	if (!take_plain(s, &v))
		return false;
	if (!is_word(&v, "true") && !is_word(&v, "false"))
		return scan_fail(s, "true or false was expected");
	*(bool *)field = is_word(&v, "true");
	return true;
}

static bool take_list(struct scan *s, void *field)
{
	if (scan_peek(s) != '[')
		return scan_fail(s, "a list was expected");
	char *from = s->at + 1;
	if (!skip_value(s))
		return false;
	*(struct etcd_list *)field = (struct etcd_list){.at = from, .end = s->at - 1};
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
static bool take_message(struct scan *s, void *answer)
{
	struct etcd_answer *out = answer;
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
	(void)json_clean(out->message, sizeof(out->message), raw);
	return true;
}

/* A token goes into a header line: printable ASCII without white space, or none. */
static bool take_token(struct scan *s, void *answer)
{
	struct etcd_answer *out = answer;
	struct span v;
	if (!take_string(s, &v))
		return false;
	if (v.len >= sizeof(out->token))
		return scan_fail(s, "the token is too long");
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == '\\')
			return scan_fail(s, "the token is not plain text");
	memcpy(out->token, v.p, v.len);
	out->token[v.len] = '\0';
	return true;
}

static bool take_answer(struct scan *s, void *answer);

static bool take_error(struct scan *s, void *answer)
{
	struct etcd_answer *out = answer;
	out->failed = true;
	return scan_peek(s) == '{' ? take_answer(s, out) : take_message(s, out);
}

static bool take_answer(struct scan *s, void *answer)
{
#define FIELD(name) offsetof(struct etcd_answer, name)
	static const struct member known[] = {
		{"header", take_answer, 0},
		{"result", take_answer, 0},
		{"response_range", take_answer, 0},
		{"response_put", take_answer, 0},
		{"response_delete_range", take_answer, 0},
		{"response_txn", take_answer, 0},
		{"error", take_error, 0},
		{"message", take_message, 0},
		{"cancel_reason", take_message, 0},
		{"token", take_token, 0},
		{"cluster_id", take_id, FIELD(cluster)},
		{"succeeded", take_bool, FIELD(succeeded)},
		{"more", take_bool, FIELD(more)},
		{"created", take_bool, FIELD(created)},
		{"canceled", take_bool, FIELD(canceled)},
		{"fragment", take_bool, FIELD(fragment)},
		{"revision", take_int64, FIELD(revision)},
		{"compact_revision", take_int64, FIELD(compact_revision)},
		{"code", take_int64, FIELD(code)},
		{"grpc_code", take_int64, FIELD(code)},
		{"kvs", take_list, FIELD(kvs)},
		{"responses", take_list, FIELD(responses)},
		{"events", take_list, FIELD(events)},
		{0},
	};
#undef FIELD
	return take_object(s, known, answer);
}

int etcd_read(char *text, size_t len, struct etcd_answer *out, struct err *e)
{
	struct scan s = {.at = text, .end = text + len};
	struct etcd_answer a = {.code = -1};
	if (take_answer(&s, &a) && scan_peek(&s) != '\0')
		(void)scan_fail(&s, "something follows it");
	if (s.fault)
		return scan_report(&s, e);
	*out = a;
	return 0;
}

/* The next element of a list and the comma behind it; 1, 0 at the end. */
static int next_element(
	struct etcd_list *l, bool (*take)(struct scan *s, void *out), void *out, struct err *e)
{
	struct scan s = {.at = l->at, .end = l->end};
	if (!scan_peek(&s))
		return 0;
	if (take(&s, out) && scan_peek(&s) && !scan_take(&s, ','))
		(void)scan_fail(&s, "a comma was expected");
	if (s.fault)
		return scan_report(&s, e);
	l->at = s.at;
	return 1;
}

int etcd_next_response(struct etcd_list *l, struct etcd_answer *out, struct err *e)
{
	struct etcd_answer a = {.code = -1};
	int r = next_element(l, take_answer, &a, e);
	if (r > 0)
		*out = a;
	return r;
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

/* A document that is no C string cannot be handed out as one. */
static bool take_value(struct scan *s, void *kv)
{
	struct etcd_kv *out = kv;
	struct span v;
	if (!take_string(s, &v))
		return false;
	bool cut = v.len > 0 && v.p[v.len - 1] == SIEVE_CUT;
	if (!cut && !decode_base64(&v))
		return scan_fail(s, "a value is not base64");
	bool usable = !cut && v.len <= STORE_VALUE_MAX && !memchr(v.p, '\0', v.len);
	out->value = usable ? v.p : NULL;
	out->value_len = usable ? v.len : 0;
	return true;
}

static bool take_key(struct scan *s, void *kv)
{
	struct etcd_kv *out = kv;
	struct span v;
	if (!take_string(s, &v))
		return false;
	if (!decode_base64(&v))
		return scan_fail(s, "a key is not base64");
	out->key = v.p;
	out->key_len = v.len;
	return true;
}

static bool take_deleted(struct scan *s, void *field)
{
	struct span type;
	if (!take_string(s, &type))
		return false;
	*(bool *)field = is_word(&type, "DELETE");
	return true;
}

/* A document, or an event that has one as its "kv". */
static bool take_kv(struct scan *s, void *kv)
{
	static const struct member known[] = {
		{"key", take_key, 0},
		{"value", take_value, 0},
		{"mod_revision", take_int64, offsetof(struct etcd_kv, mod_revision)},
		{"type", take_deleted, offsetof(struct etcd_kv, deleted)},
		{"kv", take_kv, 0},
		{0},
	};
	if (s->depth > 1)
		return skip_value(s);
	return take_object(s, known, kv);
}

static bool take_document(struct scan *s, void *kv)
{
	return take_kv(s, kv) &&
	       (((struct etcd_kv *)kv)->key || scan_fail(s, "a document without a key"));
}

int etcd_next_kv(struct etcd_list *l, struct etcd_kv *out, struct err *e)
{
	static char nothing[1];
	struct etcd_kv kv = {.value = nothing};
	int r = next_element(l, take_document, &kv, e);
	if (r > 0)
		*out = kv;
	return r;
}
