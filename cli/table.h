/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Aligned columns for people. Cells are added one after the other, row by row; widths are known
 * when the table is printed. Cells are cleaned (cli/output.h): names of strangers may be put in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
	const char *title;
	bool right; /* numbers */
};

struct table {
	const struct table_column *columns; /* borrowed */
	size_t n_columns;
	char **cells; /* row by row */
	size_t n_cells, room;
};

void table_init(struct table *t, const struct table_column *columns, size_t n);
void table_done(struct table *t);
#define CLEANUP_TABLE __attribute__((cleanup(table_done)))

void table_add(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Titles and rows; an empty cell is shown as is; no line ends in blanks. */
void table_print(const struct table *t, FILE *f);
