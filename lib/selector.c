/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors: one recursive descent over the text that gives what it reads to a sink, terms before
 * what joins them. The sink of this file decides while it is given something, so there is no tree, no
 * allocation, and checking a selector is evaluating it on no labels. policy/selector.c has another one.
 *
 *	or      = and { "||" and }
 *	and     = not { "&&" not }
 *	not     = { "!" } operation
 *	operation = "(" or ")" | "all()" | "has(" key ")"
 *	          | key ( "==" | "!=" | "contains" | "starts with" | "ends with" ) string
 *	          | key ( "in" | "not in" | "notin" ) "{" [ string { "," string } ] "}"
 *
 * "!" takes the whole operation behind it, as in Calico: !k == "v" is !(k == "v"). White space is
 * blanks and tabs. A string stands in either kind of quotes and knows no escapes. A key is made of
 * A-Z a-z 0-9 _ . / - and may be a word of the language: has == "x" is a comparison, as there is no
 * "(" behind "has".
 *
 * Texts come from documents that anybody may have written; only parentheses nest, and those are
 * counted.
 */
#include "lib/selector.h"

#include <errno.h>
#include <string.h>

#include "lib/text.h"

#define NESTING_MAX 32
#define KEY_MAX 512 /* bytes of a label's key */

struct parser {
	const char *text, *p; /* the whole, and what is not read yet */
	const struct selector_sink *sink;
	void *to;
	int depth;
	bool with_global;
	const char *global; /* where it stands; NULL: nowhere */
	struct err *e;
};

static int selector_refuse(const struct parser *s, const char *at, const char *what)
{
	return err_set(s->e, EINVAL, "column %zu: %s", (size_t)(at - s->text) + 1, what);
}

static void skip_blanks(struct parser *s)
{
	while (*s->p == ' ' || *s->p == '\t')
		s->p++;
}

static bool is_key_char(char c)
{
	return text_is_alnum(c) || (c && strchr("_./-", c));
}

/* Takes a sign: "(", "&&". */
static bool take_sign(struct parser *s, const char *sign)
{
	skip_blanks(s);
	size_t len = strlen(sign);
	if (strncmp(s->p, sign, len) != 0)
		return false;
	s->p += len;
	return true;
}

/* Takes a word that ends where it ends. */
static bool take_word(struct parser *s, const char *word)
{
	skip_blanks(s);
	size_t len = strlen(word);
	if (strncmp(s->p, word, len) != 0 || is_key_char(s->p[len]))
		return false;
	s->p += len;
	return true;
}

/* Two words; neither when the second is missing. */
static bool take_words(struct parser *s, const char *first, const char *second)
{
	const char *before = s->p;
	if (take_word(s, first) && take_word(s, second))
		return true;
	s->p = before;
	return false;
}

/* name and "(", the beginning of a function. */
static bool take_function(struct parser *s, const char *name)
{
	const char *before = s->p;
	if (take_word(s, name) && take_sign(s, "("))
		return true;
	s->p = before;
	return false;
}

static int take_key(struct parser *s, struct selector_span *out)
{
	skip_blanks(s);
	const char *start = s->p;
	while (is_key_char(*s->p))
		s->p++;
	*out = (struct selector_span){.start = start, .len = (size_t)(s->p - start)};
	if (out->len == 0)
		return selector_refuse(
			s, start, *start ? "a label is expected here" : "it ends too soon");
	if (out->len > KEY_MAX)
		return selector_refuse(s, start, "a label's key has 512 characters at most");
	return 0;
}

static int take_string(struct parser *s, struct selector_span *out)
{
	skip_blanks(s);
	const char *start = s->p;
	if (*start != '"' && *start != '\'')
		return selector_refuse(s, start, "a text in quotes is expected here");
	const char *p = start + 1;
	for (; *p && *p != *start; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return selector_refuse(s, p, "a control character");
	if (!*p)
		return selector_refuse(s, start, "this quote is never closed");
	*out = (struct selector_span){.start = start + 1, .len = (size_t)(p - start - 1)};
	s->p = p + 1;
	return 0;
}

static int parse_value(struct parser *s)
{
	struct selector_span t = {.start = ""};
	int r = take_string(s, &t);
	if (r == 0)
		s->sink->value(s->to, &t);
	return r;
}

static int parse_set(struct parser *s)
{
	if (!take_sign(s, "{"))
		return selector_refuse(s, s->p, "{ is expected here");
	if (take_sign(s, "}"))
		return 0;
	do {
		int r = parse_value(s);
		if (r < 0)
			return r;
	} while (take_sign(s, ","));
	return take_sign(s, "}") ? 0 : selector_refuse(s, s->p, ", or } is expected here");
}

/* The sign or words between a key and what it is compared with. */
static int take_operator(struct parser *s, enum selector_op *op, bool *negate, bool *is_set)
{
	*op = SELECTOR_IN;
	*negate = *is_set = false;
	if (take_sign(s, "==")) {
		return 0;
	} else if (take_sign(s, "!=")) {
		*negate = true;
	} else if (take_word(s, "contains")) {
		*op = SELECTOR_CONTAINS;
	} else if (take_words(s, "starts", "with")) {
		*op = SELECTOR_STARTS;
	} else if (take_words(s, "ends", "with")) {
		*op = SELECTOR_ENDS;
	} else if (take_words(s, "not", "in") || take_word(s, "notin")) {
		*negate = *is_set = true;
	} else if (take_word(s, "in")) {
		*is_set = true;
	} else {
		return selector_refuse(s, s->p,
			"a comparison is expected here: ==, !=, in, not in, contains, starts with, "
			"ends with");
	}
	return 0;
}

static int parse_comparison(struct parser *s)
{
	struct selector_span key = {0};
	enum selector_op op = SELECTOR_IN;
	bool negate = false, is_set = false;
	int r = take_key(s, &key);
	if (r == 0)
		r = take_operator(s, &op, &negate, &is_set);
	if (r < 0)
		return r;
	s->sink->term(s->to, op, &key);
	r = is_set ? parse_set(s) : parse_value(s);
	if (r == 0 && negate)
		s->sink->negate(s->to);
	return r;
}

static int parse_or(struct parser *s);

/* all() or global(), of which the begin is read. */
static int parse_constant(struct parser *s, enum selector_op op)
{
	if (!take_sign(s, ")"))
		return selector_refuse(s, s->p, ") is expected here");
	s->sink->term(s->to, op, &(struct selector_span){.start = ""});
	return 0;
}

static int parse_global(struct parser *s, const char *start)
{
	if (!s->with_global)
		return selector_refuse(s, start, "global() does not select nodes");
	s->global = start;
	return parse_constant(s, SELECTOR_GLOBAL);
}

static int parse_has(struct parser *s)
{
	struct selector_span key = {0};
	int r = take_key(s, &key);
	if (r < 0)
		return r;
	if (!take_sign(s, ")"))
		return selector_refuse(s, s->p, ") is expected here");
	s->sink->term(s->to, SELECTOR_HAS, &key);
	return 0;
}

static int parse_operation(struct parser *s)
{
	skip_blanks(s);
	const char *start = s->p;
	if (take_function(s, "all"))
		return parse_constant(s, SELECTOR_ALL);
	if (take_function(s, "global"))
		return parse_global(s, start);
	if (take_function(s, "has"))
		return parse_has(s);
	if (!take_sign(s, "("))
		return parse_comparison(s);
	if (++s->depth > NESTING_MAX)
		return selector_refuse(s, start, "nested deeper than 32 levels");
	int r = parse_or(s);
	s->depth--;
	if (r == 0 && !take_sign(s, ")"))
		r = selector_refuse(s, s->p, ") is expected here");
	return r;
}

static int parse_not(struct parser *s)
{
	bool negate = false;
	while (take_sign(s, "!"))
		negate = !negate;
	int r = parse_operation(s);
	if (r == 0 && negate)
		s->sink->negate(s->to);
	return r;
}

static int parse_joined(struct parser *s, bool is_and, int (*operand)(struct parser *s))
{
	int r = operand(s);
	while (r == 0 && take_sign(s, is_and ? "&&" : "||")) {
		r = operand(s);
		if (r == 0)
			s->sink->join(s->to, is_and);
	}
	return r;
}

static int parse_and(struct parser *s)
{
	return parse_joined(s, true, parse_not);
}

static int parse_or(struct parser *s)
{
	return parse_joined(s, false, parse_and);
}

/* global() tells two worlds apart, and so it is the whole of a selector. */
static int check_global(const struct parser *s)
{
	if (!s->global)
		return 0;
	const char *end = strchr(s->global, ')') + 1;
	if (s->text + strspn(s->text, " \t") == s->global && !end[strspn(end, " \t")])
		return 0;
	return selector_refuse(s, s->global, "global() stands alone");
}

int selector_read(const char *text, bool with_global, const struct selector_sink *sink, void *to,
	struct err *e)
{
	struct parser s = {.text = text,
		.p = text,
		.sink = sink,
		.to = to,
		.with_global = with_global,
		.e = e};
	if (strnlen(text, SELECTOR_MAX + 1) > SELECTOR_MAX)
		return err_set(e, EINVAL, "column %d: longer than %d bytes", SELECTOR_MAX + 1,
			SELECTOR_MAX);
	skip_blanks(&s);
	if (!*s.p) {
		sink->term(to, SELECTOR_ALL, &(struct selector_span){.start = ""});
		return 0;
	}
	int r = parse_or(&s);
	skip_blanks(&s);
	if (r == 0 && *s.p)
		return selector_refuse(&s, s.p, "&& or || is expected here");
	return r < 0 ? r : check_global(&s);
}

/* The evaluator: what is decided and not joined yet, the last on top. */
struct evaluation {
	const json_t *labels;
	const char *value; /* of the last term's label; NULL: absent */
	enum selector_op op;
	bool stack[SELECTOR_PENDING];
	size_t n;
};

static void evaluate_term(void *to, enum selector_op op, const struct selector_span *key)
{
	struct evaluation *v = to;
	char text[KEY_MAX + 1];
	memcpy(text, key->start, key->len);
	text[key->len] = '\0';
	v->op = op;
	v->value = json_string_value(json_object_get(v->labels, text));
	v->stack[v->n++] = op == SELECTOR_ALL || (op == SELECTOR_HAS && v->value);
}

static bool is_met(const struct evaluation *v, const struct selector_span *t)
{
	size_t len = v->value ? strlen(v->value) : 0;
	if (!v->value || len < t->len)
		return false;
	switch (v->op) {
	case SELECTOR_IN:
		return len == t->len && memcmp(v->value, t->start, t->len) == 0;
	case SELECTOR_STARTS:
		return memcmp(v->value, t->start, t->len) == 0;
	case SELECTOR_ENDS:
		return memcmp(v->value + len - t->len, t->start, t->len) == 0;
	default:
		return memmem(v->value, len, t->start, t->len) != NULL;
	}
}

static void evaluate_value(void *to, const struct selector_span *value)
{
	struct evaluation *v = to;
	v->stack[v->n - 1] = v->stack[v->n - 1] || is_met(v, value);
}

static void evaluate_negate(void *to)
{
	struct evaluation *v = to;
	v->stack[v->n - 1] = !v->stack[v->n - 1];
}

static void evaluate_join(void *to, bool is_and)
{
	struct evaluation *v = to;
	bool b = v->stack[--v->n], a = v->stack[v->n - 1];
	v->stack[v->n - 1] = is_and ? a && b : a || b;
}

static int selector_evaluate(const char *text, const json_t *labels, bool *out, struct err *e)
{
	static const struct selector_sink sink = {
		.term = evaluate_term,
		.value = evaluate_value,
		.negate = evaluate_negate,
		.join = evaluate_join,
	};
	struct evaluation v = {.labels = labels};
	int r = selector_read(text, false, &sink, &v, e);
	*out = r == 0 && v.stack[0];
	return r;
}

int selector_check(const char *text, struct err *e)
{
	bool ignored;
	return selector_evaluate(text, NULL, &ignored, e);
}

bool selector_matches(const char *text, const json_t *labels)
{
	struct err ignored;
	bool matches = false;
	return selector_evaluate(text, labels, &matches, &ignored) == 0 && matches;
}
