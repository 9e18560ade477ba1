/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Aligned columns. Widths are counted in characters (UTF-8 sequences), which is right for every
 * script whose characters are one cell wide; a pod's name is ASCII in every orchestrator, so the
 * rest may be ragged. Nothing is ever cut: an operator copies ids and names out of these lines.
 */
#include "cli/table.h"

#include <assert.h>
#include <string.h>

#include "cli/output.h"
#include "lib/mem.h"

#define GAP 2 /* blanks between columns */

void table_init(struct table *t, const char *titles)
{
	const char *cells[TABLE_COLUMNS] = {0};
	CLEANUP_FREE char *copy = mem_strdup(titles);
	*t = (struct table){.n_columns = 0};
	for (char *rest = copy, *title; (title = strsep(&rest, "|")); t->n_columns++) {
		assert(t->n_columns < TABLE_COLUMNS);
		t->right[t->n_columns] = *title == '>';
		cells[t->n_columns] = title + (*title == '>');
	}
	table_add(t, cells, t->n_columns);
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){0};
}

void table_add(struct table *t, const char *const *cells, size_t n)
{
	assert(n == t->n_columns);
	for (size_t i = 0; i < n; i++) {
		const char *raw = cells[i] ? cells[i] : "";
		size_t size = strlen(raw) + 1;
		char *clean = mem_new(size, 1);
		output_clean(clean, size, raw);
		t->cells = mem_grow(t->cells, &t->room, t->n_cells, sizeof(*t->cells));
		t->cells[t->n_cells++] = clean;
	}
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
	size_t width = 0;
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
	size_t widths[TABLE_COLUMNS], owed = 0;
	assert(t->n_columns);
	for (size_t c = 0; c < t->n_columns; c++)
		widths[c] = column_width(t, c);
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t c = i % t->n_columns;
		if (c == 0)
			owed = 0;
		print_cell(f, t->cells[i], widths[c], t->right[c], &owed);
		if (c + 1 == t->n_columns)
			(void)fputc('\n', f);
	}
}
