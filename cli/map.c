/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drawing blocks. A row is 64 addresses that begin at a multiple of 64, or the whole block when it
 * is smaller; so a row is a prefix (a /26, a /122) and needs no arithmetic on numbers that IPv6
 * would overflow. The entries of a view are sorted by address, therefore drawing walks them once
 * beside the rows. A large block is drawn only where something is: an IPv6 block
 * of 2^64 addresses has a few rows, and the legend says so.
 *
 * The characters differ without their colours: for a pipe, for a log, for people who do not see
 * red.
 */
#include "cli/map.h"

#include <string.h>

#include "cli/output.h"
#include "lib/text.h"

static const struct symbol {
	char cell;
	const char *color; /* SGR parameters */
	const char *meaning;
} symbols[] = {
	[NODE_USED] = {'#', "1;32", "used"},
	[NODE_COOLING] = {'~', "33", "cooling down"},
	[NODE_RESERVED] = {'R', "1;36", "reserved"},
	[NODE_QUARANTINED] = {'?', "1;31", "quarantined"},
	[NODE_LENT] = {'L', "1;35", "lent to another node"},
	[NODE_FREE] = {'.', "2", "free"},
};
#define N_SYMBOLS (sizeof(symbols) / sizeof(symbols[0]))

struct drawing {
	FILE *f;
	const struct node_view *v;
	bool color;
	int label_width;    /* columns before the cells */
	size_t cells_width; /* cells of the longest row */
};

/* A run of equal cells; one colour sequence for all of them. */
static void print_run(FILE *f, enum node_addr_state s, size_t count, bool color)
{
	if (count == 0)
		return;
	if (color)
		(void)fprintf(f, "\033[%sm", symbols[s].color);
	for (size_t i = 0; i < count; i++)
		(void)fputc(symbols[s].cell, f);
	if (color)
		(void)fputs("\033[0m", f);
}

static void print_cells(FILE *f, const enum node_addr_state *cells, size_t n, bool color)
{
	size_t start = 0;
	for (size_t i = 1; i <= n; i++) {
		if (i < n && cells[i] == cells[start])
			continue;
		print_run(f, cells[start], i - start, color);
		start = i;
	}
}

/* The row that contains a: its prefix is never shorter than the block's. */
static struct cidr row_of(const struct cidr *block, const struct addr *a)
{
	uint8_t len = (uint8_t)(addr_bits(a) - 6); /* 64 addresses */
	return cidr_masked(a, len > block->len ? len : block->len);
}

/* Fills the cells of a row from the entries at *i on, which are moved past. */
static size_t fill_row(const struct node_view *v, const struct cidr *row, size_t *i,
	enum node_addr_state cells[MAP_ROW])
{
	size_t n = (size_t)1 << (addr_bits(&row->addr) - row->len);
	for (size_t c = 0; c < n; c++)
		cells[c] = NODE_FREE;
	for (; *i < v->n_entries && cidr_contains(row, &v->entries[*i]->addr); (*i)++)
		cells[addr_minus(&v->entries[*i]->addr, &row->addr)] = v->entries[*i]->state;
	return n;
}

static void block_describe(const struct node_block *b, char out[200])
{
	struct text t = {.buf = out, .size = 200};
	out[0] = '\0';
	output_add_part(&t, b->used, "used");
	output_add_part(&t, b->cooling, "cooling");
	output_add_part(&t, b->reserved, "reserved");
	output_add_part(&t, b->quarantined, "quarantined");
	output_add_part(&t, b->free, "free");
}

static size_t first_entry(const struct node_view *v, const struct cidr *block)
{
	size_t i = 0;
	while (i < v->n_entries && !cidr_contains(block, &v->entries[i]->addr))
		i++;
	return i;
}

/* The label names the block in its first line, the row's address in the others. */
static void print_row(const struct drawing *d, const char *label, const struct cidr *row, size_t *i,
	const char *counts)
{
	enum node_addr_state cells[MAP_ROW];
	size_t n = fill_row(d->v, row, i, cells);
	(void)fprintf(d->f, "%-*s  ", d->label_width, label);
	print_cells(d->f, cells, n, d->color);
	if (counts)
		(void)fprintf(d->f, "%*s  %s", (int)(d->cells_width - n), "", counts);
	(void)fputc('\n', d->f);
}

static void print_whole(
	const struct drawing *d, const struct node_block *b, const char *cidr, const char *counts)
{
	size_t i = first_entry(d->v, &b->cidr);
	for (uint64_t at = 0; at < b->size; at += MAP_ROW) {
		struct addr first = addr_plus(&b->cidr.addr, at);
		struct cidr row = row_of(&b->cidr, &first);
		print_row(d, at ? ADDR_STRING(&row.addr) : cidr, &row, &i, at ? NULL : counts);
	}
}

static void print_sparse(
	const struct drawing *d, const struct node_block *b, const char *cidr, const char *counts)
{
	(void)fprintf(d->f, "%-*s  %s\n", d->label_width, cidr, counts);
	size_t i = first_entry(d->v, &b->cidr);
	while (i < d->v->n_entries && cidr_contains(&b->cidr, &d->v->entries[i]->addr)) {
		struct cidr row = row_of(&b->cidr, &d->v->entries[i]->addr);
		print_row(d, ADDR_STRING(&row.addr), &row, &i, NULL);
	}
}

static void print_block(const struct drawing *d, const struct node_block *b)
{
	char counts[200];
	block_describe(b, counts);
	if (b->size > MAP_WHOLE)
		print_sparse(d, b, CIDR_STRING(&b->cidr), counts);
	else
		print_whole(d, b, CIDR_STRING(&b->cidr), counts);
}

static void drawing_widen(struct drawing *d, const char *label)
{
	int width = (int)strlen(label);
	d->label_width = width > d->label_width ? width : d->label_width;
}

/* Room for the widest label: a block's prefix or a row's address. Of a block drawn whole the last
 * row has the longest one. */
static void measure_block(struct drawing *d, const struct node_block *b)
{
	char label[CIDR_TEXT];
	cidr_format(&b->cidr, label);
	drawing_widen(d, label);
	size_t cells = b->size > MAP_ROW ? MAP_ROW : (size_t)b->size;
	d->cells_width = cells > d->cells_width ? cells : d->cells_width;
	if (b->size <= MAP_WHOLE) {
		struct addr last = addr_plus(&b->cidr.addr, b->size - 1);
		struct cidr row = row_of(&b->cidr, &last);
		(void)addr_format(&row.addr, label);
		drawing_widen(d, label);
		return;
	}
	for (size_t i = 0; i < d->v->n_entries; i++) {
		if (!cidr_contains(&b->cidr, &d->v->entries[i]->addr))
			continue;
		struct cidr row = row_of(&b->cidr, &d->v->entries[i]->addr);
		(void)addr_format(&row.addr, label);
		drawing_widen(d, label);
	}
}

static bool lends(const struct node_view *v)
{
	for (size_t i = 0; i < v->n_blocks; i++)
		if (v->blocks[i].lent)
			return true;
	return false;
}

static void print_legend(const struct drawing *d, bool sparse)
{
	static const enum node_addr_state order[N_SYMBOLS] = {
		NODE_USED, NODE_COOLING, NODE_RESERVED, NODE_QUARANTINED, NODE_LENT, NODE_FREE};
	for (size_t i = 0; i < N_SYMBOLS; i++) {
		if (order[i] == NODE_LENT && !lends(d->v))
			continue;
		(void)fputs(i ? "   " : "", d->f);
		print_run(d->f, order[i], 1, d->color);
		(void)fprintf(d->f, " %s", symbols[order[i]].meaning);
	}
	(void)fputc('\n', d->f);
	if (sparse)
		(void)fprintf(d->f,
			"of blocks with more than %d addresses only rows with something in them "
			"are shown\n",
			MAP_WHOLE);
}

void map_print(FILE *f, const struct node_view *v, bool color)
{
	struct drawing d = {.f = f, .v = v, .color = color};
	bool sparse = false;
	for (size_t i = 0; i < v->n_blocks; i++)
		measure_block(&d, &v->blocks[i]);
	for (size_t i = 0; i < v->n_blocks; i++) {
		print_block(&d, &v->blocks[i]);
		sparse = sparse || v->blocks[i].size > MAP_WHOLE;
	}
	if (v->n_blocks == 0)
		return;
	(void)fputc('\n', f);
	print_legend(&d, sparse);
}
