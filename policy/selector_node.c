/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree behind a selector. It is built once, settled once, and then only read.
 *
 * Settling is one walk from the leaves up that carries down whether an odd number of negations stands above.
 * A settled tree is a term, or a join whose operands are terms and joins of the other sort, sorted by their
 * texts. "all()" and "!all()" stand in no join: the one is neutral to && and decides ||, the other the
 * reverse. A term of values that can never or must always hold becomes one of them.
 *
 * Trees of strangers are no deeper than their texts nest (lib/selector.h), so recursion is bounded.
 */
#include "policy/selector_node.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

static char *text_of_span(const char *start, size_t len)
{
	char *copy = mem_new(len + 1, 1);
	memcpy(copy, start, len);
	return copy;
}

struct selector_node *selector_node_term(enum selector_op op, const char *key, size_t len)
{
	struct selector_node *n = mem_new(1, sizeof(*n));
	n->op = op;
	n->key = text_of_span(key, len);
	return n;
}

void selector_node_value(struct selector_node *n, const char *value, size_t len)
{
	n->values = mem_grow((void *)n->values, &n->values_room, n->n_values, sizeof(*n->values));
	n->values[n->n_values++] = text_of_span(value, len);
}

static void node_add_kid(struct selector_node *n, struct selector_node *kid)
{
	n->kids =
		mem_grow((void *)n->kids, &n->kids_room, n->n_kids, sizeof(struct selector_node *));
	n->kids[n->n_kids++] = kid;
}

struct selector_node *selector_node_join(
	bool is_and, struct selector_node *a, struct selector_node *b)
{
	if (a->is_join && a->is_and == is_and &&
		!a->negated) { /* a chain is one node, not a depth */
		node_add_kid(a, b);
		return a;
	}
	struct selector_node *n = mem_new(1, sizeof(*n));
	n->is_join = true;
	n->is_and = is_and;
	node_add_kid(n, a);
	node_add_kid(n, b);
	return n;
}

struct selector_node *selector_node_copy(const struct selector_node *n)
{
	if (!n)
		return NULL;
	struct selector_node *copy = mem_new(1, sizeof(*copy));
	copy->op = n->op;
	copy->is_join = n->is_join;
	copy->is_and = n->is_and;
	copy->negated = n->negated;
	copy->key = n->key ? mem_strdup(n->key) : NULL;
	for (size_t i = 0; i < n->n_values; i++)
		selector_node_value(copy, n->values[i], strlen(n->values[i]));
	for (size_t i = 0; i < n->n_kids; i++)
		node_add_kid(copy, selector_node_copy(n->kids[i]));
	return copy;
}

void selector_node_free(struct selector_node *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->n_values; i++)
		free(n->values[i]);
	for (size_t i = 0; i < n->n_kids; i++)
		selector_node_free(n->kids[i]);
	free((void *)n->values);
	free((void *)n->kids);
	free(n->key);
	free(n->text);
	free(n);
}

/* "v", or 'v' of a value that has double quotes itself. */
static void add_quoted(struct text *t, const char *value)
{
	char quote = strchr(value, '"') ? '\'' : '"';
	text_add(t, "%c%s%c", quote, value, quote);
}

static void add_comparison(struct text *t, const struct selector_node *n)
{
	if (n->n_values == 1) {
		text_add(t, "%s %s ", n->key, n->negated ? "!=" : "==");
		add_quoted(t, n->values[0]);
		return;
	}
	text_add(t, "%s %s {", n->key, n->negated ? "not in" : "in");
	for (size_t i = 0; i < n->n_values; i++) {
		text_add(t, "%s", i ? ", " : "");
		add_quoted(t, n->values[i]);
	}
	text_add(t, "}");
}

static char *text_of_term(const struct selector_node *n)
{
	static const char *const words[] = {[SELECTOR_CONTAINS] = "contains",
		[SELECTOR_STARTS] = "starts with",
		[SELECTOR_ENDS] = "ends with"};
	struct text t = {0};
	if (n->op == SELECTOR_IN) {
		add_comparison(&t, n);
		return text_take(&t);
	}
	text_add(&t, "%s", n->negated ? "!" : "");
	if (n->op == SELECTOR_ALL || n->op == SELECTOR_GLOBAL) {
		text_add(&t, n->op == SELECTOR_ALL ? "all()" : "global()");
	} else if (n->op == SELECTOR_HAS) {
		text_add(&t, "has(%s)", n->key);
	} else {
		text_add(&t, "%s %s ", n->key, words[n->op]);
		add_quoted(&t, n->values[0]);
	}
	return text_take(&t);
}

static char *text_of_join(const struct selector_node *n)
{
	struct text t = {0};
	for (size_t i = 0; i < n->n_kids; i++) {
		bool within = n->is_and && n->kids[i]->is_join;
		text_add(&t, "%s%s%s%s",
			i == 0	    ? ""
			: n->is_and ? " && "
				    : " || ",
			within ? "(" : "", n->kids[i]->text, within ? ")" : "");
	}
	return text_take(&t);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct selector_node *settle_term(struct selector_node *n, bool negate)
{
	n->negated = n->negated != negate;
	if (n->n_values > 1)
		qsort((void *)n->values, n->n_values, sizeof(*n->values), compare_texts);
	size_t kept = 0;
	for (size_t i = 0; i < n->n_values; i++) {
		if (kept && strcmp(n->values[kept - 1], n->values[i]) == 0)
			free(n->values[i]);
		else
			n->values[kept++] = n->values[i];
	}
	n->n_values = kept;
	if (n->op == SELECTOR_IN && n->n_values == 0) { /* of none: never */
		n->op = SELECTOR_ALL;
		n->negated = !n->negated;
	} else if (n->op > SELECTOR_IN && !*n->values[0]) { /* every label has an empty part */
		n->op = SELECTOR_HAS;
	}
	n->text = text_of_term(n);
	return n;
}

static int compare_nodes(const void *a, const void *b)
{
	const struct selector_node *const *x = a, *const *y = b;
	return strcmp((*x)->text, (*y)->text);
}

/* Puts a settled operand into a join that is being settled. true: it decides the whole. */
static bool join_take(struct selector_node *n, struct selector_node *kid)
{
	if (kid->is_join && kid->is_and == n->is_and) {
		for (size_t i = 0; i < kid->n_kids; i++)
			node_add_kid(n, kid->kids[i]);
		kid->n_kids = 0;
	} else if (kid->is_join || kid->op != SELECTOR_ALL) {
		node_add_kid(n, kid);
		return false;
	}
	bool decides = !kid->is_join && kid->negated == n->is_and;
	selector_node_free(kid);
	return decides;
}

static void join_sort(struct selector_node *n)
{
	size_t kept = 0;
	if (n->n_kids > 1)
		qsort((void *)n->kids, n->n_kids, sizeof(struct selector_node *), compare_nodes);
	for (size_t i = 0; i < n->n_kids; i++) {
		if (kept && strcmp(n->kids[kept - 1]->text, n->kids[i]->text) == 0)
			selector_node_free(n->kids[i]);
		else
			n->kids[kept++] = n->kids[i];
	}
	n->n_kids = kept;
}

static struct selector_node *settle(struct selector_node *n, bool negate);

static struct selector_node *settle_join(struct selector_node *old, bool negate)
{
	bool flip = old->negated != negate, decided = false;
	struct selector_node *n = mem_new(1, sizeof(*n)), *only = NULL;
	n->is_join = true;
	n->is_and = old->is_and != flip;
	for (size_t i = 0; i < old->n_kids; i++)
		decided = join_take(n, settle(old->kids[i], flip)) || decided;
	old->n_kids = 0;
	selector_node_free(old);
	join_sort(n);
	if (decided || n->n_kids == 0) {
		only = selector_node_term(SELECTOR_ALL, "", 0);
		only = settle_term(only, n->is_and == decided);
	} else if (n->n_kids == 1) {
		only = n->kids[0];
		n->n_kids = 0;
	} else {
		n->text = text_of_join(n);
		return n;
	}
	selector_node_free(n);
	return only;
}

static struct selector_node *settle(struct selector_node *n, bool negate)
{
	return n->is_join ? settle_join(n, negate) : settle_term(n, negate);
}

struct selector_node *selector_node_settle(struct selector_node *n)
{
	return settle(n, false);
}

static int compare_value(const void *element, const void *key)
{
	return strcmp(*(char *const *)element, key);
}

static bool has_value(const struct selector_node *n, const char *value)
{
	const char *want = n->n_values ? n->values[0] : "";
	size_t len = strlen(value), part = strlen(want);
	switch (n->op) {
	case SELECTOR_IN:
		return search_find((const void *)n->values, n->n_values, sizeof(*n->values), value,
			compare_value);
	case SELECTOR_CONTAINS:
		return strstr(value, want);
	case SELECTOR_STARTS:
		return strncmp(value, want, part) == 0;
	case SELECTOR_ENDS:
		return len >= part && strcmp(value + len - part, want) == 0;
	default:
		return true; /* of has(k), whatever its value */
	}
}

static bool term_holds(const struct selector_node *n, const struct policy_labels *l)
{
	if (n->op == SELECTOR_ALL)
		return true;
	if (n->op == SELECTOR_GLOBAL)
		return false;
	const char *value = policy_labels_get(l, n->key);
	return value && has_value(n, value);
}

bool selector_node_matches(const struct selector_node *n, const struct policy_labels *l)
{
	if (!n->is_join)
		return term_holds(n, l) != n->negated;
	for (size_t i = 0; i < n->n_kids; i++)
		if (selector_node_matches(n->kids[i], l) != n->is_and)
			return !n->is_and;
	return n->is_and;
}

/* The best of a conjunction: a pair before a key alone. */
static bool anchor_of_and(const struct selector_node *n, const char **key, const char **value)
{
	bool found = false;
	for (size_t i = 0; i < n->n_kids; i++) {
		const char *k = "", *v = NULL;
		if (!selector_node_anchor(n->kids[i], &k, &v) || (found && (*value || !v)))
			continue;
		*key = k;
		*value = v;
		found = true;
	}
	return found;
}

/* What all alternatives share. */
static bool anchor_of_or(const struct selector_node *n, const char **key, const char **value)
{
	for (size_t i = 0; i < n->n_kids; i++) {
		const char *k = "", *v = NULL;
		if (!selector_node_anchor(n->kids[i], &k, &v))
			return false;
		if (i == 0) {
			*key = k;
			*value = v;
			continue;
		}
		if (!*key || strcmp(*key, k) != 0)
			return false;
		if (!v || (*value && strcmp(*value, v) != 0))
			*value = NULL;
	}
	return true;
}

bool selector_node_anchor(const struct selector_node *n, const char **key, const char **value)
{
	if (n->is_join)
		return (n->is_and ? anchor_of_and : anchor_of_or)(n, key, value);
	if (n->negated || n->op == SELECTOR_ALL || n->op == SELECTOR_GLOBAL)
		return false;
	*key = n->key;
	*value = n->op == SELECTOR_IN && n->n_values == 1 ? n->values[0] : NULL;
	return true;
}

static void miss_of_term(
	const struct selector_node *n, const struct policy_labels *l, struct text *t)
{
	if (n->op == SELECTOR_ALL) {
		text_add(t, "%s: matches nothing", n->text);
		return;
	}
	if (n->op == SELECTOR_GLOBAL) {
		text_add(t, "global(): matches no pod and nothing else that is in a namespace");
		return;
	}
	const char *value = policy_labels_get(l, n->key);
	if (value)
		text_add(t, "%s: the label %s is \"%s\"", n->text, n->key, value);
	else
		text_add(t, "%s: there is no label %s", n->text, n->key);
}

void selector_node_miss(
	const struct selector_node *n, const struct policy_labels *l, char out[POLICY_MISS])
{
	struct text t = {.buf = out, .size = POLICY_MISS};
	*out = '\0';
	if (selector_node_matches(n, l))
		return;
	if (!n->is_join) {
		miss_of_term(n, l, &t);
		return;
	}
	if (!n->is_and) {
		text_add(&t, "%s: none of these holds", n->text);
		return;
	}
	for (size_t i = 0; i < n->n_kids && !*out; i++)
		selector_node_miss(n->kids[i], l, out);
}
