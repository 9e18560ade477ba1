/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a pod must be, as a value: the part of a policy's end that is about pods. And an index that finds, of many
 * such terms, those that one pod meets, by its labels, its namespace and its named ports.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/text.h"
#include "policy/rule.h"
#include "policy/table.h"
#include "policy/world.h"

struct policy_term { /* everything said must hold; zeroed: any pod */
	char own[POLICY_NAMESPACE];
	struct policy_selector *namespaces, *pods, *accounts; /* references */
	char **account_names;
	size_t n_account_names;
	struct policy_port port; /* it has a port of this name and protocol; name "": not said */
};
void policy_term_of_end(const struct policy_end *e, struct policy_term *out);
void policy_term_done(struct policy_term *t);
void policy_term_text(
	const struct policy_term *t, struct text *out); /* equal ones have equal texts */

/* A pod with the labels that others lend it. */
struct policy_bearer {
	const struct policy_pod *pod;
	struct policy_labels namespace, account; /* borrowed; none, where the object is not known */
};
struct policy_bearer policy_bearer_of(const struct policy_world *w, const struct policy_pod *pod);
bool policy_term_matches(const struct policy_term *t, const struct policy_bearer *b);

struct policy_index { /* zeroed: empty */
	struct policy_table places;
};
/* Terms are borrowed until they are removed. Several may have one id. */
void policy_index_add(struct policy_index *x, const struct policy_term *t, uint32_t id);
void policy_index_remove(struct policy_index *x, const struct policy_term *t);
void policy_index_done(struct policy_index *x);

struct policy_ids { /* zeroed: none */
	uint32_t *v;
	size_t n, room;
};
/* The ids of all terms that match, sorted, each once, in place of what *out held. */
void policy_index_find(
	const struct policy_index *x, const struct policy_bearer *b, struct policy_ids *out);
