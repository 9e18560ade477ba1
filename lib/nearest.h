/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What somebody meant who mistyped a word: the known word that is nearest to it, if any is near enough.
 * Offer the known words one by one; texts are borrowed.
 */
#include "lib/err.h"
#include "lib/text.h"

struct nearest {
	const char *word; /* as it was typed */
	const char *best; /* NULL: none is near */
	size_t distance;  /* of best */
};
#define NEAREST_TO(typed)                                                                          \
	{                                                                                          \
		.word = (typed)                                                                    \
	}
void nearest_offer(struct nearest *n, const char *known);

/* Adds `: did you mean PREFIXwordSUFFIX?` to a text, `: did you mean word?` to a sentence, or nothing. */
void nearest_ask(const struct nearest *n, const char *prefix, const char *suffix, struct text *t);
void nearest_add(const struct nearest *n, struct err *e);
