/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing YAML: block style, sequences at the indentation of their key, as kubectl prints it. Texts
 * are plain scalars where no reader (of YAML 1.1 or 1.2) can take them for anything but a text;
 * all else is in double quotes, in ASCII, so that what is printed can neither be misread nor
 * play tricks on a terminal. What is written here, yaml_parse() reads back as the same tree, as
 * long as no key has more than 1024 characters (a limit of YAML).
 */
#include "lib/yaml.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/json.h"
#include "lib/mem.h"

/* Whether some reader takes the plain text for something else: the words of YAML 1.1, whatever
 * begins like a number or a date. */
static bool is_ambiguous(const char *s)
{
	static const char *const words[] = {
		"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	static const char numeric[] = "0123456789abcdefABCDEFxo_+-.:tTzZ ";
	return strchr("0123456789+-.~", *s) && !s[strspn(s, numeric)];
}

static bool is_plain(const char *s)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/";
	if (!*s || !strchr(first, *s) || is_ambiguous(s))
		return false;
	for (const char *p = s; *p; p++) {
		bool fine = strchr(first, *p) || strchr(".-+=()@", *p) ||
			    (*p == ':' && p[1] && p[1] != ' ') ||
			    (*p == ' ' && p[1] && p[1] != ' ' && p[1] != '#');
		if (!fine)
			return false;
	}
	return true;
}

/* An address is not ambiguous, though it begins like a number. */
static bool is_address(const char *s)
{
	size_t len = strspn(s, "0123456789./");
	size_t dots = 0;
	for (size_t i = 0; i < len; i++)
		dots += s[i] == '.';
	return !s[len] && dots == 3 && *s >= '0' && *s <= '9';
}

static void write_quoted(FILE *f, const char *s)
{
	(void)fputc('"', f);
	for (const unsigned char *p = (const unsigned char *)s; *p;) {
		uint32_t c = *p++;
		int tails = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		if (tails)
			c &= 0x3fU >> tails;
		for (; tails > 0 && *p; tails--)
			c = c << 6 | (*p++ & 0x3fU);
		if (c == '"' || c == '\\')
			(void)fprintf(f, "\\%c", (int)c);
		else if (c >= ' ' && c < 0x7f)
			(void)fputc((int)c, f);
		else if (c == '\n' || c == '\t')
			(void)fputs(c == '\n' ? "\\n" : "\\t", f);
		else
			(void)fprintf(f, c > 0xffff ? "\\U%08" PRIX32 : "\\u%04" PRIX32, c);
	}
	(void)fputc('"', f);
}

static void write_text(FILE *f, const char *s)
{
	if (is_plain(s) || is_address(s))
		(void)fputs(s, f);
	else
		write_quoted(f, s);
}

static bool is_block(const json_t *v)
{
	return json_object_size(v) > 0 || json_array_size(v) > 0;
}

static void write_scalar(FILE *f, const json_t *v)
{
	if (json_is_string(v)) {
		write_text(f, json_string_value(v));
	} else {
		CLEANUP_FREE char *text = json_text(v); /* also {} and [] */
		(void)fputs(text, f);
	}
}

static void write_block(FILE *f, const json_t *v, int indent, bool started);

/* What stands behind "key:" or "-". */
static void write_behind(FILE *f, const json_t *v, int indent, bool key)
{
	if (!is_block(v)) {
		(void)fputc(' ', f);
		write_scalar(f, v);
		(void)fputc('\n', f);
		return;
	}
	(void)fputc(key ? '\n' : ' ', f);
	write_block(f, v, key && json_is_array(v) ? indent : indent + 2, !key);
}

/* started: the first line's indentation is there already. */
static void write_block(FILE *f, const json_t *v, int indent, bool started)
{
	const char *key;
	json_t *member = NULL;
	size_t i = 0;
	json_object_foreach ((json_t *)v, key, member) {
		(void)fprintf(f, "%*s", started ? 0 : indent, "");
		write_text(f, key);
		(void)fputc(':', f);
		write_behind(f, member, indent, true);
		started = false;
	}
	json_array_foreach (v, i, member) {
		(void)fprintf(f, "%*s-", started ? 0 : indent, "");
		write_behind(f, member, indent, false);
		started = false;
	}
}

char *yaml_text(const json_t *doc)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (!f)
		err_abort("out of memory");
	if (is_block(doc)) {
		write_block(f, doc, 0, false);
	} else {
		write_scalar(f, doc);
		(void)fputc('\n', f);
	}
	if (fclose(f) != 0)
		err_abort("out of memory");
	return text;
}
