/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Label selectors in their one form, whoever wrote them: Calico's text (lib/selector.h has the
 * grammar; global() is allowed here) and Kubernetes' LabelSelector become the same immutable value.
 * Its canonical text is Calico's: terms sorted, values sorted, double quotes. Two selectors of equal
 * text are one; sets in the kernel are named by it, and people are shown it.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"

/* Labels of an object: sorted by key, keys and values in one block of memory that the owner frees. */
struct policy_label {
	const char *key, *value;
};
struct policy_labels {
	const struct policy_label *v;
	size_t n;
};
#define POLICY_LABELS 1024 /* of one object; more: the object is refused */

/* From an object of strings (NULL: none). *out is one heap block: free(out->v). -EINVAL: too many, or a
 * value that is no string; names the key. */
int policy_labels_read(const json_t *object, struct policy_labels *out, struct err *e);
const char *policy_labels_get(const struct policy_labels *l, const char *key); /* NULL: absent */

struct policy_selector; /* counted references; every function takes NULL where it says so */

/* -EINVAL: names the column (text), or the member (LabelSelector). NULL text, "": all(). A LabelSelector
 * that is NULL or {} is all(), too: what a missing one means is the caller's to know. */
int policy_selector_of_text(const char *text, struct policy_selector **out, struct err *e);
int policy_selector_of_object(
	const json_t *label_selector, struct policy_selector **out, struct err *e);

/* a && b, canonical; takes neither. */
struct policy_selector *policy_selector_and(
	const struct policy_selector *a, const struct policy_selector *b);
struct policy_selector *policy_selector_ref(struct policy_selector *s);
void policy_selector_unref(struct policy_selector *s); /* takes NULL */

const char *policy_selector_text(const struct policy_selector *s); /* canonical */
struct hash policy_selector_hash(const struct policy_selector *s); /* of its text */
bool policy_selector_is_all(const struct policy_selector *s);
bool policy_selector_is_global(
	const struct policy_selector *s); /* global(): no pod, no namespaced object */
bool policy_selector_matches(const struct policy_selector *s, const struct policy_labels *l);

/* For an index: a term that everything it matches has: key (and value, or NULL: any). false: there is
 * none, as of negative and empty selectors. Borrowed. */
bool policy_selector_anchor(const struct policy_selector *s, const char **key, const char **value);

/* Why labels do not match, for people: the first term that fails, and what is there instead:
 * "app == \"web\": the label app is \"db\"". "" when they match. */
#define POLICY_MISS 300
void policy_selector_miss(
	const struct policy_selector *s, const struct policy_labels *l, char out[POLICY_MISS]);
