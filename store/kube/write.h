/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One write of a document to the API as a machine without a network: it says what to ask, is given
 * what came, and finds out the truth when an answer was lost.
 */
#include "store/kube/kube.h"
#include "store/kube/table.h"
#include "store/store.h"

struct kube_write;

/* w is copied. -ENOTSUP: there is no kind for such a key. -EINVAL: its value. */
int kube_write_new(struct kube_write **out, const struct store_write *w, struct err *e);
void kube_write_free(struct kube_write *w); /* takes NULL */

/* The next request. path is the caller's; body is borrowed, NULL: none. */
enum kube_method kube_write_compose(
	const struct kube_write *w, struct text *path, const json_t **body);

/* What came. true: *out has its kind; FAILED: its error, and a sentence in e. false: ask again. */
bool kube_write_take(struct kube_write *w, int status, const json_t *object,
	struct store_event *out, struct err *e);

/* The answer was lost: what was asked may have been done, or be done soon. */
void kube_write_lost(struct kube_write *w);
bool kube_write_is_unknown(const struct kube_write *w);

/* Whether a 404 speaks of the object, not of the whole collection. */
bool kube_is_gone(const json_t *status);
