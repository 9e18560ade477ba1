/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unified diff. Lines common to the beginnings and the ends are set aside first, as a changed
 * resource is mostly the same; in the middle the longest common subsequence is found by the
 * table that textbooks have, which needs the product of both lengths. Beyond TABLE_MAX cells
 * the middle is shown as all removed and all added: right, if not minimal.
 */
#include "cli/difference.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cli/output.h"
#include "lib/mem.h"

#define CONTEXT ((size_t)3)
#define TABLE_MAX 4000000

struct lines {
	char **at;
	size_t n, room;
	char *copy;
};

struct edit {
	char sign; /* ' ', '-' or '+' */
	const char *line;
};

struct script {
	struct edit *edits;
	size_t n, room;
};

static struct lines lines_split(const char *text)
{
	struct lines l = {.copy = mem_strdup(text)};
	char *rest = l.copy;
	while (*rest) {
		l.at = mem_grow(l.at, &l.room, l.n, sizeof(*l.at));
		l.at[l.n++] = rest;
		char *end = strchr(rest, '\n');
		if (!end)
			break;
		*end = '\0';
		rest = end + 1;
	}
	return l;
}

static void lines_done(struct lines *l)
{
	free(l->at);
	free(l->copy);
}

static void script_add(struct script *s, char sign, const char *line)
{
	s->edits = mem_grow(s->edits, &s->room, s->n, sizeof(*s->edits));
	s->edits[s->n++] = (struct edit){.sign = sign, .line = line};
}

/* Cell (i, j): the longest common subsequence of what follows line i and line j. */
static uint32_t *make_table(char **a, size_t n, char **b, size_t m)
{
	uint32_t *t = mem_new((n + 1) * (m + 1), sizeof(*t));
	for (size_t i = n; i-- > 0;) {
		for (size_t j = m; j-- > 0;) {
			uint32_t down = t[(i + 1) * (m + 1) + j], right = t[i * (m + 1) + j + 1];
			t[i * (m + 1) + j] = strcmp(a[i], b[j]) == 0
						     ? t[(i + 1) * (m + 1) + j + 1] + 1
					     : down > right ? down
							    : right;
		}
	}
	return t;
}

static void add_middle(struct script *s, char **a, size_t n, char **b, size_t m)
{
	bool small = n == 0 || m == 0 || n < TABLE_MAX / m;
	CLEANUP_FREE uint32_t *t = small ? make_table(a, n, b, m) : NULL;
	size_t i = 0, j = 0;
	while (t && i < n && j < m) {
		if (strcmp(a[i], b[j]) == 0) {
			script_add(s, ' ', a[i++]);
			j++;
		} else if (t[(i + 1) * (m + 1) + j] >= t[i * (m + 1) + j + 1]) {
			script_add(s, '-', a[i++]);
		} else {
			script_add(s, '+', b[j++]);
		}
	}
	while (i < n)
		script_add(s, '-', a[i++]);
	while (j < m)
		script_add(s, '+', b[j++]);
}

static void make_script(struct script *s, const struct lines *a, const struct lines *b)
{
	size_t head = 0, tail = 0;
	while (head < a->n && head < b->n && strcmp(a->at[head], b->at[head]) == 0)
		script_add(s, ' ', a->at[head++]);
	while (tail < a->n - head && tail < b->n - head &&
		strcmp(a->at[a->n - 1 - tail], b->at[b->n - 1 - tail]) == 0)
		tail++;
	add_middle(s, a->at + head, a->n - head - tail, b->at + head, b->n - head - tail);
	for (size_t i = a->n - tail; i < a->n; i++)
		script_add(s, ' ', a->at[i]);
}

static void print_line(FILE *f, const char *before, const char *line)
{
	size_t size = strlen(line) + 1;
	CLEANUP_FREE char *clean = mem_new(size, 1);
	output_clean(clean, size, line);
	(void)fprintf(f, "%s%s\n", before, clean);
}

/* Where in the script the hunk ends that begins at start: behind the last change that has the next
 * one within reach of its context. */
static size_t find_end(const struct script *s, size_t start)
{
	size_t last = start;
	for (size_t i = start; i < s->n && i <= last + 2 * CONTEXT + 1; i++)
		if (s->edits[i].sign != ' ')
			last = i;
	size_t end = last + 1 + CONTEXT;
	return end < s->n ? end : s->n;
}

static void print_hunk(FILE *f, const struct script *s, size_t from, size_t to)
{
	size_t line[2] = {1, 1}, count[2] = {0, 0};
	for (size_t i = 0; i < to; i++) {
		size_t *n = i < from ? line : count;
		n[0] += s->edits[i].sign != '+';
		n[1] += s->edits[i].sign != '-';
	}
	(void)fprintf(f, "@@ -%zu,%zu +%zu,%zu @@\n", line[0] - (count[0] == 0), count[0],
		line[1] - (count[1] == 0), count[1]);
	for (size_t i = from; i < to; i++) {
		const char sign[] = {s->edits[i].sign, '\0'};
		print_line(f, sign, s->edits[i].line);
	}
}

void difference_print(FILE *f, const char *before_name, const char *before, const char *after_name,
	const char *after)
{
	struct lines a = lines_split(before), b = lines_split(after);
	struct script s = {0};
	make_script(&s, &a, &b);
	bool any = false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.edits[i].sign == ' ')
			continue;
		size_t end = find_end(&s, i);
		if (!any) {
			print_line(f, "--- ", before_name);
			print_line(f, "+++ ", after_name);
		}
		print_hunk(f, &s, i > CONTEXT ? i - CONTEXT : 0, end);
		any = true;
		i = end - 1;
	}
	free(s.edits);
	lines_done(&a);
	lines_done(&b);
}
