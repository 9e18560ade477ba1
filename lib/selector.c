/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label selectors: one recursive descent over the text that decides while it reads, so there is no
 * tree, no allocation, and checking a selector is evaluating it on no labels.
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
	const json_t *labels;
	int depth;
	struct err *e;
};

struct span {
	const char *start;
	size_t len;
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

static int take_key(struct parser *s, struct span *out)
{
	skip_blanks(s);
	const char *start = s->p;
	while (is_key_char(*s->p))
		s->p++;
	*out = (struct span){.start = start, .len = (size_t)(s->p - start)};
	if (out->len == 0)
		return selector_refuse(
			s, start, *start ? "a label is expected here" : "it ends too soon");
	if (out->len > KEY_MAX)
		return selector_refuse(s, start, "a label's key has 512 characters at most");
	return 0;
}

static int take_string(struct parser *s, struct span *out)
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
	*out = (struct span){.start = start + 1, .len = (size_t)(p - start - 1)};
	s->p = p + 1;
	return 0;
}

/* The label's value; NULL when it is absent. */
static const char *value_of(const struct parser *s, const struct span *key)
{
	char text[KEY_MAX + 1];
	memcpy(text, key->start, key->len);
	text[key->len] = '\0';
	return json_string_value(json_object_get(s->labels, text));
}

static bool is_equal(const char *value, const struct span *t)
{
	return value && strlen(value) == t->len && memcmp(value, t->start, t->len) == 0;
}

static bool has_part(const char *value, const struct span *t)
{
	return value && memmem(value, strlen(value), t->start, t->len);
}

static bool has_start(const char *value, const struct span *t)
{
	return value && strlen(value) >= t->len && memcmp(value, t->start, t->len) == 0;
}

static bool has_end(const char *value, const struct span *t)
{
	size_t len = value ? strlen(value) : 0;
	return value && len >= t->len && memcmp(value + len - t->len, t->start, t->len) == 0;
}

static int parse_set(struct parser *s, const char *value, bool *out)
{
	bool found = false;
	if (!take_sign(s, "{"))
		return selector_refuse(s, s->p, "{ is expected here");
	if (take_sign(s, "}")) {
		*out = false;
		return 0;
	}
	do {
		struct span t = {.start = ""};
		int r = take_string(s, &t);
		if (r < 0)
			return r;
		found = found || is_equal(value, &t);
	} while (take_sign(s, ","));
	if (!take_sign(s, "}"))
		return selector_refuse(s, s->p, ", or } is expected here");
	*out = found;
	return 0;
}

static int parse_comparison(struct parser *s, bool *out)
{
	bool (*compare)(const char *, const struct span *) = NULL;
	struct span key = {0}, text = {.start = ""};
	bool negate = false;
	int r = take_key(s, &key);
	if (r < 0)
		return r;
	const char *value = value_of(s, &key);
	if (take_sign(s, "==")) {
		compare = is_equal;
	} else if (take_sign(s, "!=")) {
		compare = is_equal;
		negate = true;
	} else if (take_word(s, "contains")) {
		compare = has_part;
	} else if (take_words(s, "starts", "with")) {
		compare = has_start;
	} else if (take_words(s, "ends", "with")) {
		compare = has_end;
	} else if (take_words(s, "not", "in") || take_word(s, "notin")) {
		negate = true;
	} else if (!take_word(s, "in")) {
		return selector_refuse(s, s->p,
			"a comparison is expected here: ==, !=, in, not in, contains, starts with, "
			"ends with");
	}
	if (!compare) {
		r = parse_set(s, value, out);
	} else {
		r = take_string(s, &text);
		*out = r == 0 && compare(value, &text);
	}
	*out = *out != negate;
	return r;
}

static int parse_or(struct parser *s, bool *out);

static int parse_operation(struct parser *s, bool *out)
{
	skip_blanks(s);
	const char *start = s->p;
	if (take_function(s, "all")) {
		*out = true;
		return take_sign(s, ")") ? 0 : selector_refuse(s, s->p, ") is expected here");
	}
	if (take_function(s, "global"))
		return selector_refuse(s, start, "global() does not select nodes");
	if (take_function(s, "has")) {
		struct span key = {0};
		int r = take_key(s, &key);
		if (r < 0)
			return r;
		*out = value_of(s, &key);
		return take_sign(s, ")") ? 0 : selector_refuse(s, s->p, ") is expected here");
	}
	if (!take_sign(s, "("))
		return parse_comparison(s, out);
	if (++s->depth > NESTING_MAX)
		return selector_refuse(s, start, "nested deeper than 32 levels");
	int r = parse_or(s, out);
	s->depth--;
	if (r == 0 && !take_sign(s, ")"))
		r = selector_refuse(s, s->p, ") is expected here");
	return r;
}

static int parse_not(struct parser *s, bool *out)
{
	bool negate = false, value = false;
	while (take_sign(s, "!"))
		negate = !negate;
	int r = parse_operation(s, &value);
	*out = value != negate;
	return r;
}

static int parse_and(struct parser *s, bool *out)
{
	bool all = true, value = false;
	do {
		int r = parse_not(s, &value);
		if (r < 0)
			return r;
		all = all && value;
	} while (take_sign(s, "&&"));
	*out = all;
	return 0;
}

static int parse_or(struct parser *s, bool *out)
{
	bool any = false, value = false;
	do {
		int r = parse_and(s, &value);
		if (r < 0)
			return r;
		any = any || value;
	} while (take_sign(s, "||"));
	*out = any;
	return 0;
}

static int selector_evaluate(const char *text, const json_t *labels, bool *out, struct err *e)
{
	struct parser s = {.text = text, .p = text, .labels = labels, .e = e};
	if (strnlen(text, SELECTOR_MAX + 1) > SELECTOR_MAX)
		return err_set(e, EINVAL, "column %d: longer than %d bytes", SELECTOR_MAX + 1,
			SELECTOR_MAX);
	*out = true;
	skip_blanks(&s);
	if (!*s.p)
		return 0;
	int r = parse_or(&s, out);
	skip_blanks(&s);
	if (r == 0 && *s.p)
		return selector_refuse(&s, s.p, "&& or || is expected here");
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
