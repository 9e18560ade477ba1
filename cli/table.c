/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned columns. Widths are counted in characters (UTF-8 sequences), which is right for every
 * script whose characters are one cell wide; a pod's name is ASCII in every orchestrator, so the
 * rest may be ragged. Nothing is ever cut: an operator copies ids and names out of these lines.
 */
#include "cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "cli/output.h"
#include "lib/mem.h"

#define GAP 2 /* blanks between columns */

void table_init(struct table *t, const struct table_column *columns, size_t n)
{
	*t = (struct table){.columns = columns, .n_columns = n};
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){0};
}

void table_add(struct table *t, const char *fmt, ...)
{
	va_list args, again;
	va_start(args, fmt);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, args);
	assert(len >= 0);
	size_t size = (size_t)len + 1;
	CLEANUP_FREE char *raw = mem_new(size, 1);
	(void)vsnprintf(raw, size, fmt, again);
	va_end(again);
	va_end(args);
	char *clean = mem_new(size, 1);
	output_clean(clean, size, raw);
	t->cells = mem_grow(t->cells, &t->room, t->n_cells, sizeof(*t->cells));
	t->cells[t->n_cells++] = clean;
}

static size_t width_of(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80; /* not a continuation byte */
	return n;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = width_of(t->columns[column].title);
	for (size_t i = column; i < t->n_cells; i += t->n_columns) {
		size_t w = width_of(t->cells[i]);
		width = w > width ? w : width;
	}
	return width;
}

/* Blanks are owed, and paid only when something follows. */
static void print_cell(FILE *f, const char *text, size_t width, bool right, size_t *owed)
{
	size_t fill = width - width_of(text);
	if (right)
		*owed += fill;
	if (*text) {
		(void)fprintf(f, "%*s%s", (int)*owed, "", text);
		*owed = 0;
	}
	if (!right || !*text)
		*owed += right ? 0 : fill;
	*owed += GAP;
}

void table_print(const struct table *t, FILE *f)
{
	assert(t->n_columns);
	CLEANUP_FREE size_t *widths = mem_new(t->n_columns, sizeof(*widths));
	for (size_t c = 0; c < t->n_columns; c++)
		widths[c] = column_width(t, c);
	size_t owed = 0;
	for (size_t c = 0; c < t->n_columns; c++)
		print_cell(f, t->columns[c].title, widths[c], t->columns[c].right, &owed);
	(void)fputc('\n', f);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t c = i % t->n_columns;
		if (c == 0)
			owed = 0;
		print_cell(f, t->cells[i], widths[c], t->columns[c].right, &owed);
		if (c + 1 == t->n_columns)
			(void)fputc('\n', f);
	}
}
