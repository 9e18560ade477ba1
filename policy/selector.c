/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selectors as counted references to settled trees (policy/selector_node.h), read from text through the sink
 * of lib/selector.h and from the LabelSelector of Kubernetes.
 *
 * Every selector has a text that reads as itself. So a key or value that Calico's text cannot say (another
 * character in a key, both kinds of quotes in a value) is refused; Kubernetes takes none of them either.
 */
#include "policy/selector.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "policy/selector_node.h"

#define TERMS_MAX 1024	/* of a LabelSelector */
#define VALUES_MAX 4096 /* of it altogether */
#define KEY_MAX 512
#define VALUE_MAX 512

struct policy_selector {
	unsigned int refs;
	struct selector_node *root;
};

static struct policy_selector *selector_of(struct selector_node *unsettled)
{
	struct policy_selector *s = mem_new(1, sizeof(*s));
	s->refs = 1;
	s->root = selector_node_settle(unsettled);
	return s;
}

struct building { /* what the sink was given and is not joined yet, the last on top */
	struct selector_node *stack[SELECTOR_PENDING];
	size_t n;
};

static void build_term(void *to, enum selector_op op, const struct selector_span *key)
{
	struct building *b = to;
	b->stack[b->n++] = selector_node_term(op, key->start, key->len);
}

static void build_value(void *to, const struct selector_span *value)
{
	struct building *b = to;
	selector_node_value(b->stack[b->n - 1], value->start, value->len);
}

static void build_negate(void *to)
{
	struct building *b = to;
	b->stack[b->n - 1]->negated = !b->stack[b->n - 1]->negated;
}

static void build_join(void *to, bool is_and)
{
	struct building *b = to;
	b->n--;
	b->stack[b->n - 1] = selector_node_join(is_and, b->stack[b->n - 1], b->stack[b->n]);
}

int policy_selector_of_text(const char *text, struct policy_selector **out, struct err *e)
{
	static const struct selector_sink sink = {
		.term = build_term,
		.value = build_value,
		.negate = build_negate,
		.join = build_join,
	};
	struct building b = {.n = 0};
	int r = selector_read(text ? text : "", true, &sink, &b, e);
	if (r == 0) {
		*out = selector_of(b.stack[0]);
		return 0;
	}
	while (b.n > 0)
		selector_node_free(b.stack[--b.n]);
	return r;
}

static bool is_key(const char *key)
{
	size_t len = 0;
	for (; key[len]; len++)
		if (!text_is_alnum(key[len]) && !strchr("_./-", key[len]))
			return false;
	return len > 0 && len <= KEY_MAX;
}

static bool is_value(const char *value)
{
	size_t len = 0;
	for (; value[len]; len++)
		if ((unsigned char)value[len] < ' ' || value[len] == 0x7f)
			return false;
	return len <= VALUE_MAX && !(strchr(value, '"') && strchr(value, '\''));
}

/* A LabelSelector on its way: the terms read are joined by &&. */
struct label_selector {
	struct selector_node *all;
	size_t terms, values;
	struct err *e;
};

static int label_term(struct label_selector *s, const char *where, enum selector_op op,
	const char *key, bool negated)
{
	if (!is_key(key))
		return err_set(s->e, EINVAL, "%s: \"%.80s\" is no key of a label", where, key);
	if (++s->terms > TERMS_MAX)
		return err_set(s->e, EINVAL, "%s: more than %d terms", where, TERMS_MAX);
	struct selector_node *n = selector_node_term(op, key, strlen(key));
	n->negated = negated;
	s->all = selector_node_join(true, s->all, n);
	return 0;
}

static int label_value(struct label_selector *s, const char *where, const json_t *value)
{
	const char *text = json_string_value(value);
	if (!text || !is_value(text))
		return err_set(s->e, EINVAL, "%s: %s is no value of a label", where,
			text ? "this text" : json_type_text(value));
	if (++s->values > VALUES_MAX)
		return err_set(s->e, EINVAL, "%s: more than %d values", where, VALUES_MAX);
	selector_node_value(s->all->kids[s->all->n_kids - 1], text, strlen(text));
	return 0;
}

static int read_match_labels(struct label_selector *s, const json_t *labels)
{
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)labels, key, value) {
		int r = label_term(s, "matchLabels", SELECTOR_IN, key, false);
		if (r == 0)
			r = label_value(s, "matchLabels", value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_expression(struct label_selector *s, const json_t *x, const char *where)
{
	static const char *const known[] = {"key", "operator", "values", NULL};
	static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist"};
	const char *key = NULL, *operator= NULL;
	json_t *values = NULL;
	if (!json_is_object(x))
		return err_set(s->e, EINVAL, "%s is %s, not an object", where, json_type_text(x));
	if (json_check_keys(x, where, known, s->e) < 0 ||
		json_get_string(x, where, "key", &key, s->e) < 0 ||
		json_get_string(x, where, "operator", &operator, s->e) < 0 ||
		json_get_array(x, where, "values", &values, s->e) < 0)
		return -EINVAL;
	int op = operator? TEXT_INDEX(operator, operators) : - 1;
	if (op < 0)
		return err_set(s->e, EINVAL,
			"%s.operator must be In, NotIn, Exists or DoesNotExist", where);
	bool has_values = json_array_size(values) > 0;
	if (has_values != (op < 2))
		return err_set(s->e, EINVAL, "%s: %s goes %s values", where, operator,
			has_values ? "without" : "with");
	int r = label_term(s, where, op < 2 ? SELECTOR_IN : SELECTOR_HAS, key ? key : "", op % 2);
	for (size_t i = 0; r == 0 && i < json_array_size(values); i++)
		r = label_value(s, where, json_array_get(values, i));
	return r;
}

static int read_members(struct label_selector *s, const json_t *object)
{
	static const char *const known[] = {"matchLabels", "matchExpressions", NULL};
	json_t *labels = NULL, *expressions = NULL;
	if (object && !json_is_null(object) && !json_is_object(object))
		return err_set(
			s->e, EINVAL, "a selector is %s, not an object", json_type_text(object));
	if ((json_is_object(object) && json_check_keys(object, "", known, s->e) < 0) ||
		json_get_object(object, "", "matchLabels", &labels, s->e) < 0 ||
		json_get_array(object, "", "matchExpressions", &expressions, s->e) < 0)
		return -EINVAL;
	int r = read_match_labels(s, labels);
	for (size_t i = 0; r == 0 && i < json_array_size(expressions); i++) {
		char where[48] = "";
		struct text t = TEXT_ON(where);
		text_add(&t, "matchExpressions[%zu]", i);
		r = read_expression(s, json_array_get(expressions, i), where);
	}
	return r;
}

int policy_selector_of_object(
	const json_t *label_selector, struct policy_selector **out, struct err *e)
{
	struct selector_node *all = selector_node_term(SELECTOR_ALL, "", 0);
	struct label_selector s = {
		.all = selector_node_join(true, all, selector_node_term(SELECTOR_ALL, "", 0)),
		.e = e};
	int r = read_members(&s, label_selector);
	if (r < 0) {
		selector_node_free(s.all);
		return r;
	}
	*out = selector_of(s.all);
	return 0;
}

/* The value */

struct policy_selector *policy_selector_and(
	const struct policy_selector *a, const struct policy_selector *b)
{
	return selector_of(
		selector_node_join(true, selector_node_copy(a->root), selector_node_copy(b->root)));
}

struct policy_selector *policy_selector_ref(struct policy_selector *s)
{
	s->refs++;
	return s;
}

void policy_selector_unref(struct policy_selector *s)
{
	if (!s || --s->refs > 0)
		return;
	selector_node_free(s->root);
	free(s);
}

const char *policy_selector_text(const struct policy_selector *s)
{
	return s->root->text;
}

struct hash policy_selector_hash(const struct policy_selector *s)
{
	return hash_of(s->root->text, strlen(s->root->text));
}

static bool is_plain(const struct policy_selector *s, enum selector_op op)
{
	return !s->root->is_join && s->root->op == op && !s->root->negated;
}

bool policy_selector_is_all(const struct policy_selector *s)
{
	return is_plain(s, SELECTOR_ALL);
}

bool policy_selector_is_global(const struct policy_selector *s)
{
	return is_plain(s, SELECTOR_GLOBAL);
}

bool policy_selector_matches(const struct policy_selector *s, const struct policy_labels *l)
{
	return selector_node_matches(s->root, l);
}

bool policy_selector_anchor(const struct policy_selector *s, const char **key, const char **value)
{
	return selector_node_anchor(s->root, key, value);
}

void policy_selector_miss(
	const struct policy_selector *s, const struct policy_labels *l, char out[POLICY_MISS])
{
	selector_node_miss(s->root, l, out);
}
