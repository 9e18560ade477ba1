/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded list of sentences. The bound is for memory and for the reader; total - kept is what has
 * been left out, and survives merging and being shown in fewer lines.
 */
#include "lib/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHANGE_MS 60000 /* between two words on a problem whose sentence changes */

/* A place in the list, or NULL: there is no room. */
static char *add_place(struct problems *p)
{
	p->total++;
	return p->kept == PROBLEMS_MAX ? NULL : p->text[p->kept++];
}

/* key NULL: the sentence. */
__attribute__((format(printf, 3, 0))) static void problem_add(
	struct problems *p, const char *key, const char *fmt, va_list args)
{
	char *text = add_place(p);
	if (!text)
		return;
	(void)vsnprintf(text, PROBLEM_TEXT, fmt, args);
	if (!key)
		key = text;
	p->key[p->kept - 1] = hash_of(key, strlen(key));
}

void problems_add(struct problems *p, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	problem_add(p, NULL, fmt, args);
	va_end(args);
}

void problems_add_as(struct problems *p, const char *key, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	problem_add(p, key, fmt, args);
	va_end(args);
}

void problems_add_all(struct problems *p, const struct problems *more)
{
	for (size_t i = 0; i < more->kept; i++) {
		char *text = add_place(p);
		if (!text)
			continue;
		memcpy(text, more->text[i], PROBLEM_TEXT);
		p->key[p->kept - 1] = more->key[i];
	}
	p->total += more->total - more->kept;
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

/* The index of a problem; p->kept: it is not there. */
static size_t find_key(const struct problems *p, const struct hash *key)
{
	size_t i = 0;
	while (i < p->kept && !hash_equal(&p->key[i], key))
		i++;
	return i;
}

static void copy_problem(struct problems *to, const struct problems *from, size_t i)
{
	to->total++;
	to->key[to->kept] = from->key[i];
	memcpy(to->text[to->kept++], from->text[i], PROBLEM_TEXT);
}

/* How the log goes on with a problem that is there; out: what is said of it. Returns how many. */
static size_t follow_problem(struct problems_log *next, const struct problems_log *l,
	const struct problems *now, size_t i, int64_t now_ms, struct problem_news *out)
{
	size_t was = find_key(&l->open, &now->key[i]);
	size_t at = next->open.kept;
	bool began = was == l->open.kept;
	bool changed = !began && strcmp(l->last[was], now->text[i]) != 0 &&
		       now_ms - l->said_ms[was] >= CHANGE_MS;
	copy_problem(&next->open, began ? now : &l->open, began ? i : was);
	memcpy(next->last[at], began || changed ? now->text[i] : l->last[was], PROBLEM_TEXT);
	next->said_ms[at] = began || changed ? now_ms : l->said_ms[was];
	*out = (struct problem_news){began ? PROBLEM_BEGAN : PROBLEM_CHANGED, now->text[i]};
	return began || changed;
}

size_t problems_news(struct problems_log *l, const struct problems *now, int64_t now_ms,
	struct problem_news out[PROBLEM_NEWS_MAX])
{
	struct problems_log next = {0};
	size_t n = 0;
	for (size_t i = 0; i < now->kept; i++)
		if (find_key(&next.open, &now->key[i]) == next.open.kept)
			n += follow_problem(&next, l, now, i, now_ms, &out[n]);
	for (size_t i = 0; i < l->open.kept; i++) {
		if (find_key(&next.open, &l->open.key[i]) < next.open.kept)
			continue;
		if (now->total == now->kept) {
			copy_problem(&next.over, &l->open, i);
		} else if (next.open.kept < PROBLEMS_MAX) {
			/* It may be among those that there was no room for. */
			memcpy(next.last[next.open.kept], l->last[i], PROBLEM_TEXT);
			next.said_ms[next.open.kept] = l->said_ms[i];
			copy_problem(&next.open, &l->open, i);
		}
	}
	*l = next;
	for (size_t i = 0; i < l->over.kept; i++)
		out[n++] = (struct problem_news){PROBLEM_OVER, l->over.text[i]};
	return n;
}
