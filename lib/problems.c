/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded list of sentences. The bound is for memory and for the reader; total - kept is what has
 * been left out, and survives merging and being shown in fewer lines.
 */
#include "lib/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void problems_add(struct problems *p, const char *fmt, ...)
{
	p->total++;
	if (p->kept == PROBLEMS_MAX)
		return;
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(p->text[p->kept++], PROBLEM_TEXT, fmt, args);
	va_end(args);
}

void problems_add_all(struct problems *p, const struct problems *more)
{
	for (size_t i = 0; i < more->kept; i++)
		problems_add(p, "%s", more->text[i]);
	p->total += more->total - more->kept;
}

bool problems_has(const struct problems *p, const char *sentence)
{
	for (size_t i = 0; i < p->kept; i++)
		if (strcmp(p->text[i], sentence) == 0)
			return true;
	return false;
}

size_t problems_lines(const struct problems *p, size_t max, char out[][PROBLEM_TEXT])
{
	bool fits = p->total <= max && p->total == p->kept;
	size_t n = fits ? p->kept : max - 1;
	if (n > p->kept)
		n = p->kept;
	memcpy(out, p->text, n * PROBLEM_TEXT);
	if (!fits)
		(void)snprintf(out[n], PROBLEM_TEXT, "and %zu more", p->total - n);
	return fits ? n : n + 1;
}
