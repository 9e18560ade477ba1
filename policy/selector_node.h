/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a selector is made of: a tree of terms, built by whoever reads one, then brought into its one form.
 * Negation is pushed down to the terms, what is joined alike is one node, operands and values are sorted and
 * stand once, and what is always or never true goes. For policy/selector.c alone.
 */
#include <stdbool.h>
#include <stddef.h>

#include "lib/selector.h"
#include "policy/selector.h"

struct selector_node {
	enum selector_op op; /* of a term */
	bool is_join, is_and;
	bool negated; /* never of a join in its one form */
	char *key;
	char **values;
	size_t n_values, values_room;
	struct selector_node **kids; /* of a join */
	size_t n_kids, kids_room;
	char *text; /* of the one form; NULL before */
};

/* A term, and one more of its values. Neither is judged: the reader knows what the text form can say. */
struct selector_node *selector_node_term(enum selector_op op, const char *key, size_t len);
void selector_node_value(struct selector_node *n, const char *value, size_t len);
/* a and b joined: takes both. */
struct selector_node *selector_node_join(
	bool is_and, struct selector_node *a, struct selector_node *b);
struct selector_node *selector_node_copy(const struct selector_node *n); /* NULL of NULL */
void selector_node_free(struct selector_node *n);			 /* takes NULL */

/* The one form; takes n. */
struct selector_node *selector_node_settle(struct selector_node *n);

/* Of the one form: */
bool selector_node_matches(const struct selector_node *n, const struct policy_labels *l);
bool selector_node_anchor(const struct selector_node *n, const char **key, const char **value);
void selector_node_miss(
	const struct selector_node *n, const struct policy_labels *l, char out[POLICY_MISS]);
