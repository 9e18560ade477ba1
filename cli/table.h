/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Aligned columns for people. Rows are added one after the other; widths are known when the table is
 * printed. Cells are cleaned (cli/output.h): names of strangers may be put in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS 16

struct table {
	size_t n_columns;
	bool right[TABLE_COLUMNS]; /* numbers */
	char **cells;		   /* row by row, the titles first */
	size_t n_cells, room;
};

/* titles: "NAME|>PODS|NOTE"; '>' before one: its cells are numbers, aligned to the right. */
void table_init(struct table *t, const char *titles);
void table_done(struct table *t);
#define CLEANUP_TABLE __attribute__((cleanup(table_done)))

/* A row: a text for each column, NULL as "". */
#define table_row(t, ...)                                                                          \
	table_add((t), (const char *const[]){__VA_ARGS__},                                         \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
void table_add(struct table *t, const char *const *cells, size_t n);

/* Titles and rows; an empty cell is shown as is; no line ends in blanks. */
void table_print(const struct table *t, FILE *f);
