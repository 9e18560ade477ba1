/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML files as jansson trees. libyaml gives events; this is the descent that makes values of them,
 * and beside each value remembers where it stood.
 *
 * What a plain scalar means is decided by the core schema of YAML 1.2, so yes, no, on and off are
 * texts, and 1:30 is no number in base 60. JSON has no infinity and no numbers beyond 64 bits: such
 * scalars are refused rather than turned into something near. Anchors, aliases and tags are refused
 * too: no manifest needs them, and without aliases a small file cannot become a large tree.
 *
 * Lines are kept as a tree of their own: each place knows its parent, and its key or index. The
 * text of a place is never built, as 10,000 values under one long key would need its length 10,000
 * times. Looking a place up is a walk over that array, which happens once for an error.
 *
 * The writer is in lib/yaml_text.c.
 */
#include "lib/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define NOWHERE SIZE_MAX

struct place {
	size_t parent; /* index; NOWHERE: of the document's beginning */
	char *key;     /* NULL: an element of a sequence */
	size_t index;  /* in the sequence */
	unsigned int line, column;
};

struct document {
	json_t *value;
	struct place *places; /* the first is the document's beginning */
	size_t n_places, room;
};

struct yaml_file {
	struct document *docs;
	size_t n, room;
};

struct reader {
	yaml_parser_t parser;
	const char *bytes;
	size_t len;
	struct document *doc;
	int depth;
	struct err *e;
};

#define CLEANUP_EVENT __attribute__((cleanup(yaml_event_delete)))

static int yaml_refuse_at(const struct reader *r, const yaml_mark_t *at, const char *what)
{
	return err_set(
		r->e, EBADMSG, "line %zu, column %zu: %s", at->line + 1, at->column + 1, what);
}

/* Whether a tab stands there, in the indentation of its line. */
static bool is_tab(const struct reader *r, const yaml_mark_t *at)
{
	const char *p = r->bytes;
	for (size_t line = 0; p && line < at->line; line++) {
		p = memchr(p, '\n', r->len - (size_t)(p - r->bytes));
		p = p ? p + 1 : NULL;
	}
	return p && at->column < r->len - (size_t)(p - r->bytes) && p[at->column] == '\t';
}

/* libyaml's own complaint. For bytes that are no text it knows the offset only. */
static int refuse_syntax(const struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t at = p->problem_mark;
	char what[128];
	if (p->error == YAML_MEMORY_ERROR)
		err_abort("out of memory");
	if (p->error == YAML_READER_ERROR) {
		at = (yaml_mark_t){0};
		for (size_t i = 0; i < p->problem_offset; i++) {
			at.column = r->bytes[i] == '\n' ? 0 : at.column + 1;
			at.line += r->bytes[i] == '\n';
		}
	}
	(void)json_clean(what, sizeof(what), p->problem ? p->problem : "no YAML");
	if (p->error == YAML_SCANNER_ERROR && is_tab(r, &at))
		return yaml_refuse_at(r, &at, "a tab cannot indent, only blanks can");
	return yaml_refuse_at(r, &at, what);
}

static int next_event(struct reader *r, yaml_event_t *out)
{
	return yaml_parser_parse(&r->parser, out) ? 0 : refuse_syntax(r);
}

static size_t add_place(
	struct reader *r, size_t parent, const char *key, size_t index, const yaml_mark_t *at)
{
	struct document *d = r->doc;
	d->places = mem_grow(d->places, &d->room, d->n_places, sizeof(*d->places));
	d->places[d->n_places] = (struct place){
		.parent = parent,
		.key = key ? mem_strdup(key) : NULL,
		.index = index,
		.line = (unsigned int)at->line + 1,
		.column = (unsigned int)at->column + 1,
	};
	return d->n_places++;
}

static size_t count_digits(const char *s)
{
	return strspn(s, "0123456789");
}

static bool is_integer(const char *s)
{
	s += *s == '-' || *s == '+';
	size_t n = count_digits(s);
	return n > 0 && !s[n];
}

static bool is_based(const char *s)
{
	if (s[0] != '0' || (s[1] != 'x' && s[1] != 'o') || !s[2])
		return false;
	const char *digits = s[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567";
	return !s[2 + strspn(s + 2, digits)];
}

static bool is_real(const char *s)
{
	s += *s == '-' || *s == '+';
	size_t whole = count_digits(s);
	size_t part = s[whole] == '.' ? count_digits(s + whole + 1) : 0;
	if (whole + part == 0)
		return false;
	s += whole + (s[whole] == '.' ? 1 + part : 0);
	if (*s == 'e' || *s == 'E') {
		s += s[1] == '-' || s[1] == '+' ? 2 : 1;
		size_t n = count_digits(s);
		return n > 0 && !s[n];
	}
	return !*s;
}

static bool is_no_number(const char *s)
{
	static const char *const words[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
	return TEXT_INDEX(s + (*s == '-' || *s == '+'), words) >= 0;
}

/* The value of a plain scalar; NULL: JSON has no such number. */
static json_t *resolve_scalar(const char *s)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	static const char *const trues[] = {"true", "True", "TRUE"};
	static const char *const falses[] = {"false", "False", "FALSE"};
	if (TEXT_INDEX(s, nulls) >= 0)
		return json_null();
	if (TEXT_INDEX(s, trues) >= 0 || TEXT_INDEX(s, falses) >= 0)
		return json_boolean(TEXT_INDEX(s, trues) >= 0);
	if (is_no_number(s))
		return NULL;
	if (is_integer(s) || is_based(s)) {
		int base = is_integer(s) ? 10 : s[1] == 'x' ? 16 : 8;
		errno = 0;
		long long n = strtoll(base == 8 ? s + 2 : s, NULL, base);
		return errno ? NULL : json_integer(n);
	}
	return is_real(s) ? json_real(strtod(s, NULL)) : json_string(s);
}

static int check_node(const struct reader *r, const yaml_event_t *ev, const yaml_char_t *anchor,
	const yaml_char_t *tag)
{
	if (anchor)
		return yaml_refuse_at(r, &ev->start_mark, "anchors are not supported");
	if (tag)
		return yaml_refuse_at(r, &ev->start_mark, "tags are not supported");
	return 0;
}

/* The text of a scalar event. */
static int read_text(const struct reader *r, const yaml_event_t *ev, const char **out)
{
	const char *text = (const char *)ev->data.scalar.value;
	int error = check_node(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
	if (error == 0 && strlen(text) != ev->data.scalar.length)
		error = yaml_refuse_at(r, &ev->start_mark, "a text with a NUL character");
	if (error == 0)
		*out = text;
	return error;
}

static int read_scalar(const struct reader *r, const yaml_event_t *ev, json_t **out)
{
	const char *text = NULL;
	int error = read_text(r, ev, &text);
	if (error < 0)
		return error;
	bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	json_t *value = plain ? resolve_scalar(text) : json_string(text);
	if (!value)
		return yaml_refuse_at(r, &ev->start_mark,
			plain ? "no number of 64 bits (a text needs quotes)" : "no UTF-8");
	*out = value;
	return 0;
}

static int read_value(struct reader *r, const yaml_event_t *ev, size_t place, json_t **out);

static int read_element(struct reader *r, const yaml_event_t *ev, size_t place, json_t *array)
{
	json_t *value = NULL;
	size_t here = add_place(r, place, NULL, json_array_size(array), &ev->start_mark);
	int error = read_value(r, ev, here, &value);
	if (error == 0)
		json_append(array, value);
	return error;
}

/* A key and its value. */
static int read_member(
	struct reader *r, const yaml_event_t *key_event, size_t place, json_t *object)
{
	const char *key = NULL;
	if (key_event->type != YAML_SCALAR_EVENT)
		return yaml_refuse_at(r, &key_event->start_mark, "a key must be a text");
	int error = read_text(r, key_event, &key);
	if (error < 0)
		return error;
	if (json_object_get(object, key))
		return yaml_refuse_at(r, &key_event->start_mark, "this key stands here already");
	size_t here = add_place(r, place, key, 0, &key_event->start_mark);
	CLEANUP_EVENT yaml_event_t ev = {0};
	json_t *value = NULL;
	error = next_event(r, &ev);
	if (error == 0)
		error = read_value(r, &ev, here, &value);
	if (error == 0 && json_object_set_new(object, key, value) < 0)
		error = yaml_refuse_at(r, &key_event->start_mark, "no UTF-8");
	return error;
}

/* What a mapping or a sequence has, up to its end. */
static int read_inside(struct reader *r, size_t place, json_t *into)
{
	for (;;) {
		CLEANUP_EVENT yaml_event_t ev = {0};
		int error = next_event(r, &ev);
		if (error < 0)
			return error;
		if (ev.type == YAML_MAPPING_END_EVENT || ev.type == YAML_SEQUENCE_END_EVENT)
			return 0;
		error = json_is_object(into) ? read_member(r, &ev, place, into)
					     : read_element(r, &ev, place, into);
		if (error < 0)
			return error;
	}
}

static int read_value(struct reader *r, const yaml_event_t *ev, size_t place, json_t **out)
{
	if (ev->type == YAML_SCALAR_EVENT)
		return read_scalar(r, ev, out);
	if (ev->type == YAML_ALIAS_EVENT)
		return yaml_refuse_at(r, &ev->start_mark, "aliases are not supported");
	bool mapping = ev->type == YAML_MAPPING_START_EVENT;
	int error = mapping ? check_node(r, ev, ev->data.mapping_start.anchor,
				      ev->data.mapping_start.tag)
			    : check_node(r, ev, ev->data.sequence_start.anchor,
				      ev->data.sequence_start.tag);
	if (error < 0)
		return error;
	if (++r->depth > JSON_MAX_NESTING)
		return yaml_refuse_at(r, &ev->start_mark, "nested deeper than 64 levels");
	CLEANUP_JSON json_t *into = mapping ? json_object() : json_array();
	error = read_inside(r, place, into);
	r->depth--;
	if (error == 0)
		*out = json_incref(into);
	return error;
}

static void free_document(struct document *d)
{
	for (size_t i = 0; i < d->n_places; i++)
		free(d->places[i].key);
	free(d->places);
	json_decref(d->value);
	*d = (struct document){0};
}

/* The document that begins. An empty one leaves no trace. */
static int read_document(struct reader *r, struct yaml_file *f)
{
	CLEANUP_EVENT yaml_event_t ev = {0}, end = {0};
	f->docs = mem_grow(f->docs, &f->room, f->n, sizeof(*f->docs));
	r->doc = &f->docs[f->n++];
	int error = next_event(r, &ev);
	if (error == 0)
		error = read_value(
			r, &ev, add_place(r, NOWHERE, NULL, 0, &ev.start_mark), &r->doc->value);
	if (error == 0)
		error = next_event(r, &end); /* the document's end */
	if (error == 0 && json_is_null(r->doc->value)) {
		free_document(r->doc);
		f->n--;
	}
	return error;
}

static int read_stream(struct reader *r, struct yaml_file *f)
{
	for (;;) {
		CLEANUP_EVENT yaml_event_t ev = {0};
		int error = next_event(r, &ev);
		if (error == 0 && ev.type == YAML_STREAM_END_EVENT)
			return 0;
		if (error == 0 && ev.type == YAML_DOCUMENT_START_EVENT)
			error = read_document(r, f);
		if (error < 0)
			return error;
	}
}

int yaml_parse(const char *bytes, size_t len, struct yaml_file **out, struct err *e)
{
	size_t mark = text_byte_order_mark(bytes, len); /* libyaml skips those of later documents */
	bytes += mark;
	len -= mark;
	if (len > JSON_MAX_BYTES)
		return err_set(e, EBADMSG, "YAML of more than %d bytes", JSON_MAX_BYTES);
	struct reader r = {.bytes = bytes, .len = len, .e = e};
	struct yaml_file *f = mem_new(1, sizeof(*f));
	if (!yaml_parser_initialize(&r.parser))
		err_abort("out of memory");
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)bytes, len);
	int error = read_stream(&r, f);
	yaml_parser_delete(&r.parser);
	if (error < 0)
		yaml_file_free(f);
	else
		*out = f;
	return error;
}

void yaml_file_free(struct yaml_file *f)
{
	for (size_t i = 0; f && i < f->n; i++)
		free_document(&f->docs[i]);
	free(f ? f->docs : NULL);
	free(f);
}

size_t yaml_count(const struct yaml_file *f)
{
	return f->n;
}

json_t *yaml_document(const struct yaml_file *f, size_t i)
{
	return f->docs[i].value;
}

/* How much of the text this place takes, as a child of where we are; 0: it is another one. Keys
 * may have dots in them, so a key must end where a next step begins. */
static size_t match_place(const struct place *p, const char *text)
{
	if (!p->key) {
		char index[32];
		int n = snprintf(index, sizeof(index), "[%zu]", p->index);
		return strncmp(text, index, (size_t)n) == 0 ? (size_t)n : 0;
	}
	size_t dot = *text == '.', len = strlen(p->key);
	bool ends = strncmp(text + dot, p->key, len) == 0 &&
		    (!text[dot + len] || strchr(".[", text[dot + len]));
	return len && ends ? dot + len : 0;
}

static const struct place *find_place(const struct yaml_file *f, size_t i, const char *place)
{
	const struct document *d = &f->docs[i];
	size_t at = 0;
	while (*place) {
		size_t best = 0, longest = 0;
		for (size_t c = at + 1; c < d->n_places; c++) {
			size_t n =
				d->places[c].parent == at ? match_place(&d->places[c], place) : 0;
			best = n > longest ? c : best;
			longest = n > longest ? n : longest;
		}
		if (!longest)
			break;
		at = best;
		place += longest;
	}
	return &d->places[at];
}

unsigned int yaml_line(const struct yaml_file *f, size_t i, const char *place)
{
	return find_place(f, i, place)->line;
}

unsigned int yaml_column(const struct yaml_file *f, size_t i, const char *place)
{
	return find_place(f, i, place)->column;
}
