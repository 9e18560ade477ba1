/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distance is the number of slips: a letter that is missing, one too many, another one, two that
 * changed places; capitals are no slip. Near enough is one slip for three letters, and a known word
 * that begins with what was typed (or has four letters of it anywhere), as the rest may just have been
 * left out. Of several the first
 * nearest one is taken. What a stranger typed may be long: only short words are looked at.
 */
#include "lib/nearest.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define LETTERS 40 /* of a word that is looked at */
#define SLIPS 3	   /* at most, however long the word */

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Row by row; two letters that changed places look two rows back. */
static size_t distance_of(const char *a, const char *b)
{
	size_t rows[3][LETTERS + 1];
	size_t n = strlen(a), m = strlen(b);
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= m; j++) {
			bool same = fold(a[i - 1]) == fold(b[j - 1]);
			row[j] = least(above[j - 1] + !same, 1 + least(above[j], row[j - 1]));
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
				fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

void nearest_offer(struct nearest *n, const char *known)
{
	size_t len = strlen(n->word);
	if (len < 2 || len > LETTERS || strlen(known) > LETTERS)
		return;
	size_t limit = len < 3 ? 1 : least(len / 3, SLIPS), far = distance_of(n->word, known);
	bool part = len >= 4 ? strcasestr(known, n->word) != NULL
			     : len == 3 && strncasecmp(n->word, known, len) == 0;
	if (far > limit && !part)
		return;
	if (n->best && n->distance <= far)
		return;
	n->best = known;
	n->distance = far;
}

void nearest_ask(const struct nearest *n, const char *prefix, const char *suffix, struct text *t)
{
	if (n->best)
		text_add(t, ": did you mean %s%s%s?", prefix, n->best, suffix);
}

void nearest_add(const struct nearest *n, struct err *e)
{
	struct text t = {.buf = e->text, .size = sizeof(e->text), .len = strlen(e->text)};
	nearest_ask(n, "", "", &t);
}
